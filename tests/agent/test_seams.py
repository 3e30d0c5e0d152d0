"""Another loss or head is one file and a line of a registry: here both at once, and a head that gives quantiles."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mario_tui.agent.heads import HEADS, Head
from mario_tui.agent.loss import LOSSES, LossResult, Transitions
from mario_tui.agent.mario import Mario
from mario_tui.agent.network import MarioNet
from mario_tui.agent.policy import Policy
from mario_tui.agent.spec import AgentSpec
from mario_tui.config import TrainingConfig
from test_mario import random_batch, weights_of

QUANTILES = 5


class ToyHead(Head):
    """A few values per action, (B, actions, QUANTILES)."""

    def __init__(self, features: int, actions: int) -> None:
        super().__init__()
        self.actions = actions
        self.layer = nn.Linear(features, actions * QUANTILES)

    def forward(self, features: Tensor) -> Tensor:
        values: Tensor = self.layer(features.float())
        return values.view(-1, self.actions, QUANTILES)

    def q_values(self, output: Tensor) -> Tensor:
        return output.mean(dim=2)


def toy_loss(net: MarioNet, batch: Transitions, config: TrainingConfig) -> LossResult:
    """Squared errors of each value against the immediate reward."""
    values = net(batch.s_tm1, "online")[torch.arange(len(batch.a_tm1)), batch.a_tm1]
    errors = batch.r_t.unsqueeze(1) / config.reward_scale - values
    q = values.mean(dim=1).detach()
    return LossResult((errors.square().mean(dim=1) * batch.weight).mean(), q, errors.mean(dim=1).detach())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_toy_loss_and_a_toy_head_train_and_play(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HEADS, "toy", lambda features, hidden, actions: (ToyHead(features, actions),))
    monkeypatch.setitem(LOSSES, "toy", toy_loss)
    config = TrainingConfig(
        replay_size=100, network="small", average_updates=20, learning_rate=1e-3, reward_scale=15.0,
        exploration_rate=0, exploration_rate_min=0, precision=precision, priority_exponent=0.5, burn_in=0,
    )  # fmt: skip
    spec = AgentSpec.from_config(config).model_copy(update={"head": "toy"})
    mario = Mario(config, spec=spec, loss_name="toy")
    before = weights_of(mario.net.online).clone()
    batch: Any = random_batch(0)
    losses = [float(mario.optimizer.update(batch.transitions).loss) for _ in range(20)]
    assert losses[-1] < losses[0] / 2
    assert not torch.equal(weights_of(mario.net.online), before)
    mario.sync_q_target()
    mario.updates = 20
    mario.average()
    states = batch.s_tm1
    assert mario.net(states, "target").shape == (32, 2, QUANTILES)
    assert (mario.act(states) == mario.net.q_values(states, "online").argmax(dim=1).numpy()).all()
    assert Policy(mario.net, "1-1", 0, "a test").q_values(states[0]) == pytest.approx(
        mario.net.greedy(states)[0].tolist()
    )


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(ValueError, match="no head 'toy': there are plain, dueling"):
        MarioNet(AgentSpec.from_config(TrainingConfig()).model_copy(update={"head": "toy"}))
