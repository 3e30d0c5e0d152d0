"""Updates on a real GPU: recorded ones do what plain ones do, wait for nothing, and leave no memory behind."""

import copy
import threading
from typing import Any

import numpy as np
import pytest
import torch
from on_gpu import NEEDS_GPU

from mario_tui.agent import self_test
from mario_tui.agent.cuda_graph import CudaGraphs
from mario_tui.agent.mario import Mario
from mario_tui.agent.runtime import prepare_gpu
from mario_tui.config import TrainingConfig
from mario_tui.errors import TrainingError
from test_mario import fill_memory, weights_of

pytestmark = NEEDS_GPU


def agent(recorded: bool = True, **changes: Any) -> Mario:
    prepare_gpu("float32")
    config = TrainingConfig(**{"replay_size": 400, "envs": 4, "network": "small", "learning_rate": 2.0**-12, **changes})
    device = torch.device("cuda:0")
    mario = Mario(config.replace(graph=False), device, recorder=CudaGraphs(device) if recorded else None)
    fill_memory(mario, 80)
    return mario


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("network", ["nature", "small"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dueling": True},
        {"frame_stack": 1},
        {"value_bins": 51, "layer_norm": True},
        {"shift": 4},
    ],
    ids=str,
)
def test_recorded_updates_equal_plain_ones(
    precision: str, network: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"precision": precision, "network": network, "priority_exponent": 0.5, "average_updates": 20, **changes}
    recorded, plain = agent(**settings), agent(recorded=False, **settings)
    before = weights_of(plain.net.online)
    for _ in range(5):
        # both learn from the same: a priority that is another by its last bit may draw another transition
        draw = recorded.recall(10)
        losses = []
        for one in (recorded, plain):
            monkeypatch.setattr(one, "recall", lambda batches, draw=draw: draw)
            losses.append(torch.stack([update.loss for update in one.update(10)]))
        monkeypatch.undo()
        torch.testing.assert_close(losses[0], losses[1], rtol=0.02, atol=0.02)
    ours, theirs = weights_of(recorded.net.online), weights_of(plain.net.online)
    # a GPU sums in any order, and Adam divides by what may be nearly nothing: on an H200 up to 0.24
    assert (ours - theirs).norm() < 0.5 * (theirs - before).norm()
    assert recorded._graphed is not None
    assert not recorded.notices


def test_a_reward_that_is_not_a_number_changes_no_weight_and_counts_as_no_step() -> None:
    mario = agent()
    mario.update(8)
    before = [weights_of(mario.net.online), *(moment.clone() for moment in mario.optimizer.moments())]
    mario.memory._reward[:] = np.nan
    assert all(update.skipped for update in mario.update(3))
    after = [weights_of(mario.net.online), *mario.optimizer.moments()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_changes_of_the_learning_rate_take_no_memory() -> None:
    mario = agent()
    mario.update(8)
    torch.cuda.synchronize()
    reserved = torch.cuda.memory_reserved()
    for number in range(20):
        mario.set_learning_rate(1e-4 / (number + 1))
        mario.update(4)
    torch.cuda.synchronize()
    assert torch.cuda.memory_reserved() <= reserved


def test_updates_are_recorded_while_other_threads_play() -> None:
    stop = threading.Event()
    failed: list[BaseException] = []
    mario = agent()
    net = copy.deepcopy(mario.net)
    states = torch.zeros((1, 4, 84, 84), dtype=torch.uint8, device=mario.device)

    def play() -> None:
        try:
            while not stop.is_set():
                net.greedy(states).argmax().item()
        except BaseException as error:
            failed.append(error)

    players = [threading.Thread(target=play) for _ in range(2)]
    for player in players:
        player.start()
    try:
        for _ in range(50):
            recorded = agent()
            recorded.update(5)
            assert not recorded.notices
    finally:
        stop.set()
        for player in players:
            player.join()
    assert not failed


def test_learning_waits_for_nothing() -> None:
    mario = agent(priority_exponent=0.5, learn_every=1, burn_in=0, average_updates=20)
    mario.update(8)
    fill_memory(mario, 1)  # which takes in the errors of before
    mario.count_steps(8)
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert len(mario.learn(8)) == 8
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_memory_that_is_full_is_one_line() -> None:
    mario = agent(learn_every=1, burn_in=0, network="nature")
    mario.count_steps(1)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    allowed = torch.cuda.memory_allocated() / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(allowed)
    try:
        with pytest.raises(TrainingError, match="the memory of cuda:0 is full"):
            mario.learn(1)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert mario.is_finite()


def test_the_self_test_passes() -> None:
    assert self_test.run("cuda:0").problem == ""
