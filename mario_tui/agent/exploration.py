"""Epsilon schedules: how the chance of a random action falls as training goes on."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass
class ExponentialDecay:
    """The tutorial's schedule: epsilon is multiplied by `decay` at every step, down to `minimum`."""

    rate: float
    decay: float
    minimum: float

    def advance(self, steps: int) -> None:
        """Moves on by a number of steps."""
        for _ in range(steps):
            self.rate = max(self.minimum, self.rate * self.decay)

    def steps_to_minimum(self) -> float:
        """Steps until epsilon is at its floor; infinite where it never gets there."""
        if self.rate <= self.minimum:
            return 0
        if self.decay >= 1 or self.minimum <= 0:
            return math.inf
        return math.ceil(math.log(self.minimum / self.rate) / math.log(self.decay))


@dataclass
class LinearDecay:
    """Epsilon falls by the same amount at every step: from `rate` to `minimum` in `steps` steps (Mnih et al. 2015)."""

    rate: float
    steps: int
    minimum: float

    def __post_init__(self) -> None:
        self._slope = max(self.rate - self.minimum, 0.0) / self.steps

    def advance(self, steps: int) -> None:
        """Moves on by a number of steps."""
        self.rate = max(self.minimum, self.rate - steps * self._slope)

    def steps_to_minimum(self) -> float:
        """Steps until epsilon is at its floor; infinite where it never gets there."""
        if self.rate <= self.minimum:
            return 0
        return math.ceil((self.rate - self.minimum) / self._slope) if self._slope else math.inf


def ladder(envs: int, alpha: float) -> np.ndarray:
    """The power to which each game raises epsilon, (E,) float64: 1 for the first, 1 + `alpha` for the last.

    So some games explore while others follow the policy far into the stage (Horgan et al. 2018, Distributed
    Prioritized Experience Replay, equation in section 4).
    """
    return 1 + alpha * np.arange(envs) / max(envs - 1, 1)
