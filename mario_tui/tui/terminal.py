"""The terminal under the app, and what happens when it goes away while training runs.

A terminal that was closed sends SIGHUP, and writing to it fails. Textual's writing thread would end there, and the app
would wait for it for ever with the training not saved; so what cannot be written any more is dropped.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import struct
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Mapping
from fcntl import ioctl
from typing import Any, TextIO, cast

from textual import constants
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from mario_tui.system import signals
from mario_tui.tui.graphics import Abilities, Graphics, Kind
from mario_tui.tui.iterm_graphics import ItermGraphics
from mario_tui.tui.keyboard import ASK_FOR_PLACES, ASK_FOR_RELEASES, NO_MORE_RELEASES, KeyParser
from mario_tui.tui.kitty_graphics import KittyGraphics
from mario_tui.tui.sixel_graphics import SixelGraphics


class _Droppable:
    """A text file whose writing fails once and is then given up in silence."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._gone = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: str) -> int:
        if not self._gone:
            try:
                return self._file.write(text)
            except OSError:
                self._gone = True
        return len(text)

    def flush(self) -> None:
        if not self._gone:
            try:
                self._file.flush()
            except OSError:
                self._gone = True


class TerminalDriver(LinuxDriver):
    """Textual's driver, for a terminal that may disappear; it can show pictures where the terminal can."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        with signals.restored(signals.STOP):  # Textual's own handler would stop it where nobody could continue it
            super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._file = cast(Any, _Droppable(cast(TextIO, self._file)))
        self._is_started = False
        self._reports_releases = False

    _graphics: Graphics | None = None
    _told_cell: tuple[int, int] | None = None

    def start_application_mode(self) -> None:
        with signals.restored(signals.BACKGROUND):
            super().start_application_mode()
        if not constants.DISABLE_KITTY_KEY:
            self.write(ASK_FOR_PLACES)
            self.flush()
        self._is_started = True
        if self._reports_releases:
            self.report_releases(True)

    def stop_application_mode(self) -> None:
        if self._graphics is not None:
            self._graphics.remove_all()
        self._is_started = False
        super().stop_application_mode()

    def use_graphics(self, kind: Kind, abilities: Abilities) -> Graphics | None:
        """What shows pictures in this way from now on; None for characters."""
        self._told_cell = abilities.cell_pixels
        if kind == "kitty":
            self._graphics = KittyGraphics(self)
        elif kind == "iterm":
            self._graphics = ItermGraphics(self)
        elif kind == "sixel":
            self._graphics = SixelGraphics(self, abilities.registers)
        else:
            self._graphics = None
        return self._graphics

    def announce(self, text: str, *, on_desktop: bool) -> None:
        """Rings the terminal's bell, or has it show a notification of the desktop; `text` is printable."""
        self.write(notification(text, os.environ) if on_desktop else "\x07")
        self.flush()

    @property
    def is_busy(self) -> bool:
        """Whether output waits to be written, or none can be written now."""
        writer = self._writer_thread
        return not self._is_started or writer is None or not writer._queue.empty()

    @property
    def cell_pixels(self) -> tuple[float, float] | None:
        """Width and height of a character cell; None where the terminal does not tell its size in pixels."""
        try:
            rows, columns, width, height = struct.unpack("4H", ioctl(self.fileno, termios.TIOCGWINSZ, bytes(8)))
        except OSError:
            return self._told_cell
        return (width / columns, height / rows) if rows and columns and width and height else self._told_cell

    @property
    def can_suspend(self) -> bool:
        """Whether Ctrl+Z stops this program: not where SIGTSTP was ignored at its start."""
        return not set(signals.STOP) <= signals.ignored()

    def suspend(self, *, job: bool = False) -> bool:
        """Gives the terminal back, stops this program or with `job` all of its group, and takes it again after `fg`.

        False where it was not stopped, as nobody could have continued it.
        """
        self.suspend_application_mode()
        is_stopped = was_stopped = signals.stop(job=job)
        while is_stopped and self._is_in_background:  # `bg`: nothing of it can be shown there
            is_stopped = signals.stop(job=True)
        self.resume_application_mode()
        return was_stopped

    @property
    def _is_in_background(self) -> bool:
        """Whether another job has the terminal; False also if it is gone."""
        try:
            return os.tcgetpgrp(self.fileno) != os.getpgrp()
        except OSError:
            return False

    def _sigcont_application(self, *_: Any) -> None:
        """A hang-up is followed by SIGCONT, which the driver would take for the end of a suspension."""

    def report_releases(self, on: bool) -> None:
        """Asks the terminal to report key releases, or to stop that; one that can answers (see `keyboard`)."""
        self._reports_releases = on
        self.write(ASK_FOR_RELEASES if on else NO_MORE_RELEASES)
        self.flush()

    def run_input_thread(self) -> None:
        """Textual's, with a parser of ours."""
        parser = KeyParser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        # not the default: macOS's kqueue does not watch every terminal
        with contextlib.suppress(OSError), selectors.SelectSelector() as selector:
            # an error: no keys come from a terminal that is gone; SIGHUP says what to do
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(0.1):
                    data = os.read(self.fileno, 4096)
                    if not data:
                        time.sleep(0.1)  # input has ended: there is always nothing to read
                    if text := decode(data):  # an empty one would be the end for the parser
                        for message in parser.feed(text):
                            self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)


def notification(text: str, environment: Mapping[str, str]) -> str:
    """The escape sequence for a notification: foot and the terminals of VTE have rxvt's, others iTerm2's."""
    text = text.replace(";", ",")
    if environment.get("VTE_VERSION") or environment.get("TERM", "").startswith(("foot", "rxvt")):
        sequence = f"\x1b]777;notify;mario-tui;{text}\x1b\\"
    else:
        sequence = f"\x1b]9;mario-tui: {text}\x1b\\"
    # tmux passes on what is wrapped so, with its escapes doubled
    return f"\x1bPtmux;{sequence.replace(chr(27), 2 * chr(27))}\x1b\\" if environment.get("TMUX") else sequence


def let_go_if_gone() -> None:
    """Puts files that always work in the place of a terminal that is gone."""
    try:
        termios.tcgetattr(0)
    except (termios.error, OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        silent, _never_written = os.pipe()  # reading a dead terminal would return at once, again and again
        os.set_blocking(silent, False)  # a thread that was just told of input may be about to read
        os.dup2(silent, 0)
        for descriptor in (1, 2):
            os.dup2(nowhere, descriptor)
