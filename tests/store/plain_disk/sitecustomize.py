"""With this folder in PYTHONPATH, a Python process meets a disk that knows files and folders, and nothing else.

It has no links, no locks and no modes, and flushes files only: as exFAT, Google Drive and some network drives do.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from typing import Any

_flock, _fsync = fcntl.flock, os.fsync


def symlink(source: Any, target: Any, *_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)


def flock(file: Any, operation: int) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def fsync(descriptor: Any) -> None:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    _fsync(descriptor)


def chmod(path: Any, *_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM), path)


def install(put: Callable[[Any, str, Any], object]) -> None:
    for function in (symlink, fsync, chmod):
        put(os, function.__name__, function)
    put(fcntl, "flock", flock)


if __name__ == "sitecustomize":
    install(setattr)
