"""A device that cannot record, whose memory is full, or that is lost: what the user hears, and what is kept."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fake_collector import fake_trainer
from mario_tui.agent import self_test
from mario_tui.agent.cuda_graph import GraphedUpdate
from mario_tui.agent.mario import Mario
from mario_tui.errors import TrainingError
from mario_tui.store.manifest import read_manifest
from mario_tui.training import restore
from mario_tui.training.device_watch import DeviceWatch
from mario_tui.training.events import Finished, Warned
from mario_tui.training.resume import resume_config
from mario_tui.training.trainer import Trainer
from runs import differences, full_state, run_to_end


class CannotRecord:
    """A recorder that fails as CUDA does."""

    def warm_up(self, work: Callable[[], None]) -> None:
        work()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture\nSearch for it in ...")

    def synchronize(self) -> None:
        pass


def test_a_training_whose_updates_cannot_be_recorded_goes_on_and_says_so_once(small: Any) -> None:
    config = small(network="small", steps=120)
    plain, graphed = fake_trainer(config, run="plain"), fake_trainer(config, run="graphed")
    run_to_end(plain)
    graphed.agent._graphed = GraphedUpdate(graphed.agent._update, CannotRecord())
    events = run_to_end(graphed)
    (warned,) = [event for event in events if isinstance(event, Warned) and "recorded" in event.text]
    assert "could not be recorded as a CUDA graph" in warned.text
    assert isinstance(events[-1], Finished)
    assert differences(full_state(plain), full_state(graphed)) == []


def fail_from(trainer: Trainer, step: int, error: Exception) -> None:
    """Every update fails from then on."""
    update = trainer.agent._update

    def failing(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if trainer.step >= step:
            raise error
        return update(batch)

    trainer.agent._update = failing  # type: ignore[method-assign]


@pytest.mark.parametrize("envs", [1, 2, 5])
def test_memory_that_is_full_is_one_line_with_what_to_do_and_the_run_is_saved(small: Any, envs: int) -> None:
    """Wherever in a tick it happens: the steps under way are finished, and the run goes on from there."""
    trainer = fake_trainer(small(network="small", steps=200, envs=envs), run="full")
    fail_from(trainer, 100, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nProcess 123 has"))
    with pytest.raises(TrainingError) as caught:
        run_to_end(trainer)
    assert str(caught.value) == (
        "the memory of cpu is full: go on with --device cpu, or begin a new run with a smaller --replay-size"
    )
    assert trainer.last_checkpoint is not None
    manifest = read_manifest(trainer.last_checkpoint)
    assert manifest.step == trainer.step >= 100
    assert "replay.frames" in manifest.parts
    memory = trainer.agent.memory
    assert memory.transitions == trainer.step, "every step is stored, none is cut short"
    settings = resume_config(trainer.last_checkpoint, {"steps": 300})
    resumed = fake_trainer(settings, resume=trainer.last_checkpoint)
    assert isinstance(run_to_end(resumed)[-1], Finished)


def watch_often(trainer: Trainer, copy_seconds: float | None) -> list[float]:
    """Lets time pass only as it is added to what this returns."""
    clock = [0.0]
    others = [one for one in trainer.observers if not isinstance(one, DeviceWatch)]
    assert len(others) == len(trainer.observers) - 1
    watch = DeviceWatch(
        trainer.agent, trainer.checkpointer, trainer.snapshot_without_replay,
        copy_seconds=copy_seconds, now=lambda: sum(clock),
    )  # fmt: skip
    trainer.observers = [*others, watch]
    return clock


def test_of_a_lost_device_the_last_copy_of_the_weights_is_saved_and_goes_on(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(network="small", steps=200)
    trainer = fake_trainer(config, run="lost")
    clock = watch_often(trainer, 300)
    lost = RuntimeError("CUDA error: unspecified launch failure")
    fail_from(trainer, 150, lost)

    def is_finite(mario: Mario) -> bool:
        if mario.curr_step >= 150:
            raise lost
        return True

    monkeypatch.setattr(Mario, "is_finite", is_finite)
    kept: list[dict[str, torch.Tensor]] = []

    def train() -> None:
        for _ in trainer.run():
            if trainer.step >= 90 and len(clock) == 1:
                clock.append(300)
            if not kept and trainer.checkpointer.in_reserve:
                kept.append({name: value.clone() for name, value in trainer.agent.net.state_dict().items()})

    with pytest.raises(RuntimeError, match="unspecified launch failure"):
        train()
    assert trainer.last_checkpoint is not None
    manifest = read_manifest(trainer.last_checkpoint)
    assert 90 <= manifest.step < 100
    assert "replay.frames" not in manifest.parts
    monkeypatch.undo()
    resumed = fake_trainer(config, resume=trainer.last_checkpoint)
    assert all(torch.equal(value, kept[0][name]) for name, value in resumed.agent.net.state_dict().items())
    events = run_to_end(resumed)
    assert isinstance(events[-1], Finished)


def test_on_the_processor_nothing_is_kept_in_reserve(small: Any) -> None:
    trainer = fake_trainer(small(network="small", steps=60), run="plain")
    clock = watch_often(trainer, None)
    for _ in trainer.run():
        clock.append(1e6)
    assert trainer.checkpointer.in_reserve is None


def test_a_device_that_failed_its_test_trains_without_recording_and_says_so(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def at_first_start(name: str) -> self_test.Report:
        tried.append(name)
        return self_test.Report(name, "a GPU", "2.0", (self_test.Check("replay", "", "s_t differ"),))

    monkeypatch.setattr(self_test, "at_first_start", at_first_start)
    assert not restore._new_agent(small()).notices
    assert not tried, "the processor is what others are compared with"
    monkeypatch.setattr(restore, "resolve_device", lambda name: torch.device("meta"))
    agent = restore._new_agent(small())
    assert tried == ["meta"]
    assert agent.notices == [
        "meta does not do what the processor does (replay: s_t differ); --device cpu is the safe choice; "
        "updates are not recorded"
    ]
    assert not agent.config.graph
