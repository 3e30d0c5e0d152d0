"""How much memory is free, for this machine or for the part of it that this process may use."""

from __future__ import annotations

import contextlib
from pathlib import Path

from mario_tui.system import cgroups

# in the two versions of control groups: the limit, what is used, and of memory.stat the cache that can be given up
_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_bytes() -> int:
    """Memory that can still be taken, in bytes: the system's, or less where a container or a batch system limits it."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_left_in_cgroups()])


def _left_in_cgroups() -> list[int]:
    """What the limits of this process's control group, and of those around it, leave; nothing where there are none."""
    left = []
    for folder in cgroups.folders("memory"):
        for limit, used, cache in _FILES:
            with contextlib.suppress(OSError, ValueError):  # "max": no limit; or a group that cannot be seen from here
                left.append(_left(folder / limit, folder / used, folder / "memory.stat", cache))
    return left


def _left(limit: Path, used: Path, counts: Path, cache: str) -> int:
    """Bytes; raises OSError or ValueError where there is no limit."""
    given_up = dict(entry.split() for entry in counts.read_text().splitlines()).get(cache, 0)
    return max(0, int(limit.read_text()) - int(used.read_text()) + int(given_up))
