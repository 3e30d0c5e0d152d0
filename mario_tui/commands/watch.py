"""`watch`: a checkpoint's play in the terminal or in a window."""

from __future__ import annotations

import argparse
import sys

from mario_tui.commands.checkpoint_argument import checkpoint_of
from mario_tui.errors import InputError


def watch(arguments: argparse.Namespace) -> int:
    path = checkpoint_of(arguments)
    if arguments.window:
        from mario_tui.play.window_mirror import watch_in_window

        last = watch_in_window(path, stage=arguments.stage)
        if last is not None and last.end is not None:
            print(f"The episode ended by {last.end.value} at x {last.max_x}, reward {last.total_reward:.0f}.")
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("watching needs a terminal: use 'mario-tui record' to write a video instead")
    from mario_tui.tui.run import run_app

    return run_app(watch=path, stage=arguments.stage)
