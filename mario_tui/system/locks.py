"""Locks between programs, by files, on whatever file system the runs lie."""

from __future__ import annotations

import errno
import fcntl
import functools
import tempfile
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
_PATIENCE_SECONDS = 60.0


def file_lock(path: Path) -> BaseFileLock:
    """A lock that is held by a file, which its process loses when it ends, however that happens.

    Where the file system has no locks, as some network drives, a file that is there says that it is held (`marker`).
    If its process was killed, the next one on the same machine takes it away; `_PATIENCE_SECONDS` are waited at most.
    """
    if _has_locks(path.parent):
        return FileLock(path)
    return SoftFileLock(f"{path}.held", timeout=_PATIENCE_SECONDS)


def marker(lock: BaseFileLock) -> str:
    """What may be behind a lock that is held: a file that is left of a machine that crashed; "" for most locks."""
    if not isinstance(lock, SoftFileLock):
        return ""
    return f"; if it is not, e.g. since another machine crashed, delete {lock.lock_file}"


@functools.cache
def _has_locks(folder: Path) -> bool:
    """Whether the files of a folder can be locked; also true if that cannot be tried, and using one says why."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _NO_LOCKS
    return True
