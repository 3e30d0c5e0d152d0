"""A text file that grows by whole lines."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path


class LineFile:
    """A text file that grows by whole lines.

    If the disk is full, lines wait until the next `add`, and nothing is left half-written. A line that was cut off when
    the program was killed is removed before the next one is written.

    Args:
        path: the file, made with the first line.
        heading: the text that it begins with.

    Attributes:
        problem: why lines are not in the file yet, in one line; "" if they are.
    """

    def __init__(self, path: Path, heading: str) -> None:
        self.path = path
        self.problem = ""
        self._heading = heading
        self._waiting = ""
        self._cut_to_lines = False

    def add(self, text: str) -> None:
        """Appends lines."""
        self._waiting += text
        try:
            self._write()
            self.problem = ""
        except OSError as error:
            self.problem = f"{self.path.name} cannot be written: {error.strerror}"

    def _write(self) -> None:
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):  # it may lead outside the run
            raise OSError(errno.EINVAL, "it is a link, or no file: move it away")
        with self.path.open("ab", buffering=0) as file:  # a buffer would be written again on close
            size = file.tell()
            if not self._cut_to_lines:
                size = _end_of_lines(self.path, size)
                file.truncate(size)
                self._cut_to_lines = True
            data = ((self._heading if not size else "") + self._waiting).encode()
            try:
                while data:
                    data = data[file.write(data) :]
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(size)
                raise
        self._waiting = ""

    def content(self) -> str:
        """All that was added, including lines that are not in the file yet."""
        text = self.path.read_bytes().decode(errors="replace") if self.path.is_file() else ""
        return (text[: text.rfind("\n") + 1] or self._heading) + self._waiting


def _end_of_lines(path: Path, size: int) -> int:
    """How many bytes of a file its whole lines take."""
    with path.open("rb") as file:
        while size:
            start = max(size - 4096, 0)
            file.seek(start)
            end = file.read(size - start).rfind(b"\n")
            if end >= 0:
                return start + end + 1
            size = start
    return 0
