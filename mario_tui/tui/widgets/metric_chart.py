"""A curve of one metric over the episodes, drawn with braille dots.

A plotting library for terminals takes 50-70 ms for a chart of a thousand points; five charts would leave little of
one core to training. Drawing the dots with numpy takes about a millisecond.
"""

import math
import textwrap
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

Points = Sequence[tuple[float, float]]

BRAILLE = 0x2800
# The bit of each dot of a braille character, by row (0..3) and column (0..1) inside the cell.
DOT_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.int32)
LARGEST = 1e150  # beyond it the arithmetic of the axes overflows; such a value is left out like an infinity
WAITS = "waits for the end of an episode"
"""What an empty chart says."""

_PLAIN, _TITLE, _AXIS, _RAW, _MEAN, *_LINES = range(9)


class MetricChart(Widget):
    """A titled chart: the values themselves as dim dots, their moving average as a bright line.

    The newest mean stands beside the title. Points are (x, y) with x rising; points that are not finite are left
    out. Without a series of means, the values are the line.
    """

    COMPONENT_CLASSES = {
        "metric-chart--title",
        "metric-chart--axis",
        "metric-chart--raw",
        "metric-chart--mean",
        *(f"metric-chart--line-{number}" for number in range(len(_LINES))),
    }
    DEFAULT_CSS = """
    MetricChart {
        width: 1fr;
        height: 1fr;
    }
    MetricChart > .metric-chart--title { color: $foreground; text-style: bold; }
    MetricChart > .metric-chart--axis { color: $foreground 60%; }
    MetricChart > .metric-chart--raw { color: $primary 65%; }
    MetricChart > .metric-chart--mean { color: $accent; text-style: bold; }
    MetricChart > .metric-chart--line-0 { color: $accent; text-style: bold; }
    MetricChart > .metric-chart--line-1 { color: $success; text-style: bold; }
    MetricChart > .metric-chart--line-2 { color: $primary; text-style: bold; }
    MetricChart > .metric-chart--line-3 { color: $foreground; text-style: bold; }
    """

    def __init__(
        self,
        title: str,
        *,
        x_label: str = "episode",
        empty_text: str = WAITS,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._title = title
        self._x_label = x_label
        self._empty_text = empty_text
        self._points: Points = ()
        self._mean_points: Points = ()
        self._lines: Sequence[Points] = ()
        self._drawing: _Drawing | None = None

    def explain_empty(self, text: str) -> None:
        """Says why nothing is drawn, where that is so."""
        if text != self._empty_text:
            self._empty_text = text
            self._drawing = None
            self.refresh()

    def set_data(self, points: Points, mean_points: Points = ()) -> None:
        """Shows these series of (x, y); drawn again only if they differ from the ones on show."""
        if points == self._points and mean_points == self._mean_points:
            return
        self._points, self._mean_points = points, mean_points
        self._drawing = None
        self.refresh()

    def set_lines(self, lines: Sequence[Points]) -> None:
        """Shows up to four lines of (x, y) instead, each in a colour of its own."""
        self._lines = lines
        self._points = self._mean_points = ()
        self._drawing = None
        self.refresh()

    def on_resize(self) -> None:
        self._drawing = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        drawing = self._drawing
        if drawing is None:
            drawing = self._drawing = self._draw(*self.size)
        base = self.visual_style.rich_style
        styles = [base] + [
            self.get_component_rich_style(f"metric-chart--{part}")
            for part in ("title", "axis", "raw", "mean", *(f"line-{number}" for number in range(len(_LINES))))
        ]
        return Strip([Segment(text, styles[ink]) for text, ink in drawing.runs(y)], drawing.width)

    def _draw(self, width: int, height: int) -> "_Drawing":
        drawing = _Drawing(width, height)
        raw, mean = _finite(self._points), _finite(self._mean_points)
        series = [(raw, _RAW if len(mean) else _MEAN), (mean, _MEAN)]
        series += [(_finite(line), ink) for line, ink in zip(self._lines, _LINES, strict=False)]
        series = [(points, ink) for points, ink in series if len(points)]
        self._draw_title(drawing)
        if not series:
            lines = textwrap.wrap(self._empty_text, max(1, width - 2))
            for row, line in enumerate(lines, start=max(1, (height + 1 - len(lines)) // 2)):
                drawing.put(row, (width - len(line)) // 2, line, _AXIS)
            return drawing

        every = np.concatenate([points for points, _ in series])
        x_range = _widened(every[:, 0].min(), every[:, 0].max())
        y_axis = _Axis(*_widened(every[:, 1].min(), every[:, 1].max()), most_ticks=height // 3, outwards=True)

        plot_top = 1
        plot_rows = height - plot_top - (2 if height >= 8 else 1 if height >= 5 else 0)
        y_labels = y_axis.labels()
        left = max(map(len, y_labels)) + 1
        if width - left < 8:
            y_labels, left = [], 0
        columns = width - left
        if plot_rows < 1 or columns < 1:
            return drawing

        dot_rows, dot_columns = plot_rows * 4, columns * 2
        x_dots = _Scale(*x_range, dot_columns - 1)
        y_dots = _Scale(y_axis.high, y_axis.low, dot_rows - 1)

        if left:
            for row in range(plot_rows):
                drawing.put(plot_top + row, left - 1, "│", _AXIS)
            labelled_rows = set[int]()
            for value, label in zip(y_axis.ticks, y_labels, strict=True):
                row = plot_top + int(y_dots(value)) // 4
                if row in labelled_rows:
                    continue
                labelled_rows.add(row)
                drawing.put(row, left - 1 - len(label), label, _AXIS)
                drawing.put(row, left - 1, "┤", _AXIS)
        self._draw_x_axis(drawing, plot_top + plot_rows, left, columns, x_range, x_dots)

        area = np.s_[plot_top : plot_top + plot_rows, left : left + columns]
        for points, ink in series:
            dots = np.zeros((dot_rows, dot_columns), np.bool_)
            if ink == _RAW and len(points) > columns:
                dots[y_dots(points[:, 1]), x_dots(points[:, 0])] = True
            else:
                _draw_line(dots, points, x_dots, y_dots)
            cells = (dots.reshape(plot_rows, 4, columns, 2) * DOT_BITS[:, None, :]).sum(axis=(1, 3))
            drawing.codes[area] = np.where(cells, BRAILLE + cells, drawing.codes[area])
            drawing.inks[area] = np.where(cells, ink, drawing.inks[area])
        return drawing

    def _draw_title(self, drawing: "_Drawing") -> None:
        """The title gives way to the newest value, the word "mean" to the title, and the newest raw value to both."""
        newest = (self._mean_points or self._points)[-1:]
        value = format_value(newest[0][1]) if newest else ""
        if self._mean_points and len(self._title) + len(value) + len(" mean ") <= drawing.width:
            value = f"mean {value}"
        title = self._title
        space = drawing.width - len(value) - 1 if value else drawing.width
        if len(title) > space:
            title = title[: max(0, space - 1)] + "…"
        column = drawing.put(0, 0, title, _TITLE)
        column = drawing.put(0, column + 1, value, _MEAN)
        if self._mean_points and self._points:
            last = f"last {format_value(self._points[-1][1])}"
            if column + 2 + len(last) <= drawing.width:
                drawing.put(0, column + 2, last, _RAW)

    def _draw_x_axis(
        self,
        drawing: "_Drawing",
        top: int,
        left: int,
        columns: int,
        x_range: tuple[float, float],
        x_dots: "_Scale",
    ) -> None:
        rows = drawing.height - top
        if not rows:
            return
        label_row = drawing.height - 1
        if rows == 2:
            drawing.put(top, max(0, left - 1), ("└" if left else "─") + "─" * columns, _AXIS)
        axis = _Axis(*x_range, most_ticks=columns // 10, whole=True)
        end = drawing.width
        if columns >= len(self._x_label) + 12:
            end -= len(self._x_label) + 1
            drawing.put(label_row, end + 1, self._x_label, _AXIS)
        free_from = 0
        for value, label in zip(axis.ticks, axis.labels(), strict=True):
            tick_column = left + int(x_dots(value)) // 2
            column = min(tick_column - len(label) // 2, drawing.width - len(label))
            column = max(column, left)
            if column < free_from or column + len(label) > end:
                continue
            drawing.put(label_row, column, label, _AXIS)
            free_from = column + len(label) + 1
            if rows == 2:
                drawing.put(top, tick_column, "┬", _AXIS)


class _Drawing:
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
            return [(" " * self.width, _PLAIN)]
        inks = self.inks[row]
        text = "".join(map(chr, self.codes[row].tolist()))
        starts = [0, *(np.flatnonzero(inks[1:] != inks[:-1]) + 1).tolist(), self.width]
        return [(text[a:b], int(inks[a])) for a, b in pairwise(starts) if b > a]


class _Scale:
    """Maps values from `first`..`last` to whole dots 0..`last_dot`."""

    def __init__(self, first: float, last: float, last_dot: int) -> None:
        self._first, self._factor, self._last_dot = first, last_dot / (last - first), last_dot

    def __call__(self, value: float | NDArray[np.float64]) -> NDArray[np.intp]:
        dots = np.rint((np.asarray(value) - self._first) * self._factor)
        return np.clip(dots, 0, self._last_dot).astype(np.intp)

    def value(self, dot: NDArray[np.intp]) -> NDArray[np.float64]:
        return self._first + dot / self._factor


class _Axis:
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


def _finite(points: Points) -> NDArray[np.float64]:
    """The points that can be drawn, (n, 2), sorted by x."""
    array = np.array(points, np.float64).reshape(-1, 2)
    array = array[(np.abs(array) < LARGEST).all(axis=1)]  # a comparison with NaN is false
    return array[np.argsort(array[:, 0], kind="stable")]


def _widened(low: float, high: float) -> tuple[float, float]:
    """The same range, or a wider one if it is (nearly) a single value."""
    low, high = float(low), float(high)
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    margin = max(0.05 * abs(high), 0.5)
    return low - margin, high + margin


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * (1 - 1e-9))


def _draw_line(dots: NDArray[np.bool_], points: NDArray[np.float64], x_dots: _Scale, y_dots: _Scale) -> None:
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
