"""A list of rows to choose from, with a heading above it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option


class Rows(OptionList, inherit_bindings=False):
    """The rows, with the keys that move only: enter belongs to the screen."""

    BINDINGS = [
        Binding("up,k", "cursor_up", "Up", show=False),
        Binding("down,j", "cursor_down", "Down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home", "first", "First", show=False),
        Binding("end", "last", "Last", show=False),
    ]


class RowList(Vertical):
    """Rows that stand for files, one of them under the cursor; it is to be seen while the list has the focus."""

    DEFAULT_CSS = """
    RowList {
        height: 1fr;
    }
    RowList > .heading {
        height: auto;
        color: $foreground 60%;
    }
    RowList > Rows, RowList > Rows:focus {
        height: 1fr;
        border: none;
        padding: 0;
        background: transparent;
        background-tint: transparent 0%;
        scrollbar-size-vertical: 1;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    RowList > Rows > .option-list--option { padding: 0; }
    RowList > Rows > .option-list--option-hover { background: $primary 15%; }
    RowList > Rows > .option-list--option-highlighted {
        background: transparent;
        color: $foreground;
        text-style: none;
    }
    RowList > Rows:focus > .option-list--option-highlighted {
        background: $primary 45%;
        color: $foreground;
        text-style: bold;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._paths: list[Path] = []
        self._shown: list[Content] = []

    def compose(self) -> ComposeResult:
        yield Static("", classes="heading")
        yield Rows()

    @property
    def rows(self) -> Sequence[Content]:
        """What stands in the list."""
        return self._shown

    @property
    def has_cursor(self) -> bool:
        return self.query_one(Rows).has_focus

    @property
    def selected(self) -> Path | None:
        """What the row under the cursor stands for."""
        row = self.query_one(Rows).highlighted
        return None if row is None or row >= len(self._paths) else self._paths[row]

    def show(self, heading: Content, rows: Sequence[tuple[Path, Content]]) -> None:
        """Shows these rows; the cursor stays on its file while that is among them."""
        options, before = self.query_one(Rows), self.selected
        above = self.query_one(".heading", Static)
        if above.content != heading:
            above.update(heading)
            above.display = bool(heading.plain)
        paths, shown = [path for path, _ in rows], [row for _, row in rows]
        if paths == self._paths:
            for number, row in enumerate(shown):
                if row != self._shown[number]:
                    options.replace_option_prompt_at_index(number, row)
        else:
            options.set_options([Option(row) for row in shown])
            stays = before in paths and options.has_focus  # elsewhere nobody chose it, and the first are to be seen
            options.highlighted = (paths.index(before) if before is not None and stays else 0) if paths else None
            if not stays:
                options.scroll_home(animate=False)
            options.disabled = not paths
        self._paths, self._shown = paths, shown
