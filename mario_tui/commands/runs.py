"""`runs`: what the Checkpoints screen does with runs and their checkpoints: rename, delete, note, compare."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario_tui import paths
from mario_tui.errors import CheckpointError, InputError
from mario_tui.printable import printable
from mario_tui.store import lookup, named
from mario_tui.system import output
from mario_tui.tui import text
from mario_tui.tui.services import Services

if TYPE_CHECKING:
    from mario_tui.store.comparison import Compared

Curve = Sequence[tuple[float, float]]

SPARKS = 24
"""Characters of a curve in the table of `compare`."""


def rename(arguments: argparse.Namespace) -> int:
    run = _run(arguments.run_name)
    renamed = Services().rename_run(run, arguments.new_name)
    print(printable(f"{run.name} is now {renamed.name}"))
    return 0


def delete(arguments: argparse.Namespace) -> int:
    """Moves a run or a checkpoint to the trash folder, without asking: it can be moved back."""
    path = _find_run(arguments.path)
    if path is None:
        path = _checkpoint(arguments.path)
        if path != named.find_path(arguments.path):
            raise InputError(
                f"{arguments.path!r} is neither a run nor a checkpoint: 'mario-tui checkpoints' lists those"
            )
    moved = Services().trash(path)
    print(printable(f"Moved {path} to {moved}"))
    return 0


def note(arguments: argparse.Namespace) -> int:
    path = _checkpoint(arguments.checkpoint)
    line = os.fsencode(arguments.text).decode(errors="replace")  # as it was typed, whatever the locale says
    Services().annotate(path, line)
    done = "Wrote" if line.strip() else "Removed"
    print(printable(f"{done} the note of {path.parent.name}/{path.name}"))
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Means over 100 training episodes, by step; in the table those of the last 100.

    Runs that differ by their seed alone are also shown as one, by their mean and from the lowest to the highest.
    """
    from mario_tui.store.history import WINDOW

    if not 2 <= arguments.points <= 100_000:
        raise InputError(f"--points {arguments.points} cannot be used: it should be 2 to 100,000")
    runs = [_run(name) for name in arguments.runs]
    if len(set(runs)) < 2:
        raise InputError("name two different runs or more: 'mario-tui checkpoints' lists them")
    services = Services()
    runs = list(dict.fromkeys(runs))
    groups = [group for group in services.seed_groups(runs) if len(group) > 1]
    if arguments.json and not arguments.seeds:
        groups = []
    compared = services.compare([*((run,) for run in runs), *groups], arguments.points, WINDOW)
    if arguments.json:
        print(json.dumps([_as_json(one) for one in compared]))
    else:
        _print_table(compared)
    return 0


def _as_json(compared: Compared) -> dict[str, Any]:
    """One run: under each curve's name its points as [step, mean over 100 episodes].

    Several as one: as [step, mean, lowest, highest].
    """
    keys = {name: name.lower().replace(" ", "_") for name in compared.curves}
    if len(compared.runs) == 1:
        return {
            "run": compared.runs[0].name,
            "curves": {keys[name]: list(curve) for name, curve in compared.curves.items()},
        }
    curves = {
        keys[name]: [
            [step, mean, low, high]
            for (step, mean), (_, low), (_, high) in zip(
                curve, compared.low.get(name, ()), compared.high.get(name, ()), strict=True
            )
        ]
        for name, curve in compared.curves.items()
    }
    return {"seeds_of": [run.name for run in compared.runs], "curves": curves}


def _print_table(compared: Sequence[Compared]) -> None:
    from rich.markup import escape
    from rich.table import Table

    names = list(compared[0].curves)
    caption = "means of each run's last 100 episodes"
    if any(len(one.runs) > 1 for one in compared):
        caption += "; of seeds their mean, lowest to highest, at the last step that all have reached"
    table = Table(box=None, header_style="bold", caption=caption, caption_justify="left")
    table.add_column("Run", no_wrap=True)
    for heading in ("Steps", *(name.capitalize() for name in names)):
        table.add_column(heading, justify="right", no_wrap=True)
    if drawn := output.shows_all_text(sys.stdout):
        table.add_column(f"{names[0].capitalize()} over its steps", no_wrap=True)
    for one in compared:
        first = one.curves[names[0]]
        steps = text.count(first[-1][0]) if first else one.missing[names[0]]
        shape = [text.sparkline([value for _, value in _thinned(first)])] if drawn else []
        several = len(one.runs) > 1
        title = f"{one.runs[0].name}, {len(one.runs)} seeds" if several else one.runs[0].name
        cells = [_last(name, one.curves[name]) for name in names]
        table.add_row(escape(printable(title)), steps, *cells, *shape)
        if several and any(one.low.values()):
            ranges = [_range(name, one.low.get(name, ()), one.high.get(name, ())) for name in names]
            table.add_row("  lowest to highest", "", *ranges)
    output.print_table(table)


def _range(name: str, low: Curve, high: Curve) -> str:
    return f"{_last(name, low)} to {_last(name, high)}" if low else "-"


def _last(name: str, curve: Curve) -> str:
    if not curve:
        return "-"
    return text.percent(curve[-1][1]) if name == "clear rate" else text.decimal(curve[-1][1])


def _thinned(curve: Curve) -> Curve:
    from mario_tui.store.catalog import evenly_spaced

    return evenly_spaced(curve, SPARKS)


def _find_run(name: str) -> Path | None:
    """The run that a user means by its name or the path of its folder; None if it is no run's."""
    runs = lookup.all_runs()
    by_name = next((run for run in runs if run.name == name.rstrip("/")), None)
    if by_name is not None:
        return by_name
    try:
        path = named.find_path(name)
    except CheckpointError:
        return None
    return next((run for run in runs if run.resolve() == path), None)


def _run(name: str) -> Path:
    run = _find_run(name)
    if run is None:
        raise InputError(f"there is no run {name!r} in {paths.checkpoints_dir()}: 'mario-tui checkpoints' lists them")
    return run


def _checkpoint(name: str) -> Path:
    """The checkpoint folder that a user means, in a run of the folder of runs; of a run its newest."""
    path = named.find_checkpoint(name)
    if not path.is_dir():
        raise InputError(f"{path} is a file of the tutorial: name a checkpoint of a run")
    if path.parent not in [run.resolve() for run in lookup.all_runs()]:
        raise InputError(f"{path} belongs to no run in {paths.checkpoints_dir()}: 'mario-tui checkpoints' lists those")
    return path
