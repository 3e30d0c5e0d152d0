"""Where on the stage episodes end, over time, as a heat map."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from mario_tui.tui import text
from mario_tui.tui.cells import UPPER_HALF
from mario_tui.tui.widgets.kept_lines import KeptLines


class EndsChart(KeptLines):
    """Time goes to the right, the stage upwards; the brighter a cell, the more of that time's episodes ended there.

    The row at the top shows in the same way how many reached the flag; there are such rows for wrong ways in a maze
    ("loop") and for other stages ("left"), where any ended so. The counts are read once, when given.
    """

    ALLOW_SELECT = False  # its lines are no text of Textual's
    COMPONENT_CLASSES = {
        "ends-chart--title",
        "ends-chart--axis",
        "ends-chart--few",
        "ends-chart--many",
        "ends-chart--clear",
    }
    DEFAULT_CSS = """
    EndsChart { width: 1fr; height: 1fr; }
    EndsChart > .ends-chart--title { color: $foreground; text-style: bold; }
    EndsChart > .ends-chart--axis { color: $foreground 60%; }
    EndsChart > .ends-chart--few { color: $primary; }
    EndsChart > .ends-chart--many { color: $accent; }
    EndsChart > .ends-chart--clear { color: $success; }
    """

    def __init__(self, title: str, bucket_pixels: int, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._title = title
        self._bucket_pixels = bucket_pixels
        self._deaths = np.zeros((0, 1))
        self._clears = np.zeros(0)
        self._off_course: dict[str, NDArray[np.float64]] = {}
        self._episodes = 0
        self._lines: list[Strip] | None = None

    def set_data(
        self,
        deaths: NDArray[np.integer],
        clears: NDArray[np.integer],
        off_course: Mapping[str, NDArray[np.integer]] | None = None,
    ) -> None:
        """Shows counts by column of time: deaths (C, buckets of the stage), clears (C,), and of the deaths those that
        were off course, (C,) for each name."""
        total = np.maximum(deaths.sum(axis=1) + clears, 1)
        self._episodes = int(deaths.sum() + clears.sum())
        self._deaths, self._clears = deaths / total[:, None], clears / total
        self._off_course = {name: counts / total for name, counts in (off_course or {}).items()}
        self._lines = None
        self.refresh()

    def on_resize(self) -> None:
        self._lines = None
        self.refresh()

    def notify_style_update(self) -> None:
        self._lines = None
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        if self._lines is None:
            self._lines = self._draw(*self.size)
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width)

    def _draw(self, width: int, height: int) -> list[Strip]:
        def style(part: str) -> Style:
            return self.get_component_rich_style(f"ends-chart--{part}")

        base = self.visual_style.rich_style
        lines = [Strip([Segment(self._title[:width], style("title"))]).adjust_cell_length(width, base)]
        reached = np.flatnonzero(self._deaths.any(axis=0))
        left, rows = 6, height - 3 - len(self._off_course)
        columns = width - left
        if not self._episodes or rows < 1 or columns < 4:
            why = "waits for the end of an episode" if not self._episodes else "no room for it: enlarge the terminal"
            waits = Segment(why[:width], style("axis"))
            lines += [Strip([waits] if row == height // 2 else []) for row in range(1, height)]
            return [line.adjust_cell_length(width, base) for line in lines]
        buckets = (int(reached[-1]) + 1) if len(reached) else 1
        places = _fitted(_fitted(self._deaths[:, :buckets].T, 2 * rows)[::-1].T, columns, shares=True)
        ground = base.bgcolor.get_truecolor() if base.bgcolor else (0, 0, 0)
        few, many, clear = (_rgb(style(part), ground) for part in ("few", "many", "clear"))

        def label(words: str) -> list[Segment]:
            return [Segment(f"{words:>{left - 1}}", style("axis")), Segment("│", style("axis"))]

        of_time = {"clear": (self._clears, clear), **{name: (one, many) for name, one in self._off_course.items()}}
        for name, (counts, colour) in of_time.items():
            shares = _fitted(counts[:, None], columns, shares=True)[:, 0]
            colours = _mixed(shares, np.array(ground), colour, colour).tolist()
            lines.append(Strip([*label(name), *(Segment("█", Style(color=Color.from_rgb(*one))) for one in colours)]))
        cells = _mixed(places, np.array(ground), few, many).astype(int).tolist()
        top = buckets * self._bucket_pixels
        for row in range(rows):
            words = text.compact(top) if row == 0 else "x 0" if row == rows - 1 else ""
            if rows >= 7 and row == rows // 2:
                words = text.compact(top / 2)
            segments = [
                Segment(UPPER_HALF, _of_colours(*cells[column][2 * row], *cells[column][2 * row + 1]))
                for column in range(columns)
            ]
            lines.append(Strip([*label(words), *segments]))
        newest = f"{text.count(self._episodes)} episodes"
        axis = "0".ljust(columns - len(newest)) + newest if columns > len(newest) + 2 else ""
        lines.append(Strip([Segment(" " * left, base), Segment(axis, style("axis"))]).adjust_cell_length(width, base))
        return [line.simplify() for line in lines]


@functools.lru_cache(maxsize=4096)
def _of_colours(red: int, green: int, blue: int, *below: int) -> Style:
    """The style of a cell's upper half in one colour and its lower half in another; the same ones come back."""
    return Style(color=Color.from_rgb(red, green, blue), bgcolor=Color.from_rgb(*below))


def _fitted(values: NDArray[np.float64], size: int, *, shares: bool = False) -> NDArray[np.float64]:
    """The rows of (n, m) spread over `size` rows, or gathered in them: added up, or with `shares` their mean."""
    count = len(values)
    if count <= size:
        return values[np.arange(size) * count // size]
    gathered = np.zeros((size, values.shape[1]))
    places = np.arange(count) * size // count
    np.add.at(gathered, places, values)
    return gathered / np.bincount(places, minlength=size)[:, None] if shares else gathered


def _mixed(
    shares: NDArray[np.float64], ground: NDArray[np.float64], few: NDArray[np.float64], many: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Colours of shares from 0 to 1: from the ground over `few` to `many`; small shares stand out more than in line."""
    strength = np.sqrt(np.clip(shares, 0, 1))[..., None]
    lower = ground + (few - ground) * np.clip(2 * strength, 0, 1)
    return np.rint(lower + (many - few) * np.clip(2 * strength - 1, 0, 1)).astype(np.int64)


def _rgb(style: Style, otherwise: tuple[int, int, int]) -> NDArray[np.float64]:
    return np.array(style.color.get_truecolor() if style.color else otherwise, np.float64)
