"""Heads: the layers that make action values of a network's features.

Another head is a file of its own, and a line of HEADS in network.py.
"""

from torch import Tensor, nn


class Head(nn.Module):
    """The last layer of a network: always float32, so that actions of almost the same value can be told apart.

    Its output need not be one value per action, but may be e.g. quantiles of the return, (B, actions, N): a loss of its
    own reads them, and `q_values` says which action values they stand for.
    """

    def q_values(self, output: Tensor) -> Tensor:
        """The action values, (B, actions) float32, that an output of `forward` stands for."""
        return output


class PlainHead(nn.Linear, Head):
    """One value per action."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.float())


class DuelingHead(Head):
    """Q = V + A - mean(A), value and advantages each with a hidden layer of its own.

    After Wang et al. 2016 (Dueling Network Architectures for Deep Reinforcement Learning), the two hidden layers
    together as wide as the plain head's.

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


def plain(features: int, hidden: int, actions: int) -> tuple[nn.Module, ...]:
    """dense + ReLU -> dense, as in the tutorial."""
    return nn.Linear(features, hidden), nn.ReLU(), PlainHead(hidden, actions)


def dueling(features: int, hidden: int, actions: int) -> tuple[nn.Module, ...]:
    """A DuelingHead."""
    return (DuelingHead(features, hidden, actions),)
