"""The agents that come with the program. They are runs like the user's own, but nothing is ever written to them.

A wheel has the one of 1-1 in the package's own folder `agents`, which may be read-only. A clone has more, for other
stages: they are among the runs of its folder `checkpoints`, where git keeps them, and belong to whoever works there.
"""

from __future__ import annotations

from pathlib import Path

from mario_tui.errors import CheckpointError
from mario_tui.system import installation

FOLDER = installation.PACKAGE / "agents"
NAMES = ("world-1-1",)
"""What pyproject.toml puts there."""
WAYS = installation.PACKAGE / "ways"
"""Of each stage an action log, `1-1.json`, that a search found and that clears it (docs/make_ways.py puts it there)."""


def runs() -> list[Path]:
    """The runs in the package, in alphabetical order; none in a clone."""
    if not FOLDER.is_dir():
        return []
    return sorted(run for run in FOLDER.iterdir() if (run / "config.toml").is_file())


def find(path: Path) -> Path | None:
    """What a path means that begins with the name of a shipped run, from whatever folder; None if it is none's."""
    root = installation.clone()
    agents = runs() or (sorted((root / "checkpoints").glob("world-?-?")) if root else [])
    for run in agents:
        if path.parts[:1] == (run.name,) and ".." not in path.parts:
            return run.joinpath(*path.parts[1:])
    return None


def is_shipped(path: Path) -> bool:
    """Whether a run or checkpoint is the package's own."""
    return FOLDER.resolve() in path.resolve().parents


def protect(path: Path) -> None:
    """Raises CheckpointError if a run or checkpoint is the package's own; to be asked before anything is written."""
    if is_shipped(path):
        name = path.resolve().relative_to(FOLDER.resolve()).parts[0]
        raise CheckpointError(
            f"{name} is shipped with mario-tui and stays as it is: export it, and the copy is a run of your own; "
            f"'mario-tui train --init-from {name}' begins a new run with its weights"
        )
