"""Epsilon schedules: how the chance of a random action falls as training goes on."""

from dataclasses import dataclass


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

    def steps_to_minimum(self) -> int | None:
        """How many steps from now epsilon reaches its floor; None if it never does."""
        if self.rate <= self.minimum:
            return 0
        if self.decay >= 1 or self.minimum <= 0:
            return None
        from math import ceil, log

        return ceil(log(self.minimum / self.rate) / log(self.decay))
