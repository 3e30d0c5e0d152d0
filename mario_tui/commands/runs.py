"""`runs`: what the Checkpoints screen does with runs and their checkpoints: rename, delete, note, compare."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mario_tui import paths
from mario_tui.errors import CheckpointError, InputError
from mario_tui.printable import printable
from mario_tui.store import lookup, named
from mario_tui.system import output
from mario_tui.tui import text
from mario_tui.tui.services import Services

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
    """Means over 100 training episodes, by step; in the table those of the last 100."""
    from mario_tui.store.history import COMPARED

    if not 2 <= arguments.points <= 100_000:
        raise InputError(f"--points {arguments.points} cannot be used: it should be 2 to 100,000")
    runs = [_run(name) for name in arguments.runs]
    if len(set(runs)) < 2:
        raise InputError("name two different runs or more: 'mario-tui checkpoints' lists them")
    services = Services()
    curves: dict[str, dict[str, Curve]] = {
        run.name: {name: services.run_curve(run, name, arguments.points) for name in COMPARED} for run in runs
    }
    if arguments.json:
        print(json.dumps([_as_json(run, of_run) for run, of_run in curves.items()]))
    else:
        _print_table(curves)
    return 0


def _as_json(run: str, curves: dict[str, Curve]) -> dict[str, Any]:
    """One run: under each curve's name its points as [step, mean over 100 episodes]."""
    return {"run": run, "curves": {name.lower().replace(" ", "_"): list(curve) for name, curve in curves.items()}}


def _print_table(curves: dict[str, dict[str, Curve]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    names = list(next(iter(curves.values())))
    table = Table(
        box=None, header_style="bold", caption="means of each run's last 100 episodes", caption_justify="left"
    )
    table.add_column("Run", no_wrap=True)
    for heading in ("Steps", *(name.capitalize() for name in names)):
        table.add_column(heading, justify="right", no_wrap=True)
    if drawn := output.shows_all_text(sys.stdout):
        table.add_column(f"{names[0].capitalize()} over its steps", no_wrap=True)
    for run, of_run in curves.items():
        first = of_run[names[0]]
        cells = [_last(name, of_run[name]) for name in names]
        steps = text.count(first[-1][0]) if first else "no episodes"
        shape = [text.sparkline([value for _, value in _thinned(first)])] if drawn else []
        table.add_row(escape(printable(run)), steps, *cells, *shape)
    output.print_table(table)


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
