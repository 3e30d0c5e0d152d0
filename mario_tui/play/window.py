"""The game in a window of the desktop, drawn by a process of its own (window_process.py).

Pyglet draws from a process's main thread only, and a graphics driver or a lost display can end the process: the program
never waits for it, and does not end with it. Frames go down a pipe, the newest first: one that comes while another is
on its way replaces it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO

import numpy as np

from mario_tui.errors import MarioTuiError
from mario_tui.printable import printable
from mario_tui.system import installation
from mario_tui.system.processes import start_module

IN_THE_TERMINAL = "watch in the terminal instead"

HEADER = struct.Struct("<cHH")
"""What goes down the pipe: a letter, two numbers, and then as many bytes as they say."""
FRAME = b"F"
"""Height and width of the RGB bytes that follow."""
TITLE = b"T"
"""0 and the length of the UTF-8 text that follows."""


class WindowError(MarioTuiError):
    """No window can be opened here."""


def display_problem() -> str | None:
    """One line that says why no window can be opened here, or None if nothing is known to prevent it."""
    if importlib.util.find_spec("pyglet") is None:
        return f"no window can be opened: pyglet is not installed; {installation.repair()}, or {IN_THE_TERMINAL}"
    if not sys.platform.startswith("linux"):
        return None
    display = os.environ.get("DISPLAY", "")
    if not display:
        return f"no window can be opened: there is no display (DISPLAY is not set); {IN_THE_TERMINAL}"
    number = display.removeprefix("unix").partition(".")[0]
    if number.startswith(":") and not _listens(f"/tmp/.X11-unix/X{number[1:]}"):
        return f"no window can be opened: no display answers at DISPLAY={display}; {IN_THE_TERMINAL}"
    return None


def _listens(path: str) -> bool:
    for address in (path, f"\0{path}"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(address)
            return True
    return False


class GameWindow:
    """A window that shows frames. No method waits for the window, except `wait_until_open` and (briefly) `close`.

    Args:
        title: of the window.
        scale: of the first frame; later the window can be resized, and the picture takes the largest whole number.
        on_key: called in a thread with the name of a key (`left`, `space`, `x`, `plus`, ...) and whether it was pressed
            or released; when the window loses the focus, with "" and False: all keys are released. Escape closes the
            window and is not reported.
    """

    def __init__(self, title: str, scale: int = 2, on_key: Callable[[str, bool], None] | None = None) -> None:
        self._on_key = on_key
        self._scale = scale
        self._process: subprocess.Popen[bytes] | None = None
        self._news = threading.Condition()
        self._title: str | None = title
        self._frame: np.ndarray | None = None
        self._open = threading.Event()
        self._ended = threading.Event()
        self._problem = ""

    def open(self) -> None:
        """Starts the window's process and returns. Raises WindowError if no window can be opened."""
        if self._process is not None:
            raise WindowError("the window was opened before: make a new one")
        if problem := display_problem():
            raise WindowError(problem)
        try:
            self._process = start_module(
                "mario_tui.play.window_process",
                str(self._scale),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl+C in the terminal is for us alone
            )
        except OSError as error:
            raise WindowError(f"no window can be opened: its process did not start ({error.strerror})") from error
        for name, work in (("window-frames", self._send), ("window-events", self._receive)):
            threading.Thread(target=work, args=(self._process,), name=name, daemon=True).start()

    def wait_until_open(self, timeout_seconds: float = 10.0) -> bool:
        """Waits until the window is on the display; False if it failed to, or did not in this time."""
        return self._open.wait(timeout_seconds) and not self.closed

    @property
    def closed(self) -> bool:
        """Whether the window was opened, or failed to open, and is gone, for whatever reason."""
        return self._ended.is_set()

    @property
    def problem(self) -> str:
        """Once it is closed: one line that says why, if neither the user nor `close` closed it; else ""."""
        return self._problem

    def show(self, frame: np.ndarray) -> None:
        """Shows a frame, (height, width, 3) uint8 RGB, soon. It is not copied: it must not change afterwards."""
        with self._news:
            self._frame = frame
            self._news.notify()

    def set_title(self, title: str) -> None:
        with self._news:
            self._title = title
            self._news.notify()

    def close(self) -> None:
        """Closes the window and ends its process; may be called again."""
        process = self._process
        self._end("")
        if process is None:
            return
        try:
            process.wait(1.0)  # it ends with the pipe
        except subprocess.TimeoutExpired:  # it hangs in the graphics driver, or was stopped
            process.kill()
            process.wait()

    def _end(self, problem: str) -> None:
        with self._news:
            if not self._ended.is_set():
                self._problem = problem
            self._ended.set()
            self._open.set()  # ends the wait for it
            self._news.notify_all()

    def _send(self, process: subprocess.Popen[bytes]) -> None:
        """In a thread: writes the newest title and frame, as fast as the window takes them."""
        assert process.stdin is not None
        with process.stdin as pipe, contextlib.suppress(OSError):
            while True:
                with self._news:
                    self._news.wait_for(
                        lambda: self._title is not None or self._frame is not None or self._ended.is_set()
                    )
                    if self._ended.is_set():
                        return
                    title, self._title = self._title, None
                    frame, self._frame = self._frame, None
                if title is not None:
                    text = printable(title).encode()[:1000]
                    _write(pipe, HEADER.pack(TITLE, 0, len(text)) + text)
                if frame is not None:
                    height, width = frame.shape[:2]
                    _write(pipe, HEADER.pack(FRAME, height, width))
                    _write(pipe, np.ascontiguousarray(frame).data.cast("B"))

    def _receive(self, process: subprocess.Popen[bytes]) -> None:
        """In a thread: takes what the window's process says, until it ends."""
        assert process.stdout is not None
        reason = f"the window ended unexpectedly; {IN_THE_TERMINAL}"
        with process.stdout as pipe:
            for line in iter(pipe.readline, b""):
                event = json.loads(line)
                if event["event"] == "open":
                    self._open.set()
                elif event["event"] == "closed":
                    reason = event["problem"]
                elif event["event"] == "key" and self._on_key is not None:
                    self._on_key(event["name"], event["pressed"])
        self._end(reason)
        process.wait()


def _write(pipe: IO[bytes], data: bytes | memoryview) -> None:
    """Writes all of it: an unbuffered pipe may take a part."""
    view = memoryview(data)
    while view:
        view = view[pipe.write(view) :]
