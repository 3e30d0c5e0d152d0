"""What was measured of a run's checkpoints, and what the user wrote about them.

A checkpoint itself never changes: `evaluations.json` in its run's folder keeps what is known of it, and the link `best`
leads to the best one. Both are replaced atomically.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from mario_tui.errors import CheckpointError
from mario_tui.store.checkpoint import gone_error
from mario_tui.store.lookup import is_run, step_folders
from mario_tui.store.untrusted import finite_number, read_json, sanitize
from mario_tui.system.files import hidden_name, write_atomically

EVALUATIONS = "evaluations.json"
DAMAGED_EVALUATIONS = "evaluations.damaged*.json"
"""What a damaged evaluations.json is called from then on; without the star, or with a number in its place."""
TRASHED = "measured.json"
"""What was measured of a checkpoint in the trash, in its own folder, so that it comes back with it."""
ROBUST_PROTOCOL = "sticky by frame"
"""How the robust clear rate is measured now; rates of another protocol cannot be compared with it and do not count."""
MAX_NOTE = 1000


def read(run: Path) -> dict[str, dict[str, Any]]:
    """Name of a checkpoint -> what was measured of it; empty where nothing was, or the file is damaged.

    With that of checkpoints that were taken back from the trash.
    """
    content = {name: entry for name, entry in (read_file(run) or {}).items() if isinstance(entry, dict)}
    for path in run.glob(f"step-*/{TRASHED}"):
        with contextlib.suppress(CheckpointError):
            if path.parent.name not in content and isinstance(entry := read_json(path), dict):
                content[path.parent.name] = entry
    return content


def record(folder: Path, /, **measured: Any) -> None:
    """Keeps what was measured of a checkpoint (`greedy_clear`, `greedy_x`, `robust_clear_rate`), and moves `best`.

    A robust clear rate stays where the new one is of fewer episodes (`robust_episodes`). Nothing is written beside a
    checkpoint that is in no run's folder.
    """
    run = folder.parent
    if not is_run(run):
        return
    if "robust_clear_rate" in measured:
        measured.setdefault("robust_protocol", ROBUST_PROTOCOL)
    with lock(run):
        if not folder.is_dir():
            return  # it has gone meanwhile, and a later one of its name must not inherit this
        content = read(run)
        entry = content.get(folder.name, {})
        if robust_episodes(entry) > (finite_number(measured.get("robust_episodes")) or math.inf):
            measured = {name: value for name, value in measured.items() if not name.startswith("robust_")}
        content[folder.name] = {**entry, **measured}
        _write(run, content)
        _link_best(run)


def annotate(folder: Path, text: str) -> None:
    """Keeps a line of the user's own with a checkpoint; an empty one takes it away."""
    run = folder.parent
    with lock(run):
        if not folder.is_dir():
            raise gone_error(folder)
        content = read(run)
        entry = {**content.get(folder.name, {}), "note": sanitize(text, MAX_NOTE)}
        content[folder.name] = entry if entry["note"] else {name: entry[name] for name in entry if name != "note"}
        _write(run, content)


def forget(run: Path, name: str) -> None:
    """Drops what was measured of a checkpoint that is gone: a later one of the same name must not inherit it."""
    content = read(run)
    del content[name]
    _write(run, content, gone=name)
    _link_best(run)


def lock(run: Path) -> FileLock:
    """Held while what is known of a run's checkpoints changes: a training and an evaluation may want to at once.

    Raises CheckpointError where the run has gone, as with another name: the lock would make its folder.
    """
    if not run.is_dir():
        raise gone_error(run)
    return FileLock(run / ".evaluations.lock")


def read_file(run: Path) -> dict[str, Any] | None:
    """What is in the file, also what is not ours; None where it is damaged."""
    if not (run / EVALUATIONS).exists():
        return {}
    try:
        content = read_json(run / EVALUATIONS)
    except CheckpointError:
        return None
    return content if isinstance(content, dict) else None


def _write(run: Path, content: Mapping[str, Any], *, gone: str = "") -> None:
    """Called under the lock. A damaged file stays under another name, and what is not ours in it: a person wrote it."""
    there = read_file(run)
    if there is None:
        names = (DAMAGED_EVALUATIONS.replace("*", "" if number == 1 else f"-{number}") for number in itertools.count(1))
        os.replace(run / EVALUATIONS, next(run / name for name in names if not (run / name).exists()))
    others = {name: entry for name, entry in (there or {}).items() if name not in content and name != gone}
    write_atomically(run / EVALUATIONS, json.dumps({**others, **content}, indent=1) + "\n")


def unreadable_file(run: Path) -> str:
    if read_file(run) is None:
        return EVALUATIONS
    return min((path.name for path in run.glob(DAMAGED_EVALUATIONS)), default="")


def robust_rate(entry: Mapping[str, Any]) -> float | None:
    return finite_number(entry.get("robust_clear_rate")) if entry.get("robust_protocol") == ROBUST_PROTOCOL else None


def robust_episodes(entry: Mapping[str, Any]) -> int:
    """Of how many episodes the robust clear rate is; 0 where there is none."""
    return 0 if robust_rate(entry) is None else int(finite_number(entry.get("robust_episodes")) or 0)


def rank(entry: Mapping[str, Any]) -> tuple[float, bool, float]:
    """Orders checkpoints: by robust clear rate (none measured counts as 0), greedy clear, how far greedy play got."""
    distance = finite_number(entry.get("greedy_x"))
    return (
        robust_rate(entry) or 0.0,
        entry.get("greedy_clear") is True,
        -1.0 if distance is None else distance,
    )


def best_of(run: Path, content: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The name of the best checkpoint, of equals the newest; None where nothing was measured."""
    measured = {name: entry for name, entry in content.items() if entry.keys() - {"note"}}
    names = [folder.name for folder in step_folders(run) if folder.name in measured]
    return max(reversed(names), key=lambda name: rank(measured[name]), default=None)


def linked_best(run: Path) -> str | None:
    """The name of the checkpoint that the link `best` leads to; None where there is no such link."""
    try:
        return Path(os.readlink(run / "best")).name
    except OSError:
        return None


def _link_best(run: Path) -> None:
    best, link = best_of(run, read(run)), run / "best"
    if link.exists() and not link.is_symlink():
        return  # somebody's own
    if best is None:
        link.unlink(missing_ok=True)
        return
    temporary = hidden_name(link)
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(best)
    os.replace(temporary, link)
