"""The checkpoint that a command is given."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from mario_tui.errors import CheckpointError
from mario_tui.game.stages import check_stage
from mario_tui.printable import printable
from mario_tui.store import named
from mario_tui.store.manifest import read_manifest
from mario_tui.training.resume import emulator_note


def checkpoint_of(arguments: argparse.Namespace) -> Path:
    """The checkpoint named, with the arguments checked before anything slow is imported.

    Prints a note if the checkpoint was made with another generation of the emulator.
    """
    if arguments.stage is not None:
        check_stage(arguments.stage)
    path = named.find_checkpoint(arguments.checkpoint)
    with contextlib.suppress(CheckpointError):  # which is said when it is loaded
        if path.is_dir() and (note := emulator_note(read_manifest(path))):
            print(f"{printable(path.name)} was {note}", file=sys.stderr)
    return path
