"""`attach`: the Train screen on a training that another process does."""

from __future__ import annotations

import argparse

from mario_tui.commands.checkpoint_argument import run_of
from mario_tui.system import output


def attach(arguments: argparse.Namespace) -> int:
    run = run_of(arguments.of_run)
    output.check_full_screen("attach shows a training in a terminal: use 'mario-tui train --json' for its figures")
    from mario_tui.training.attached_session import AttachedSession
    from mario_tui.tui.run import run_app

    return run_app(attach=AttachedSession(run))
