"""Containers that are nothing but their background."""

from __future__ import annotations

from textual.containers import Container
from textual.geometry import Region
from textual.strip import Strip


class PlainContainer(Container):
    """A container without border or text of its own: whatever moves in it has it drawn again, so that must be cheap."""

    def render_lines(self, crop: Region) -> list[Strip]:
        if self.app.no_color:  # Textual's filter takes the colours out
            return super().render_lines(crop)
        return [Strip.blank(crop.width, self.visual_style.rich_style)] * crop.height
