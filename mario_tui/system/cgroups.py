"""The control groups that this process is in, by which a container or a batch system limits it, on Linux."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def folders(controller: str) -> list[Path]:
    """The folders of this process's group and of those around it, in both versions of control groups.

    Some of them may not be there, since a container cannot see the groups around it. Empty on other systems.

    Args:
        controller: `cpu` or `memory`.
    """
    try:
        lines = [line.split(":", 2) for line in OWN.read_text().splitlines()]
    except OSError:
        return []
    found = []
    for _, controllers, path in lines:
        if not controllers:  # the second version has one tree for all of them
            top = ROOT
        elif controller in controllers.split(","):  # and the first one a tree for each, or for several together
            top = ROOT / controller if (ROOT / controller).is_dir() else ROOT / controllers
        else:
            continue
        folder = top / path.lstrip("/")
        while top in (folder, *folder.parents):
            found.append(folder)
            folder = folder.parent
    return found
