"""The emulator window, as a key of a screen opens and closes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from mario_tui.errors import MarioTuiError

if TYPE_CHECKING:
    from mario_tui.play.window_mirror import WindowMirror
    from mario_tui.tui.app import MarioTuiApp


class WindowSwitch:
    """One window, open or not; opening and closing it never block the app."""

    def __init__(self, app: MarioTuiApp) -> None:
        self._app = app
        self._mirror: WindowMirror | None = None
        self._opens = False
        self._closed = False

    def toggle(self, open_window: Callable[[], WindowMirror]) -> None:
        """Closes the window, or opens one; `open_window` runs in a thread and may raise MarioTuiError."""
        if self._mirror is not None:
            self._close_mirror()
        elif not self._opens:
            self._opens = True
            self._app.run_worker(self._open(open_window), group="window")

    async def _open(self, open_window: Callable[[], WindowMirror]) -> None:
        try:
            mirror = await asyncio.to_thread(open_window)
        except MarioTuiError as error:
            self._app.notify(str(error), severity="warning", timeout=10, markup=False)
            return
        finally:
            self._opens = False
        self._mirror = mirror
        if self._closed:
            self._close_mirror()

    def report_closed(self) -> None:
        """Notifies the user why the window closed, unless it was closed here; called again and again."""
        mirror = self._mirror
        if mirror is not None and mirror.closed:
            self._mirror = None
            if mirror.problem:
                self._app.notify(mirror.problem, severity="warning", timeout=10, markup=False)

    def close(self) -> None:
        """Closes the window for good, also one that is only being opened."""
        self._closed = True
        self._close_mirror()

    def _close_mirror(self) -> None:
        mirror, self._mirror = self._mirror, None
        if mirror is not None:
            asyncio.get_running_loop().run_in_executor(None, mirror.close)
