"""How many processor cores this process may use, of those that the machine has."""

from __future__ import annotations

import math
import os

from mario_tui.system import cgroups


def count() -> int:
    """Processor cores that this process can keep busy, at least 1.

    Those that its affinity allows, which batch systems and `taskset` set; or fewer where a container has a quota of
    processor time, of which a part of a core counts as one.
    """
    return max(1, min([_allowed(), *(math.ceil(quota) for quota in _quotas())]))


def half(cores: int | None = None) -> int:
    """Threads for something that others run beside: half of the cores, 4 at most."""
    return max(1, min(4, (count() if cores is None else cores) // 2))


def are_few() -> bool:
    """Whether a training takes all of them, so that what else draws or looks has to be sparing."""
    return count() <= 2


def described() -> str:
    """`count`, and why it is not all that the machine has."""
    usable, allowed, there = count(), _allowed(), os.cpu_count() or 1
    if usable >= there:
        return f"{usable} core{'s' if usable > 1 else ''}"
    if usable == allowed:
        return f"{usable} of {there} cores: this process may use no others"
    return f"{usable} of {there} cores: its container has the time of {min(_quotas()):.3g}"


def _allowed() -> int:
    """Logical cores that this process may run on."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on; it obeys PYTHON_CPU_COUNT as well
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas() -> list[float]:
    """Cores whose time this process's control group, and those around it, may take; nothing where there is no limit.

    The kernel's documentation: admin-guide/cgroup-v2 (cpu.max) and scheduler/sched-bwc (cpu.cfs_quota_us).
    """
    found = []
    for folder in cgroups.folders("cpu"):
        for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
            try:
                quota, period = (int(one) for name in names for one in (folder / name).read_text().split())
            except (OSError, ValueError):  # "max": no limit; or a group that cannot be seen from here
                continue
            if quota > 0 and period > 0:  # -1: no limit
                found.append(quota / period)
    return found
