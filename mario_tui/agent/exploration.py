"""Epsilon schedules: how the chance of a random action falls during training."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass
class ExponentialDecay:
    """The tutorial's schedule: epsilon is multiplied by `decay` at every step, down to `minimum`."""

    rate: float
    decay: float
    minimum: float

    def advance(self, steps: int) -> None:
        """Lowers epsilon as for a number of steps."""
        for _ in range(steps):
            self.rate = max(self.minimum, self.rate * self.decay)

    def steps_to_minimum(self) -> float:
        """Steps until epsilon has its final value; infinite if it never gets there."""
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
        """Lowers epsilon as for a number of steps."""
        self.rate = max(self.minimum, self.rate - steps * self._slope)

    def steps_to_minimum(self) -> float:
        """Steps until epsilon has its final value; infinite if it never gets there."""
        if self.rate <= self.minimum:
            return 0
        return math.ceil((self.rate - self.minimum) / self._slope) if self._slope else math.inf


def per_actor_exponents(envs: int, alpha: float) -> np.ndarray:
    """Per-actor epsilon: actor i of E explores with epsilon ** (1 + alpha i / (E - 1)); the exponents, (E,) float64.

    So some actors explore while others follow the policy far into the stage (Horgan et al. 2018, Distributed
    Prioritized Experience Replay, section 4).
    """
    return 1 + alpha * np.arange(envs) / max(envs - 1, 1)


def exponents_by_role(roles: Sequence[Hashable], alpha: float) -> np.ndarray:
    """`per_actor_exponents` of E actors, (E,) float64, where those of each role have the whole range among them."""
    exponents = np.ones(len(roles))
    for role in set(roles):
        actors = [actor for actor, its_role in enumerate(roles) if its_role == role]
        exponents[actors] = per_actor_exponents(len(actors), alpha)
    return exponents
