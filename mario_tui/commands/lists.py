"""`checkpoints` and `recordings`: what there is, as tables or JSON."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import unicodedata
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from mario_tui import paths
from mario_tui.errors import InputError
from mario_tui.printable import printable
from mario_tui.store import catalog, checkpoint
from mario_tui.store.intervals import rate_in_percent
from mario_tui.system import output, signals, times


def checkpoints(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    waiting = Console(stderr=True).status("Reading the checkpoints ...", spinner="line")
    with signals.cursor_shown_when_stopped(sys.stderr), waiting if output.is_live(sys.stderr) else nullcontext():
        for info in catalog.scan().checkpoints:
            checkpoint.is_whole(info.path)  # which the list remembers
    infos = catalog.scan().checkpoints
    if arguments.json:
        print(json.dumps([info.as_json() for info in infos], indent=1))
        return 0
    if not infos:
        where = printable(paths.checkpoints_dir())
        print(f"No checkpoints in {where} yet: 'mario-tui train' makes some, or t in the app.")
        return 0
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for heading in ("", "Stage", "Checkpoint", "Greedy", "Robust", "Reward", "Size", "Saved"):
        table.add_column(heading, no_wrap=True)
    for info in infos:
        greedy = "" if info.greedy_clear is None else "clears" if info.greedy_clear else "no"
        table.add_row(
            "best" if info.best else "",
            info.stage,
            escape(printable(f"{info.run}/{info.path.name}"))
            + ("" if info.whole else " [red]damaged[/]")
            + (" [dim]shipped[/]" if info.shipped else ""),
            greedy,
            "" if info.robust_clear_rate is None else rate_in_percent(info.robust_clear_rate, info.robust_episodes),
            "" if info.mean_reward is None else f"{info.mean_reward:,.0f}",
            f"{info.size_bytes / 1e6:.1f} MB",
            times.local(info.created),
        )
    output.print_table(table)
    for info in infos:
        if not info.whole:
            print(printable(f"{info.problem}; {info.advice}".removesuffix("; ")))
    return 0


def recordings(arguments: argparse.Namespace) -> int:
    from mario_tui.video import library

    infos = library.list_recordings()
    if arguments.delete is not None:
        found = _meant(Path(arguments.delete), [info.path for info in infos])
        if found is None:
            raise InputError(f"there is no recording {arguments.delete!r}: 'mario-tui recordings' lists them")
        moved = library.trash(found)
        if arguments.json:
            print(json.dumps({"path": str(found), "moved_to": str(moved)}))
        else:
            print(printable(f"Moved {found} to {moved}"))
        return 0
    if arguments.json:
        print(json.dumps([info.as_json() for info in infos]))
    elif not infos:
        where = printable(paths.recordings_dir())
        print(f"No recordings in {where} yet: 'mario-tui record' makes one, or r in the app.")
    else:
        from rich.cells import cell_len

        names = [printable(info.path.name) for info in infos]
        width = max(58, *map(cell_len, names)) + 2
        print(f"{'recording':<{width}}{'stage':<6}{'length':>8}  outcome")
        for info, name in zip(infos, names, strict=True):
            shown = name + " " * (width - cell_len(name))
            length = "-" if info.seconds is None else f"{info.seconds:.1f} s"
            outcome = "clears" if info.cleared else "-" if info.max_x is None else f"x {info.max_x:,}"
            print(f"{shown}{info.stage:<6}{length:>8}  {outcome}")
    return 0


def _meant(path: Path, recordings: Sequence[Path]) -> Path | None:
    """The recording that a user means by its name alone, or by a path to it; None if it is none of these.

    Some file systems keep a name with accents in another form than it was typed in.
    """

    def means(recording: Path) -> bool:
        with contextlib.suppress(InputError, OSError, RuntimeError, ValueError):  # a name that no file can have
            return path == Path(path.name) or paths.expand(path).resolve().parent == recording.resolve().parent
        return False

    for form in (str, partial(unicodedata.normalize, "NFC")):
        for recording in recordings:
            if form(recording.name) == form(path.name) and means(recording):
                return recording
    return None
