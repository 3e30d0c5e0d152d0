"""What the events of a training change for whoever looks at it: frozen snapshots, and notices of rare events."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mario_tui.config import TrainingConfig
from mario_tui.store.history import PRACTICE, TRAINING
from mario_tui.system import processors
from mario_tui.training import events
from mario_tui.training.control import TrainingControl
from mario_tui.training.events import Event, Finished
from mario_tui.training.snapshot import SnapshotCamera, Status, TrainingSnapshot

if TYPE_CHECKING:  # PyTorch takes seconds to import
    from mario_tui.play.evaluation import Evaluation
    from mario_tui.training.trainer import Trainer

_PUBLISH_SECONDS = 1 / 40
"""New snapshots come at most so often: more than the 30 times a second that a screen looks."""
_FEW_CORES_PUBLISH_SECONDS = 1 / 20
"""And where training takes all cores: a screen looks 12 times a second there. The desktop's window shows as many."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something rare that the user should hear of."""

    kind: Literal[
        "saved",
        "cleared",
        "waiting",
        "evaluated",
        "paused",
        "resumed",
        "warning",
        "recorded",
        "not_recorded",
        "finished",
        "failed",
        "demonstrations",
        "fitted",
    ]
    text: str
    announces: Literal["", "first-clear", "best", "stuck", "end"] = ""
    """What of it somebody who does not look wants to know: the bell, a notification, the user's command."""


class Watcher:
    """Watches the events of a training; `watch` is called in its thread, the rest may be read from any other.

    Args:
        control: of the training.
        run, config: shown until there is a trainer.

    Attributes:
        snapshot: the newest.
        result: how it ended.
        recordings_left: how many are waited for, after training has ended and is saved.
        shows_all_games: whether snapshots should have the frames of all games, and not of the first alone.
    """

    def __init__(self, control: TrainingControl, run: str, config: TrainingConfig) -> None:
        self.snapshot = TrainingSnapshot(status="starting", run=run, config=config)
        self.result: Finished | None = None
        self.recordings_left = 0
        self.shows_all_games = False
        self._control = control
        self._notices: deque[Notice] = deque(maxlen=1000)
        self._published_at = 0.0
        self._publish_seconds = _FEW_CORES_PUBLISH_SECONDS if processors.are_few() else _PUBLISH_SECONDS
        self._camera = SnapshotCamera()
        self._best_rate = 0.0

    def notices(self) -> list[Notice]:
        """What happened since the last call."""
        taken = []
        while self._notices:
            taken.append(self._notices.popleft())
        return taken

    def watch(self, trainer: Trainer, event: Event) -> None:
        """Publishes what an event changed: at once where it is rare, otherwise as often as screens may draw."""
        match event:
            case events.Stepped():
                if time.monotonic() - self._published_at >= self._publish_seconds:
                    self._publish(trainer, "stopping" if self._control.stopping else "running")
                return
            case events.EpisodeEnded(record):
                if record.kind == TRAINING:
                    self._camera.last_episode = record
                if record.cleared and record.kind not in ("robust", PRACTICE):
                    first = trainer.logger.clears == 1 and record.kind == TRAINING
                    text = f"episode {record.episode:,} cleared {record.stage}"
                    self._notices.append(Notice("cleared", text, "first-clear" if first else ""))
                return
            case events.Saved(path):
                self._notices.append(Notice("saved", f"saved {path.parent.name}/{path.name}"))
                self._publish(trainer, self.snapshot.status, self.snapshot.pause_reason)
            case events.Adjusted():
                self._publish(trainer, self.snapshot.status, self.snapshot.pause_reason)
            case events.Warned(_, text):
                self._notices.append(Notice("warning", text))
                self._camera.check_soon()  # it is among the warnings at once
            case events.Waiting():
                self._notices.append(Notice("waiting", str(event)))
            case events.Evaluated(step, evaluation, robust):
                announces = self._of_evaluation(trainer, step, evaluation, robust)
                self._notices.append(Notice("evaluated", str(event), announces))
            case events.Paused(_, reason):
                why = Notice("warning", f"paused: {reason}", "stuck")
                self._notices.append(why if reason else Notice("paused", "paused"))
                self._camera.check_soon()  # what led to it is among the warnings at once
                self._publish(trainer, "paused", reason)
            case events.Restarted():
                self._notices.append(Notice("warning", str(event)))
                self._camera.check_soon()
            case events.Started() | events.Resumed():
                self._camera.restart_speed()
                if isinstance(event, events.Resumed):
                    self._notices.append(Notice("resumed", "training goes on"))
                elif event.demonstrations:
                    self._notices.append(Notice("demonstrations", str(event.demonstrations)))
                self._publish(trainer, "running")
            case events.Recorded():
                self._notices.append(Notice("recorded", str(event)))
            case events.NotRecorded():
                self._notices.append(Notice("not_recorded", str(event)))
            case events.FinishingRecordings(count):
                self.recordings_left = count
                self._notices.append(Notice("saved", str(event)))
                self._publish(trainer, "stopping")
            case events.Finished():
                self.result = event
                text = f"saved {event.checkpoint.parent.name}/{event.checkpoint.name}"
                self._notices.append(Notice("finished", f"{text}; {event.robust}" if event.robust else text, "end"))
                self._publish(trainer, "finished")

    def _of_evaluation(
        self, trainer: Trainer, step: int, evaluation: Evaluation, robust: bool
    ) -> Literal["", "first-clear", "best"]:
        if robust and evaluation.clear_rate > self._best_rate:
            self._best_rate = evaluation.clear_rate
            return "best"
        first = trainer.first_greedy_clear
        return "first-clear" if not robust and first is not None and first.step == step else ""

    def _publish(self, trainer: Trainer, status: Status, pause_reason: str = "") -> None:
        self._published_at = time.monotonic()
        self.snapshot = self._camera.take(trainer, status, pause_reason, all_games=self.shows_all_games)
