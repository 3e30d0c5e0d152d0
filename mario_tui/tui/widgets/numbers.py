"""A grid of labelled numbers that fills the width it gets and repaints only when a number changes."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip

from mario_tui.tui.widgets.kept_lines import KeptLines

Entry = tuple[str, str]
"""A label and its value; an empty label and a text is a heading over the entries after it."""

CELL = 16
GAP = 2


class Numbers(KeptLines):
    """Shows entries like `step 12,345` in as many columns as fit; every cell keeps its place when values change."""

    ALLOW_SELECT = False  # its lines are no text of Textual's
    COMPONENT_CLASSES = {"numbers--heading", "numbers--label", "numbers--value"}
    DEFAULT_CSS = """
    Numbers { height: auto; width: 1fr; }
    Numbers > .numbers--heading { color: $foreground 60%; text-style: underline; }
    Numbers > .numbers--label { color: $foreground 60%; }
    Numbers > .numbers--value { text-style: bold; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._entries: tuple[Entry, ...] = ()
        self._shown: tuple[int, list[list[Entry]]] | None = None
        self._part_styles: dict[str, Style] = {}

    @property
    def entries(self) -> dict[str, str]:
        """Label -> value, as shown now."""
        return {label: value for label, value in self._entries if label}

    def set_entries(self, entries: Iterable[Entry]) -> None:
        new = tuple(entries)
        if new == self._entries:
            return
        same_shape = [label for label, _ in new] == [label for label, _ in self._entries]
        self._entries, self._shown = new, None
        self.refresh(layout=not same_shape)

    def _lines(self, width: int) -> list[list[Entry]]:
        columns = max(1, (width + GAP) // (CELL + GAP))
        lines: list[list[Entry]] = []
        row: list[Entry] = []
        for entry in self._entries:
            if entry[0] and len(row) < columns:
                row.append(entry)
                continue
            if row:
                lines.append(row)
            row = [entry] if entry[0] else []
            if not entry[0]:
                lines.append([entry])
        return [*lines, row] if row else lines

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self._lines(width)))

    def notify_style_update(self) -> None:
        self._part_styles = {}
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """Without Textual's markup, which takes a millisecond or two for all: numbers change all the time."""
        width = self.content_size.width
        if self._shown is None or self._shown[0] != width:
            self._shown = width, self._lines(width)
        base = self.visual_style.rich_style
        if y >= len(self._shown[1]):
            return Strip.blank(width, base)
        line = self._shown[1][y]
        if not line[0][0]:
            return Strip([Segment(line[0][1], self._style("heading"))]).adjust_cell_length(width, base)
        columns = max(1, (width + GAP) // (CELL + GAP))
        cell = min((width - GAP * (columns - 1)) // columns, CELL + 8)
        segments: list[Segment] = []
        for label, value in line:
            if segments:
                segments.append(Segment(" " * GAP, base))
            room = max(1, cell - cell_len(label) - 1)
            segments.append(Segment(f"{label} ", self._style("label")))
            shown = set_cell_size(value, min(room, cell_len(value)))
            segments.append(Segment(" " * (room - cell_len(shown)) + shown, self._style("value")))
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, part: str) -> Style:
        style = self._part_styles.get(part)
        if style is None:
            style = self._part_styles[part] = self.get_component_rich_style(f"numbers--{part}")
        return style
