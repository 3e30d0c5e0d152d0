"""Videos that a training makes by itself: of the first clear of its stage, and of the best episode so far.

They are made from action logs by one background process at a time. A better episode takes the place of one that still
waits, and from one video of the best to the next there are at least ten minutes, so that the many small steps of the
beginning make no videos. What waits at the end is recorded then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from mario_tui import paths
from mario_tui.errors import RecordingError
from mario_tui.game.action_log import ActionLog
from mario_tui.play.evaluation import merit
from mario_tui.training.events import (
    EpisodeEnded,
    Evaluated,
    Event,
    Finished,
    FinishingRecordings,
    NotRecorded,
    Recorded,
    What,
)
from mario_tui.training.trainer import Trainer
from mario_tui.video import library
from mario_tui.video.background import BackgroundRecording
from mario_tui.video.writer import EMULATOR_FPS

BEST_EVERY_SECONDS = 600.0
"""Training time between two videos of the best episode."""
SHORTEST_SECONDS = 60.0
"""A sitting that was shorter than this records no best episode at its end."""
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Candidate:
    what: What
    log: ActionLog


def train(
    trainer: Trainer, *, best_every_seconds: float = BEST_EVERY_SECONDS, shortest_seconds: float = SHORTEST_SECONDS
) -> Generator[Event, None, None]:
    """Runs a trainer, and records its highlights if its settings say so; Finished comes last of all.

    Left early, also by an exception, it gives up what is being recorded; so it does where the control is in a hurry.
    """
    running = trainer.run()
    if not trainer.config.record:
        yield from running
        return
    highlights = _Highlights(trainer, best_every_seconds)
    finished: Finished | None = None
    try:
        for event in running:
            if isinstance(event, Finished):
                finished = event  # and on, so that the games end and the run is free
                continue
            highlights.see(event)
            yield event
            yield from highlights.look()
        if trainer.seconds < shortest_seconds:
            highlights.forget_best()
        if highlights.left:
            yield FinishingRecordings(highlights.left)
        while highlights.left and not trainer.control.in_a_hurry:
            yield from highlights.look(ending=True)
        highlights.close()
        if finished is not None:
            yield finished
    finally:
        running.close()
        highlights.close()


class _Highlights:
    """What is recorded now, and what waits to be."""

    def __init__(self, trainer: Trainer, best_every_seconds: float) -> None:
        self._trainer = trainer
        self._every = best_every_seconds
        self._best_at = 0.0
        self._waiting: dict[What, _Candidate] = {}
        self._now: tuple[_Candidate, BackgroundRecording] | None = None
        self._cleared = trainer.logger.clears > 0 or trainer.first_greedy_clear is not None
        before = [
            merit(cleared=record.end == "clear", length=record.length, max_x=record.max_x)
            for record in trainer.logger.episodes()
        ]
        if trainer.last_checkpoint is None and not before:  # what there is, is of an earlier run of this name
            with contextlib.suppress(OSError):  # then the first recording says so
                library.set_aside(self._best_path)
        elif video := self._merit_of_video():
            before.append(video)
        self._best = max(before, default=(False, 0))

    def _merit_of_video(self) -> tuple[bool, int] | None:
        """That of the best there is on video, perhaps of a part of the run that was given up."""
        with contextlib.suppress(FileNotFoundError):
            video = library.describe(self._best_path)
            if video.cleared is not None and video.max_x is not None and video.seconds is not None:
                frames = round(video.seconds * EMULATOR_FPS)
                length = -(-frames // self._trainer.config.frame_skip)
                return merit(cleared=video.cleared, length=length, max_x=video.max_x)
        return None

    @property
    def _best_path(self) -> Path:
        return library.best_path(self._trainer.run_dir)

    @property
    def left(self) -> int:
        """How many recordings are under way or wait."""
        return len(self._waiting) + (self._now is not None)

    def see(self, event: Event) -> None:
        match event:
            case EpisodeEnded(record, log) if log is not None:
                self._consider(log, cleared=record.end == "clear", length=record.length, max_x=record.max_x)
            case Evaluated(_, evaluation):
                for result in evaluation.per_episode:
                    if result.log is not None:
                        self._consider(result.log, cleared=result.cleared, length=result.length, max_x=result.max_x)

    def _consider(self, log: ActionLog, *, cleared: bool, length: int, max_x: int) -> None:
        if cleared and not self._cleared:
            self._cleared = True
            self._waiting["first-clear"] = _Candidate("first-clear", log)
        this = merit(cleared=cleared, length=length, max_x=max_x)
        if this > self._best:
            self._best = this
            self._waiting["best"] = _Candidate("best", log)

    def forget_best(self) -> None:
        self._waiting.pop("best", None)

    def look(self, *, ending: bool = False) -> Iterator[Recorded | NotRecorded]:
        """Takes what is done and starts what is due; at the end that is all, and a moment is waited."""
        if self._now is not None:
            candidate, recording = self._now
            outcome = recording.wait(_LOOK_SECONDS) if ending else recording.outcome()
            if outcome is None:
                return
            self._now = None
            if outcome.problem:
                yield NotRecorded(candidate.what, outcome.problem)
            else:
                stage = candidate.log.stage
                yield Recorded(candidate.what, recording.output, stage, outcome.max_x, outcome.cleared)
        if due := self._take_due(ending):
            try:
                self._now = due, BackgroundRecording(due.log, self._path(due))
            except (RecordingError, OSError) as error:
                yield NotRecorded(due.what, str(error))

    def _take_due(self, ending: bool) -> _Candidate | None:
        if first := self._waiting.pop("first-clear", None):
            return first
        seconds = self._trainer.seconds
        if "best" in self._waiting and (ending or seconds - self._best_at >= self._every):
            self._best_at = seconds
            return self._waiting.pop("best")
        return None

    def _path(self, candidate: _Candidate) -> Path:
        if candidate.what == "best":
            if not self._best_path.exists() or self._best_path.with_suffix(".gif").exists():  # the log is of another
                library.set_aside(self._best_path)
            return self._best_path
        stem = f"{self._trainer.run_dir.name}-first-clear-{candidate.log.stage}"
        return paths.unique_path(paths.recordings_dir(), stem, ".mp4")  # one may be of a part of the run given up

    def close(self) -> None:
        """Gives up what is not done."""
        self._waiting.clear()
        if self._now is not None:
            _, recording = self._now
            self._now = None
            recording.cancel()
