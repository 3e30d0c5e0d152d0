"""Writing files so that they are there whole or not at all, and removing what killed programs left half-written."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from pathlib import Path

_MACHINE = re.sub(r"[^A-Za-z0-9]", "-", os.uname().nodename)[:40]
with contextlib.suppress(OSError):  # in a container, process numbers mean other processes
    if (_namespace := os.stat("/proc/self/ns/pid").st_ino) != 0xEFFFFFFC:  # the initial namespace of any Linux
        _MACHINE += f"-{_namespace}"
_HIDDEN = re.compile(r"\..+\.mario-tui-([A-Za-z0-9-]*)-(\d{1,9})-\d+\.part(\.\w+)?")
_ABANDONED_SECONDS = 86_400.0


def fsync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
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
    return path.with_name(f".{path.name}.{writer}.part")


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


def _may_be_written(path: Path, machine: str, process: int) -> bool:
    """Whether the process named in a hidden name may still be writing it."""
    if machine == _MACHINE:
        import psutil

        return psutil.pid_exists(process)
    with contextlib.suppress(OSError):
        return time.time() - path.lstat().st_mtime < _ABANDONED_SECONDS
    return False
