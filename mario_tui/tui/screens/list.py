"""What Checkpoints and Recordings have in common: a table of files, with what is known of the selected one below."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click
from textual.widgets import DataTable, Static

from mario_tui.errors import MarioTuiError
from mario_tui.printable import printable
from mario_tui.tui import text
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.screens.dialogs import ConfirmScreen
from mario_tui.tui.widgets.preview import Preview, Sight
from mario_tui.tui.widgets.words import Words


class HasPath(Protocol):
    @property
    def path(self) -> Path: ...


MOST_JOBS = 3
"""Lines for work in the background."""
PREVIEW_FROM = 120
"""From this width of the screen on there is a preview of the selected row beside the list."""
LEAST_PREVIEW, MOST_PREVIEW = 44, 90
"""Its width in characters; two fifths of the screen otherwise."""
FLAT = 30
"""A screen of fewer lines has no room for a picture and a curve."""
REST_SECONDS = 0.15
"""How long the cursor must rest on a row until it is looked at: who passes over it does not wait for it."""

Row = TypeVar("Row", bound=HasPath)


class Table(DataTable[Text], inherit_bindings=False):
    """The table without keys of its own beside the ones that move: enter belongs to the screen."""

    BINDINGS = [
        Binding("up,k", "cursor_up", "Up", show=False),
        Binding("down,j", "cursor_down", "Down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home", "scroll_top", "First", show=False),
        Binding("end", "scroll_bottom", "Last", show=False),
    ]

    async def _on_click(self, event: Click) -> None:
        if "@click" in event.style.meta:  # what stands there does something of its own; the row is not meant
            event.prevent_default()
            await self.broker_event("click", event)


class ListScreen(MarioScreen, Generic[Row]):
    """A table of all files of a kind; subclasses say which, and what they know of them."""

    CSS_PATH = "list.tcss"
    COLUMNS: ClassVar[Sequence[tuple[str, int]]] = ()
    """Heading and width of the columns; see also `columns`."""
    WIDE_COLUMN = 1
    """The number of the one that gets what is left of the screen's width."""
    NUMERIC: ClassVar[Sequence[str]] = ()
    """Headings of the columns that are set to the right."""
    TRASH = ""
    """Where deleted ones are kept."""
    EMPTY = ""
    """Shown, with markup, while there is nothing to list."""

    def __init__(self) -> None:
        super().__init__()
        self._infos: tuple[Row, ...] = ()
        self._shown: tuple[Row, ...] = ()
        self._loaded = False
        self._version = -1
        self._deleted: list[tuple[Path, Path, str]] = []  # where it is now, where it was, its name
        self._wanted: Path | None = None  # the row to select once it is there
        self._sought: object = None  # what the preview shows, or will in a moment
        self._seen: object = None  # what it shows

    def read(self) -> Sequence[Row]:
        """All rows, in their order; in a thread."""
        raise NotImplementedError

    def columns(self) -> Sequence[tuple[str, int]]:
        """Heading and width of the columns that the screen has room for now."""
        return self.COLUMNS

    def cells(self, info: Row, wide: int) -> Sequence[Text]:
        """A row's cells; the wide column has that many characters."""
        raise NotImplementedError

    def describe(self, info: Row) -> tuple[str, bool]:
        """The text about the selected row, and whether it is a problem."""
        raise NotImplementedError

    def look_at(self, info: Row, pixels: tuple[int, int]) -> Sight:
        """What the preview shows of a row; in a thread. A picture has at most so many pixels."""
        raise NotImplementedError

    def shown(self) -> Sequence[Row]:
        """The rows to show now."""
        return self._infos

    def row_instead(self, gone: Path, row_before: int) -> int:
        """The number of the row to select in the place of one that is no longer shown."""
        return min(row_before, len(self._shown) - 1)

    def compose_body(self) -> ComposeResult:
        yield Static("", id="nothing")
        with Horizontal(id="list"):
            yield Table(id="table", cursor_type="row", cell_padding=1)
            yield Preview(self.app.graphics, self.app.characters, id="preview")
        with Vertical(id="details"):
            yield Words("", id="selected")
            yield Words("", id="jobs")

    def on_mount(self) -> None:
        super().on_mount()
        self.fill()
        self.every(0.25, self.refresh_list)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._version = -1
        self.refresh_list()

    def on_resize(self) -> None:
        if self.query(Preview):  # a slow machine tells the size before there is a table
            self.query_one(Preview).styles.width = self.preview_width
            self.set_class(self.has_preview, "-preview")
            self.set_class(self.app.size.height < FLAT, "-flat")
            self.fill()

    def on_game_view_resized(self) -> None:
        self._look_soon()

    @property
    def has_preview(self) -> bool:
        """Whether there is room for a preview."""
        return self.app.size.width >= PREVIEW_FROM

    @property
    def preview_width(self) -> int:
        return min(max(LEAST_PREVIEW, self.app.size.width * 2 // 5), MOST_PREVIEW)

    @property
    def list_width(self) -> int:
        """The width that the table has."""
        return self.app.size.width - (self.preview_width if self.has_preview else 0)

    def choose(self, path: Path) -> None:
        """Selects a row as soon as the list has been read again."""
        self._wanted = path

    def refresh_list(self) -> None:
        """Shows the work in the background, and reads the list again if it may have changed."""
        app = self.app
        self.update_text("#jobs", Content("\n".join(self._job_lines())))
        self.set_class(bool(app.jobs.running), "-busy")
        if self._version != app.files_version:
            self._version = app.files_version
            self.run_newest(self._load, "list")

    def _job_lines(self) -> Iterator[str]:
        """A line for each job in the background, a few at most: the table is what the screen is for."""
        jobs = self.app.jobs.running
        for job in jobs[:MOST_JOBS]:
            hint = "" if job is not jobs[-1] or job.cancelled else "  ctrl+x cancels"
            room = self.app.size.width - len(job.line) - len(hint) - 5
            yield f"{job.line} ({text.shortened(job.target, max(8, room))}){hint}"
        if len(jobs) > MOST_JOBS:
            yield f"and {len(jobs) - MOST_JOBS} more"

    async def _load(self) -> None:
        try:
            self._infos = tuple(await asyncio.to_thread(self.read))
        except (MarioTuiError, OSError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._loaded = True
        wanted, self._wanted = self._wanted, None
        self.fill(select=wanted)
        self.refresh_bindings()

    def fill(self, select: Path | None = None) -> None:
        """Fills the table anew; the selected row, or its replacement, keeps its place on the screen."""
        table = self.query_one(Table)
        if select is None and self.selected is not None:
            select = self.selected.path
        columns = self.columns()
        others = sum(width + 2 for number, (_, width) in enumerate(columns) if number != self.WIDE_COLUMN)
        wide = max(12, self.list_width - others - 3)
        shown = self._shown = tuple(self.shown())
        row_before = table.cursor_row
        lines_above = row_before - table.scroll_offset.y
        table.clear(columns=True)
        for number, (heading, width) in enumerate(columns):
            label = Text(heading, justify="right" if heading in self.NUMERIC else "left")
            table.add_column(label, width=wide if number == self.WIDE_COLUMN else width, key=str(number))
        for info in shown:
            table.add_row(*self.cells(info, wide), key=str(info.path))
        if select is not None:
            rows = {info.path: row for row, info in enumerate(shown)}
            row = max(0, rows[select] if select in rows else self.row_instead(select, row_before))
            table.move_cursor(row=row)
            self._scroll(row - lines_above)
            self.call_after_refresh(self._scroll, row - lines_above)  # as far as the new rows allow
        self.set_class(self._loaded and not shown, "-empty")
        if not shown:
            self.query_one("#nothing", Static).update(Content.from_markup(self.EMPTY if self._loaded else ""))
        elif self.app.focused is None:
            table.focus()
        self._show_selected()

    def _scroll(self, line: int) -> None:
        """Scrolls the table to that line, or to one from which the selected row is visible."""
        table = self.query_one(Table)
        table.scroll_to(y=line, animate=False, force=True, immediate=True)
        table.move_cursor(row=table.cursor_row)

    @property
    def selected(self) -> Row | None:
        """The row under the cursor; the table's messages about it may arrive after a quick key."""
        return self._shown[self.query_one(Table).cursor_row] if self._shown else None

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        self._show_selected()
        self.refresh_bindings()

    def _show_selected(self) -> None:
        info = self.selected
        line, problem = ("", False) if info is None else self.describe(info)
        self.update_text("#selected", Content(text.printable_lines(line)))
        self.query_one("#selected").set_class(problem, "-problem")
        self._look_soon()

    @property
    def preview_is_ready(self) -> bool:
        """Whether the preview, where there is one, shows the selected row."""
        return not self.has_preview or self._seen == (self.selected, self.query_one(Preview).pixels)

    def _look_soon(self) -> None:
        """Has the preview show the selected row, if the cursor rests there."""
        preview = self.query_one(Preview)
        wanted = (self.selected, preview.pixels)
        if self.has_preview and wanted != self._sought:
            self._sought = wanted
            self.run_newest(partial(self._look, preview, *wanted), "preview")

    async def _look(self, preview: Preview, info: Row | None, pixels: tuple[int, int]) -> None:
        await asyncio.sleep(REST_SECONDS)
        try:
            sight = Sight(Content("")) if info is None else await asyncio.to_thread(self.look_at, info, pixels)
        except (MarioTuiError, OSError) as error:
            sight = Sight(Content.styled(printable(str(error)), "$error"))
        if self.is_attached and self._sought == (info, pixels):
            preview.show(sight)
            self.call_after_refresh(self._laid_out, self._sought)  # the facts may leave another place for the picture

    def _laid_out(self, seen: object) -> None:
        self._seen = seen

    def do(self, work: Callable[[], object], done: str = "") -> None:
        """Does something with files in a thread, and reads the list again."""

        async def in_thread() -> None:
            try:
                await asyncio.to_thread(work)
            except (MarioTuiError, OSError) as error:
                self.notify(str(error), severity="error", markup=False)
            else:
                if done:
                    self.notify(done, markup=False)
            self.app.files_version += 1
            self.refresh_list()

        self.run_worker(in_thread(), group="files")

    def take_back(self, trashed: Path, path: Path) -> None:
        """Moves what was deleted back to where it was; in a thread."""
        raise NotImplementedError

    def action_take_back(self) -> None:
        """What was deleted last on this screen, then what was before."""
        if not self._deleted:
            self.notify(f"nothing was deleted here since the app began; older things are in {self.TRASH}")
            return
        trashed, path, name = last = self._deleted[-1]

        def back() -> None:
            self.take_back(trashed, path)
            self._deleted.remove(last)

        self.do(back, f"taken back: {name}")

    def ask_to_trash(self, what: str, name: str, path: Path, trash: Callable[[Path], Path]) -> None:
        """Asks whether something should be deleted, and deletes it."""

        def move() -> None:
            self._deleted.append((trash(path), path, name))

        self.app.push_screen(
            ConfirmScreen(
                f"Delete {what}?",
                f"{name} moves to {self.TRASH}; u takes it back.",
                yes="move to trash",
                no="keep",
                key="d",
            ),
            lambda yes: self.do(move, f"moved to {self.TRASH}: {name}; u takes it back") if yes else None,
        )

    def colour(self, name: str, otherwise: str) -> str:
        """A colour of the theme."""
        return self.app.theme_variables.get(name, otherwise)
