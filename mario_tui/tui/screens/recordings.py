"""Recordings: every video, and what can be done with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual.binding import Binding
from textual.content import Content
from textual.widgets import DataTable

from mario_tui.printable import printable
from mario_tui.tui import text
from mario_tui.tui.screens.list import ListScreen
from mario_tui.tui.widgets.preview import Sight

if TYPE_CHECKING:
    from mario_tui.video.library import RecordingInfo


WIDE = 90
"""From this width of the list on all columns are shown beside a preview."""


def outcome_of(info: RecordingInfo) -> str:
    """How far the episode of a recording came, in a word."""
    if info.cleared:
        return "clears"
    return "-" if info.max_x is None else f"x {text.count(info.max_x)}"


class RecordingsScreen(ListScreen["RecordingInfo"]):
    """A table of all recordings, the newest first."""

    HEADING = "Recordings"
    ABOUT = (
        "Every video in the recordings folder. Beside each lies its action log, from which the play can be shown again "
        "in the terminal, exactly, and made into a video of another kind. Deleted ones move to recordings/.trash."
    )
    COLUMNS = (("", 4), ("recording", 30), ("stage", 5), ("length", 7), ("outcome", 9), ("size", 7), ("age", 6))
    BESIDE = (("", 4), ("recording", 30), ("stage", 5), ("length", 7), ("outcome", 9), ("age", 6))
    """Beside a preview, where the list is narrow: it has the size."""
    NUMERIC = ("length", "size", "age")
    TRASH = "recordings/.trash"
    EMPTY = (
        "[b $secondary]No recording yet.[/]\n\nWatch an agent ([b $secondary]c[/], then enter) and press "
        "[b $secondary]r[/] to record from there,\nor press [b $secondary]r[/] on a checkpoint for its whole episode."
    )
    BINDINGS = [
        Binding(
            "enter", "play", "Play", id="recordings.play", key_display="enter", tooltip="Play it again in this terminal"
        ),
        Binding(
            "g",
            "convert('.gif', 2)",
            "GIF",
            id="recordings.gif",
            tooltip="Make a GIF of the same play, in the background",
        ),
        Binding(
            "m",
            "convert('.mp4', 2)",
            "MP4",
            id="recordings.mp4",
            tooltip="Make an MP4 of the same play, in the background",
        ),
        Binding(
            "l",
            "convert('.mp4', 4)",
            "Large",
            id="recordings.large",
            show=False,
            tooltip="Make an MP4 of twice the size (1024x960)",
        ),
        Binding(
            "o",
            "open_folder",
            "Folder",
            id="recordings.folder",
            tooltip="Open the folder in the desktop's file manager",
        ),
        Binding(
            "d",
            "trash",
            "Delete",
            id="recordings.delete",
            tooltip="Move it and its action log to the trash folder (asks first)",
        ),
        Binding(
            "u",
            "take_back",
            "Take back",
            id="recordings.take-back",
            show=False,
            tooltip="Take back from the trash folder what was deleted last",
        ),
        Binding("escape,q", "app.go('home')", "Back", id="recordings.back", show=False, tooltip="Back to Home"),
    ]

    def read(self) -> Sequence[RecordingInfo]:
        return self.app.services.list_recordings()

    def columns(self) -> Sequence[tuple[str, int]]:
        return self.BESIDE if self.has_preview and self.list_width < WIDE else self.COLUMNS

    def cells(self, info: RecordingInfo, wide: int) -> Sequence[Text]:
        dim = "dim"
        first, *more = info.stage.split(",")
        outcome = outcome_of(info)
        style = self.colour("success", "green") if info.cleared else "" if info.max_x else dim
        made = {
            "": Text(info.path.suffix[1:].upper(), dim),
            "recording": Text(text.shortened(info.path.stem, wide), "bold"),
            "stage": Text(f"{first}+{len(more)}" if more else first, "" if info.log else dim),
            "length": Text("-" if info.seconds is None else text.seconds(info.seconds), justify="right"),
            "outcome": Text(outcome, style),
            "size": Text(text.size(info.size_bytes), dim, justify="right"),
            "age": Text(text.age(info.created, self.app.services.now()), dim, justify="right"),
        }
        return [made[heading] for heading, _ in self.columns()]

    def look_at(self, info: RecordingInfo, pixels: tuple[int, int]) -> Sight:
        length = "of unknown length" if info.seconds is None else text.seconds(info.seconds)
        how = {True: "clears the stage", False: "ends before the flag", None: "outcome not known"}[info.cleared]
        far = "" if info.max_x is None else f", farthest x {text.count(info.max_x)}"
        begins = f", begins {text.seconds(info.first_frame / 60)} into the play" if info.first_frame else ""
        lines = [
            Content(printable(f"stage {info.stage.replace(',', ', ')}  {how}{far}")),
            Content(f"{length}{begins}, {text.size(info.size_bytes)}"),
        ]
        return Sight(Content("\n").join(lines), self.app.services.still(info.path))

    def describe(self, info: RecordingInfo) -> tuple[str, bool]:
        if info.log is None:
            return f"{printable(info.path)}: {info.problem}, so it can be shown by a video player only", True
        stages = f"  ·  {info.stage.replace(',', ', ')}" if "," in info.stage else ""
        return f"{printable(info.path)}{stages}  ·  l makes a large MP4", False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("play", "convert"):
            info = self.selected
            is_there = action == "convert" and info is not None and parameters == (info.path.suffix, 2)
            return info is not None and info.log is not None and not is_there
        if action == "trash":
            return self.selected is not None
        return True

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        if self.check_action("play", ()):
            self.action_play()

    def action_play(self) -> None:
        if self.selected is not None and self.selected.log is not None:
            self.app.watch_agent(self.selected.log)

    def action_convert(self, suffix: str, scale: int) -> None:
        if self.selected is not None:
            self.app.jobs.convert(self.selected, suffix, scale)
            self.refresh_list()

    def action_open_folder(self) -> None:
        folder = self.app.services.recordings_dir()
        opener = {"darwin": "open", "win32": "explorer"}.get(sys.platform, "xdg-open")
        try:
            if opener == "xdg-open" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
                raise OSError("no desktop")
            subprocess.Popen(
                [opener, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self.notify(f"no file manager can be opened here; the recordings are in {printable(folder)}", markup=False)

    def action_trash(self) -> None:
        info = self.selected
        if info is not None:
            self.ask_to_trash("recording", printable(info.path.name), info.path, self.app.services.trash_recording)

    def take_back(self, trashed: Path, path: Path) -> None:
        self.app.services.take_back_recording(trashed, path)
