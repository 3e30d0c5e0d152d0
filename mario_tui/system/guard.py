"""A process beside the program that survives when it is killed, or crashes in a C library.

It waits at a pipe. If the pipe ends without a goodbye, it makes the terminal usable again, writes what is known of the
crash to a file, and prints a line about it. It starts quickly, since it imports almost nothing before that.
"""

from __future__ import annotations

import ast
import contextlib
import os
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mario_tui.system import output

RESTORE = b"".join(
    (
        b"\x18\x1b\\",  # gives up a sequence that is half written
        b"\x1b[?2026l",  # output is shown at once
        b"\x1b[<u",  # keys as ever, not by the kitty protocol
        b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l",  # no mouse
        b"\x1b[?1004l\x1b[?2004l\x1b[?2048l",  # no reports of focus, pasting and size
        b"\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[0m",  # lines wrap, the normal screen, the cursor, plain text
    )
)
SHOW_CURSOR = b"\x1b[?25h\x1b[0m"

RUN, CHECKPOINT, GOODBYE = "run ", "checkpoint ", "goodbye"
"""The lines that come through the pipe: the run's folder and its last checkpoint, each as a Python string in ASCII, and
that the program ends normally."""


def restore(descriptor: int, attributes: list[Any]) -> None:
    """Leaves the app's screen and modes, and gives a terminal these attributes; does nothing if it is gone."""
    with contextlib.suppress(OSError, termios.error):
        os.write(descriptor, RESTORE)
    with contextlib.suppress(OSError, termios.error):
        termios.tcflush(descriptor, termios.TCIFLUSH)  # e.g. reports of the mouse
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def watch(log: int, attributes: list[Any] | None, full_screen: bool) -> None:
    """Waits for the end of the program: of the pipe at standard input. Standard output is the terminal.

    Args:
        log: a descriptor of the file that the program's faulthandler writes to.
        attributes: of the terminal, as they were before the program; None without a terminal.
        full_screen: whether the program takes the whole screen and its modes, and not only hides the cursor.
    """
    program = os.getppid()
    run = checkpoint = ""
    for line in map(os.fsdecode, sys.stdin.buffer):
        if line.startswith(RUN):
            run, checkpoint = ast.literal_eval(line.removeprefix(RUN)), ""
        elif line.startswith(CHECKPOINT):
            checkpoint = ast.literal_eval(line.removeprefix(CHECKPOINT))
        elif line.strip() == GOODBYE:
            return
    if attributes is not None and full_screen:
        restore(1, attributes)
    elif attributes is not None:
        with contextlib.suppress(OSError):
            os.write(1, SHOW_CURSOR)
    with contextlib.suppress(OSError):
        os.write(1, os.fsencode(f"{_report(log, run, checkpoint, program)}\n"))


def _report(log: int, run: str, checkpoint: str, program: int) -> str:
    from mario_tui.system import crash

    with os.fdopen(log, "rb") as file:
        file.seek(0)
        found = file.read().decode(errors="replace")
    reason = found.partition("\n")[0].removeprefix("Fatal Python error: ") if found else "killed from outside"
    details = found or "No handler ran, as with SIGKILL; a system that runs out of memory does that, too.\n"
    folder = Path(run) if run else None
    path = crash.write_text(folder, f"mario-tui, process {program}, ended without warning: {reason}\n\n{details}")
    words = f"mario-tui ended without warning ({reason})"
    if path is not None:
        words += f"; what is known: {crash.shown(path)}"
    if checkpoint:
        words += f"; {crash.go_on(Path(checkpoint))}"
    return words


class Guard:
    """The program's side: starts the process that runs `watch`; `close` ends it.

    Args:
        full_screen: whether the program takes the whole screen of the terminal at standard input and error.
    """

    def __init__(self, *, full_screen: bool) -> None:
        import faulthandler
        import subprocess
        import tempfile

        from mario_tui.system.processes import start_module

        self.attributes: list[Any] | None = None
        if full_screen or output.is_live(sys.stderr):  # elsewhere nothing was changed
            with contextlib.suppress(OSError, termios.error):
                self.attributes = termios.tcgetattr(2)
        self._full_screen = full_screen
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  it has no name, so that nothing is left of it
        self._process = start_module(
            "mario_tui.system.guard",
            repr((self._log.fileno(), self.attributes, full_screen)),  # the attributes have bytes among them
            without_site=True,
            stdin=subprocess.PIPE,
            stdout=2,
            pass_fds=(self._log.fileno(),),
            # The terminal's Ctrl+C and hang-up are not for it, and it may write to the terminal from there.
            start_new_session=True,
        )
        faulthandler.enable(self._log)

    def send(self, line: str) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError, ValueError):
            stdin.write(os.fsencode(f"{line}\n"))
            stdin.flush()

    def close(self) -> None:
        """Says goodbye, and makes sure that the terminal is as it was."""
        import faulthandler

        faulthandler.disable()
        if self._full_screen and self.attributes is not None:
            with contextlib.suppress(OSError, termios.error):
                if termios.tcgetattr(2) != self.attributes:
                    restore(2, self.attributes)
        self.send(GOODBYE)
        with contextlib.suppress(OSError):
            self._process.communicate()
        self._log.close()


_guard: Guard | None = None


@contextlib.contextmanager
def guarded(*, full_screen: bool) -> Iterator[None]:
    """Within it a process watches over the program, see `Guard`; if none can be started, nothing does."""
    global _guard  # noqa: PLW0603  a program has one
    with contextlib.suppress(OSError):
        _guard = Guard(full_screen=full_screen)
    try:
        yield
    finally:
        ended, _guard = _guard, None
        if ended is not None:
            ended.close()


def set_run(run: Path) -> None:
    """Tells the guard, if there is one, which run is trained."""
    if _guard is not None:
        _guard.send(f"{RUN}{str(run)!a}")


def set_checkpoint(folder: Path | None) -> None:
    """Tells the guard, if there is one, where the run was saved last."""
    if _guard is not None and folder is not None:
        _guard.send(f"{CHECKPOINT}{str(folder)!a}")


if __name__ == "__main__":
    watch(*ast.literal_eval(sys.argv[1]))
