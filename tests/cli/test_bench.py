"""What `bench` measures."""

from collections.abc import Iterator
from typing import Any

import pytest

from mario_tui.commands import bench
from mario_tui.errors import TrainingError
from mario_tui.presets import preset
from mario_tui.training.events import Event, Paused, Stepped, Warned


class FakeTrainer:
    """Takes ten steps at a time; `now` is the clock, which goes on as slowly as the steps between 500 and 1,500 are."""

    def __init__(self, *, pauses: bool = False) -> None:
        self.now = 0.0
        self._pauses = pauses

    def run(self) -> Iterator[Event]:
        for step in range(10, 10_000, 10):
            yield Stepped(step)
            yield Warned(step, "something else")
            if self._pauses:
                yield Paused(step, "a number is not finite")
            self.now += 10 if 500 <= step < 1500 else 0.1


def test_with_evaluations_it_measures_whole_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    config = preset("fast").replace(eval_every=500)
    for steps, speed in ((100, 1.0), (1000, 1.0), (1500, 1500 / (1000 + 5))):
        trainer = FakeTrainer()
        monkeypatch.setattr("mario_tui.training.restore.open_trainer", lambda _, trainer=trainer: trainer)
        monkeypatch.setattr("time.perf_counter", lambda trainer=trainer: trainer.now)
        found: dict[str, Any] = bench._measure_with_evaluations(config, steps)
        assert found == {"steps_per_second_with_evaluations": pytest.approx(speed, abs=0.01)}


def test_what_pauses_by_itself_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mario_tui.training.restore.open_trainer", lambda _: FakeTrainer(pauses=True))
    with pytest.raises(TrainingError, match="not finite"):
        bench._measure_with_evaluations(preset("fast"), 100)
