"""What was measured of this machine, in a file beside the runs that later trainings read."""

from __future__ import annotations

import contextlib
import json
import platform
from importlib import metadata
from typing import Any

from mario_tui import __version__, paths
from mario_tui.system import processors
from mario_tui.system.files import write_atomically

_MOST_KEPT = 100  # every container may seem to be another machine


def machine_and_versions(device: str) -> str:
    """What a measurement holds for."""
    machine = f"{platform.node()}, {platform.machine()}, {processors.count()} cores, {device}"
    versions = f"mario-tui {__version__}, torch {metadata.version('torch')}, Python {platform.python_version()}"
    return f"{machine}; {versions}"


def read() -> dict[str, Any]:
    """All that was kept, by what it holds for; empty where nothing can be read."""
    try:
        known = json.loads(paths.machine_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def keep(entries: dict[str, Any]) -> None:
    """Adds these to what was kept, of which the oldest is given up; where it cannot be written nothing changes."""
    known = dict(list(read().items())[-_MOST_KEPT:])
    with contextlib.suppress(OSError):
        write_atomically(paths.machine_file(), json.dumps({**known, **entries}, indent=1))
