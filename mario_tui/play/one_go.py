"""The whole game in one go: a stage goes on from the clear of the one before it, by the game's own transition.

Agents and logs that only just clear a stage do so from its own start, where the game's clocks stand otherwise than
after a transition. So a few frames of no button are tried first, on snapshots of the game; where no wait leads to a
clear, the stage is played from its own start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import play_log_in
from mario_tui.game.stages import next_stage
from mario_tui.game.step import EpisodeStep
from mario_tui.play.rollout import rollout

if TYPE_CHECKING:
    from mario_tui.agent.policy import Policy

LONGEST_WAIT = 15
"""Frames: enemies and lifts move on every second to fourth one, so that longer waits bring little that is new."""


class Play(Protocol):
    """Plays a stage in an emulator, from its own start or going on from a clear; see `Episode`."""

    def __call__(self, emulator: Emulator, goes_on: int | None, *, all_frames: bool) -> Iterator[EpisodeStep]: ...


def agent_plays(policy: Policy, **settings: Any) -> Play:
    """The agent plays, as `settings` say, see `rollout`."""

    def play(emulator: Emulator, goes_on: int | None, *, all_frames: bool) -> Iterator[EpisodeStep]:
        return rollout(policy, emulator=emulator, goes_on=goes_on, all_frames=all_frames, **settings)

    return play


def log_plays(log: ActionLog, *, frame_skip: int | None = None) -> Play:
    """The log's buttons are pressed, in steps of so many frames."""

    def play(emulator: Emulator, goes_on: int | None, *, all_frames: bool) -> Iterator[EpisodeStep]:
        going_on = replace(log, goes_on=goes_on)
        return play_log_in(emulator, going_on, frame_skip=frame_skip, all_frames=all_frames)

    return play


class OneGo:
    """Plays stages one after the other, each to its end before the next; a context manager that closes the game."""

    def __init__(self) -> None:
        self._emulator: Emulator | None = None

    def play(
        self,
        stage: str,
        play: Play,
        *,
        rehearsal: Play | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[EpisodeStep]:
        """The steps of an episode on the stage, with all their frames.

        Args:
            play: who plays.
            rehearsal: tells whether a wait leads to a clear; `play` by default.
            stopped: gives up trying waits.

        Raises EmulatorError if the game cannot be loaded.
        """
        wait = self._wait(stage, rehearsal or play, stopped)
        if wait is None:
            self.close()
            self._emulator = open_emulator(stage)
        assert self._emulator is not None
        yield from play(self._emulator, wait, all_frames=True)

    def _wait(self, stage: str, play: Play, stopped: Callable[[], bool]) -> int | None:
        """The fewest frames to wait after the transition so that the stage is cleared; None where there are none."""
        emulator = self._emulator
        if emulator is None or not emulator.has_snapshots():  # to play all again for each wait would take minutes
            return None
        if not emulator.flag_get or next_stage(emulator.stage) != stage:
            return None
        cleared = emulator.snapshot()
        for wait in range(LONGEST_WAIT + 1):
            emulator.restore(cleared)
            end = None
            for step in play(emulator, wait, all_frames=False):
                end = step.end
                if stopped():
                    return None
            if end is EndReason.CLEAR:
                emulator.restore(cleared)
                return wait
        return None

    def close(self) -> None:
        if self._emulator is not None:
            self._emulator.close()
            self._emulator = None

    def __enter__(self) -> OneGo:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
