"""What a command shows while a video is written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mario_tui.game.replaying import ReplayResult
from mario_tui.system import output, signals

if TYPE_CHECKING:
    from rich.console import Console

    from mario_tui.video.record import Progress, Recording


@contextmanager
def recording_progress(quiet: bool) -> Iterator[Progress | None]:
    """While a video is written: a bar on stderr if that is a terminal, nothing if `quiet`."""
    if quiet or not output.is_live(sys.stderr):
        yield None
        return
    from rich.console import Console

    with frames_bar(Console(stderr=True)) as show:
        yield show


@contextmanager
def frames_bar(console: Console) -> Iterator[Progress]:
    """A bar where the number of frames is known; otherwise the frames so far."""
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn("line"),  # plain characters, which every terminal has
        BarColumn(bar_width=30),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with signals.cursor_shown_when_stopped(console.file), Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, figures="starting")

        def show(frames: int, total: int | None) -> None:
            of = "" if total is None else f" of {total:,}"
            bar.update(
                task, completed=frames, total=total, figures=f"{frames:,}{of} frames, {frames / 60:.0f} s of play"
            )

        yield show


def outcome_of(played: Recording | ReplayResult) -> str:
    return "cleared the stage" if played.cleared else f"got to x {played.max_x}"
