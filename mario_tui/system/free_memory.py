"""How much memory is free, for this machine or for the part of it that this process may use."""

from __future__ import annotations

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def free_bytes() -> int:
    """Memory that can still be taken, in bytes: the system's, or less where a container or a batch system limits it."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_left_in_cgroups()])


def _left_in_cgroups() -> list[int]:
    """What the limits of this process's control group, and of those around it, leave; nothing where there are none."""
    try:
        line = next(line for line in OWN_CGROUP.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):  # not Linux, or the first version of control groups
        return []
    folder = CGROUPS / line.removeprefix("0::").lstrip("/")
    left = []
    while CGROUPS in (folder, *folder.parents):
        try:
            limit = int((folder / "memory.max").read_text())
            used = int((folder / "memory.current").read_text())
            counts = dict(entry.split() for entry in (folder / "memory.stat").read_text().splitlines())
            left.append(max(0, limit - used + int(counts.get("inactive_file", 0))))  # a cache that can be given up
        except (OSError, ValueError):  # "max": no limit; or a group above that cannot be seen from here
            pass
        folder = folder.parent
    return left
