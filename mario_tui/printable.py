"""Text from outside, such as the name of a file, made fit to be shown: it may hold newlines and escape sequences."""

from __future__ import annotations

import os
import shlex


def printable(text: object) -> str:
    """Text as one line that cannot control a terminal: what cannot be printed in it is escaped, as in `a\\nb.mp4`.

    A byte of a file's name that is not UTF-8 becomes e.g. `\\xff`.
    """
    line = str(text)
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in line)


def as_argument(name: object) -> str:
    """A name as it is typed in a shell; one that cannot be typed as bash, zsh and others read it after a dollar."""
    text = str(name)
    if text.isprintable():
        return shlex.quote(text)
    letters = (f"\\{letter}" if letter in "\\'" else letter for letter in text)
    return f"$'{''.join(letter if letter.isprintable() else _as_bytes(letter) for letter in letters)}'"


def _as_bytes(letter: str) -> str:
    """As the bytes that it is in the name of a file, e.g. `\xc2\xa0`."""
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(letter))


def _escape(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # as Python reads a byte of a name that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()
