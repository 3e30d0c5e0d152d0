"""The app in a pseudo-terminal, as benchmarks and tests drive it."""

import contextlib
import os
import pty
import re
import select
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from types import TracebackType
from typing import Any

import pyte


def patched(patch: str) -> tuple[str, ...]:
    """A command that is `mario-tui`, after this piece of Python was run, e.g. to have something fail."""
    program = "import sys; sys.path[:] = {path!r}\n{patch}\nfrom mario_tui.cli import program; sys.exit(program())"
    return sys.executable, "-c", program.format(path=sys.path, patch=patch)


KEPT_BYTES = 16 << 20  # of what the app wrote


class Terminal:
    """The app in a pseudo-terminal, and the screen that a person would see.

    Args:
        arguments: of `mario-tui`, or of `command` if one is given.
        start: starts the process, as subprocess.Popen does.

    Attributes:
        written: what it wrote, of long sessions the end.
    """

    def __init__(
        self,
        arguments: list[str],
        home: str | Path,
        *,
        width: int = 120,
        height: int = 40,
        command: Sequence[str] = (sys.executable, "-m", "mario_tui"),
        start: Callable[..., Any] = subprocess.Popen,
    ) -> None:
        self.written = bytearray()
        self.master, slave = pty.openpty()
        ioctl(self.master, TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        # Of another terminal; and where tests run unattended, what runs in here is still watched by somebody.
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "CI")}
        self.process = start(
            [*command, *arguments],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", "MARIO_TUI_HOME": str(home)},
        )  # fmt: skip
        os.close(slave)
        self.screen = pyte.Screen(width, height)
        self.stream = pyte.ByteStream(self.screen)
        self._skipped = False

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def drain(self) -> None:
        """Reads until the app has ended; it would wait for ever for a terminal that nobody reads."""
        with contextlib.suppress(OSError):
            while self._read():
                pass
        self.process.wait()

    def _read(self) -> bytes:
        data = os.read(self.master, 1 << 16)
        self.written += data
        if len(self.written) > 2 * KEPT_BYTES:
            del self.written[:-KEPT_BYTES]
        return data

    def wait_for_bytes(self, expected: bytes, seconds: float = 30.0) -> float:
        """Reads, without emulating the screen, until these bytes were written; returns the time when they came."""
        deadline = time.perf_counter() + seconds
        seen = b""
        while time.perf_counter() < deadline:
            if select.select([self.master], [], [], 0.5)[0]:
                seen = seen[-len(expected) :] + self._read()
                if expected in seen:
                    return time.perf_counter()
        raise AssertionError(f"{expected!r} was not written")

    def skip(self, seconds: float) -> bytes:
        """Reads what is written in this time, without showing it; it may end in the middle of a sequence."""
        self._skipped = True
        deadline = time.perf_counter() + seconds
        parts = []
        while (left := deadline - time.perf_counter()) > 0:
            if select.select([self.master], [], [], left)[0]:
                parts.append(self._read())
        return b"".join(parts)

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def wait(self, condition: Callable[[str], object], seconds: float = 60.0) -> float:
        """Reads until the screen meets the condition; returns the time when the bytes that did it came."""
        deadline = time.perf_counter() + seconds
        while True:
            if select.select([self.master], [], [], 0.5)[0]:
                data = self._read()
                arrived = time.perf_counter()
                if self._skipped:
                    self.stream, self._skipped = pyte.ByteStream(self.screen), False
                    data = data[max(data.find(b"\x1b"), 0) :]
                # Screen emulation knows neither kitty keys nor synchronised output; both are of no matter here.
                self.stream.feed(re.sub(rb"\x1b\[[<>=?][0-9;]*[a-z$]+", b"", data))
                if condition(self.text()):
                    return arrived
            elif condition(self.text()):
                return time.perf_counter()
            if time.perf_counter() > deadline:
                raise AssertionError(f"the screen did not change as expected:\n{self.text()}")

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
