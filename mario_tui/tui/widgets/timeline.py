"""An episode from left to right: what the agent expected, what came, and the step on show.

Its size is that of a chart, but a step has its place in it: the column of the step on show is lit, and a click on a
column goes to its step.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from mario_tui.tui.widgets.chart_drawing import BRAILLE, format_value, in_cells

if TYPE_CHECKING:
    from mario_tui.play.timeline import Numbers, Timeline

_PARTS = ("axis", "value", "return", "open", "other", "jump", "clear", "end", "step", "much", "little")
_ABOUT_RIGHT = 0.03
"""Of the height of the chart: a difference that nobody sees in it."""

Piece = tuple[str, str]
"""A text and the part of _PARTS in whose style it is drawn; "" for plain."""


class EpisodeTimeline(Widget):
    """V and the return as curves over the steps, the other actions as dim dots, jumps and the end as marks.

    Above it stands what was expected in the step on show and what came, below it what is what.
    """

    class Sought(Message):
        """A step was clicked."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    COMPONENT_CLASSES = {f"timeline--{part}" for part in _PARTS} | {"timeline--cursor"}
    DEFAULT_CSS = """
    EpisodeTimeline { width: 1fr; height: 1fr; }
    EpisodeTimeline > .timeline--axis { color: $foreground 60%; }
    EpisodeTimeline > .timeline--value { color: $accent; text-style: bold; }
    EpisodeTimeline > .timeline--return { color: $success; text-style: bold; }
    EpisodeTimeline > .timeline--open { color: $success 55%; }
    EpisodeTimeline > .timeline--other { color: $foreground 35%; }
    EpisodeTimeline > .timeline--jump { color: $foreground 80%; }
    EpisodeTimeline > .timeline--clear { color: $success; text-style: bold; }
    EpisodeTimeline > .timeline--end { color: $error; text-style: bold; }
    EpisodeTimeline > .timeline--step { text-style: bold; }
    EpisodeTimeline > .timeline--much { color: $error; text-style: bold; }
    EpisodeTimeline > .timeline--little { color: $success; text-style: bold; }
    EpisodeTimeline > .timeline--cursor { background: $foreground 22%; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._timeline: Timeline | None = None
        self._asked_step = 0
        self._lines: list[list[Piece]] | None = None
        self._area = (0, 0, 1, 0)  # left, top, columns and rows of the chart
        self._dragged = False

    @property
    def timeline(self) -> Timeline | None:
        return self._timeline

    @property
    def step(self) -> int:
        """The step on show: as far as the timeline has come, which is drawn less often than steps are played."""
        if self._timeline is None or not len(self._timeline.steps):
            return self._asked_step
        return min(self._asked_step, int(self._timeline.steps[-1]))

    def set_timeline(self, timeline: Timeline | None) -> None:
        self._timeline = timeline
        self._redraw()

    def set_step(self, step: int) -> None:
        if step != self._asked_step:
            self._asked_step = step
            self._redraw()

    def on_resize(self) -> None:
        self._redraw()

    def _redraw(self) -> None:
        self._lines = None
        self.refresh()

    # the mouse

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.button == 1:
            self._dragged = True
            self.capture_mouse()
            self._seek(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragged:
            self._seek(event)

    def on_mouse_up(self) -> None:
        self._dragged = False
        self.release_mouse()

    def _seek(self, event: events.MouseEvent) -> None:
        step = self.step_at(event.x)
        if step is not None:
            self.post_message(self.Sought(step))

    def step_at(self, column: int) -> int | None:
        """The step that a column of the widget is of, or the nearest one; None without any."""
        timeline = self._timeline
        if timeline is None or not len(timeline.steps):
            return None
        left, _, columns, _ = self._area
        first, last = self._range(timeline)
        share = min(max(column - left, 0), columns - 1) / max(1, columns - 1)
        return int(np.clip(round(first + share * (last - first)), timeline.steps[0], timeline.steps[-1]))

    def column_of(self, step: int) -> int:
        """The column of the widget that a step is in."""
        assert self._timeline is not None
        left, _, columns, _ = self._area
        first, last = self._range(self._timeline)
        return left + int(np.clip(round((step - first) / (last - first) * (2 * columns - 1)), 0, 2 * columns - 1)) // 2

    @staticmethod
    def _range(timeline: Timeline) -> tuple[int, int]:
        """The steps at both ends of the chart; while the episode goes on it has room for more, so that it seldom
        moves."""
        first, last = int(timeline.steps[0]), int(timeline.steps[-1])
        if not timeline.ends or last not in timeline.ends:
            room = 50 if last - first < 400 else 200
            last = first + math.ceil((last - first + 1) / room) * room
        return first, max(last, first + 1)

    # drawing

    def render_line(self, y: int) -> Strip:
        if self._lines is None:
            self._lines = self._draw(*self.size)
        styles = {part: self.get_component_rich_style(f"timeline--{part}") for part in _PARTS}
        base = self.visual_style.rich_style
        line = self._lines[y] if y < len(self._lines) else []
        segments = [Segment(text, base + styles[part] if part else base) for text, part in line]
        strip = Strip(segments).adjust_cell_length(self.size.width, base)
        _, top, _, rows = self._area
        if self._cursor is None or not top <= y < top + rows + 1:
            return strip
        before, lit, after = strip.divide([self._cursor, self._cursor + 1, self.size.width])
        cursor = Style(bgcolor=self.get_component_rich_style("timeline--cursor").bgcolor)
        marked = Strip([Segment(text, (style or base) + cursor) for text, style, _ in lit])
        return Strip.join([before, marked, after])

    _cursor: int | None = None
    """The column of the step on show."""

    def _draw(self, width: int, height: int) -> list[list[Piece]]:
        timeline = self._timeline
        self._cursor = None
        if timeline is None or not len(timeline.steps) or width < 12 or height < 8:
            return [[("the episode appears here", "axis")]]
        legend = _wrapped(self._legend(timeline), width)
        legend = legend[: max(1, height - 8)]
        words = self._words(timeline)
        rows = height - len(words) - len(legend) - 2

        low, high = _heights(timeline)
        labels = [format_value(high), format_value(low)]
        left = max(map(len, labels)) + 1
        columns = max(1, width - left)
        self._area = (left, len(words), columns, rows)
        if timeline.place(self.step) is not None:
            self._cursor = self.column_of(self.step)

        codes, inks = self._chart(timeline, columns, rows, low, high)
        lines = [*words]
        for row in range(rows):
            label = labels[0] if row == 0 else labels[1] if row == rows - 1 else ""
            if row not in (0, rows - 1) and low < 0 < high and row == int(high / (high - low) * (rows - 1) + 0.5):
                label = "0"
            edge = f"{label:>{left - 1}}" + ("┤" if label else "│")
            lines.append([(edge, "axis"), *_runs(codes[row], inks[row])])
        lines.append([(" " * left, ""), *self._marks(timeline, left, columns)])
        lines.append(self._axis(timeline, left, width))
        return [*lines, *legend]

    def _chart(
        self, timeline: Timeline, columns: int, rows: int, low: float, high: float
    ) -> tuple[NDArray[np.int32], NDArray[np.object_]]:
        first, last = self._range(timeline)
        dots_wide, dots_high = columns * 2, rows * 4
        at = first + np.arange(dots_wide) * (last - first) / max(1, dots_wide - 1)
        codes = np.full((rows, columns), ord(" "), np.int32)
        inks = np.full((rows, columns), "", object)

        def dot_rows(heights: Numbers) -> Numbers:
            return np.clip(np.rint((high - heights) / (high - low) * (dots_high - 1)), 0, dots_high - 1)

        def put(dots: NDArray[np.bool_], ink: str) -> None:
            cells = in_cells(dots)
            codes[:] = np.where(cells, BRAILLE + cells.astype(np.int32), codes)
            inks[:] = np.where(cells, ink, inks)

        def curve(heights: Numbers) -> NDArray[np.bool_]:
            dots = np.zeros((dots_high, dots_wide), np.bool_)
            levels = dot_rows(_sampled(timeline, heights, at))
            before = np.concatenate([levels[:1], levels[:-1]])
            before = np.where(np.isnan(before), levels, before)
            with np.errstate(invalid="ignore"):
                top, bottom = np.fmin(levels, before), np.fmax(levels, before)
                number = np.arange(dots_high)[:, None]
                dots |= (number >= top) & (number <= bottom)
            return dots

        if timeline.q_values.shape[1]:
            others = np.zeros((dots_high, dots_wide), np.bool_)
            for action in range(timeline.q_values.shape[1]):
                levels = dot_rows(_sampled(timeline, timeline.q_values[:, action], at))
                there = np.flatnonzero(~np.isnan(levels))
                others[levels[there].astype(np.intp), there] = True
            put(others, "other")
        settled = timeline.settled
        put(curve(np.where(settled, np.nan, timeline.returns)), "open")
        put(curve(np.where(settled, timeline.returns, np.nan)), "return")
        put(curve(timeline.values), "value")
        return codes, inks

    def _marks(self, timeline: Timeline, left: int, columns: int) -> list[Piece]:
        codes = np.full(columns, ord(" "), np.int32)
        inks = np.full(columns, "", object)
        for step in timeline.steps[timeline.jumps].tolist():
            codes[self.column_of(step) - left], inks[self.column_of(step) - left] = ord("▴"), "jump"
        for step, end in timeline.ends.items():
            sign, ink = ("✓", "clear") if end == "clear" else ("✗", "end")
            codes[self.column_of(step) - left], inks[self.column_of(step) - left] = ord(sign), ink
        return _runs(codes, inks)

    def _axis(self, timeline: Timeline, left: int, width: int) -> list[Piece]:
        """The numbers of the steps: at both ends, and of the one on show where there is room."""
        first, last = map(str, self._range(timeline))
        text = list(" " * left + first.ljust(width - left - len(last))[: width - left - len(last)] + last)
        pieces: list[Piece] = []
        if self._cursor is not None:
            shown = str(self.step)
            start = min(max(self._cursor - len(shown) // 2, 0), width - len(shown))
            for place in range(max(0, start - 1), min(width, start + len(shown) + 1)):
                text[place] = " "
            for edge in (left, width - len(last)):  # a number of which only a part is left says something else
                length = len(first) if edge == left else len(last)
                if start - 1 < edge + length and edge < start + len(shown) + 1:
                    text[edge : edge + length] = " " * length
            pieces = [("".join(text[:start]), "axis"), (shown, "step"), ("".join(text[start + len(shown) :]), "axis")]
        return pieces or [("".join(text), "axis")]

    def _words(self, timeline: Timeline) -> list[list[Piece]]:
        """What was expected in the step on show, and whether it came."""
        place = timeline.place(self.step)
        if place is None:
            return [[("nothing was decided yet", "axis")], []]
        value, came = float(timeline.values[place]), float(timeline.returns[place])
        settled = bool(timeline.settled[place])
        first: list[Piece] = [(f"step {self.step}", "step")]
        if not math.isnan(value):
            first += [("  expected ", "axis"), (_number(value), "value")]
        first += [("  came ", "axis"), (_number(came), "return" if settled else "open")]
        return [first, [self._verdict(timeline, place)]]

    @staticmethod
    def _verdict(timeline: Timeline, place: int) -> Piece:
        too_much = float(timeline.too_much[place])
        low, high = _heights(timeline)
        if not timeline.q_values.shape[1]:
            return "a log has no Q: no agent expected anything", "axis"
        if math.isnan(too_much):
            return "the agent was not asked here", "axis"
        if not timeline.settled[place]:
            return ("cut off: more would have come", "axis") if timeline.ends else ("so far: more is to come", "axis")
        if abs(too_much) < _ABOUT_RIGHT * (high - low):
            return "it expected about right here", "little"
        if too_much > 0:
            return f"it expected {_number(too_much)} too much here", "much"
        return f"it expected {_number(-too_much)} too little here", "little"

    @staticmethod
    def _legend(timeline: Timeline) -> list[list[Piece]]:
        entries: list[list[Piece]] = []
        if timeline.q_values.shape[1]:
            entries = [[("━ ", "value"), ("V, what it expected", "axis")]]
        entries.append([("━ ", "return"), (f"what came, discounted (γ {timeline.learned.gamma:g})", "axis")])
        if not timeline.settled.all():
            entries.append([("━ ", "open"), ("so far", "axis")])
        if timeline.q_values.shape[1] > 1:
            entries.append([("⠒ ", "other"), ("other actions", "axis")])
        entries.append([("▴ ", "jump"), ("jump", "axis")])
        ends = set(timeline.ends.values())
        if "clear" in ends:
            entries.append([("✓ ", "clear"), ("cleared", "axis")])
        if ends - {"clear"}:
            words = "died" if ends - {"clear"} == {"death"} else "ended"
            entries.append([("✗ ", "end"), (words, "axis")])
        return entries


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 1000 else format_value(value)


def _heights(timeline: Timeline) -> tuple[float, float]:
    """The values at the bottom and at the top of the chart: all that is shown, and 0."""
    every = np.concatenate([timeline.q_values.ravel(), timeline.returns, [0.0]])
    every = every[np.isfinite(every)]
    low, high = float(every.min()), float(every.max())
    if high - low < 1e-9:
        return low - 1, high + 1
    step = 10 ** math.floor(math.log10(high - low)) / 2  # rounder values, so that it stands still while it grows
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _sampled(timeline: Timeline, heights: Numbers, at: Numbers) -> Numbers:
    """The heights of a curve at these places: between two steps by interpolation, NaN outside of the curve."""
    known = np.isfinite(heights)
    if not known.any():
        return np.full(len(at), np.nan)
    steps = timeline.steps.astype(np.float64)
    nearest = np.clip(np.searchsorted(steps, np.rint(at)), 0, len(steps) - 1)
    outside = (at < steps[0] - 0.5) | (at > steps[-1] + 0.5)
    return np.where(outside | ~known[nearest], np.nan, np.interp(at, steps[known], heights[known]))


def _runs(codes: NDArray[np.int32], inks: NDArray[np.object_]) -> list[Piece]:
    pieces: list[Piece] = []
    for code, ink in zip(codes.tolist(), inks.tolist(), strict=True):
        if pieces and pieces[-1][1] == ink:
            pieces[-1] = (pieces[-1][0] + chr(code), ink)
        else:
            pieces.append((chr(code), ink))
    return pieces


def _wrapped(entries: list[list[Piece]], width: int) -> list[list[Piece]]:
    """Entries side by side in lines of that width, none of them broken."""
    lines: list[list[Piece]] = []
    room = 0
    for entry in entries:
        length = sum(len(text) for text, _ in entry)
        if length + 2 > room:
            lines.append(list(entry))
            room = width - length
        else:
            lines[-1] += [("  ", ""), *entry]
            room -= length + 2
    return lines
