"""The ways out of the app: keys, Ctrl+C and signals. A training that runs is stopped and saved first."""

from __future__ import annotations

import asyncio
import contextvars
import signal
from typing import TYPE_CHECKING, Any

from mario_tui.system import signals
from mario_tui.tui.screens.dialogs import ConfirmScreen, LeavingScreen
from mario_tui.tui.terminal import TerminalDriver, let_go_if_gone

if TYPE_CHECKING:
    from collections.abc import Callable

    from mario_tui.tui.app import MarioTuiApp
    from mario_tui.tui.services import Session

INTERRUPTED = 128 + signal.SIGINT
HUNG_UP = 128 + getattr(signal, "SIGHUP", 1)

TWICE_SECONDS = 3.0
"""Ctrl+C leaves when it is pressed twice within this time."""


class Leaving:
    """Stops what runs, waits for it, and ends the app with an exit code."""

    def __init__(self, app: MarioTuiApp) -> None:
        self._app = app
        self._notice: LeavingScreen | None = None
        self._interrupted_at: float | None = None
        self._signals: set[int] = set()
        """The exit codes of the signals that arrived."""
        self.abandoned = False
        """Whether the app ended before its training did, because it was asked twice."""

    @property
    def begun(self) -> bool:
        return self._notice is not None

    def handle_signals(self) -> None:
        """From now on SIGTERM, SIGHUP and SIGINT stop, save and end the app; a warning saves what is trained."""
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()  # it has Textual's current app, which a signal's handler has not

        def call_soon(call: Callable[..., object], *arguments: Any) -> None:
            if not loop.is_closed():  # after the app, what it was told has been done
                loop.call_soon_threadsafe(call, *arguments, context=context)

        signals.take_from_loop(loop, signals.ENDINGS, lambda number, _: call_soon(self.on_signal, 128 + number))
        signals.take(signals.WARNINGS, lambda *_: call_soon(self._app.save_training))
        if isinstance(self._app._driver, TerminalDriver):
            signals.take(signals.STOP, lambda *_: call_soon(self._app.suspend_program))

    def on_signal(self, code: int) -> None:
        """Leaves with this exit code.

        When a terminal closes or a machine stops, several different signals arrive: they count as one. The same
        signal a second time comes from a user who does not want to wait.
        """
        let_go_if_gone()
        again = code in self._signals and code != HUNG_UP
        self._signals.add(code)
        if not self.begun or again:
            self.leave(code)

    def quit(self) -> None:
        """Leaves; asks first while there is work in the background, which is not saved. A second time it leaves."""
        if self._app.jobs.running and not self.begun and not isinstance(self._app.screen, ConfirmScreen):
            self.ask()
        else:
            self.leave(0)

    def ask(self) -> None:
        """Leaves; asks first while there is work that leaving would stop."""
        app = self._app
        if not (app.owns_training or app.jobs.running):
            self.leave(0)
            return
        ended = "The training stops and is saved first." if app.owns_training else ""
        running = ", ".join(f"{job.title} ({job.target})" for job in app.jobs.running)
        given_up = f"Given up: {running}." if running else ""
        app.push_screen(
            ConfirmScreen("Leave?", " ".join(filter(None, (ended, given_up))), yes="leave", no="stay", key="q"),
            lambda yes: self.leave(0) if yes else None,
        )

    def on_ctrl_c(self) -> None:
        """Leaves when it is pressed twice, as users of other programs expect; says so the first time."""
        app = self._app
        now = app.services.now().timestamp()
        if self._interrupted_at is not None and now - self._interrupted_at < TWICE_SECONDS:
            self.leave(INTERRUPTED)
            return
        self._interrupted_at = now
        app.notify("Press ctrl+c again, or ctrl+q, to quit" + (" (saves first)" if app.owns_training else ""))

    def leave(self, code: int) -> None:
        """Stops the training, which saves, and ends the app; asked a second time, it does not wait any longer."""
        app = self._app
        if self.begun:
            self.abandoned = True
            app.exit(code, return_code=code)
            return
        self._notice = LeavingScreen("Stopping and saving the training ..." if app.owns_training else "Finishing ...")
        if app.owns_training or app.jobs.running:
            app.push_screen(self._notice)
        app.run_worker(self._stop_everything(code), group="leave")

    async def _stop_everything(self, code: int) -> None:
        app = self._app
        app.jobs.cancel_all()
        while app.session_is_loading:
            await asyncio.sleep(0.02)
        session = app.session
        if session is not None and session.is_attached:
            await asyncio.to_thread(session.detach)
        elif session is not None and session.alive:
            session.stop(in_a_hurry=code != 0)  # the sender of a signal does not wait long
            while not await asyncio.to_thread(session.join, 0.25):
                if session.awaiting_user:
                    self._ask_to_leave_unsaved(session)
                    return
                if session.recordings_left and self._notice is not None:
                    self._notice.say("The training is saved. Finishing its recordings; ctrl+q leaves without ...")
        while app.jobs.running:
            await asyncio.sleep(0.02)
        app.training_window.close()
        app.exit(code, return_code=code)

    def _ask_to_leave_unsaved(self, session: Session) -> None:
        """Stays: the training cannot be saved, which the user may be able to mend."""
        if self._notice is not None and self._notice.is_attached:
            self._notice.dismiss()
        self._notice = None

        def answer(leave: bool | None) -> None:
            if leave:
                session.stop(in_a_hurry=True)
                self.leave(0)

        reason = session.snapshot.pause_reason or "it cannot be saved"
        self._app.push_screen(ConfirmScreen("Leave without saving?", reason, yes="leave", no="stay", key="q"), answer)
