"""The learning rule, top to bottom: what a batch of transitions makes the online network learn. Pure functions.

Double DQN (van Hasselt, Guez, Silver 2016, Deep Reinforcement Learning with Double Q-learning): the online network
chooses the next action, the target network says what it is worth.

Time is in the names: in s_tm1 the action a_tm1 was taken; r_t, discount_t and s_t are what came of it. With n-step
returns r_t is the discounted sum of n rewards, and s_t the observation n steps later. B is the size of the batch.

Another learning rule is a function like `double_dqn` in a file of its own, and a line of LOSSES in mario.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mario_tui.agent.network import MarioNet
from mario_tui.config import TrainingConfig


class Transitions(NamedTuple):
    """A batch, on the networks' device.

    s_tm1, s_t: (B, depth, 84, 84) uint8; a_tm1: (B,) int64; r_t: (B,) float32; discount_t: (B,) float32, what the value
    of s_t counts: gamma to the power of the steps between the two, and 0 if s_t is terminal; weight: (B,) float32,
    importance-sampling weights.
    """

    s_tm1: Tensor
    a_tm1: Tensor
    r_t: Tensor
    discount_t: Tensor
    s_t: Tensor
    weight: Tensor


class LossResult(NamedTuple):
    """loss: 0-d float32, with a gradient; q, td_error: (B,) float32 without, the estimate Q(s_tm1, a_tm1) (for the
    curves) and target - estimate (for the priorities)."""

    loss: Tensor
    q: Tensor
    td_error: Tensor


def double_dqn(net: MarioNet, batch: Transitions, config: TrainingConfig) -> LossResult:
    """The mean loss between estimates and targets, each transition's times its importance-sampling weight.

    That is the Huber loss, or cross entropy where values are learned as histograms (see `heads.Head`). Nothing in a
    loss may wait for the device, so that a CUDA graph can hold it.
    """
    s_tm1, r_t = net.scale(batch.s_tm1), batch.r_t / config.reward_scale
    output = net(s_tm1, "online")
    q = net.head.q_values(output.detach()).gather(1, batch.a_tm1.unsqueeze(1)).squeeze(1)
    target = net.head.within(td_target(net, r_t, batch.discount_t, batch.s_t))
    loss = (net.head.losses(output, batch.a_tm1, target) * batch.weight).mean()
    return LossResult(loss, q, target - q)


def td_estimate(net: MarioNet, s_tm1: Tensor, a_tm1: Tensor) -> Tensor:
    """Q_online(s_tm1, a_tm1): (B,) float32."""
    return net.q_values(s_tm1, "online").gather(1, a_tm1.unsqueeze(1)).squeeze(1)


@torch.no_grad()
def td_target(net: MarioNet, r_t: Tensor, discount_t: Tensor, s_t: Tensor) -> Tensor:
    """r_t + discount_t Q_target(s_t, argmax_a Q_online(s_t, a)): (B,) float32."""
    s_t = net.scale(s_t)
    best_a_t = net.q_values(s_t, "online").argmax(dim=1, keepdim=True)
    q_t = net.q_values(s_t, "target").gather(1, best_a_t).squeeze(1)
    return (r_t + discount_t * q_t).float()


LossFunction = Callable[[MarioNet, Transitions, TrainingConfig], LossResult]
