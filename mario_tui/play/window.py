"""The game in a window of the desktop, drawn by a process of its own.

Pyglet draws from a process's main thread only, and a graphics driver or a lost display can end the process: here
nobody waits for it, and nobody ends with it. Frames go down a pipe, the newest first: one that comes while another is
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
from typing import IO, Any

import numpy as np

from mario_tui.errors import MarioTuiError

IN_THE_TERMINAL = "watch in the terminal instead"

# What goes down the pipe: a letter, two numbers, and then as many bytes as they say.
_HEADER = struct.Struct("<cHH")
_FRAME = b"F"  # height and width of the RGB bytes that follow
_TITLE = b"T"  # 0 and the length of the UTF-8 text that follows

# -I keeps the current folder off the import path; the path of this process replaces it.
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from mario_tui.play import window; window.main()"


class WindowError(MarioTuiError):
    """No window can be opened here."""


def display_problem() -> str | None:
    """One line that says why no window can be opened here, or None where nothing speaks against it."""
    if importlib.util.find_spec("pyglet") is None:
        return f"no window can be opened: pyglet is not installed; run 'make setup' again, or {IN_THE_TERMINAL}"
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
            or let go; when the window loses the focus, with "" and False: nothing is held any more. Escape closes the
            window and is not told.
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
        """Starts the window's process and returns. Raises WindowError where there can be no window."""
        if self._process is not None:
            raise WindowError("the window was opened before: make a new one")
        if problem := display_problem():
            raise WindowError(problem)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, json.dumps([str(entry) for entry in sys.path]), str(self._scale)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
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
        """Whether the window was open, or tried to be, and is no more, for whatever reason."""
        return self._ended.is_set()

    @property
    def problem(self) -> str:
        """Once it is closed: one line that says why, where neither the user nor `close` closed it; else ""."""
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
        process.terminate()
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:  # it hangs in the graphics driver, or was stopped
            process.kill()
            process.wait()

    def _end(self, problem: str) -> None:
        with self._news:
            if not self._ended.is_set():
                self._problem = problem
            self._ended.set()
            self._open.set()  # nobody waits any longer
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
                    text = title.encode()[:1000]
                    _write(pipe, _HEADER.pack(_TITLE, 0, len(text)) + text)
                if frame is not None:
                    height, width = frame.shape[:2]
                    _write(pipe, _HEADER.pack(_FRAME, height, width))
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


# --- the window's own process ---------------------------------------------------------------------------------


def main() -> None:
    """The process that draws: frames come in on stdin, events go out on stdout as JSON, one a line."""
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a graphics library may print

    def tell(event: str, **more: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # the other side is gone: the inbox ends as well
            events.write(json.dumps({"event": event, **more}) + "\n")

    inbox = _Inbox(sys.stdin.buffer)
    try:
        problem = _draw_frames(inbox, int(sys.argv[2]), tell)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if type(error).__name__ == "NoSuchDisplayException":  # pyglet does not say which
            reason = f"no display answers at DISPLAY={os.environ.get('DISPLAY')}"
        problem = f"the window failed: {reason[:200]}; {IN_THE_TERMINAL}"
    with contextlib.suppress(OSError):
        tell("closed", problem=problem)
    # Not sys.exit: the reading thread may be inside stdin, which the interpreter's shutdown would wait for.
    os._exit(0)


class _Inbox:
    """What came down the pipe last, read by a thread; `ended` once the other side is gone."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self.title: str | None = None
        self.frame: tuple[int, int, bytes] | None = None
        self.ended = False
        self.news = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while header := self._pipe.read(_HEADER.size):
            kind, height, width = _HEADER.unpack(header)
            if kind == _TITLE:
                self.title = self._pipe.read(width).decode(errors="replace")
            else:
                pixels = self._pipe.read(height * width * 3)
                if len(pixels) < height * width * 3:
                    break
                self.frame = height, width, pixels
            self.news.set()
        self.ended = True
        self.news.set()


_LOOK_SECONDS = 0.004
"""How often the window looks for keys while no frame comes: a key should not wait for the next frame."""

# Those that pyglet names otherwise than terminals do.
_KEY_NAMES = {"equal": "plus", "num_add": "plus", "num_subtract": "minus", "period": "full_stop", "return": "enter"}


def _draw_frames(inbox: _Inbox, scale: int, tell: Callable[..., None]) -> str:
    """Shows what comes in until the window or the inbox is closed; returns why, if the user should read it."""
    import pyglet
    from pyglet import gl

    pyglet.options["audio"] = ("silent",)
    pyglet.options["shadow_window"] = False
    window = pyglet.window.Window(256 * scale, 240 * scale, caption="", resizable=True, vsync=False)
    if sys.platform.startswith("linux"):
        from pyglet.libs.x11 import xlib

        # Another X client may destroy the window without asking, of which pyglet takes no notice.
        window._event_handlers[xlib.DestroyNotify] = lambda event: window.dispatch_event("on_close")
    texture = None
    shape = (240, 256)
    must_draw = True
    tell("open")

    def key_name(symbol: int) -> str:
        name = pyglet.window.key.symbol_string(symbol).lower().lstrip("_")
        return _KEY_NAMES.get(name, name)

    @window.event
    def on_key_press(symbol: int, modifiers: int) -> bool | None:
        if symbol == pyglet.window.key.ESCAPE:
            return None  # closes the window
        tell("key", name=key_name(symbol), pressed=True)
        return True

    @window.event
    def on_key_release(symbol: int, modifiers: int) -> None:
        tell("key", name=key_name(symbol), pressed=False)

    @window.event
    def on_deactivate() -> None:
        tell("key", name="", pressed=False)

    @window.event
    def on_expose() -> None:
        nonlocal must_draw
        must_draw = True

    @window.event
    def on_resize(width: int, height: int) -> None:
        nonlocal must_draw
        must_draw = True

    while not inbox.ended:
        window.dispatch_events()
        if window.has_exit:
            return ""
        title, inbox.title = inbox.title, None
        if title is not None:
            window.set_caption(title)
        frame, inbox.frame = inbox.frame, None
        if frame is not None:
            height, width, pixels = frame
            if (height, width) != shape:
                shape = height, width
                window.set_size(width * scale, height * scale)
            image = pyglet.image.ImageData(width, height, "RGB", pixels, pitch=-3 * width)
            if texture is None or (texture.height, texture.width) != shape:
                texture = image.get_texture()
            else:
                texture.blit_into(image, 0, 0, 0)
            must_draw = True
        if must_draw:
            must_draw = False
            window.switch_to()
            window.clear()
            if texture is not None:
                _blit(gl, texture, window.width, window.height)
            window.flip()
        inbox.news.wait(_LOOK_SECONDS)
        inbox.news.clear()
    return ""


def _blit(gl: Any, texture: Any, width: int, height: int) -> None:
    """The picture in the middle, every pixel a square of a whole number of pixels, or smaller if it does not fit."""
    fit = min(width / texture.width, height / texture.height)
    factor = int(fit) if fit >= 1 else fit
    shown_width, shown_height = int(texture.width * factor), int(texture.height * factor)
    gl.glBindTexture(texture.target, texture.id)
    gl.glTexParameteri(texture.target, gl.GL_TEXTURE_MAG_FILTER, gl.GL_NEAREST)
    texture.blit((width - shown_width) // 2, (height - shown_height) // 2, 0, shown_width, shown_height)
