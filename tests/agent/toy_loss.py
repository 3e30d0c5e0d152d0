"""A loss as another one would be added: a file that imports what it needs from the package; see test_seams.py."""

import torch

from mario_tui.agent.loss import LossResult, Transitions
from mario_tui.agent.network import MarioNet
from mario_tui.config import TrainingConfig


def toy_loss(net: MarioNet, batch: Transitions, config: TrainingConfig) -> LossResult:
    """Squared errors of each of a ToyHead's values against the immediate reward."""
    values = net(batch.s_tm1, "online")[torch.arange(len(batch.a_tm1)), batch.a_tm1]
    errors = batch.r_t.unsqueeze(1) / config.reward_scale - values
    q = values.mean(dim=1).detach()
    return LossResult((errors.square().mean(dim=1) * batch.weight).mean(), q, errors.mean(dim=1).detach())
