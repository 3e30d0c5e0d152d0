"""`verify`: whether a checkpoint is whole."""

from __future__ import annotations

import argparse
import sys

from mario_tui.errors import CheckpointError
from mario_tui.printable import printable
from mario_tui.store import checkpoint, named, rescue


def verify(arguments: argparse.Namespace) -> int:
    path = named.find_path(arguments.path)
    try:
        path = named.find_checkpoint(path)
        if path.is_file():
            from mario_tui.agent.tutorial_checkpoint import read_tutorial_checkpoint

            found = read_tutorial_checkpoint(path)
            for note in (found.no_epsilon, found.ignored and f"not read: {found.ignored}"):
                if note:
                    print(printable(f"{path.name}: {note}"), file=sys.stderr)
        else:
            with rescue.advising(path):
                checkpoint.verify(path)
    except CheckpointError as error:
        print(f"mario-tui: {error}", file=sys.stderr)
        return 1
    print(f"{printable(path)} is whole")
    return 0
