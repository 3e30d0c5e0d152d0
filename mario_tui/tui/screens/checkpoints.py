"""Checkpoints: every saved agent, and what can be done with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Static

from mario_tui.errors import MarioTuiError
from mario_tui.tui import text
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.screens.dialogs import ConfirmScreen

if TYPE_CHECKING:
    from mario_tui.checkpoint import CheckpointInfo

_COLUMNS = (
    ("", 1),
    ("run", 24),
    ("stage", 5),
    ("step", 10),
    ("greedy", 6),
    ("robust", 6),
    ("size", 7),
    ("age", 6),
    ("", 7),
)
"""Heading and width of the columns; the run gets what is left of the screen."""

_RUN_COLUMN = 1
_NUMERIC = ("step", "robust", "size", "age")


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


def shortened(name: str, width: int) -> str:
    """A name with its middle left out where it is too long: runs are told apart by their ends."""
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}…{name[len(name) - tail :]}"


class CheckpointsScreen(MarioScreen):
    """A table of all checkpoints, the best of each stage first."""

    CSS_PATH = "checkpoints.tcss"
    HEADING = "Checkpoints"
    ABOUT = (
        "Every saved agent. 'greedy' says whether it clears the stage when it always takes the action with the "
        "highest Q value; 'robust' is its clear rate over ten episodes with sticky buttons and random starts; "
        "e measures both. The star marks the best of each run."
    )
    BINDINGS = [
        Binding("enter", "watch", "Watch", key_display="enter", tooltip="Watch this agent play in the terminal"),
        Binding("r", "record('.mp4')", "Record", tooltip="Record its greedy episode as MP4, in the background"),
        Binding("g", "record('.gif')", "GIF", show=False, tooltip="Record its greedy episode as GIF"),
        Binding("e", "evaluate", "Evaluate", tooltip="Measure its clear rate: one greedy episode, ten robust ones"),
        Binding("c", "continue", "Continue", tooltip="Go on training from this checkpoint"),
        Binding("d", "trash", "Delete", tooltip="Move this checkpoint to the trash folder (asks first)"),
        Binding("escape,q", "app.go('home')", "Back", show=False, tooltip="Back to Home"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._infos: tuple[CheckpointInfo, ...] = ()
        self._loaded = False
        self._version = -1

    def compose_body(self) -> ComposeResult:
        yield Static("", id="nothing")
        yield Table(id="table", cursor_type="row", cell_padding=1)
        with Vertical(id="details"):
            yield Static("", id="selected", markup=False)
            yield Static("", id="jobs", markup=False)

    def on_mount(self) -> None:
        super().on_mount()
        self._fill()
        self.every(0.25, self.refresh_list)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._version = -1
        self.refresh_list()

    def on_resize(self) -> None:
        self._fill()

    # looking

    def refresh_list(self) -> None:
        """Shows the work in the background, and reads the list again where it may have changed."""
        app = self.mario
        jobs = Content("\n".join(f"{job.line} ({job.target})" for job in app.jobs))
        widget = self.query_one("#jobs", Static)
        if widget.content != jobs:
            widget.update(jobs)
            self.set_class(bool(app.jobs), "-busy")
        if self._version != app.checkpoints_version:
            self._version = app.checkpoints_version
            self.run_worker(self._load(), group="list", exclusive=True)

    async def _load(self) -> None:
        try:
            self._infos = tuple(await asyncio.to_thread(self.mario.services.list_checkpoints))
        except (MarioTuiError, OSError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._loaded = True
        self._fill()
        self.refresh_bindings()

    def _fill(self) -> None:
        """Makes the table anew; the selected row stays selected."""
        table = self.query_one(Table)
        selected = self.selected
        run_width = max(12, self.app.size.width - sum(width + 2 for _, width in _COLUMNS) + _COLUMNS[1][1] - 1)
        table.clear(columns=True)
        for number, (heading, width) in enumerate(_COLUMNS):
            label = Text(heading, justify="right" if heading in _NUMERIC else "left")
            table.add_column(label, width=run_width if number == _RUN_COLUMN else width, key=str(number))
        for info in self._infos:
            table.add_row(*self._cells(info, run_width), key=str(info.path))
        if selected is not None:
            paths = [info.path for info in self._infos]
            row = paths.index(selected.path) if selected.path in paths else min(self._row, len(paths) - 1)
            table.move_cursor(row=max(0, row))
        self.set_class(self._loaded and not self._infos, "-empty")
        if not self._loaded:
            self.query_one("#nothing", Static).update("")
        elif not self._infos:
            self.query_one("#nothing", Static).update(
                Content.from_markup(
                    "[b $secondary]No checkpoint yet.[/]\n\nPress [b $secondary]t[/] to train an agent: "
                    "a checkpoint is saved\nwhen it stops, at intervals, and whenever you press [b]s[/b]."
                )
            )
        else:
            table.focus()
        self._show_selected()

    def _cells(self, info: CheckpointInfo, run_width: int) -> Sequence[Text]:
        colours = self.app.theme_variables
        good, bad = colours.get("success", "green"), colours.get("error", "red")
        gold, dim = colours.get("secondary", "yellow"), "dim"
        run = shortened(info.run, run_width)
        greedy = {True: Text("clears", good), False: Text("no", ""), None: Text("-", dim)}[info.greedy_clear]
        robust = Text(text.percent(info.robust_clear_rate), good if info.robust_clear_rate else dim, justify="right")
        return (
            Text("★" if info.best else " ", gold),
            Text(run, "bold" if info.whole else dim),
            Text(info.stage),
            Text(text.count(info.step), justify="right"),
            greedy,
            robust,
            Text(text.size(info.size_bytes), dim, justify="right"),
            Text(text.age(info.created, self.mario.services.now()), dim, justify="right"),
            Text("whole", dim) if info.whole else Text("damaged", bad),
        )

    _row = 0

    @property
    def selected(self) -> CheckpointInfo | None:
        """The checkpoint under the cursor."""
        return self._infos[self._row] if 0 <= self._row < len(self._infos) else None

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        self._row = event.cursor_row
        self._show_selected()
        self.refresh_bindings()

    def _show_selected(self) -> None:
        info = self.selected
        if info is None:
            line = ""
        elif info.whole:
            line = f"{info.path}  ·  g records a GIF"
        else:
            line = f"{info.problem}. It cannot be used; d moves it to the trash."
        self.query_one("#selected", Static).update(Content(line))
        self.query_one("#selected").set_class(info is not None and not info.whole, "-problem")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("watch", "record", "evaluate", "continue"):
            return self.selected is not None and self.selected.whole
        if action == "trash":
            return self.selected is not None
        return True

    # asking

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        if self.check_action("watch", ()):
            self.action_watch()

    def action_watch(self) -> None:
        if self.selected is not None:
            self.mario.watch_agent(self.selected.path)

    def action_record(self, suffix: str) -> None:
        if self.selected is not None:
            self.mario.record(self.selected.path, suffix)
            self.refresh_list()

    def action_evaluate(self) -> None:
        if self.selected is not None:
            self.mario.evaluate(self.selected.path)
            self.refresh_list()

    def action_continue(self) -> None:
        if self.selected is not None:
            self.mario.continue_training(self.selected.path)

    def action_trash(self) -> None:
        info = self.selected
        if info is None:
            return
        self.app.push_screen(
            ConfirmScreen(
                "Delete checkpoint?",
                f"{info.run}, step {text.count(info.step)} moves to checkpoints/.trash, where it can be taken back.",
                yes="move to trash",
                no="keep",
                key="d",
            ),
            lambda yes: self._trash(info) if yes else None,
        )

    def _trash(self, info: CheckpointInfo) -> None:
        self.run_worker(self._move_to_trash(info), group="trash")

    async def _move_to_trash(self, info: CheckpointInfo) -> None:
        try:
            await asyncio.to_thread(self.mario.services.trash, info.path)
        except (MarioTuiError, OSError) as error:
            self.notify(str(error), severity="error", markup=False)
        self.mario.checkpoints_version += 1
        self.refresh_list()
