"""The history of a run in bounded memory: curves, and where on the stage episodes ended."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mario_tui.store.history import WINDOW, WINDOWS

MEAN_WINDOWS = tuple(window for window in WINDOWS if window > 1)
"""Episodes that the means of curves are taken over."""


def mean_name(metric: str, window: int) -> str:
    """The name of a metric's curve of means over so many episodes, among the curves of a training."""
    return f"{metric}_mean" if window == WINDOW else f"{metric}_mean_{window}"


class MovingMean:
    """The mean of the last values; None stands for an episode that has no value."""

    def __init__(self, window: int) -> None:
        self._values: deque[float | None] = deque(maxlen=window)
        self._sum, self._count = 0.0, 0
        self._added = 0

    def add(self, value: float | None) -> float | None:
        """Adds a value; returns the mean of those among the last `window`, None without any."""
        oldest = self._values[0] if len(self._values) == self._values.maxlen else None
        self._values.append(value)
        self._added += 1
        if self._added == self._values.maxlen:  # anew, as sums that go on gather errors of rounding
            self._added = 0
            known = [one for one in self._values if one is not None]
            self._sum, self._count = math.fsum(known), len(known)
        else:
            for one, sign in ((oldest, -1), (value, 1)):
                if one is not None:
                    self._sum += sign * one
                    self._count += sign
        return self._sum / self._count if self._count else None


class Curve:
    """A series of points in bounded memory: when it is full, neighbours are merged into their mean."""

    def __init__(self, capacity: int = 1000) -> None:
        self._capacity = capacity
        self._per_point = 1  # values merged into each point
        self._points: list[tuple[float, float]] = []
        self._pending: list[tuple[float, float]] = []

    def add(self, x: float, y: float) -> None:
        self._pending.append((x, y))
        if len(self._pending) < self._per_point:
            return
        self._points.append(_mean_point(self._pending))
        self._pending.clear()
        if len(self._points) >= self._capacity:
            self._points = [_mean_point(self._points[i : i + 2]) for i in range(0, len(self._points), 2)]
            self._per_point *= 2

    def points(self) -> tuple[tuple[float, float], ...]:
        """The points so far, at most `capacity`; the newest may still lack values that will be merged into it."""
        tail = (_mean_point(self._pending),) if self._pending else ()
        return (*self._points, *tail)


def _mean_point(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


END_BUCKET_PIXELS = 64
END_BUCKETS = 128
"""Where episodes end is counted by parts of a stage of this many pixels; the last part holds what is beyond."""
OFF_COURSE = ("loop", "left")
"""The ends that are counted apart, by time: a wrong way in a maze, and another stage."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Where on the stage episodes ended, over time.

    Attributes:
        episodes: how many each column stands for; the last one may be incomplete.
        deaths: (C, END_BUCKETS) int32, episodes that ended otherwise than by a clear, by column and farthest x.
        clears: (C,) int32.
        off_course: for "loop" and "left" (see EndReason) (C,) int32, how many of the deaths were of this kind.
    """

    episodes: int
    deaths: np.ndarray
    clears: np.ndarray
    off_course: Mapping[str, np.ndarray] = field(default_factory=dict)


class EndMap:
    """Counts where episodes end, in bounded memory: when it is full, neighbouring columns are added up."""

    def __init__(self, columns: int = 128) -> None:
        self._deaths = np.zeros((columns, END_BUCKETS), dtype=np.int32)
        self._clears = np.zeros(columns, dtype=np.int32)
        self._off_course = {end: np.zeros(columns, dtype=np.int32) for end in OFF_COURSE}
        self._per_column = 1
        self._count = 0

    def add(self, x: int, end: str) -> None:
        columns = len(self._clears)
        if self._count == columns * self._per_column:
            for array in (self._deaths, self._clears, *self._off_course.values()):
                array[: columns // 2] = array[::2] + array[1::2]
                array[columns // 2 :] = 0
            self._per_column *= 2
        column = self._count // self._per_column
        self._count += 1
        if end == "clear":
            self._clears[column] += 1
        else:
            if end in self._off_course:
                self._off_course[end][column] += 1
            self._deaths[column, min(max(x, 0) // END_BUCKET_PIXELS, END_BUCKETS - 1)] += 1

    def ends(self) -> Ends:
        """What was counted so far: copies."""
        used = -(-self._count // self._per_column)
        off_course = {end: counts[:used].copy() for end, counts in self._off_course.items() if counts.any()}
        return Ends(self._per_column, self._deaths[:used].copy(), self._clears[:used].copy(), off_course)
