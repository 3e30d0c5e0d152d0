"""One episode: from the start of a stage to death, clear, stall or time, in steps of `frame_skip` frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

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
        buttons: the button byte of every frame that was asked for so far, those after the end of the episode included.
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
        self._kept: tuple[Any, ...] | None = None

    def keep(self) -> None:
        """Remembers this place in the episode, one at a time, for `go_back`; raises EmulatorError if it is over."""
        if self.end is not None:
            raise EmulatorError("the episode is over: there is nothing to keep")
        self.emulator.keep()
        self._kept = self.steps, self.frames, self.total_reward, self.max_x, list(self.buttons), self._steps_at_max_x

    def go_back(self) -> None:
        """Goes back to the place that was kept, as if nothing had come after; see `MarioEmulator.go_back`."""
        self.emulator.go_back()
        assert self._kept is not None
        self.steps, self.frames, self.total_reward, self.max_x, buttons, self._steps_at_max_x = self._kept
        self.buttons, self.end = list(buttons), None

    def step(self, buttons: int | Sequence[int], on_frame: Callable[[MarioEmulator], None] | None = None) -> StepResult:
        """Plays `frame_skip` frames, or fewer until the game is over.

        `buttons` is the byte to hold all the while, or one byte for each of the frames. `on_frame` is called after
        every frame. Raises EmulatorError if the episode is over, ValueError for too many or too few bytes.
        """
        if self.end is not None:
            raise EmulatorError("the episode is over: reset it before the next step")
        held = list(buttons) if isinstance(buttons, Sequence) else [int(buttons)] * self.frame_skip
        if len(held) != self.frame_skip:
            raise ValueError(f"a step has {self.frame_skip} frames, and there are buttons for {len(held)}")
        emulator = self.emulator
        reward, frames, max_x = 0.0, 0, self.max_x
        while frames < self.frame_skip and not emulator.done:
            reward += emulator.frame(held[frames])
            frames += 1
            max_x = max(max_x, emulator.x_position)
            if on_frame is not None:
                on_frame(emulator)

        self.steps += 1
        self.frames += frames
        self.total_reward += reward
        self.buttons += held
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

        return ActionLog.of_frames(self.emulator.stage, self.frame_skip, self.buttons)

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


def stick(chosen: int, held: int, *, sticky: float, frames: int, rng: np.random.Generator) -> list[int]:
    """The button byte of each of a step's frames in a sticky game, which is slow to take up what was chosen.

    At each frame the buttons before stay held with probability `sticky`; once taken up, the chosen ones stay. So does
    the Arcade Learning Environment, frame by frame within its frame skip (Machado et al. 2018, Revisiting the Arcade
    Learning Environment, section 5.2).

    Args:
        chosen, held: the button byte of this step, and the one that the frame before it had.
        sticky: 0 to less than 1.
        frames: in a step.
    """
    late = min(int(rng.geometric(1 - sticky)) - 1, frames)
    return [held] * late + [chosen] * (frames - late)
