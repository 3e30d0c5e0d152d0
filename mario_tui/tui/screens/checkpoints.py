"""Checkpoints: every saved agent, and what can be done with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.binding import Binding
from textual.widgets import DataTable

from mario_tui.errors import MarioTuiError
from mario_tui.tui import text
from mario_tui.tui.screens.dialogs import ConfirmScreen
from mario_tui.tui.screens.list import ListScreen, shortened

if TYPE_CHECKING:
    from mario_tui.checkpoint import CheckpointInfo


class CheckpointsScreen(ListScreen["CheckpointInfo"]):
    """A table of all checkpoints, the best of each stage first."""

    HEADING = "Checkpoints"
    COLUMNS = (
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
    NUMERIC = ("step", "robust", "size", "age")
    EMPTY = (
        "[b $secondary]No checkpoint yet.[/]\n\nPress [b $secondary]t[/] to train an agent: "
        "a checkpoint is saved\nwhen it stops, at intervals, and whenever you press [b]s[/b]."
    )
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

    def read(self) -> Sequence[CheckpointInfo]:
        return self.mario.services.list_checkpoints()

    def cells(self, info: CheckpointInfo, wide: int) -> Sequence[Text]:
        good, bad = self.colour("success", "green"), self.colour("error", "red")
        gold, dim = self.colour("secondary", "yellow"), "dim"
        run = shortened(info.run, wide)
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

    def describe(self, info: CheckpointInfo) -> tuple[str, bool]:
        if info.whole:
            return f"{info.path}  ·  g records a GIF", False
        return f"{info.problem}. It cannot be used; d moves it to the trash.", True

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
        self.mario.files_version += 1
        self.refresh_list()
