"""Runs the app as a process: what must be in place before it, and what is said on the terminal after it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from mario_tui import paths
from mario_tui.errors import InputError
from mario_tui.printable import as_argument, printable
from mario_tui.store import lookup
from mario_tui.system import crash, guard
from mario_tui.system.processes import start_resource_tracker
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.graphics import ask_terminal, should_ask
from mario_tui.tui.services import Services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mario_tui.play.stage_players import StagePlayer
    from mario_tui.training.attached_session import AttachedSession
    from mario_tui.tui.services import Watched

SWITCH_INTERVAL_SECONDS = 0.0005
"""How often Python changes threads: a key is answered at once beside a busy trainer, and no frame of a game is late."""


def run_app(
    *,
    watch: Watched | None = None,
    stage: str | None = None,
    play: str | None = None,
    game: Sequence[StagePlayer] = (),
    stop: bool = False,
    attach: AttachedSession | None = None,
    services: Services | None = None,
) -> int:
    """Runs the app in this terminal until it is left; returns the exit code."""
    start_resource_tracker()
    choice = (services or Services()).preferences().graphics
    app = MarioTuiApp(
        services,
        watch=watch,
        stage=stage,
        play=play,
        game=game,
        stop=stop,
        attach=attach,
        handle_signals=True,
        abilities=ask_terminal() if should_ask(choice, os.environ) else None,
    )
    with guard.guarded(full_screen="TEXTUAL_DRIVER" not in os.environ):
        switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        try:
            app.run()
        finally:
            sys.setswitchinterval(switch_interval)
            session = app.session
            if session is not None and session.is_attached:
                session.detach()
            elif (
                session is not None and session.alive and not app.leaving.abandoned
            ):  # an error, or a browser that has gone
                session.stop()
                session.join()
    code = app.return_code or 0
    with contextlib.suppress(OSError, InputError):  # a terminal, or a folder of runs, that is gone
        _say_goodbye(app)
    if app.leaving.abandoned:
        os._exit(code)
    if app.failure is not None:
        raise app.failure
    return code


def _say_goodbye(app: MarioTuiApp) -> None:
    """Says what became of the training, and of the app where it failed: lines on the terminal as it was before."""
    session = app.session
    run = None if session is None else paths.checkpoints_dir() / session.snapshot.run
    if app.failure is not None:
        log = crash.write_log(run, app.failure)
        print("mario-tui: the app failed" + (f"; the log is {crash.shown(log)}" if log else ""), file=sys.stderr)
    if session is not None and session.is_attached:
        if session.snapshot.status not in ("finished", "failed"):
            print(f"the training goes on: mario-tui attach {as_argument(session.snapshot.run)}")
        return
    if session is not None and run is not None:
        snapshot = session.snapshot
        if snapshot.status == "failed":
            name = f" {printable(snapshot.run)}" if snapshot.run else ""
            print(f"mario-tui: the training{name} failed: {printable(snapshot.problem)}", file=sys.stderr)
        elif app.leaving.abandoned and session.alive:
            print(
                f"mario-tui: left at step {snapshot.step:,} of {printable(snapshot.run)} without saving",
                file=sys.stderr,
            )
        steps = lookup.step_folders(run)
        if steps:
            print(crash.go_on(steps[-1]))
    sys.stdout.flush()
