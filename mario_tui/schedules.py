"""Schedules: numbers that change over the steps of a training, written as points such as `0:1 30000:0.1`."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

Between = Literal["geometric", "linear"]
"""What a value is between two points: it changes by the same factor at every step, or by the same amount."""

_LAST_STEP = 10**12


@dataclass(frozen=True)
class Schedule:
    """A number as a function of the step alone, so that a run that is resumed has the same one.

    Before the first point it is the first value, after the last point the last. `points`: (step, value), at least one,
    their steps rising.
    """

    points: tuple[tuple[int, float], ...]
    between: Between

    @classmethod
    def parse(cls, text: str, between: Between) -> Schedule:
        """The schedule that a text such as `0:1 30000:0.1 300000:0.02` says.

        Raises ValueError, with one line for the user, for any other text; with "geometric" also for values that are not
        more than 0.
        """
        try:
            pairs = [part.split(":") for part in text.split()]
            points = tuple((int(step), float(value)) for step, value in pairs)
        except ValueError:
            points = ()
        steps = [step for step, _ in points]
        lowest = 0 if between == "geometric" else -math.inf
        if (
            not points
            or steps != sorted(set(steps))
            or not 0 <= steps[0] <= steps[-1] <= _LAST_STEP
            or not all(lowest < value < math.inf for _, value in points)
        ):
            above = ", values more than 0" if between == "geometric" else ""
            raise ValueError(f"it takes points step:value, the steps rising{above}, such as '0:1 30000:0.1'")
        return cls(points, between)

    def at(self, step: int) -> float:
        """The value at a step."""
        after = bisect_right(self.points, step, key=lambda point: point[0])
        if after == 0:
            return self.points[0][1]
        start, value = self.points[after - 1]
        if after == len(self.points):
            return value
        end, target = self.points[after]
        share = (step - start) / (end - start)
        if self.between == "geometric":
            return float(value * (target / value) ** share)
        return value + (target - value) * share
