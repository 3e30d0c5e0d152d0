"""How a training waits for results of work beside it."""

from collections.abc import Generator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from mario_tui.errors import EvaluationError
from mario_tui.training import awaiting
from mario_tui.training.awaiting import outcome, wait_for
from mario_tui.training.control import TrainingControl
from mario_tui.training.events import Event, Waiting, Warned
from mario_tui.training.metrics import MetricLogger


def ended(generator: Generator[Event, None, Any]) -> tuple[list[Event], Any]:
    """The events and what was returned."""
    events = []
    while True:
        try:
            events.append(next(generator))
        except StopIteration as end:
            return events, end.value


def test_a_stop_ends_the_wait_and_a_result_that_is_there_is_taken() -> None:
    control, result = TrainingControl(), Future[int]()
    control.stop()
    assert ended(wait_for(result, control, 7, "it")) == ([], False)
    result.set_result(3)
    assert ended(wait_for(result, control, 7, "it")) == ([], True)


def test_a_long_wait_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaiting, "SAY_SECONDS", 0)
    monkeypatch.setattr(awaiting, "_LOOK_SECONDS", 0.001)
    looks = []

    class Result(Future[int]):
        def done(self) -> bool:
            looks.append(self)
            return len(looks) > 20

    events, there = ended(wait_for(Result(), TrainingControl(), 7, "the greedy evaluation of step 5"))
    assert (events, there) == ([Waiting(7, "the greedy evaluation of step 5")], True)
    assert str(events[0]) == "waiting for the greedy evaluation of step 5"
    assert events[0].as_json() == {"event": "waiting", "step": 7, "for": "the greedy evaluation of step 5"}


def test_a_short_wait_is_not_told() -> None:
    looks = []

    class Result(Future[int]):
        def done(self) -> bool:
            looks.append(self)
            return len(looks) > 2

    assert ended(wait_for(Result(), TrainingControl(), 7, "it")) == ([], True)


def test_work_that_failed_is_noted_and_told(tmp_path: Path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    good, bad = Future[int](), Future[int]()
    good.set_result(3)
    bad.set_exception(EvaluationError("its process is gone"))
    assert ended(outcome(good, logger, 7, "it was given up")) == ([], 3)
    assert ended(outcome(bad, logger, 7, "it was given up")) == (
        [Warned(7, "it was given up: its process is gone")],
        None,
    )
    assert "it was given up: its process is gone" in (tmp_path / "log").read_text()
