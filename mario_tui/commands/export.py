"""`export`: a checkpoint's greedy network as a run of a few MB."""

from __future__ import annotations

import argparse
import json

from mario_tui import paths
from mario_tui.errors import InputError
from mario_tui.printable import printable
from mario_tui.store import named


def export(arguments: argparse.Namespace) -> int:
    path = named.find_checkpoint(arguments.checkpoint)
    if not path.is_dir():
        raise InputError(f"{path} is no checkpoint folder: only one of those can be exported")
    paths.check_run_name(arguments.name)
    from mario_tui.training.export import export_policy

    folder = export_policy(path, arguments.name, half=arguments.half)
    print(json.dumps({"checkpoint": str(folder)}) if arguments.json else f"Wrote {printable(folder)}")
    return 0
