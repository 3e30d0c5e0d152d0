"""Heads: the layers that make action values of a network's features.

Another head is a file of its own, and a line of HEADS in network.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mario_tui.agent.spec import AgentSpec

SIGMA_BINS = 0.75
"""Standard deviation of a target's Gaussian in widths of a bin, as Farebrother et al. 2024 recommend."""


class ValueBins(nn.Module):
    """Values as histograms: the range from `low` to `high` in `count` bins of equal width.

    HL-Gauss (Imani and White 2018; Farebrother et al. 2024, Stop Regressing: Training Value Functions via
    Classification for Scalable Deep RL, section 3.1): logits are learned by cross entropy, and the value that they
    stand for is the mean of their histogram.
    """

    edges: Tensor
    centres: Tensor

    def __init__(self, count: int, low: float, high: float) -> None:
        super().__init__()
        self.count, self.low, self.high = count, low, high
        edges = torch.linspace(low, high, count + 1)
        # no part of a state dict: the spec has the numbers
        self.register_buffer("edges", edges, persistent=False)
        self.register_buffer("centres", (edges[:-1] + edges[1:]) / 2, persistent=False)

    def mean(self, logits: Tensor) -> Tensor:
        """The values, (...) float32, of logits (..., bins) float32."""
        return (logits.softmax(dim=-1) * self.centres).sum(dim=-1)

    def histogram(self, values: Tensor) -> Tensor:
        """The share of each bin, (B, bins) float32, of a Gaussian around each value, (B,) float32 from low to high.

        What of it lies outside of the range is left out, and the rest scaled to the sum 1.
        """
        scale = math.sqrt(2) * SIGMA_BINS * (self.high - self.low) / self.count
        cdf = torch.erf((self.edges - values.unsqueeze(1)) / scale)
        return cdf.diff(dim=1) / (cdf[:, -1:] - cdf[:, :1])


class Head(nn.Module):
    """The last layer of a network: always float32, so that actions of almost the same value can be told apart.

    Its output need not be one value per action, but may be e.g. quantiles of the return, (B, actions, N): then it says
    which action values they stand for (`q_values`), and either how far they are from targets (`losses`) or a loss of
    its own reads them.

    Attributes:
        bins: where the output is logits of histograms of values, (B, actions, bins); None for one value per action.
    """

    bins: ValueBins | None

    def __init__(self, bins: ValueBins | None = None) -> None:
        super().__init__()
        self.bins = bins

    def by_bins(self, outputs: Tensor) -> Tensor:
        """(B, N) as the bins of each action, (B, N / bins, bins), where there are bins."""
        return outputs if self.bins is None else outputs.unflatten(1, (-1, self.bins.count))

    def q_values(self, output: Tensor) -> Tensor:
        """The action values, (B, actions) float32, that an output of `forward` stands for."""
        return output if self.bins is None else self.bins.mean(output)

    def within(self, targets: Tensor) -> Tensor:
        """Targets, (B,) float32, as far as the head can reach them: clipped to the range of its bins."""
        return targets if self.bins is None else targets.clamp(self.bins.low, self.bins.high)

    def losses(self, output: Tensor, actions: Tensor, targets: Tensor) -> Tensor:
        """How far the values of the actions taken, (B,) int64, are from targets, (B,) float32 `within` reach: (B,).

        The Huber loss, or with bins the cross entropy of the targets' histograms.
        """
        if self.bins is None:
            estimates = output.gather(1, actions.unsqueeze(1)).squeeze(1)
            return functional.smooth_l1_loss(estimates, targets, reduction="none")
        logits = output.gather(1, actions.view(-1, 1, 1).expand(-1, 1, self.bins.count)).squeeze(1)
        return functional.cross_entropy(logits, self.bins.histogram(targets), reduction="none")


class PlainHead(nn.Linear, Head):
    """One value per action, or the bins of one.

    Args:
        features: inputs.
        actions: values.
        bins: see Head.
    """

    def __init__(self, features: int, actions: int, bins: ValueBins | None = None) -> None:
        super().__init__(features, actions * (bins.count if bins else 1))
        self.bins = bins

    def forward(self, features: Tensor) -> Tensor:
        return self.by_bins(super().forward(features.float()))


class DuelingHead(Head):
    """Q = V + A - mean(A), value and advantages each with a hidden layer of its own.

    After Wang et al. 2016 (Dueling Network Architectures for Deep Reinforcement Learning), the two hidden layers
    together as wide as the plain head's. With bins it is so for each bin's logit, as in Hessel et al. 2018 (Rainbow).

    Args:
        features: inputs.
        hidden: units of both hidden layers together.
        actions: values.
        bins: see Head.
        layer_norm: whether both hidden layers are normalised, see `dense`.
    """

    def __init__(
        self, features: int, hidden: int, actions: int, bins: ValueBins | None = None, *, layer_norm: bool = False
    ) -> None:
        super().__init__(bins)
        count = bins.count if bins else 1
        self.value = nn.Sequential(*dense(features, hidden // 2, layer_norm), nn.Linear(hidden // 2, count))
        self.advantage = nn.Sequential(
            *dense(features, hidden // 2, layer_norm), nn.Linear(hidden // 2, actions * count)
        )

    def forward(self, features: Tensor) -> Tensor:
        features = features.float()
        advantage = self.by_bins(self.advantage(features))
        value = self.by_bins(self.value(features))
        return value + advantage - advantage.mean(dim=1, keepdim=True)


def dense(features: int, units: int, layer_norm: bool) -> list[nn.Module]:
    """dense -> ReLU, with LayerNorm (Ba, Kiros and Hinton 2016) between the two if wanted."""
    return [nn.Linear(features, units), *([nn.LayerNorm(units)] if layer_norm else []), nn.ReLU()]


def plain(features: int, hidden: int, spec: AgentSpec) -> tuple[nn.Module, ...]:
    """dense + ReLU -> dense, as in the tutorial."""
    return *dense(features, hidden, spec.layer_norm), PlainHead(hidden, spec.actions, _bins(spec))


def dueling(features: int, hidden: int, spec: AgentSpec) -> tuple[nn.Module, ...]:
    """A DuelingHead."""
    return (DuelingHead(features, hidden, spec.actions, _bins(spec), layer_norm=spec.layer_norm),)


def _bins(spec: AgentSpec) -> ValueBins | None:
    return ValueBins(spec.value_bins, spec.value_min, spec.value_max) if spec.value_bins else None
