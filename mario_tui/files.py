"""Files that are there whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
from pathlib import Path

_HIDDEN = re.compile(r"\..+\.(\d{1,9})-\d+\.part(\.\w+)?")


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
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def hidden_name(path: Path, *, keep_suffix: bool = False) -> Path:
    """A name beside a file or folder, to write it under before it gets its own; nobody else writes there.

    With `keep_suffix` it ends as the file's own, for programs that know by it what to write.
    """
    stem, suffix = (path.stem, path.suffix) if keep_suffix else (path.name, "")
    return path.with_name(f".{stem}.{os.getpid()}-{threading.get_ident()}.part{suffix}")


def sweep(folder: Path) -> None:
    """Removes what programs left in a folder under hidden names when they were killed; others are still at theirs."""
    for leftover in folder.glob(".*.part*"):
        match = _HIDDEN.fullmatch(leftover.name)
        if match is None or _is_running(int(match[1])):
            continue
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                leftover.unlink()


def _is_running(process: int) -> bool:
    import psutil

    return psutil.pid_exists(process)
