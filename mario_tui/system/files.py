"""Files that are there whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from pathlib import Path

_MACHINE = re.sub(r"[^A-Za-z0-9]", "-", os.uname().nodename)[:40]
with contextlib.suppress(OSError):  # in a container the same numbers are of other processes
    if (_namespace := os.stat("/proc/self/ns/pid").st_ino) != 0xEFFFFFFC:  # that of the machine itself, in every Linux
        _MACHINE += f"-{_namespace}"
_HIDDEN = re.compile(r"\..+\.mario-tui-([A-Za-z0-9-]*)-(\d{1,9})-\d+\.part(\.\w+)?")
_FORGOTTEN_SECONDS = 86_400.0


def fsync(path: Path) -> None:
    """Has the system put a file, or a folder's list of names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes | str) -> None:
    """Replaces a file in one step: whoever reads it sees the old content or the new one, never a part."""
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
    """On the disk that a file or folder is on, or will be; None where that cannot be told."""
    try:
        while not path.exists() and path != path.parent:
            path = path.parent
        return shutil.disk_usage(path).free
    except OSError:
        return None


def hidden_name(path: Path, *, keep_suffix: bool = False) -> Path:
    """A name beside a file or folder, to write it under before it gets its own; nobody else writes there.

    With `keep_suffix` it ends as the file's own, for programs that know by it what to write.
    """
    stem, suffix = (path.stem, path.suffix) if keep_suffix else (path.name, "")
    writer = f"mario-tui-{_MACHINE}-{os.getpid()}-{threading.get_ident()}"
    return path.with_name(f".{stem}.{writer}.part{suffix}")


def sweep(folder: Path, *, at_start: bool = False) -> None:
    """Removes what programs left in a folder under hidden names when they were killed; others are still at theirs.

    Whether a program on another machine still runs cannot be known: what it wrote is left alone for a day. `at_start`
    says that this process has written nothing yet: what has its number is of an earlier one.
    """
    for leftover in folder.glob(".*.mario-tui-*.part*"):
        match = _HIDDEN.fullmatch(leftover.name)
        if match is None:
            continue
        ours = (match[1], match[2]) == (_MACHINE, str(os.getpid()))
        if not (ours and at_start) and _is_written(leftover, match[1], int(match[2])):
            continue
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                leftover.unlink()


def _is_written(path: Path, machine: str, process: int) -> bool:
    """Whether the process that a hidden name tells of may still be at it."""
    if machine == _MACHINE:
        import psutil

        return psutil.pid_exists(process)
    with contextlib.suppress(OSError):
        return time.time() - path.lstat().st_mtime < _FORGOTTEN_SECONDS
    return False
