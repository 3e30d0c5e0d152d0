"""Files that are there whole or not at all, names that no two writers take, and what killed programs left of both."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import re
import shutil
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

_MACHINE = re.sub(r"[^A-Za-z0-9]", "-", os.uname().nodename)[:40]
with contextlib.suppress(OSError):  # in a container, process numbers mean other processes
    if (_namespace := os.stat("/proc/self/ns/pid").st_ino) != 0xEFFFFFFC:  # the initial namespace of any Linux
        _MACHINE += f"-{_namespace}"
_HIDDEN = re.compile(r"\..+\.mario-tui-([A-Za-z0-9-]*)-(\d{1,9})-\d+\.part(\.\w+)?", re.DOTALL)
_TAKEN = ".mario-tui-taken"
_ABANDONED_SECONDS = 86_400.0
_NO_FSYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM}
MOST_NAME_BYTES = 255
"""How long the name of a file may be, on nearly every file system."""
_SHOWN_BYTES = 40
"""How much of a name a hidden one shows: with the rest of it, there is room on any file system."""
_ENDING_BYTES = 10
"""What may come after a stem: `_123` and the longest ending."""


def fsync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk.

    Some network drives can do that with files only: there a folder's list of names is left to them.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if hasattr(fcntl, "F_FULLFSYNC"):  # on macOS fsync alone leaves it in the disk's own memory
            with contextlib.suppress(OSError):  # e.g. on a network's disk
                fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
                return
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FSYNC or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes | str) -> None:
    """Replaces a file in one step: a reader sees the old content or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = hidden_name(path)
    try:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        fsync(temporary)
        os.replace(temporary, path)
        fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def free_bytes(path: Path) -> int | None:
    """Free bytes on the disk of a file or folder that exists or will exist; None if that cannot be found out."""
    try:
        while not path.exists() and path != path.parent:
            path = path.parent
        return shutil.disk_usage(path).free
    except OSError:
        return None


def hidden_name(path: Path) -> Path:
    """A hidden name beside a file or folder, under which only this thread writes it before it gets its own name."""
    writer = f"mario-tui-{_MACHINE}-{os.getpid()}-{threading.get_ident()}"
    return path.with_name(f".{cut(path.name, _SHOWN_BYTES)}.{writer}.part")


def cut(name: str, most: int) -> str:
    """A name, or the beginning of one that takes more bytes than that on the disk, with a checksum of the whole."""
    data = os.fsencode(name)
    if len(data) <= most:
        return name
    ending = f"-{zlib.crc32(data):08x}"
    kept = name[:most]
    while len(os.fsencode(kept)) + len(ending) > most:
        kept = kept[:-1]
    return kept + ending


class Reservation:
    """A path in a folder that nothing has, and that no other writer gets until `release`: `stem` or `stem_2`, ...

    A context manager, which gives the path, and releases it at the end: by then a file has the name, or none needs it.
    A hidden folder stands for the name meanwhile, as `mkdir` is one step on every file system; `sweep` removes those of
    killed programs. Where none can be made, whoever writes the file will say why.

    Args:
        suffix: the ending of the name, e.g. `.mp4`.
        beside: endings under which nothing may lie there either, such as a recording's action log.
    """

    def __init__(self, folder: Path, stem: str, suffix: str = "", *, beside: Iterable[str] = (".json",)) -> None:
        endings = {suffix, *beside}
        for free in free_stems(folder, stem, endings):
            self.path = folder / f"{free}{suffix}"
            self._owner = hidden_name(folder / f".{cut(free, _SHOWN_BYTES)}{_TAKEN}" / "owner")
            try:
                if not self._take():
                    continue
            except OSError:
                return
            if not _is_there(folder, free, endings):  # nobody has made it before it was taken
                return
            self.release()

    def _take(self) -> bool:
        """Whether it was taken; False if somebody else has it."""
        while True:
            try:
                self._owner.parent.mkdir(parents=True)
            except FileExistsError:
                return False
            with contextlib.suppress(FileNotFoundError):  # swept, as it belonged to nobody for a moment
                self._owner.touch(exist_ok=False)
                if os.listdir(self._owner.parent) == [self._owner.name]:
                    return True
                self._owner.unlink()  # made anew after it was swept: the other one may have it
                return False

    def release(self) -> None:
        """Lets others have the name, unless a file has it."""
        with contextlib.suppress(OSError):
            self._owner.unlink(missing_ok=True)
            self._owner.parent.rmdir()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def free_stems(folder: Path, stem: str, endings: Iterable[str]) -> Iterator[str]:
    """The stem, `stem_2`, `stem_3` and so on, without those that something in the folder has with one of the endings.

    One that would be too long for a file is cut.
    """
    stem = cut(stem, MOST_NAME_BYTES - _ENDING_BYTES)
    for name in itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2))):
        if not _is_there(folder, name, endings):
            yield name


def _is_there(folder: Path, stem: str, endings: Iterable[str]) -> bool:
    """Whether something in the folder has this stem with one of the endings."""
    return any(os.path.lexists(folder / f"{stem}{ending}") for ending in endings)


def sweep(folder: Path, *, at_start: bool = False) -> None:
    """Removes what killed programs left in a folder under hidden names, and nothing of a program that still runs.

    Whether a program on another machine still runs cannot be known, so what it wrote is kept for a day. With `at_start`
    this process has written nothing yet: files with its number are of an earlier process.
    """
    for leftover in folder.glob(".*.mario-tui-*.part*"):
        match = _HIDDEN.fullmatch(leftover.name)
        if match is None:
            continue
        ours = (match[1], match[2]) == (_MACHINE, str(os.getpid()))
        if not (ours and at_start) and _may_be_written(leftover, match[1], int(match[2])):
            continue
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                leftover.unlink()
    for taken in folder.glob(f".*{_TAKEN}"):
        if not taken.is_symlink():
            sweep(taken, at_start=at_start)
            with contextlib.suppress(OSError):  # its owner still runs
                taken.rmdir()


def _may_be_written(path: Path, machine: str, process: int) -> bool:
    """Whether the process named in a hidden name may still be writing it."""
    if machine == _MACHINE:
        import psutil

        return psutil.pid_exists(process)
    with contextlib.suppress(OSError):
        return time.time() - path.lstat().st_mtime < _ABANDONED_SECONDS
    return False
