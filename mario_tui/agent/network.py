"""MarioNet: the two convolutional networks of Double DQN."""

import copy
from typing import Literal

import torch
from torch import Tensor, nn


class Head(nn.Linear):
    """The last layer: always float32, so that actions of almost the same value can be told apart."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.float())


class DuelingHead(nn.Module):
    """Q = V + A - mean(A), value and advantages each with a hidden layer of its own.

    After Wang et al. 2016 (Dueling Network Architectures for Deep Reinforcement Learning), the two layers together as
    wide as the plain head's.

    Args:
        features: inputs.
        hidden: units of both hidden layers together.
        actions: outputs.
    """

    def __init__(self, features: int, hidden: int, actions: int) -> None:
        super().__init__()
        self.value = nn.Sequential(nn.Linear(features, hidden // 2), nn.ReLU(), nn.Linear(hidden // 2, 1))
        self.advantage = nn.Sequential(nn.Linear(features, hidden // 2), nn.ReLU(), nn.Linear(hidden // 2, actions))

    def forward(self, features: Tensor) -> Tensor:
        features = features.float()
        advantage: Tensor = self.advantage(features)
        value: Tensor = self.value(features)
        return value + advantage - advantage.mean(dim=1, keepdim=True)


class MarioNet(nn.Module):
    """A small CNN, twice: (conv + ReLU) x 3 -> flatten -> dense + ReLU -> dense, one Q value per action.

    `online` is trained; `target` is a frozen copy, brought up to date by `Mario.sync_q_target`. The names in the state
    dict are the tutorial's, so that its checkpoints load.

    Args:
        input_dim: channels (stacked frames), height and width; height and width must be 84.
        output_dim: the number of actions.
        network: "nature" has the layers of Mnih et al. 2015 (Human-level control through deep reinforcement learning),
            as the tutorial's; "small" those of Mnih et al. 2013 (Playing Atari with Deep Reinforcement Learning), with
            two convolutions and a third of the arithmetic.
        dueling: whether the head is a DuelingHead.
        centered: whether the networks see grey levels as -1..1, and not as 0..1: they then learn several times faster
            to tell apart states that differ in a few pixels.
        averaged: whether there is a third copy, `average`: the mean of the online network over its last updates, which
            then plays in its stead (see `Mario.average`).
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int],
        output_dim: int,
        *,
        network: Literal["nature", "small"] = "nature",
        dueling: bool = False,
        centered: bool = False,
        averaged: bool = False,
    ) -> None:
        super().__init__()
        self.centered = centered
        self.dtype = torch.float32
        channels, height, width = input_dim
        if (height, width) != (84, 84):
            raise ValueError(f"MarioNet takes frames of 84x84, not {height}x{width}")
        self.online = self._build_cnn(channels, output_dim, network, dueling)
        self.target = self._copy(channels, output_dim, network, dueling)
        self.average = self._copy(channels, output_dim, network, dueling) if averaged else None
        # the layout in which convolutions on a processor, and on a GPU's tensor cores, are fastest
        self.to(memory_format=torch.channels_last)

    def scale(self, states: Tensor) -> Tensor:
        """States (B, C, 84, 84), uint8 in 0..255, as the networks take them: floats, channels last, from 0 to 1.

        From -1 to 1 where inputs are centered. Those that are floats already are returned as they are.
        """
        if states.dtype != torch.uint8:
            return states
        levels = states.contiguous(memory_format=torch.channels_last).to(self.dtype)
        return levels.sub_(127.5).div_(127.5) if self.centered else levels.div_(255)

    def forward(self, states: Tensor, model: Literal["online", "target", "average"]) -> Tensor:
        """Q values, (B, actions) float32, of states (B, C, 84, 84): uint8 in 0..255, or as `scale` returns them."""
        q_values: Tensor = getattr(self, model)(self.scale(states))
        return q_values

    @torch.no_grad()
    def low_precision(self) -> "MarioNet":
        """A copy, without the averaged network, that computes in bfloat16 all but its heads."""
        low = copy.deepcopy(self)
        low.average = None
        low.dtype = torch.bfloat16
        for network in (low.online, low.target):
            network[:-1].to(torch.bfloat16)
        return low

    def greedy(self, states: Tensor) -> Tensor:
        """Q values of the network that plays: the averaged one where there is one, else the online one."""
        return self(states, model="online" if self.average is None else "average")

    def _copy(self, channels: int, output_dim: int, network: str, dueling: bool) -> nn.Sequential:
        copy = self._build_cnn(channels, output_dim, network, dueling)
        copy.load_state_dict(self.online.state_dict())
        return copy.requires_grad_(False)

    @staticmethod
    def _build_cnn(channels: int, output_dim: int, network: str, dueling: bool) -> nn.Sequential:
        if network == "nature":
            features, hidden = 64 * 7 * 7, 512
            convolutions = [
                nn.Conv2d(channels, 32, kernel_size=8, stride=4),
                nn.ReLU(),
                nn.Conv2d(32, 64, kernel_size=4, stride=2),
                nn.ReLU(),
                nn.Conv2d(64, 64, kernel_size=3, stride=1),
                nn.ReLU(),
            ]
        else:
            features, hidden = 32 * 9 * 9, 256
            convolutions = [
                nn.Conv2d(channels, 16, kernel_size=8, stride=4),
                nn.ReLU(),
                nn.Conv2d(16, 32, kernel_size=4, stride=2),
                nn.ReLU(),
            ]
        if dueling:
            return nn.Sequential(*convolutions, nn.Flatten(), DuelingHead(features, hidden, output_dim))
        return nn.Sequential(
            *convolutions, nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), Head(hidden, output_dim)
        )
