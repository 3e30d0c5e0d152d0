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
