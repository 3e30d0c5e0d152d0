"""A curve of one metric over the episodes, or those of several runs over their steps, drawn with braille dots.

A plotting library for terminals takes 50-70 ms for a chart of a thousand points; five charts would leave little of
one core to training. Drawing the dots with numpy takes about a millisecond.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from mario_tui.tui import text
from mario_tui.tui.widgets.chart_drawing import (
    BRAILLE,
    Axis,
    Drawing,
    LogAxis,
    Points,
    Scale,
    between,
    draw_band,
    draw_line,
    finite,
    format_value,
    in_cells,
    widened,
)
from mario_tui.tui.widgets.kept_lines import KeptLines

WAITS = "waits for the end of an episode"
"""What an empty chart says."""
Array = NDArray[np.float64]
Range = tuple[float, float]

_PLAIN, _TITLE, _AXIS, _RAW, _MEAN, _CURSOR, *_OF_LINES = range(14)
_LINES, _BANDS = _OF_LINES[:4], _OF_LINES[4:]
_PARTS = (
    *("title", "axis", "raw", "mean", "cursor"),
    *(f"line-{number}" for number in range(len(_LINES))),
    *(f"band-{number}" for number in range(len(_BANDS))),
)
"""The component class of each ink but the plain one."""


@dataclass(frozen=True, slots=True)
class Line:
    """One of several lines in a chart.

    Attributes:
        points: (x, y).
        colour: the number of its colour, 0 to 3.
        low, high: (x, y) of the edges of the band around it; empty without one.
    """

    points: Points
    colour: int
    low: Points = ()
    high: Points = ()


@dataclass(frozen=True, slots=True)
class _Series:
    """What is drawn in one ink: (n, 2) each, sorted by x, finite."""

    points: Array
    ink: int
    low: Array
    high: Array

    @classmethod
    def of(cls, points: Points, ink: int, low: Points = (), high: Points = ()) -> _Series:
        return cls(finite(points), ink, finite(low), finite(high))

    @property
    def parts(self) -> tuple[Array, Array, Array]:
        return self.points, self.low, self.high

    def seen(self, window: Range) -> _Series:
        points, low, high = (between(part, *window) for part in self.parts)
        return _Series(points, self.ink, low, high)

    def logarithms(self) -> _Series:
        points, low, high = (np.column_stack((part[:, 0], np.log10(part[:, 1]))) for part in self.parts)
        return _Series(points, self.ink, low, high)

    def at(self, x: float, reach: float) -> tuple[float, float, float] | None:
        """The value of the point nearest to x, and the band there; None where x is farther off than `reach`."""
        if not len(self.points) or not self.points[0, 0] - reach <= x <= self.points[-1, 0] + reach:
            return None
        value, low, high = (part[_nearest(part[:, 0], x), 1] if len(part) else np.nan for part in self.parts)
        return float(value), float(low), float(high)


class MetricChart(KeptLines):
    """A titled chart: the values themselves as dim dots, their moving average as a bright line.

    The newest mean stands beside the title, or what is under the cursor. Points are (x, y) with x rising; points that
    are not finite are left out. Without a series of means, the values are the line.
    """

    ALLOW_SELECT = False  # its lines are no text of Textual's
    COMPONENT_CLASSES = {f"metric-chart--{part}" for part in _PARTS}
    DEFAULT_CSS = """
    MetricChart {
        width: 1fr;
        height: 1fr;
    }
    MetricChart > .metric-chart--title { color: $foreground; text-style: bold; }
    MetricChart > .metric-chart--axis { color: $foreground 60%; }
    MetricChart > .metric-chart--raw { color: $primary 65%; }
    MetricChart > .metric-chart--mean { color: $accent; text-style: bold; }
    MetricChart > .metric-chart--cursor { color: $foreground; }
    MetricChart > .metric-chart--line-0 { color: $accent; text-style: bold; }
    MetricChart > .metric-chart--line-1 { color: $success; text-style: bold; }
    MetricChart > .metric-chart--line-2 { color: $primary; text-style: bold; }
    MetricChart > .metric-chart--line-3 { color: $foreground; text-style: bold; }
    MetricChart > .metric-chart--band-0 { color: $accent 60%; }
    MetricChart > .metric-chart--band-1 { color: $success 60%; }
    MetricChart > .metric-chart--band-2 { color: $primary 60%; }
    MetricChart > .metric-chart--band-3 { color: $foreground 60%; }
    """

    class Picked(Message):
        """A place in the plot was clicked."""

        def __init__(self, x: float) -> None:
            super().__init__()
            self.x = x

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
        self._mean_name = "mean"
        self._lines: Sequence[Line] = ()
        self._series: list[_Series] = []
        self._window: Range | None = None
        self._cursor: float | None = None
        self._wants_log = False
        self._plot: _Plot | None = None
        self._drawing: Drawing | None = None
        self._part_styles: list[Style] | None = None

    def _draw_again(self) -> None:
        self._drawing = None
        self.refresh()

    def explain_empty(self, text: str) -> None:
        """Says why nothing is drawn, where that is so."""
        if text != self._empty_text:
            self._empty_text = text
            self._draw_again()

    def set_data(self, points: Points, mean_points: Points = (), mean_name: str = "mean") -> None:
        """Shows these series of (x, y); drawn again only if they differ from the ones on show."""
        if points == self._points and mean_points == self._mean_points and mean_name == self._mean_name:
            return
        self._points, self._mean_points, self._mean_name = points, mean_points, mean_name
        self._lines = ()
        mean = _Series.of(mean_points, _MEAN)
        self._series = [_Series.of(points, _RAW if len(mean.points) else _MEAN), mean]
        self._draw_again()

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Shows these lines instead, each in its colour and with its band."""
        self._lines = lines
        self._points = self._mean_points = ()
        self._series = [_Series.of(line.points, _LINES[line.colour], line.low, line.high) for line in lines]
        self._draw_again()

    def look(self, window: Range | None, cursor: float | None) -> None:
        """Shows this part of the x axis, or with None all of it, and the cursor at an x."""
        if (window, cursor) != (self._window, self._cursor):
            self._window, self._cursor = window, cursor
            self._draw_again()

    @property
    def logarithmic(self) -> bool:
        """Whether y is on a logarithmic scale; where values are not positive it is not."""
        return self._wants_log and self.can_be_logarithmic

    @logarithmic.setter
    def logarithmic(self, wanted: bool) -> None:
        if wanted != self._wants_log:
            self._wants_log = wanted
            self._draw_again()

    @property
    def can_be_logarithmic(self) -> bool:
        """Whether all values are positive; False without any."""
        parts = [part for one in self._series for part in one.parts if len(part)]
        return bool(parts) and all(bool((part[:, 1] > 0).all()) for part in parts)

    @property
    def whole(self) -> Range | None:
        """The x of the first and the last point; None without any."""
        ends = [one.points[[0, -1], 0] for one in self._series if len(one.points)]
        return (float(min(end[0] for end in ends)), float(max(end[1] for end in ends))) if ends else None

    def point_beside(self, x: float, columns: int) -> float:
        """The x of the point that is nearest to so many columns beside x; with columns another one, if there is one."""
        known = [one.points[:, 0] for one in self._series if len(one.points)]
        if not known:
            return x
        every = np.unique(np.concatenate(known))
        now = _nearest(every, x)
        there = _nearest(every, x + columns * self._column_width)
        if there == now and columns:
            there = min(max(now + (1 if columns > 0 else -1), 0), len(every) - 1)
        return float(every[there])

    @property
    def _column_width(self) -> float:
        """Of the plot as it was drawn last, in x."""
        return self._plot.column_width if self._plot is not None else 0.0

    def on_resize(self) -> None:
        self._draw_again()

    def notify_style_update(self) -> None:
        self._part_styles = None
        super().notify_style_update()

    def on_click(self, event: events.Click) -> None:
        if self._plot is not None and event.y > 0 and self._plot.left <= event.x < self.size.width:
            self.post_message(self.Picked(self._plot.x_at(event.x)))

    def render_line(self, y: int) -> Strip:
        drawing = self._drawing
        if drawing is None:
            drawing = self._drawing = self._draw(*self.size)
        styles = self._part_styles
        if styles is None:
            parts = [self.get_component_rich_style(f"metric-chart--{part}") for part in _PARTS]
            styles = self._part_styles = [self.visual_style.rich_style, *parts]
        return Strip([Segment(text, styles[ink]) for text, ink in drawing.runs(y)], drawing.width)

    def _draw(self, width: int, height: int) -> Drawing:
        drawing = Drawing(width, height)
        self._plot = None
        series = [one for one in self._series if len(one.points)]
        if self._window is not None:
            seen = [one.seen(self._window) for one in series]
            series = [one for one in seen if len(one.points)]
        logarithmic = bool(series) and self.logarithmic
        title = f"{self._title} (log)" if logarithmic else self._title
        if self._window is not None:
            title += " (0: all)"
        if not series:
            self._draw_title(drawing, title)
            says = self._empty_text if self._window is None else "nothing in this part: 0 shows all"
            lines = textwrap.wrap(says, max(1, width - 2))
            for row, line in enumerate(lines, start=max(1, (height + 1 - len(lines)) // 2)):
                drawing.put(row, (width - len(line)) // 2, line, _AXIS)
            return drawing

        if logarithmic:
            series = [one.logarithms() for one in series]
        every = np.concatenate([part for one in series for part in one.parts])
        x_range = self._window or widened(every[:, 0].min(), every[:, 0].max())
        y_range = widened(every[:, 1].min(), every[:, 1].max())
        most_ticks = height // 3
        y_axis: Axis | LogAxis = (
            LogAxis(*y_range, most_ticks=most_ticks)
            if logarithmic
            else Axis(*y_range, most_ticks=most_ticks, outwards=True)
        )

        plot_rows = height - 1 - (2 if height >= 8 else 1 if height >= 5 else 0)
        y_labels = y_axis.labels()
        left = max(map(len, y_labels)) + 1
        if width - left < 8:
            y_labels, left = [], 0
        columns = width - left
        if plot_rows < 1 or columns < 1:
            self._draw_title(drawing, title)
            return drawing
        plot = self._plot = _Plot(left, columns, plot_rows, x_range, (y_axis.low, y_axis.high))
        self._draw_title(drawing, title)
        if left:
            _draw_y_axis(drawing, plot, y_axis.ticks, y_labels)
        self._draw_x_axis(drawing, plot)
        cursor = self._cursor
        column = None if cursor is None or not x_range[0] <= cursor <= x_range[1] else plot.column(cursor)
        if column is not None:
            for row in range(plot.top, plot.bottom):
                drawing.put(row, column, "│", _CURSOR)
            if plot.bottom < height - 1:
                drawing.put(plot.bottom, column, "▲", _CURSOR)
        for one in series:
            if one.ink in _LINES and len(one.low):
                dots = plot.dots()
                draw_band(dots, one.low, one.high, plot.x_dots, plot.y_dots)
                plot.show(drawing, dots, _BANDS[_LINES.index(one.ink)])
        for one in series:
            dots = plot.dots()
            if one.ink == _RAW and len(one.points) > columns:
                dots[plot.y_dots(one.points[:, 1]), plot.x_dots(one.points[:, 0])] = True
            else:
                draw_line(dots, one.points, plot.x_dots, plot.y_dots)
            plot.show(drawing, dots, one.ink)
        self._mark_ends(drawing, plot, series)
        return drawing

    def _mark_ends(self, drawing: Drawing, plot: _Plot, series: Sequence[_Series]) -> None:
        """A disc where each of several lines ends: a line may be too short to be seen, or lie under another one."""
        taken = set[tuple[int, int]]()
        for one in series:
            x, y = one.points[-1]
            if one.ink not in _LINES or (self._window is not None and x >= self._window[1]):
                continue
            row, column = plot.top + int(plot.y_dots(y)) // 4, plot.column(x)
            free = [other for other in range(plot.top, plot.bottom) if (other, column) not in taken]
            row = min(free, key=lambda other: abs(other - row), default=row)
            taken.add((row, column))
            drawing.put(row, column, "●", one.ink)

    def _draw_title(self, drawing: Drawing, title: str) -> None:
        """The title gives way to the values, the words about these to the title."""
        space = drawing.width - len(title) - 1
        if self._cursor is not None and self._series:
            values = self._under_cursor(self._cursor, space)
            needed = _length(values)
        else:
            values = self._newest(space)
            needed = _length(values[:1])
        space = drawing.width - needed - 1 if needed else drawing.width
        if len(title) > space:
            title = title[: max(0, space - 1)] + "…"
        column = drawing.put(0, 0, title, _TITLE) + 1
        for number, (value, ink) in enumerate(values):
            if number == 0 or column + len(value) <= drawing.width:
                column = drawing.put(0, column, value, ink) + 2

    def _newest(self, space: int) -> list[tuple[str, int]]:
        newest = (self._mean_points or self._points)[-1:]
        if not newest:
            return []
        value = format_value(newest[0][1])
        if self._mean_points and len(self._mean_name) + 1 + len(value) <= space:
            value = f"{self._mean_name} {value}"
        shown = [(value, _MEAN)]
        if self._mean_points and self._points:
            shown.append((f"last {format_value(self._points[-1][1])}", _RAW))
        return shown

    def _under_cursor(self, cursor: float, space: int) -> list[tuple[str, int]]:
        """The x and every series' value there, in its ink; in fewer words where there is less space."""
        x = text.count(cursor)
        shown: list[tuple[str, int]] = []
        for where, with_band in ((f"{self._x_label} {x}", True), (f"{self._x_label} {x}", False), (x, False)):
            shown = [(where, _CURSOR), *self._values_at(cursor, with_band)]
            if _length(shown) <= space:
                break
        return shown

    def _values_at(self, cursor: float, with_band: bool) -> list[tuple[str, int]]:
        values: list[tuple[str, int]] = []
        for one in self._series:
            if not (len(one.points) or self._lines):
                continue
            at = one.at(cursor, self._column_width)
            words = "-" if at is None else format_value(at[0])
            if at is not None and with_band and np.isfinite(at[1]):
                words += f" ({format_value(at[1])} to {format_value(at[2])})"
            if one.ink == _MEAN and self._mean_points:
                words = f"{self._mean_name} {words}"
            values.append((words, one.ink))
        return values

    def _draw_x_axis(self, drawing: Drawing, plot: _Plot) -> None:
        left, columns, top = plot.left, plot.columns, plot.bottom
        rows = drawing.height - top
        if not rows:
            return
        label_row = drawing.height - 1
        if rows == 2:
            drawing.put(top, max(0, left - 1), ("└" if left else "─") + "─" * columns, _AXIS)
        axis = Axis(*plot.x_range, most_ticks=columns // 10, whole=True)
        end = drawing.width
        if columns >= len(self._x_label) + 12:
            end -= len(self._x_label) + 1
            drawing.put(label_row, end + 1, self._x_label, _AXIS)
        free_from = 0
        for value, label in zip(axis.ticks, axis.labels(), strict=True):
            tick_column = plot.column(value)
            column = min(tick_column - len(label) // 2, drawing.width - len(label))
            column = max(column, left)
            if column < free_from or column + len(label) > end:
                continue
            drawing.put(label_row, column, label, _AXIS)
            free_from = column + len(label) + 1
            if rows == 2:
                drawing.put(top, tick_column, "┬", _AXIS)


class _Plot:
    """Where in the drawing the dots are, and which values they stand for."""

    top = 1

    def __init__(self, left: int, columns: int, rows: int, x_range: Range, y_range: Range) -> None:
        self.left, self.columns, self.rows, self.x_range = left, columns, rows, x_range
        self.bottom = self.top + rows
        self.x_dots = Scale(*x_range, columns * 2 - 1)
        self.y_dots = Scale(y_range[1], y_range[0], rows * 4 - 1)
        self.column_width = (x_range[1] - x_range[0]) / columns

    def column(self, x: float) -> int:
        return self.left + int(self.x_dots(x)) // 2

    def x_at(self, column: int) -> float:
        """The x in the middle of a column of the drawing."""
        dot = 2 * (column - self.left) + 0.5
        return self.x_range[0] + dot / (2 * self.columns - 1) * (self.x_range[1] - self.x_range[0])

    def dots(self) -> NDArray[np.bool_]:
        return np.zeros((self.rows * 4, self.columns * 2), np.bool_)

    def show(self, drawing: Drawing, dots: NDArray[np.bool_], ink: int) -> None:
        """Puts the dots over what is there."""
        cells = in_cells(dots)
        area = np.s_[self.top : self.bottom, self.left : self.left + self.columns]
        drawn = cells > 0
        np.copyto(drawing.codes[area], BRAILLE + cells.astype(np.int32), where=drawn)
        drawing.inks[area][drawn] = ink


def _draw_y_axis(drawing: Drawing, plot: _Plot, ticks: Sequence[float], labels: Sequence[str]) -> None:
    for row in range(plot.rows):
        drawing.put(plot.top + row, plot.left - 1, "│", _AXIS)
    labelled_rows = set[int]()
    for value, label in zip(ticks, labels, strict=True):
        row = plot.top + int(plot.y_dots(value)) // 4
        if row in labelled_rows:
            continue
        labelled_rows.add(row)
        drawing.put(row, plot.left - 1 - len(label), label, _AXIS)
        drawing.put(row, plot.left - 1, "┤", _AXIS)


def _nearest(sorted_values: Array, value: float) -> int:
    """The index of the one of them that is nearest."""
    after = int(np.searchsorted(sorted_values, value))
    around = [index for index in (after - 1, after) if 0 <= index < len(sorted_values)]
    return min(around, key=lambda index: abs(float(sorted_values[index]) - value))


def _length(values: Sequence[tuple[str, int]]) -> int:
    """Of these words with two spaces between them."""
    return sum(len(words) for words, _ in values) + 2 * max(0, len(values) - 1)
