"""Lines that are rendered once, and not each time that something beside them changes."""

from __future__ import annotations

from typing import Any

from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget


class KeptLines(Widget):
    """A widget whose lines stay as they are until it is refreshed.

    Textual asks every widget that its screen's update comes near for its lines, and looks through their styles even
    where none of them changed: a tenth of a millisecond each, with every picture of a game.
    """

    _kept_lines: tuple[Region, Size, list[Strip]] | None = None

    def refresh(self, *regions: Region, **how: Any) -> Any:
        self._kept_lines = None
        return super().refresh(*regions, **how)

    def notify_style_update(self) -> None:
        self._kept_lines = None
        super().notify_style_update()

    def render_lines(self, crop: Region) -> list[Strip]:
        kept, size = self._kept_lines, self.region.size
        if kept is not None and kept[:2] == (crop, size):
            return kept[2]
        lines = super().render_lines(crop)
        self._kept_lines = crop, size, lines
        return lines
