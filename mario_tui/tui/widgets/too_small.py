"""The one line that a terminal shows which is too small for the screens."""

from __future__ import annotations

from textual.widget import Widget

MIN_WIDTH, MIN_HEIGHT = 80, 24


class TooSmall(Widget):
    """Says which size is needed and which one there is."""

    DEFAULT_CSS = """
    TooSmall { display: none; height: 100%; content-align: center middle; text-align: center; color: $warning; }
    """

    def render(self) -> str:
        size = self.app.size
        return f"mario-tui needs {MIN_WIDTH}x{MIN_HEIGHT}, this is {size.width}x{size.height}; ctrl+q quits"
