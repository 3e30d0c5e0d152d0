"""Another loss or head is one file and a line of a registry: here both, and the head gives quantiles."""

from typing import Any

import pytest
import torch

from mario_tui.agent.mario import LOSSES, Mario
from mario_tui.agent.network import HEADS, MarioNet
from mario_tui.agent.policy import Policy
from mario_tui.agent.spec import AgentSpec
from mario_tui.config import TrainingConfig
from test_mario import random_batch, weights_of
from toy_head import QUANTILES, toy
from toy_loss import toy_loss


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_toy_loss_and_a_toy_head_train_and_play(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HEADS, "toy", toy)
    monkeypatch.setitem(LOSSES, "toy", toy_loss)
    config = TrainingConfig(
        replay_size=100, network="small", average_updates=20, learning_rate=1e-3, reward_scale=15.0,
        exploration_rate=0, exploration_rate_min=0, precision=precision, priority_exponent=0.5, burn_in=0,
    )  # fmt: skip
    spec = AgentSpec.from_config(config).model_copy(update={"head": "toy"})
    mario = Mario(config, spec=spec, loss_name="toy")
    before = weights_of(mario.net.online).clone()
    batch: Any = random_batch(0)
    losses = [float(mario.optimizer.update(batch).loss) for _ in range(20)]
    assert losses[-1] < losses[0] / 2
    assert not torch.equal(weights_of(mario.net.online), before)
    mario.sync_q_target()
    mario.updates = 20
    mario.average()
    states = batch.s_tm1
    assert mario.net(states, "target").shape == (32, 2, QUANTILES)
    assert (mario.act(states)[0] == mario.net.q_values(states, "online").argmax(dim=1).numpy()).all()
    assert Policy(mario.net, "1-1", 0, "a test").q_values(states[0]) == pytest.approx(
        mario.net.greedy(states)[0].tolist()
    )


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(ValueError, match="no head 'toy': there are plain, dueling"):
        MarioNet(AgentSpec.from_config(TrainingConfig()).model_copy(update={"head": "toy"}))
