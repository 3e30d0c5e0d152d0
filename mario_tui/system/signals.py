"""The signals from outside: which of them the program takes over, and which reach the processes that it starts.

A signal that is ignored when the program starts stays ignored. `nohup` ignores SIGHUP, and a shell's script SIGINT for
what it starts in the background, so that it goes on; a handler put over it would end it. So handlers are put here, and
nowhere else.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

Handler = Callable[[int, Any], object]


def _those(*names: str) -> tuple[signal.Signals, ...]:
    """Those that this system has."""
    return tuple(signal.Signals[name] for name in names if name in signal.Signals.__members__)


ENDINGS = _those("SIGINT", "SIGTERM", "SIGHUP")
"""They ask the program to end, with 128 + their number as exit code."""
WARNINGS = _those("SIGUSR1", "SIGUSR2")
"""They tell that the end is near, as batch systems do before a time limit: a training is saved, and all goes on."""
STOP = _those("SIGTSTP")
"""What Ctrl+Z in a terminal sends; see `stop`."""
BACKGROUND = _those("SIGTTIN", "SIGTTOU")
"""What a job in the background gets that would use the terminal."""

_SHOW_CURSOR = b"\x1b[?25h"

_ignored: frozenset[int] | None = None


def ignored() -> frozenset[int]:
    """The numbers of those signals that were ignored when the program started."""
    global _ignored  # noqa: PLW0603  a program has one start
    if _ignored is None:
        _ignored = frozenset(n for n in (*ENDINGS, *WARNINGS, *STOP) if signal.getsignal(n) is signal.SIG_IGN)
    return _ignored


def take(numbers: Iterable[int], handler: Handler) -> dict[int, Any]:
    """Gives signals a handler, but not those that were ignored at the start; returns the handlers of before."""
    return {number: signal.signal(number, handler) for number in numbers if number not in ignored()}


def take_from_loop(loop: asyncio.AbstractEventLoop, numbers: Iterable[int], handler: Handler) -> None:
    """As `take`, where somebody else's code may have given them handlers of its event loop, also to ignored ones."""
    for number in numbers:
        if loop.remove_signal_handler(number) and number in ignored():
            signal.signal(number, signal.SIG_IGN)
    take(numbers, handler)


@contextlib.contextmanager
def taken(numbers: Iterable[int], handler: Handler) -> Iterator[None]:
    """While it lasts, signals have this handler, but not those that were ignored at the start."""
    with restored(numbers):
        take(numbers, handler)
        yield


@contextlib.contextmanager
def restored(numbers: Iterable[int]) -> Iterator[None]:
    """Whatever handlers somebody else's code gives these signals meanwhile, they have those of before afterwards."""
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)


def ignore(numbers: Iterable[int]) -> None:
    """From now on these are ignored, e.g. since they were obeyed."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def begin() -> None:
    """To be called as the program starts: until a command takes them over, signals end it in order, or do nothing.

    SIGTERM and SIGHUP raise SystemExit, as Ctrl+C raises KeyboardInterrupt, so that nothing half-written stays. A
    warning would kill a program that knows nothing of it, which is worse than to go on: most have nothing to save.
    """
    global _ignored  # noqa: PLW0603
    _ignored = None
    told: set[int] = set()

    def leave(number: int, _: object) -> None:
        # A terminal that closes sends SIGHUP twice, and a machine that stops several signals: the first is obeyed, and
        # the others should not break into that. SIGTERM again comes from somebody who thinks that it hangs.
        obeyed = not told or (number in told and number == signal.SIGTERM)
        told.add(number)
        if obeyed:
            raise SystemExit(128 + number)

    take([number for number in ENDINGS if number != signal.SIGINT], leave)
    take(WARNINGS, lambda *_: None)


@contextlib.contextmanager
def kept_from_children(numbers: Iterable[int] = (*ENDINGS, *WARNINGS)) -> Iterator[None]:
    """What this thread starts meanwhile never gets these signals, not even those sent to a whole group or job.

    Such a process ends with its owner, who obeys them for both. It needs to do nothing for that, from its first moment.
    Meanwhile this thread does not get them either.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop(*, job: bool = False) -> bool:
    """Stops this process as SIGTSTP does by default, and with `job` all of its group; returns when it is continued.

    False at once where the system does not stop it, as there is nobody who could continue it: no shell, for example.
    """
    continued: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT)}
    signal.signal(signal.SIGCONT, lambda number, _: continued.append(number))
    signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    try:
        # e.g. with the shell script that waits for it: the terminal is given back when all of a job has stopped
        if job:
            os.kill(0, signal.SIGTSTP)
        else:
            signal.raise_signal(signal.SIGTSTP)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return bool(continued)


@contextlib.contextmanager
def cursor_shown_when_stopped(file: IO[str]) -> Iterator[None]:
    """For what hides the cursor of a terminal: Ctrl+Z shows it, and then stops the program as ever."""

    def show_and_stop(*_: object) -> None:
        with contextlib.suppress(OSError, ValueError):
            os.write(file.fileno(), _SHOW_CURSOR)
        stop()

    with taken(STOP, show_and_stop):
        yield
