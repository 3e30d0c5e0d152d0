"""Watches how fast a training is, and says now and then what is to be expected of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mario_tui.config import TrainingConfig
from mario_tui.store.history import EpisodeRecord
from mario_tui.training import pace
from mario_tui.training.events import EpisodeEnded, Event, Finished, Forecasted, Observer, Saved
from mario_tui.training.forecast import forecast

if TYPE_CHECKING:
    from mario_tui.training.trainer import Trainer

LEAST_STEPS, LEAST_SECONDS = 2_000, 30.0
"""What a training must have taken, from its first update on, to say how fast it is."""
LOG_LINES = 5
"""Lines of the log between forecasts."""


class PaceWatch(Observer):
    """Keeps the speed of a training on this machine whenever it saves, for what is said before the next.

    Args:
        config: the settings of the training.
        learns_from: the step at which it learns, as it is faster before.
    """

    def __init__(self, config: TrainingConfig, learns_from: int) -> None:
        self._config, self._learns_from = config, learns_from
        self._first: EpisodeRecord | None = None
        self._last: EpisodeRecord | None = None

    @property
    def steps_per_second(self) -> float:
        """Since it learns, in this process; 0 where that is not known yet."""
        first, last = self._first, self._last
        if first is None or last is None or last.seconds <= first.seconds:
            return 0.0
        return (last.step - first.step) / (last.seconds - first.seconds)

    def observe(self, event: Event) -> None:
        match event:
            case EpisodeEnded(record) if record.step >= self._learns_from:
                self._first, self._last = self._first or record, record
            case Saved() | Finished() if self._says_enough():
                pace.remember(self._config, self.steps_per_second, "training")

    def _says_enough(self) -> bool:
        first, last = self._first, self._last
        if self._config.actors != "local" or first is None or last is None:
            return False
        return last.step - first.step >= LEAST_STEPS and last.seconds - first.seconds >= LEAST_SECONDS


class Forecaster(Observer):
    """Says now and then what is to be expected of a training."""

    def __init__(self, trainer: Trainer, watch: PaceWatch) -> None:
        self._trainer, self._watch = trainer, watch
        self._due = False

    def observe(self, event: Event) -> None:
        if isinstance(event, EpisodeEnded):
            every = self._trainer.config.log_every
            self._due |= event.record.episode % (LOG_LINES * every) == every

    def poll(self) -> Iterator[Event]:
        due, self._due, trainer = self._due, False, self._trainer
        if not due:
            return
        cleared = trainer.first_greedy_clear is not None
        expected = forecast(
            trainer.config, trainer.step, cleared=cleared, steps_per_second=self._watch.steps_per_second
        )
        if expected is not None:
            yield Forecasted(trainer.step, expected)
