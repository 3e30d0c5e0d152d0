"""One episode: from the start of a stage to death, clear, stall or time, in steps of `frame_skip` frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from mario_tui.errors import EmulatorError
from mario_tui.game.emulator import Emulator
from mario_tui.rewards import Reward, frame_reward
from mario_tui.stage_progress import Area, stage_progress


class EndReason(str, Enum):
    """Why an episode ended."""

    DEATH = "death"
    CLEAR = "clear"
    STALL = "stall"  # no new ground for `stall_steps` steps
    LOOP = "loop"  # a wrong way in a maze, which leads back
    LEFT = "left"  # the game went on in another stage
    TIME = "time"  # the game's clock ran out, or `max_steps` were played, or the episode was cut (`cut_after`)


_OFF_COURSE = (EndReason.LOOP, EndReason.LEFT)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step brought.

    reward: summed over the frames.
    frames: how many were played: fewer than `frame_skip` where the episode ended among them.
    end: why the episode is over; None while it is not.
    terminated: nothing that might have followed counts (death, clear, the game's clock ran out, a loop, another stage).
    truncated: a limit of ours ended it (stall, number of steps).
    """

    reward: float
    frames: int
    end: EndReason | None
    terminated: bool
    truncated: bool


@dataclass(frozen=True, slots=True)
class EpisodeSnapshot:
    """A place in an episode, see `Episode.snapshot`; `game` is the emulator's, or None where it has no snapshots."""

    game: object
    steps: int
    frames: int
    total_reward: float
    max_x: int
    end: EndReason | None
    buttons: tuple[int, ...]
    frontiers: Mapping[Area, int]
    steps_at_frontier: int


class Episode:
    """Plays an emulator step by step, and keeps count.

    Attributes:
        goes_on: as given.
        steps, frames: played so far.
        total_reward: the rewards so far, summed.
        max_x: the farthest x position so far, pixels.
        frontiers: the farthest x position in each area of the stage that Mario was in.
        end: why the episode is over; None while it is not.
        buttons: the button byte for every frame of every step so far, those after the end of the episode included.
    """

    def __init__(
        self,
        emulator: Emulator,
        *,
        frame_skip: int = 4,
        stall_steps: int = 0,
        max_steps: int = 0,
        ends_off_course: bool = False,
        reward: Reward = "tutorial",
        goes_on: int | None = None,
    ) -> None:
        """Resets the emulator. With `goes_on` it is not reset: the previous stage was cleared, the game itself leads on
        to the next one, and no button is pressed for that many frames (`Emulator.go_on`).

        The limits are in steps; 0 is no limit. `stall_steps`: without getting beyond the frontier of an area, or into a
        new one. `ends_off_course`: a wrong way in a maze, and another stage, end the episode.
        """
        self.emulator = emulator
        self.frame_skip = frame_skip
        self.stall_steps = stall_steps
        self.max_steps = max_steps
        self.ends_off_course = ends_off_course
        self.reward = reward
        self.goes_on = goes_on
        if goes_on is None:
            emulator.reset()
        else:
            emulator.go_on(goes_on)
        self._begin()

    def reset(self, noop_steps: int = 0) -> None:
        """Begins a new episode at the start of the stage, with this many steps of no button (see `noop_start_steps`).

        Where the episode ends among them, the rest are played in the next one.
        """
        self.goes_on = None
        self._reset()
        for _ in range(noop_steps):
            self.step(0)
            if self.end is not None:
                self._reset()

    def _reset(self) -> None:
        self.emulator.reset()
        self._begin()

    def _begin(self) -> None:
        self.steps = self.frames = 0
        self.total_reward = 0.0
        self.max_x = self.emulator.x_position
        self.end: EndReason | None = None
        self.buttons: list[int] = []
        self._steps_at_frontier = self._cut_at = 0
        self.frontiers: dict[Area, int] = {}
        self._passed_frontier()
        self._saved: tuple[Any, ...] | None = None

    @property
    def progress(self) -> float:
        """How far through the stage it came, 0 to 1, see stage_progress.py."""
        return stage_progress(self.emulator.stage, self.frontiers, cleared=self.end is EndReason.CLEAR)

    def save_state(self) -> None:
        """Remembers this place in the episode, one at a time, for `load_state`; raises EmulatorError if it is over."""
        if self.end is not None:
            raise EmulatorError("the episode is over: its state cannot be saved")
        self.emulator.save_state()
        frontiers = dict(self.frontiers), self._steps_at_frontier
        self._saved = self.steps, self.frames, self.total_reward, self.max_x, list(self.buttons), frontiers

    def load_state(self) -> None:
        """Goes back to the saved state, as if nothing had come after; see `Emulator.load_state`."""
        self.emulator.load_state()
        assert self._saved is not None
        self.steps, self.frames, self.total_reward, self.max_x, buttons, frontiers = self._saved
        self.frontiers, self._steps_at_frontier = dict(frontiers[0]), frontiers[1]
        self.buttons, self.end = list(buttons), None

    def snapshot(self) -> EpisodeSnapshot:
        """This place in the episode, over or not, for `restore`: any number of them; see `Emulator.snapshot`."""
        emulator = self.emulator
        return EpisodeSnapshot(
            game=emulator.snapshot() if emulator.has_snapshots() else None,
            steps=self.steps,
            frames=self.frames,
            total_reward=self.total_reward,
            max_x=self.max_x,
            end=self.end,
            buttons=tuple(self.buttons),
            frontiers=dict(self.frontiers),
            steps_at_frontier=self._steps_at_frontier,
        )

    def restore(self, snapshot: EpisodeSnapshot) -> None:
        """Goes to a place in this or another episode of the stage: what follows is the same in every bit.

        Where the emulator has no snapshots, all is played again up to there.
        """
        if snapshot.game is not None:
            self.emulator.restore(snapshot.game)
        else:
            self.emulator.reset()
            for byte in snapshot.buttons[: snapshot.frames]:
                self.emulator.frame(byte)
        self.steps, self.frames, self.total_reward = snapshot.steps, snapshot.frames, snapshot.total_reward
        self.max_x, self.end, self._steps_at_frontier = snapshot.max_x, snapshot.end, snapshot.steps_at_frontier
        self.frontiers = dict(snapshot.frontiers)
        self.buttons = list(snapshot.buttons)
        self._cut_at = 0

    def cut_after(self, steps: int) -> None:
        """Cuts the episode after so many steps from now on, which also have the full `stall_steps` to get farther."""
        self._cut_at, self._steps_at_frontier = self.steps + steps, self.steps

    def step(self, buttons: int | Sequence[int], on_frame: Callable[[Emulator], None] | None = None) -> StepResult:
        """Plays `frame_skip` frames, or fewer until the game is over.

        `buttons` is the byte for the whole step, or one byte for each of its frames. `on_frame` is called after
        every frame. Raises EmulatorError if the episode is over, ValueError for too many or too few bytes.
        """
        if self.end is not None:
            raise EmulatorError("the episode is over: reset it before the next step")
        frame_buttons = list(buttons) if isinstance(buttons, Sequence) else [int(buttons)] * self.frame_skip
        if len(frame_buttons) != self.frame_skip:
            raise ValueError(f"a step has {self.frame_skip} frames, and there are buttons for {len(frame_buttons)}")
        emulator = self.emulator
        reward, frames, is_farther = 0.0, 0, False
        while frames < self.frame_skip and not emulator.done:
            time = emulator.time
            of_frame = emulator.frame(frame_buttons[frames])
            frames += 1
            self.max_x = max(self.max_x, emulator.x_position)
            pixels = self._passed_frontier()
            is_farther |= pixels is not None
            if self.reward == "frontier":
                of_frame = frame_reward(pixels or 0, emulator.time - time, dead=emulator.dead)
            reward += of_frame
            if on_frame is not None:
                on_frame(emulator)

        self.steps += 1
        self.frames += frames
        self.total_reward += reward
        self.buttons += frame_buttons
        if is_farther:
            self._steps_at_frontier = self.steps
        self.end = self._end_reason()
        return StepResult(
            reward=reward,
            frames=frames,
            end=self.end,
            terminated=(terminated := emulator.done or self.end in _OFF_COURSE),
            truncated=self.end is not None and not terminated,
        )

    def _passed_frontier(self) -> int | None:
        """The pixels by which Mario is beyond the frontier of his area, which is moved; 0 where the area is new, and
        None where he is not beyond it."""
        area, x = self.emulator.area, self.emulator.x_position
        if area is None or x <= (known := self.frontiers.get(area, -1)):
            return None
        self.frontiers[area] = x
        return x - known if known >= 0 else 0

    def _end_reason(self) -> EndReason | None:
        if self.emulator.flag_get:
            return EndReason.CLEAR
        if self.emulator.done:
            return EndReason.DEATH if self.emulator.time > 0 else EndReason.TIME
        if self.ends_off_course and self.emulator.led_back:
            return EndReason.LOOP
        if self.ends_off_course and self.emulator.left:
            return EndReason.LEFT
        if self.stall_steps and self.steps - self._steps_at_frontier >= self.stall_steps:
            return EndReason.STALL
        if (self.max_steps and self.steps >= self.max_steps) or (self._cut_at and self.steps >= self._cut_at):
            return EndReason.TIME
        return None


def sticky_actions(chosen: int, previous: int, *, sticky: float, frames: int, rng: np.random.Generator) -> list[int]:
    """The button byte for each of a step's frames with sticky actions.

    At each frame the previous buttons are repeated with probability `sticky`; once the chosen ones are pressed, they
    stay. This is the repeat-action probability of the Arcade Learning Environment, frame by frame within its frame skip
    (Machado et al. 2018, Revisiting the Arcade Learning Environment, section 5.2).

    Args:
        chosen, previous: the button byte of this step's action, and the one of the frame before it.
        sticky: the probability, 0 to less than 1; with 0 no random number is drawn.
        frames: in a step.
    """
    late = min(int(rng.geometric(1 - sticky)) - 1, frames) if sticky else 0
    return [previous] * late + [chosen] * (frames - late)


def noop_start_steps(noops: int, *, frame_skip: int, rng: np.random.Generator) -> int:
    """How many steps of no button an episode begins with: up to `noops` frames, rounded up to whole steps.

    With `noops` 0 no random number is drawn. No-op starts: Mnih et al. 2015, Human-level control through deep
    reinforcement learning.
    """
    return -(-int(rng.integers(noops + 1)) // frame_skip) if noops else 0
