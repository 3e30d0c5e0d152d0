"""Text that changes while the screen stays as it is."""

from __future__ import annotations

from textual.content import Content
from textual.visual import VisualType
from textual.widgets import Static

from mario_tui.tui.widgets.kept_lines import KeptLines


class Words(Static, KeptLines):  # Textual takes the styles of the first class alone
    """As wide as its container, and as high as its text needs: only where that changes is the screen laid out anew.

    Textual's Static lays out, and so draws, the whole screen with every text; at 120x40 that takes 8 ms.
    """

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        """Shows this text; the same again is nothing."""
        if _same(content, self.content):
            return
        before = self._needed_height()
        super().update(content, layout=False)
        if layout and self._is_displayed and (not before or self._needed_height() != before):
            self.refresh(layout=True)

    @property
    def _is_displayed(self) -> bool:
        """Whether it has a place; without one it gets its height when it is laid out."""
        return all(node.display for node in self.ancestors_with_self)

    def _needed_height(self) -> int:
        """In rows; 0 where it has no width yet."""
        return self.get_content_height(self.size, self.size, self.content_size.width)


def fitting(width: int, *contents: Content) -> Content:
    """The first of these that fits a line of so many cells, or else the last."""
    return next((one for one in contents if one.cell_length <= width), contents[-1])


def _same(content: VisualType, other: VisualType) -> bool:
    """Whether they look alike: Textual's `==` compares the text alone, without its colours."""
    if isinstance(content, Content) and isinstance(other, Content):
        return content.is_same(other)
    return type(content) is type(other) and content == other
