"""Trainings on a real GPU, one after the other in one process: saved, resumed, failed."""

from typing import Any

import pytest
import torch
from on_gpu import NEEDS_GPU

from fake_collector import fake_trainer
from mario_tui.errors import TrainingError
from mario_tui.training.events import Finished
from runs import run_to_end

pytestmark = NEEDS_GPU


def test_trainings_follow_each_other_and_one_that_failed(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(network="small", device="cuda", priority_exponent=0.5, steps=200, envs=4)
    first = fake_trainer(config, run="first")
    assert isinstance(run_to_end(first)[-1], Finished)
    resumed = fake_trainer(config.replace(steps=400), resume=first.last_checkpoint)
    for name, value in resumed.agent.net.state_dict().items():
        assert torch.equal(value, first.agent.net.state_dict()[name])
    assert torch.equal(resumed.agent.memory.frames[:200], first.agent.memory.frames[:200])
    assert isinstance(run_to_end(resumed)[-1], Finished)
    assert resumed.agent._graphed is not None, "it is recorded"

    failing = fake_trainer(config, run="failing")

    def full(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr(failing.agent, "_start_update", full)
    with pytest.raises(TrainingError, match="the memory of cuda:0 is full"):
        run_to_end(failing)
    assert failing.last_checkpoint is not None
    assert isinstance(run_to_end(fake_trainer(config, run="after"))[-1], Finished)
