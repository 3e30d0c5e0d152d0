"""The 32 stages as a grid of 8 worlds by 4, one of them selected."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.cells import set_cell_size
from textual.binding import Binding
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from mario_tui.tui.stage_pictures import picture_width, stage_picture

COLUMNS, ROWS = 4, 8
WORDS = 16
"""The width that a cell's words take at least."""
LEAST_PICTURE = 3
"""Lines; a smaller picture shows nothing."""


class StageGrid(Widget, can_focus=True):
    """Shows some lines about each stage; arrow keys and clicks select one.

    Attributes:
        selected: the number of the stage, 0 to 31.
        marked: those that the user chose for a campaign.
    """

    BINDINGS = [
        Binding("left", "move(-1)", "Left", show=False),
        Binding("right", "move(1)", "Right", show=False),
        Binding("up", f"move(-{COLUMNS})", "Up", show=False),
        Binding("down", f"move({COLUMNS})", "Down", show=False),
        Binding("home", "select(0)", "First", show=False),
        Binding("end", f"select({COLUMNS * ROWS - 1})", "Last", show=False),
    ]
    DEFAULT_CSS = """
    StageGrid {
        width: 1fr;
        height: 1fr;
    }
    """

    selected: reactive[int] = reactive(0)

    class Selected(Message):
        """Another stage is selected."""

    class Opened(Message):
        """The selected stage was clicked again."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._texts_of: Callable[[int], Mapping[int, tuple[Content, ...]]] = lambda width: {}
        self._texts: Mapping[int, tuple[Content, ...]] = {}
        self.marked: set[int] = set()

    def set_texts(self, texts_of: Callable[[int], Mapping[int, tuple[Content, ...]]]) -> None:
        """What gives, for a width in characters, the lines about each stage by its number; those that there is no room
        for are left out."""
        self._texts_of = texts_of
        self.refresh()

    @property
    def cell_size(self) -> tuple[int, int]:
        """Width and height of a stage's cell, with the space around it."""
        return max(1, self.size.width // COLUMNS), max(1, self.size.height // ROWS)

    @property
    def lines(self) -> int:
        """How many lines of a stage are shown."""
        height = self.cell_size[1]
        return height - 1 if height > 2 else height  # an empty one between two rows, if there is room

    def render(self) -> Content:
        width, height = self.cell_size
        lines = self._picture_lines
        self._texts = self._texts_of(width - 1 - (picture_width(lines) if lines else 0))
        rows = []
        for row in range(ROWS):
            for line in range(height):
                cells = [self._cell(row * COLUMNS + column, line, width - 1) for column in range(COLUMNS)]
                rows.append(Content(" ").join(cells))
        return Content("\n").join(rows)

    @property
    def _picture_lines(self) -> int:
        """The height of the stages' pictures; 0 where there is no room for them beside the words."""
        lines, width = self.lines, self.cell_size[0]
        return lines if lines >= LEAST_PICTURE and width >= WORDS + picture_width(lines) else 0

    def _cell(self, number: int, line: int, width: int) -> Content:
        if line >= self.lines:
            return Content(" " * width)
        if not (lines := self._picture_lines):
            return self._words(number, line, width)
        picture = stage_picture(number, lines)[line]
        return self._words(number, line, width - picture.cell_length) + picture

    def _words(self, number: int, line: int, width: int) -> Content:
        texts = self._texts.get(number, ())
        text = texts[line] if line < len(texts) else Content("")
        if len(text.plain) > width:
            text = text[:width]
        text = text + Content(set_cell_size("", width - text.cell_length))
        colour = "$primary 45%" if self.has_focus else "$primary 25%"
        if line == 0 and number in self.marked:
            text = Content.styled("✓", "bold $secondary") + text[1:]
        return text.stylize(f"on {colour}" if number == self.selected else "on $surface")

    def watch_selected(self) -> None:
        self.post_message(self.Selected())

    def action_move(self, by: int) -> None:
        if 0 <= self.selected + by < COLUMNS * ROWS:
            self.selected += by

    def mark(self) -> None:
        """Marks the selected stage, or no longer."""
        self.marked ^= {self.selected}
        self.refresh()

    def action_select(self, number: int) -> None:
        self.selected = number

    def on_click(self, event: Click) -> None:
        width, height = self.cell_size
        column, row = event.x // width, event.y // height
        if not (column < COLUMNS and row < ROWS):
            return
        number = row * COLUMNS + column
        if number == self.selected:
            self.post_message(self.Opened())
        self.selected = number
