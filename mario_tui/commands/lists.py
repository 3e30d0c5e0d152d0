"""`checkpoints` and `recordings`: what there is, as tables or JSON."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext
from pathlib import Path

from mario_tui import paths
from mario_tui.errors import InputError
from mario_tui.store import catalog, checkpoint
from mario_tui.system import output


def checkpoints(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    waiting = Console(stderr=True).status("Reading the checkpoints ...", spinner="line")
    with waiting if output.is_live(sys.stderr) else nullcontext():
        for info in catalog.scan().checkpoints:
            checkpoint.is_whole(info.path)  # which the list remembers
    infos = catalog.scan().checkpoints
    if arguments.json:
        print(json.dumps([info.as_json() for info in infos], indent=1))
        return 0
    if not infos:
        print(f"No checkpoints in {paths.checkpoints_dir()} yet: 'mario-tui train' makes some, or t in the app.")
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
            escape(f"{info.run}/{info.path.name}") + ("" if info.whole else " [red]damaged[/]"),
            greedy,
            "" if info.robust_clear_rate is None else f"{info.robust_clear_rate:.0%}",
            "" if info.mean_reward is None else f"{info.mean_reward:,.0f}",
            f"{info.size_bytes / 1e6:.1f} MB",
            info.created.replace("T", " ")[:16],
        )
    output.print_table(table)
    return 0


def recordings(arguments: argparse.Namespace) -> int:
    from mario_tui.video import library

    infos = library.list_recordings()
    if arguments.delete is not None:
        path = Path(arguments.delete)
        found = next((info.path for info in infos if path.name == info.path.name and _means(path, info.path)), None)
        if found is None:
            raise InputError(f"there is no recording {arguments.delete!r}: 'mario-tui recordings' lists them")
        moved = library.trash(found)
        if arguments.json:
            print(json.dumps({"path": str(found), "moved_to": str(moved)}))
        else:
            print(f"Moved {found} to {moved}")
        return 0
    if arguments.json:
        print(json.dumps([info.as_json() for info in infos]))
    elif not infos:
        print(f"No recordings in {paths.recordings_dir()} yet: 'mario-tui record' makes one, or r in the app.")
    else:
        print(f"{'recording':<60}{'stage':<6}{'length':>8}  outcome")
        for info in infos:
            length = "-" if info.seconds is None else f"{info.seconds:.1f} s"
            outcome = "clears" if info.cleared else "-" if info.max_x is None else f"x {info.max_x}"
            print(f"{info.path.name:<60}{info.stage:<6}{length:>8}  {outcome}")
    return 0


def _means(path: Path, recording: Path) -> bool:
    """Whether a user who wrote `path` means this recording: its name alone, or a path to it."""
    try:
        return path == Path(path.name) or path.expanduser().resolve() == recording.resolve()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have
        return False
