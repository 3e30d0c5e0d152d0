"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path


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


def hidden_name(path: Path) -> Path:
    """A name beside a file or folder, to write it under before it gets its own; nobody else writes there."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
