"""Videos that a training makes by itself: of the first clear of its stage, and of the best episode so far.

They are made from action logs by one background process at a time. A better episode takes the place of one that still
waits, and from one video of the best to the next there are at least ten minutes, so that the many small steps of the
beginning make no videos. What waits at the end is recorded then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mario_tui import paths
from mario_tui.errors import RecordingError
from mario_tui.game.action_log import ActionLog
from mario_tui.play.evaluation import merit
from mario_tui.printable import printable
from mario_tui.store.history import PRACTICE, EpisodeRecord
from mario_tui.system.files import Reservation
from mario_tui.training.events import (
    EpisodeEnded,
    Evaluated,
    Event,
    FinishingRecordings,
    NotRecorded,
    Observer,
    Recorded,
    Started,
    What,
)
from mario_tui.video import library
from mario_tui.video.background import BackgroundRecording
from mario_tui.video.writer import EMULATOR_FPS

BEST_EVERY_SECONDS = 600.0
"""Training time between two videos of the best episode."""
SHORTEST_SECONDS = 60.0
"""Training that took less time than this, since it was started or resumed, records no best episode at its end."""
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Candidate:
    what: What
    log: ActionLog


class Highlights(Observer):
    """Records the first clear, and the best episode so far.

    Args:
        run: the run's folder.
        frame_skip: the game's frames in a step.
        seconds: the time trained since this process started or resumed the run.
        earlier: the episodes before that.
        cleared: the stage was cleared before, in training or by greedy play.
        is_new: the run is new, so that a video of that name is of another run.
        best_every_seconds: see BEST_EVERY_SECONDS.
        shortest_seconds: see SHORTEST_SECONDS.
    """

    def __init__(
        self,
        run: Path,
        *,
        frame_skip: int,
        seconds: Callable[[], float],
        earlier: Sequence[EpisodeRecord] = (),
        cleared: bool = False,
        is_new: bool = True,
        best_every_seconds: float = BEST_EVERY_SECONDS,
        shortest_seconds: float = SHORTEST_SECONDS,
    ) -> None:
        self._run, self._frame_skip, self._seconds, self._is_new = run, frame_skip, seconds, is_new
        self._every, self._shortest = best_every_seconds, shortest_seconds
        self._best_at = 0.0
        self._waiting: dict[What, _Candidate] = {}
        self._now: tuple[_Candidate, BackgroundRecording, Reservation | None] | None = None
        self._cleared = cleared
        merits = [merit(cleared=one.end == "clear", length=one.length, max_x=one.max_x) for one in earlier]
        self._best = max(merits, default=(False, 0))

    def _start(self) -> None:
        """Makes way for the videos of a new run, or continues from that of a resumed one."""
        if self._is_new:
            with contextlib.suppress(OSError):  # then the first recording reports it
                library.set_aside(self._best_path)
        elif video := self._merit_of_video():
            self._best = max(self._best, video)

    def _merit_of_video(self) -> tuple[bool, int] | None:
        """That of the best there is on video, perhaps of a part of the run that was given up."""
        with contextlib.suppress(FileNotFoundError):
            video = library.describe(self._best_path)
            if video.cleared is not None and video.max_x is not None and video.seconds is not None:
                frames = round(video.seconds * EMULATOR_FPS)
                length = -(-frames // self._frame_skip)
                return merit(cleared=video.cleared, length=length, max_x=video.max_x)
        return None

    @property
    def _best_path(self) -> Path:
        return library.best_path(self._run)

    @property
    def left(self) -> int:
        """How many recordings are under way or wait."""
        return len(self._waiting) + (self._now is not None)

    def observe(self, event: Event) -> None:
        match event:
            case Started():
                self._start()
            case EpisodeEnded(record, log) if log is not None and record.kind != PRACTICE:
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

    def poll(self) -> Iterator[Event]:
        yield from self._continue()

    def finish(self, in_a_hurry: Callable[[], bool]) -> Iterator[Event]:
        if self._seconds() < self._shortest:
            self._waiting.pop("best", None)
        if self.left:
            yield FinishingRecordings(self.left)
        while self.left and not in_a_hurry():
            yield from self._continue(ending=True)
        self.close()

    def _continue(self, *, ending: bool = False) -> Iterator[Event]:
        """Reports what is done and starts what is due; at the end that is all, and for a moment it waits."""
        if self._now is not None:
            candidate, recording, name = self._now
            outcome = recording.wait(_LOOK_SECONDS) if ending else recording.outcome()
            if outcome is None:
                return
            self._now = None
            if name is not None:
                name.release()
            if outcome.problem:
                yield NotRecorded(candidate.what, outcome.problem)
            else:
                stage = candidate.log.stage
                yield Recorded(candidate.what, recording.output, stage, outcome.max_x, outcome.cleared)
        if due := self._take_due(ending):
            name = None if due.what == "best" else self._new_name(due)
            try:
                self._now = due, BackgroundRecording(due.log, name.path if name else self._make_way_for_best()), name
            except (RecordingError, OSError) as error:
                if name is not None:
                    name.release()
                yield NotRecorded(due.what, printable(error))

    def _take_due(self, ending: bool) -> _Candidate | None:
        if first := self._waiting.pop("first-clear", None):
            return first
        seconds = self._seconds()
        if "best" in self._waiting and (ending or seconds - self._best_at >= self._every):
            self._best_at = seconds
            return self._waiting.pop("best")
        return None

    def _make_way_for_best(self) -> Path:
        if not self._best_path.exists() or self._best_path.with_suffix(".gif").exists():  # the log is of another
            library.set_aside(self._best_path)
        return self._best_path

    def _new_name(self, candidate: _Candidate) -> Reservation:
        stem = f"{self._run.name}-first-clear-{candidate.log.stage}"
        return Reservation(paths.recordings_dir(), stem, ".mp4")  # there may be one of a part of the run given up

    def close(self) -> None:
        self._waiting.clear()
        if self._now is not None:
            _, recording, name = self._now
            self._now = None
            recording.cancel()
            if name is not None:
                name.release()
