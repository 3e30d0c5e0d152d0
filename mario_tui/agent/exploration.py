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


class HeldActions:
    """Exploring actions that are held for some steps: temporally extended exploration (Dabney et al. 2021, ez-greedy).

    An exploring action of a game is repeated for k steps, P(k) proportional to 1 / k^2 (zeta distribution), k at most
    `most`. Epsilon is the chance that one begins, at each step at which none is held.

    Attributes:
        left: (E,) int64, for how many further steps each game holds its action.
        actions: (E,) int64, which action that is.
    """

    def __init__(self, envs: int, most: int) -> None:
        self._most = most
        self.left = np.zeros(envs, dtype=np.int64)
        self.actions = np.zeros(envs, dtype=np.int64)

    def hold(
        self, games: np.ndarray, explore: np.ndarray, actions: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """One step of these games, (G,) int64, none of them twice: which explore now, (G,) bool, and by what, (G,).

        Args:
            explore: (G,) bool, which begin to explore, unless they hold an action.
            actions: (G,) int64, by what.
        """
        held = self.left[games] > 0
        begins = explore & ~held
        lengths = np.minimum(rng.zipf(2.0, size=len(games)), self._most)
        self.left[games] = np.where(begins, lengths, self.left[games]) - (begins | held)
        self.actions[games] = np.where(begins, actions, self.actions[games])
        return begins | held, np.where(held, self.actions[games], actions)

    def end(self, games: np.ndarray) -> None:
        """Has these games, (G,) int64, hold nothing, as their episodes are over."""
        self.left[games] = 0


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
