"""A grid of labelled numbers that fills the width it gets and repaints only when a number changes."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

Entry = tuple[str, str]
"""A label and its value; an empty label and a text is a heading over the entries after it."""

CELL = 16
GAP = 2


class Numbers(Widget):
    """Shows entries like `step 12,345` in as many columns as fit; every cell keeps its place when values change."""

    DEFAULT_CSS = """
    Numbers { height: auto; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._entries: tuple[Entry, ...] = ()

    @property
    def entries(self) -> dict[str, str]:
        """Label -> value, as shown now."""
        return {label: value for label, value in self._entries if label}

    def set_entries(self, entries: Iterable[Entry]) -> None:
        new = tuple(entries)
        if new == self._entries:
            return
        same_shape = [label for label, _ in new] == [label for label, _ in self._entries]
        self._entries = new
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

    def render(self) -> Content:
        width = self.content_size.width
        columns = max(1, (width + GAP) // (CELL + GAP))
        cell = min((width - GAP * (columns - 1)) // columns, CELL + 8)
        parts: list[tuple[str, str]] = []
        for number, line in enumerate(self._lines(width)):
            if number:
                parts.append(("\n", ""))
            if not line[0][0]:
                parts.append((line[0][1][:width], "$foreground 60% underline"))
                continue
            for column, (label, value) in enumerate(line):
                if column:
                    parts.append((" " * GAP, ""))
                room = max(1, cell - len(label) - 1)
                parts.append((label + " ", "$foreground 60%"))
                parts.append((value[:room].rjust(room), "bold"))
        return Content.assemble(*parts)
