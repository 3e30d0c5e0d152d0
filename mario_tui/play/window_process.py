"""The process that draws the window: frames come in on stdin, events go out on stdout as JSON, one a line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

from mario_tui.play.window import HEADER, IN_THE_TERMINAL, TITLE


def main() -> None:
    """What the process runs."""
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a graphics library may print

    def send(event: str, **more: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # the other side is gone: the inbox ends as well
            events.write(json.dumps({"event": event, **more}) + "\n")

    inbox = _Inbox(sys.stdin.buffer)
    try:
        problem = _draw_frames(inbox, int(sys.argv[1]), send)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if type(error).__name__ == "NoSuchDisplayException":  # pyglet does not say which
            reason = f"no display answers at DISPLAY={os.environ.get('DISPLAY')}"
        problem = f"the window failed: {reason[:200]}; {IN_THE_TERMINAL}"
    with contextlib.suppress(OSError):
        send("closed", problem=problem)
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
        while header := self._pipe.read(HEADER.size):
            kind, height, width = HEADER.unpack(header)
            if kind == TITLE:
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

_LETTERS_BY_PLACE = {
    first + place: letter
    for first, row in ((24, "qwertyuiop"), (38, "asdfghjkl"), (52, "zxcvbnm"))
    for place, letter in enumerate(row)
}
"""X11's number of a key -> its letter on an American keyboard, for layouts without Latin letters."""


def _draw_frames(inbox: _Inbox, scale: int, send: Callable[..., None]) -> str:
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
    send("open")

    def key_name(symbol: int) -> str:
        number = symbol >> 32  # of a key that pyglet has no name for, as those of a Russian keyboard
        if number and sys.platform.startswith("linux"):
            return _LETTERS_BY_PLACE.get(number, "")
        name = pyglet.window.key.symbol_string(symbol).lower().lstrip("_")
        return _KEY_NAMES.get(name, name)

    @window.event
    def on_key_press(symbol: int, modifiers: int) -> bool | None:
        if symbol == pyglet.window.key.ESCAPE:
            return None  # closes the window
        send("key", name=key_name(symbol), pressed=True)
        return True

    @window.event
    def on_key_release(symbol: int, modifiers: int) -> None:
        send("key", name=key_name(symbol), pressed=False)

    @window.event
    def on_deactivate() -> None:
        send("key", name="", pressed=False)

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


if __name__ == "__main__":
    main()
