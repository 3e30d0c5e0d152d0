"""Text from outside, such as the name of a file, made fit to be shown: it may hold newlines and escape sequences."""

from __future__ import annotations


def printable(text: object) -> str:
    """Text as one line that cannot control a terminal: what cannot be printed in it is escaped, as in `a\\nb.mp4`.

    A byte of a file's name that is not UTF-8 becomes e.g. `\\xff`.
    """
    line = str(text)
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in line)


def _escape(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # as Python reads a byte of a name that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()
