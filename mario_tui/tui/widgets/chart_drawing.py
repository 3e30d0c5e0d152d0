"""What charts of braille dots are made of: a grid of characters, scales, axes, lines and bands."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Points = Sequence[tuple[float, float]]

BRAILLE = 0x2800
# The bit of each dot of a braille character, by row (0..3) and column (0..1) inside the cell.
_DOT_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
LARGEST = 1e150  # beyond it the arithmetic of the axes overflows; such a value is left out like an infinity
PLAIN = 0
"""The ink of what nothing was drawn on."""


class Drawing:
    """A grid of characters, each with the number of the style that it is drawn in."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.codes = np.full((height, width), ord(" "), np.int32)
        self.inks = np.zeros((height, width), np.uint8)

    def put(self, row: int, column: int, text: str, ink: int) -> int:
        """Writes a text of narrow characters, cut off at the edges; returns the column after it."""
        if 0 <= row < self.height:
            start = max(0, column)
            text = text[start - column : max(0, self.width - column)]
            self.codes[row, start : start + len(text)] = [ord(character) for character in text]
            self.inks[row, start : start + len(text)] = ink
            return start + len(text)
        return column

    def runs(self, row: int) -> list[tuple[str, int]]:
        if not 0 <= row < self.height:
            return [(" " * self.width, PLAIN)]
        inks = self.inks[row]
        text = "".join(map(chr, self.codes[row].tolist()))
        starts = [0, *(np.flatnonzero(inks[1:] != inks[:-1]) + 1).tolist(), self.width]
        return [(text[a:b], int(inks[a])) for a, b in pairwise(starts) if b > a]


class Scale:
    """Maps values from `first`..`last` to whole dots 0..`last_dot`."""

    def __init__(self, first: float, last: float, last_dot: int) -> None:
        self._first, self._factor, self._last_dot = first, last_dot / (last - first), last_dot

    def __call__(self, value: float | NDArray[np.float64]) -> NDArray[np.intp]:
        dots = np.rint((np.asarray(value) - self._first) * self._factor)
        return np.clip(dots, 0, self._last_dot).astype(np.intp)

    def value(self, dot: NDArray[np.intp]) -> NDArray[np.float64]:
        return self._first + dot / self._factor


class Axis:
    """Round values (1, 2 or 5 times a power of ten apart) in low..high: two or a few more, `most_ticks` if possible.

    `outwards` first moves low and high out to rounder values, so that the axis stands still while a curve grows.
    """

    def __init__(
        self, low: float, high: float, *, most_ticks: int, outwards: bool = False, whole: bool = False
    ) -> None:
        if outwards:
            fine = _round_step((high - low) / 10)
            low, high = math.floor(low / fine) * fine, math.ceil(high / fine) * fine
        self.low, self.high = low, high
        at_most = (high - low) / max(2, most_ticks)
        while True:
            self.step = max(1.0, _round_step(at_most)) if whole else _round_step(at_most)
            # The millionth of a step keeps a tick at the very edge in spite of rounding.
            first, last = math.ceil(low / self.step - 1e-6), math.floor(high / self.step + 1e-6)
            self.ticks = [number * self.step for number in range(first, last + 1)]
            if len(self.ticks) >= 2 or (whole and self.step == 1):
                return
            at_most = self.step * 0.4  # the next smaller step

    def labels(self) -> list[str]:
        largest = max(map(abs, self.ticks), default=0.0)
        if largest >= 1e9 or 0 < self.step < 1e-4:
            return [f"{value:.1e}" for value in self.ticks]
        unit, suffix = (1e6, "M") if largest >= 1e6 else (1e3, "k") if largest >= 1e4 else (1.0, "")
        decimals = max(0, -math.floor(math.log10(self.step / unit) + 1e-9))
        return [f"{value / unit:.{decimals}f}{suffix}" for value in self.ticks]


class LogAxis:
    """As `Axis`, for logarithms to the base 10: `low`, `high` and `ticks` are logarithms, the labels say the values.

    Ticks are at 1, 2 and 5 times powers of ten, or at powers of ten alone where those are enough.
    """

    def __init__(self, low: float, high: float, *, most_ticks: int) -> None:
        self.low, self.high = low, high
        most = max(2, most_ticks)
        powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
        fine = [power + math.log10(factor) for power in range(math.floor(low), powers.stop) for factor in (1, 2, 5)]
        fine = [tick for tick in fine if low - 1e-9 <= tick <= high + 1e-9]
        if len(fine) < 2:  # less than a factor of two or three: values that are evenly spaced
            self.ticks = [math.log10(tick) for tick in Axis(10**low, 10**high, most_ticks=most).ticks if tick > 0]
        elif len(fine) <= most or len(powers) < 2:
            self.ticks = fine
        else:
            self.ticks = [float(power) for power in powers[:: -(-len(powers) // most)]]

    def labels(self) -> list[str]:
        return [format_value(10**tick) for tick in self.ticks]


def format_value(value: float) -> str:
    """A value in at most 8 characters: four digits that count, thousands as k, millions as M."""
    if not math.isfinite(value):
        return f"{value}"
    size = abs(value)
    if size >= 1e9 or 0 < size < 1e-3:
        return f"{value:.1e}"
    for unit, suffix in ((1e6, "M"), (1e4, "k")):
        if size >= unit:
            return f"{value / (1e6 if suffix == 'M' else 1e3):.4g}{suffix}"
    return f"{value:.4g}"


def finite(points: Points) -> NDArray[np.float64]:
    """The points that can be drawn, (n, 2), sorted by x."""
    array = np.array(points, np.float64).reshape(-1, 2)
    array = array[(np.abs(array) < LARGEST).all(axis=1)]  # a comparison with NaN is false
    return array[np.argsort(array[:, 0], kind="stable")]


def widened(low: float, high: float) -> tuple[float, float]:
    """The same range, or a wider one if it is (nearly) a single value, or too narrow to be divided."""
    low, high = float(low), float(high)
    if high - low > max(1e-9 * max(abs(low), abs(high)), 1e-300):
        return low, high
    margin = max(0.05 * abs(high), 0.5)
    return low - margin, high + margin


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * (1 - 1e-9))


def in_cells(dots: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(4 R, 2 C) dots as the lowest byte of the braille character of each cell, (R, C); 0 without a dot."""
    bits = dots.view(np.uint8)
    cells = np.zeros((dots.shape[0] // 4, dots.shape[1] // 2), np.uint8)
    for row, of_row in enumerate(_DOT_BITS):
        for column, bit in enumerate(of_row):
            cells |= bits[row::4, column::2] * np.uint8(bit)
    return cells


def draw_line(dots: NDArray[np.bool_], points: NDArray[np.float64], x_dots: Scale, y_dots: Scale) -> None:
    """Joins the points: in each column of dots, everything between the line's height there and in the next one."""
    if not len(points):
        return
    first, last = int(x_dots(points[0, 0])), int(x_dots(points[-1, 0]))
    columns = np.arange(first, last + 1)
    heights = y_dots(np.interp(x_dots.value(columns), points[:, 0], points[:, 1]))
    before = np.concatenate([heights[:1], heights[:-1]])
    # Towards the column before, but not onto its dot: a slope is one dot thick.
    top = np.where(before < heights, before + 1, heights)[:, None]
    bottom = np.where(before > heights, before - 1, heights)[:, None]
    rows = np.arange(dots.shape[0])
    dots[:, first : last + 1] |= ((rows >= top) & (rows <= bottom)).T


def draw_band(
    dots: NDArray[np.bool_],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    x_dots: Scale,
    y_dots: Scale,
) -> None:
    """Fills what lies between two lines with every other dot, so that it is dimmer than a line."""
    if not len(low) or not len(high):
        return
    first, last = int(x_dots(low[0, 0])), int(x_dots(low[-1, 0]))
    x = x_dots.value(np.arange(first, last + 1))
    bottom = y_dots(np.interp(x, low[:, 0], low[:, 1])).astype(np.int16)
    top = y_dots(np.interp(x, high[:, 0], high[:, 1])).astype(np.int16)
    for odd in (0, 1):
        rows = np.arange(odd, dots.shape[0], 2, dtype=np.int16)[:, None]
        dots[odd::2, first + odd : last + 1 : 2] |= (rows >= top[odd::2]) & (rows <= bottom[odd::2])


def between(points: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """The part of a line, (n, 2) sorted by x, that lies in low..high, with points where it crosses these edges."""
    x = points[:, 0]
    first, last = np.searchsorted(x, low, "left"), np.searchsorted(x, high, "right")
    edges = [
        np.array([[edge, np.interp(edge, x, points[:, 1])]]) if len(points) and x[0] < edge < x[-1] else points[:0]
        for edge in (low, high)
    ]
    return np.concatenate([edges[0], points[first:last], edges[1]])
