"""The self-test of a device passes where it should, and notices what a broken device does; here on the processor."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mario_tui.agent import replay_draw, self_test
from mario_tui.agent.mario import Mario
from mario_tui.agent.optimizer import NetworkOptimizer
from test_cuda_graph import CannotRecord, NoGpu


def problems(recorder: NoGpu | None = None) -> dict[str, str]:
    report = self_test.run("cpu", lambda _: recorder or NoGpu())
    return {check.name: check.problem for check in report.checks if check.problem}


def test_a_device_that_is_right_passes_once_and_is_remembered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = self_test.run("cpu", lambda _: NoGpu())
    assert report.problem == ""
    assert [check.name for check in report.checks] == [
        "frames", "replay", "small network", "nature network", "recorded updates",
    ]  # fmt: skip
    path = Path(report.path)
    assert path.parent == home / "logs"
    kept = json.loads(path.read_text())
    assert kept["torch"] == torch.__version__
    assert "losses differ by 0 " in kept["checks"][-1]["found"], "on one device, without a GPU, nothing differs at all"

    def again(name: str) -> self_test.Report:
        raise AssertionError("it was tried before")

    monkeypatch.setattr(self_test, "run", again)
    assert self_test.at_first_start("cpu") == report
    for spoiled in ("{", "[]", '{"checks": 3, "mario_tui": "0"}', json.dumps({**kept, "mario_tui": "0.0.0"})):
        path.write_text(spoiled)
        with pytest.raises(AssertionError, match="tried before"):
            self_test.at_first_start("cpu")


def test_a_report_that_cannot_be_kept_is_still_one(home: Path) -> None:
    (home / "logs").write_text("a file")
    report = self_test.run("cpu")
    assert (report.problem, report.path) == ("", "")
    assert [check.name for check in report.checks][-1] == "nature network", "there is nothing to record with"


def test_updates_that_cannot_be_recorded_are_noticed(home: Path) -> None:
    report = self_test.run("cpu", lambda _: CannotRecord())
    assert [check.name for check in report.checks if check.problem] == ["recorded updates"]
    assert "could not be recorded as a CUDA graph" in report.problem
    assert "\n" not in report.problem
    assert report.path in report.problem
    assert "--device cpu" not in report.problem
    assert self_test.at_first_start("cpu").problem == "", "what was wrong is tried again, here without a recorder"


def test_a_recording_that_keeps_an_old_learning_rate_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = NetworkOptimizer.set_learning_rate
    monkeypatch.setattr(
        NetworkOptimizer,
        "set_learning_rate",
        lambda self, rate: plain(self, 4 * rate if isinstance(self._rate, Tensor) else rate),
    )
    assert list(problems()) == ["recorded updates"]


def test_a_kernel_that_computes_something_else_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first agent of each comparison, which is the device's."""
    agents: list[Mario] = []
    made = self_test._agent
    monkeypatch.setattr(self_test, "_agent", lambda *arguments: agents.append(made(*arguments)) or agents[-1])
    optimize = NetworkOptimizer.update

    def wrong(self: NetworkOptimizer, batch: Any) -> Any:
        theirs = next(number for number, agent in enumerate(agents) if agent.optimizer is self) % 2 == 0
        return optimize(self, batch._replace(r_t=batch.r_t * 1.1) if theirs else batch)

    monkeypatch.setattr(NetworkOptimizer, "update", wrong)
    assert list(problems()) == ["small network", "nature network", "recorded updates"]


def test_frames_that_are_gathered_from_elsewhere_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered, calls = replay_draw._gathered, []

    def wrong(rows: Tensor, frames: Tensor, shown: Tensor | None) -> Tensor:
        calls.append(1)
        return gathered(rows.roll(1) if len(calls) == 1 else rows, frames, shown)

    monkeypatch.setattr(replay_draw, "_gathered", wrong)
    assert problems() == {"replay": "s_tm1, s_t differ"}


def test_weights_that_take_in_what_is_not_a_number_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NetworkOptimizer, "_check_finite", lambda self, loss: None)
    assert problems() == {"recorded updates": "a loss that is not a number changed the weights"}


def test_a_device_that_fails_is_one_line_for_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with ...")

    monkeypatch.setattr(self_test, "_agent", lost)
    found = problems()
    assert "--device cpu" in self_test.at_first_start("cpu").problem
    assert len(found) == 4
    assert all(text.startswith("RuntimeError: CUDA error: an illegal memory access") for text in found.values())
    assert not any("\n" in text for text in found.values())
