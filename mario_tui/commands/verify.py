"""`verify`: whether a checkpoint is whole."""

from __future__ import annotations

import argparse
import sys

from mario_tui.errors import CheckpointError
from mario_tui.printable import printable
from mario_tui.store import checkpoint, named


def verify(arguments: argparse.Namespace) -> int:
    path = named.find_checkpoint(arguments.path)
    try:
        if path.is_file():
            from mario_tui.agent.policy import load_policy

            load_policy(path)
        else:
            checkpoint.verify(path)
    except CheckpointError as error:
        print(f"mario-tui: {error}", file=sys.stderr)
        return 1
    print(f"{printable(path)} is whole")
    return 0
