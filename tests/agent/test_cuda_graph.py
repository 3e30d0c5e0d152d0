"""An update that is recorded once does the same as one that is called every time."""

from collections.abc import Callable

import pytest
import torch

from mario_tui.agent.cuda_graph import GraphedUpdate
from mario_tui.agent.loss import double_dqn
from mario_tui.agent.mario import Mario
from mario_tui.agent.optimizer import NetworkOptimizer
from mario_tui.agent.runtime import resolve_precision
from mario_tui.config import TrainingConfig
from test_mario import random_batch, weights_of


class NoGpu:
    """Counts what a recorder is asked for; its recordings are the work itself."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def warm_up(self, work: Callable[[], None]) -> None:
        self.asked.append("warm up")
        work()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self.asked.append("record")

        def replay() -> None:
            self.asked.append("replay")
            work()

        return replay


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_graphed_update_equals_the_plain_one(precision: str) -> None:
    config = TrainingConfig(replay_size=100, network="small", precision=precision)
    plain, graphed = Mario(config), Mario(config)
    recorder = NoGpu()
    dtype = resolve_precision(precision, torch.device("cpu"))
    optimizer = NetworkOptimizer(
        graphed.net, lambda net, batch: double_dqn(net, batch, config),
        learning_rate=config.learning_rate, dtype=dtype, recorder=recorder,
    )  # fmt: skip
    for seed in range(10):
        batch = random_batch(seed, size=4).transitions
        for ours, theirs in zip(optimizer.update(batch), plain.optimizer.update(batch), strict=True):
            assert torch.equal(ours, theirs), f"update {seed}"
        assert torch.equal(weights_of(graphed.net.online), weights_of(plain.net.online)), f"update {seed}"
    assert recorder.asked == ["warm up"] * 3 + ["record"] + ["replay"] * 7


def test_a_recording_always_reads_the_same_tensors() -> None:
    read, given = set(), []

    def function(argument: torch.Tensor) -> tuple[torch.Tensor]:
        read.add(argument.data_ptr())
        return (argument * 2,)

    update = GraphedUpdate(function, NoGpu())
    for number in range(6):
        given.append(torch.full((2,), float(number)))
        assert update(given[-1])[0].tolist() == [2.0 * number] * 2
    assert len(read) == 1
    assert [tensor[0].item() for tensor in given] == [0, 1, 2, 3, 4, 5], "what the caller brought is not written to"
    assert read.isdisjoint(tensor.data_ptr() for tensor in given)


def test_earlier_results_stay_when_a_recording_writes_over_its_own() -> None:
    output = torch.zeros(1)
    update = GraphedUpdate(lambda argument: (output.copy_(argument),), NoGpu())
    results = [update(torch.tensor([float(number)]))[0] for number in range(6)]
    assert [result.item() for result in results] == [0, 1, 2, 3, 4, 5]
