"""Standard output and error: how they are set up, and what can be shown there."""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from mario_tui.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

_ANY_TEXT = "mario-tui"
_NO_CURSOR = ("", "dumb", "unknown")
"""Values of TERM where a line that was written cannot be drawn again, as in Emacs' M-x shell."""


def set_up() -> None:
    """Makes printing safe for a whole program, whatever its streams are.

    One that was closed (`>&-`) leads nowhere. What a character set does not have is written as `\\u2580`; a byte of a
    file's name that is no text is written as it is.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest that is free
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    codecs.register_error(_ANY_TEXT, _written_somehow)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # an object that takes the stream's place
            stream.reconfigure(errors=_ANY_TEXT)  # type: ignore[union-attr]


def _written_somehow(error: UnicodeError) -> tuple[bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    found = error.object[error.start : error.end]
    escaped = [
        bytes([ord(character) & 0xFF])
        if "\udc80" <= character <= "\udcff"  # what `os.fsdecode` makes of such a byte
        else character.encode("ascii", "backslashreplace")
        for character in found
    ]
    return b"".join(escaped), error.end


def shows_all_text(stream: TextIO) -> bool:
    """Whether its character set has every character."""
    try:
        return codecs.lookup(stream.encoding).name.startswith("utf")
    except (LookupError, TypeError, AttributeError):
        return False


def is_live(stream: TextIO) -> bool:
    """Whether a progress bar can be drawn there again and again: a terminal that can, and no log of a CI job."""
    return stream.isatty() and os.environ.get("TERM", "") not in _NO_CURSOR and not os.environ.get("CI")


def print_table(table: Table) -> None:
    """Prints it as wide as it is: a name cut off is of no use."""
    from rich.console import Console

    # without a height rich takes a terminal like Emacs' for one of 80 columns, whatever it was told
    wanted = Console(width=1000, height=25).measure(table).maximum
    Console(width=max(Console().width, wanted), height=25).print(table)


def check_full_screen(without_terminal: str) -> None:
    """Raises InputError where the app cannot be drawn; `without_terminal` is the message where there is no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(without_terminal)
    if not sys.stderr.isatty():
        raise InputError("the app is drawn on standard error: do not redirect it")
    if (term := os.environ.get("TERM", "")) in _NO_CURSOR:
        says = f"says {term!r}" if term else "is not set (most take xterm-256color)"
        raise InputError(
            f"the app needs a terminal that it can draw on, and TERM {says}: use another one, or 'mario-tui train', "
            "'record' and the other commands"
        )
    if not shows_all_text(sys.stderr):
        raise InputError(
            f"the app is drawn with characters that {_name_of_set(sys.stderr)} does not have: nearly every terminal "
            "shows UTF-8, so start it with 'PYTHONIOENCODING=utf-8 mario-tui', or choose a locale such as C.UTF-8"
        )


def _name_of_set(stream: Any) -> str:
    return str(getattr(stream, "encoding", None) or "this terminal")


def finish(code: int) -> int:
    """Writes what is still to be written; returns the exit code, which is 1 where the program failed only in this."""
    try:
        sys.stdout.flush()
        return code
    except OSError as error:
        # what could not be written would be tried again at the very end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            with suppress(OSError):
                print(f"mario-tui: standard output: {error.strerror}", file=sys.stderr)
        return code or 1
