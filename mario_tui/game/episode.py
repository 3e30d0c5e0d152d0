"""One episode: from the start of a stage to death, clear, stall or time, in steps of `frame_skip` frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from mario_tui.errors import EmulatorError
from mario_tui.game.emulator import MarioEmulator

if TYPE_CHECKING:
    from mario_tui.game.action_log import ActionLog


class EndReason(str, Enum):
    """Why an episode ended."""

    DEATH = "death"
    CLEAR = "clear"
    STALL = "stall"  # no new ground for `stall_steps` steps
    TIME = "time"  # the game's clock ran out, or `max_steps` were played


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step brought.

    reward: summed over the frames.
    frames: how many were played: fewer than `frame_skip` where the episode ended among them.
    end: why the episode is over; None while it is not.
    terminated: the game itself ended it (death, clear, its clock ran out).
    truncated: a limit of ours ended it (stall, number of steps).
    """

    reward: float
    frames: int
    end: EndReason | None
    terminated: bool
    truncated: bool


class Episode:
    """Plays an emulator step by step, and keeps the account of it.

    Attributes:
        steps, frames: played so far.
        total_reward: the rewards so far, summed.
        max_x: the farthest x position so far, pixels.
        end: why the episode is over; None while it is not.
        buttons: the button byte of every step so far.
    """

    def __init__(
        self, emulator: MarioEmulator, *, frame_skip: int = 4, stall_steps: int = 0, max_steps: int = 0
    ) -> None:
        """Resets the emulator. The limits are in steps; 0 is no limit."""
        self.emulator = emulator
        self.frame_skip = frame_skip
        self.stall_steps = stall_steps
        self.max_steps = max_steps
        self.reset()

    def reset(self) -> None:
        """Begins a new episode at the start of the stage."""
        self.emulator.reset()
        self.steps = self.frames = 0
        self.total_reward = 0.0
        self.max_x = self.emulator.x_position
        self.end: EndReason | None = None
        self.buttons: list[int] = []
        self._steps_at_max_x = 0

    def step(self, buttons: int, on_frame: Callable[[MarioEmulator], None] | None = None) -> StepResult:
        """Holds the buttons of this byte for `frame_skip` frames, or until the game is over.

        `on_frame` is called after every frame. Raises EmulatorError if the episode is over.
        """
        if self.end is not None:
            raise EmulatorError("the episode is over: reset it before the next step")
        emulator = self.emulator
        reward, frames, max_x = 0.0, 0, self.max_x
        while frames < self.frame_skip and not emulator.done:
            reward += emulator.frame(buttons)
            frames += 1
            max_x = max(max_x, emulator.x_position)
            if on_frame is not None:
                on_frame(emulator)

        self.steps += 1
        self.frames += frames
        self.total_reward += reward
        self.buttons.append(int(buttons))
        if max_x > self.max_x:
            self.max_x, self._steps_at_max_x = max_x, self.steps
        self.end = self._end_reason()
        return StepResult(
            reward=reward,
            frames=frames,
            end=self.end,
            terminated=emulator.done,
            truncated=self.end is not None and not emulator.done,
        )

    def action_log(self) -> ActionLog:
        """What was pressed so far: replaying it gives the same episode again."""
        from mario_tui.game.action_log import ActionLog  # which replays through Episode

        return ActionLog(self.emulator.stage, self.frame_skip, tuple(self.buttons))

    def _end_reason(self) -> EndReason | None:
        if self.emulator.flag_get:
            return EndReason.CLEAR
        if self.emulator.done:
            return EndReason.DEATH if self.emulator.time > 0 else EndReason.TIME
        if self.stall_steps and self.steps - self._steps_at_max_x >= self.stall_steps:
            return EndReason.STALL
        if self.max_steps and self.steps >= self.max_steps:
            return EndReason.TIME
        return None
