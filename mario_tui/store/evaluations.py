"""What was measured of a run's checkpoints, and what the user wrote about them.

A checkpoint itself never changes: `evaluations.json` in its run's folder keeps what is known of it, and is replaced
atomically. Which one is the best always follows from that file (`best`): of those that cleared their stage when they
were measured the first by `rank`, or the newest where none did. The link of that name is for people in a shell, where
the file system can have one: exFAT, network drives and wheels have none. It is there once one has cleared the stage.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import BaseFileLock

from mario_tui.errors import CheckpointError
from mario_tui.paths import unique_path
from mario_tui.stage_progress import progress_at_x
from mario_tui.store import shipped
from mario_tui.store.checkpoint import gone_error, looks_whole
from mario_tui.store.intervals import wilson_interval
from mario_tui.store.lookup import is_run, step_folders
from mario_tui.store.untrusted import finite_number, read_json, sanitize
from mario_tui.system.files import hidden_name, write_atomically
from mario_tui.system.locks import file_lock

EVALUATIONS = "evaluations.json"
BEST = "best"
"""How a user names the best checkpoint of a run, e.g. `my-run/best`; the name of the link to it."""
DAMAGED = "evaluations.damaged"
"""How the name begins that a damaged evaluations.json gets before a new one is written; it ends with `.json`."""
TRASHED = "measured.json"
"""What was measured of a checkpoint in the trash, in its own folder, so that it comes back with it."""
MAX_NOTE = 1000
LEAST_ROBUST_EPISODES, MOST_ROBUST_EPISODES = 10, 100_000
"""A robust clear rate is of so many episodes."""


@dataclass(frozen=True, slots=True)
class Evaluations:
    """What is known of a run's checkpoints.

    Attributes:
        entries: name of a checkpoint -> what was measured of it, and the user's note; empty if the file is damaged.
        unreadable: the name of a file with notes and measurements that cannot be read; "" if there is none.
    """

    entries: dict[str, dict[str, Any]]
    unreadable: str = ""


def load(run: Path) -> Evaluations:
    """What is known of a run's checkpoints, those included that were taken back from the trash."""
    content = _read_file(run)
    entries = {name: entry for name, entry in (content or {}).items() if isinstance(entry, dict)}
    for path in run.glob(f"step-*/{TRASHED}"):
        with contextlib.suppress(CheckpointError):
            if path.parent.name not in entries and isinstance(entry := read_json(path), dict):
                entries[path.parent.name] = entry
    damaged = min((path.name for path in run.glob(f"{DAMAGED}*.json")), default="")
    return Evaluations(entries, EVALUATIONS if content is None else damaged)


def read(run: Path) -> dict[str, dict[str, Any]]:
    """Name of a checkpoint -> what was measured of it; empty if nothing was, or the file is damaged."""
    return load(run).entries


def record(folder: Path, /, **measured: Any) -> None:
    """Writes down a checkpoint's `greedy_clear`, `greedy_x`, `greedy_progress` or `robust_clear_rate`; moves `best`.

    A robust clear rate is not replaced by one of fewer episodes (`robust_episodes`). Nothing is written beside a
    checkpoint that is in no run's folder.
    """
    run = folder.parent
    if not is_run(run):
        return
    with lock(run):
        if not folder.is_dir():
            return  # deleted meanwhile, and a later one of its name must not inherit this
        content = read(run)
        entry = content.get(folder.name, {})
        if robust_episodes(entry) > (finite_number(measured.get("robust_episodes")) or math.inf):
            measured = {name: value for name, value in measured.items() if not name.startswith("robust_")}
        content[folder.name] = {**entry, **measured}
        _write(run, content)
        _link_best(run)


def annotate(folder: Path, text: str) -> None:
    """Writes down the user's note on a checkpoint, one line; an empty one deletes it."""
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


def lock(run: Path) -> BaseFileLock:
    """To be held while the file changes: a training and an evaluation may write at the same time.

    Raises CheckpointError if the run is shipped, or if its folder has been renamed or deleted: the lock would make it
    anew.
    """
    shipped.protect(run)
    if not run.is_dir():
        raise gone_error(run)
    return file_lock(run / ".evaluations.lock")


def _read_file(run: Path) -> dict[str, Any] | None:
    """The file's whole content, also what this program did not write; None if it is damaged."""
    if not (run / EVALUATIONS).exists():
        return {}
    try:
        content = read_json(run / EVALUATIONS)
    except CheckpointError:
        return None
    return content if isinstance(content, dict) else None


def _write(run: Path, content: Mapping[str, Any], *, gone: str = "") -> None:
    """Replaces the file; call it with the lock. A damaged one is renamed, and what a user wrote into it stays."""
    there = _read_file(run)
    if there is None:
        os.replace(run / EVALUATIONS, unique_path(run, DAMAGED, ".json"))
    others = {name: entry for name, entry in (there or {}).items() if name not in content and name != gone}
    write_atomically(run / EVALUATIONS, json.dumps({**others, **content}, indent=1) + "\n")


def greedy_progress(entry: Mapping[str, Any], stage: str) -> float | None:
    """How far through the stage greedy play came, 0 to 1, by its x where nothing else was noted; None if it was not
    measured."""
    share, x = finite_number(entry.get("greedy_progress")), finite_number(entry.get("greedy_x"))
    if share is None and x is not None and abs(x) < 1e9:
        return progress_at_x(stage, int(x), cleared=entry.get("greedy_clear") is True)
    return None if share is None else min(max(share, 0.0), 1.0)


def robust_rate(entry: Mapping[str, Any]) -> float | None:
    """The measured robust clear rate, 0 to 1; None if there is none."""
    rate = finite_number(entry.get("robust_clear_rate"))
    return None if rate is None else min(max(rate, 0.0), 1.0)  # a file may say anything


def robust_episodes(entry: Mapping[str, Any]) -> int:
    """Over how many episodes the robust clear rate was measured; 0 if it was not, or the number is not known."""
    return 0 if robust_rate(entry) is None else max(0, int(finite_number(entry.get("robust_episodes")) or 0))


NEVER_CLEARED = (0.0, False)
"""The lowest `rank`: nothing was measured, or no episode of it cleared the stage."""


def rank(entry: Mapping[str, Any]) -> tuple[float, bool]:
    """Orders checkpoints: by robust clear rate (not measured counts as 0), then greedy clear.

    Of the rate it is the lower end of its interval that counts: 97 of 100 episodes are more than 20 of 20. How far
    greedy play got (`greedy_x`) does not count: it is one episode, so that of two checkpoints that clear nothing the
    later one is more likely to be the better. Only between runs it decides, see `catalog.Catalog.best_of_stages`.
    """
    rate = robust_rate(entry) or 0.0
    episodes = min(max(robust_episodes(entry), LEAST_ROBUST_EPISODES), MOST_ROBUST_EPISODES)
    return (wilson_interval(rate * episodes, episodes)[0] if rate else 0.0, entry.get("greedy_clear") is True)


def best(run: Path) -> Path | None:
    """The folder of a run's best checkpoint, see `best_of`; needs no link, and writes nothing."""
    folders = step_folders(run)
    name = best_of(folders, read(run))
    return next((folder for folder in folders if folder.name == name), None)


def best_of(
    folders: Sequence[Path],
    entries: Mapping[str, Mapping[str, Any]],
    is_whole: Callable[[Path], bool] = looks_whole,
) -> str | None:
    """The name of the best of a run's checkpoints by `rank`, of equals the newest. Where none was measured to clear the
    stage it is the newest that is whole. None if there is no checkpoint.

    Args:
        folders: the checkpoints in the order in which they were saved.
        entries: what is known of them, see `Evaluations`.
    """
    names = [folder.name for folder in reversed(folders)]
    found = max(names, key=lambda name: rank(entries.get(name, {})), default=None)
    if found is None or rank(entries.get(found, {})) != NEVER_CLEARED:
        return found
    return next((folder.name for folder in reversed(folders) if is_whole(folder)), found)


def linked_best(run: Path) -> str | None:
    """The name of the checkpoint that the link `best` leads to; None if there is no such link."""
    try:
        return Path(os.readlink(run / BEST)).name
    except OSError:
        return None


def _link_best(run: Path) -> None:
    """Moves the link; without one where none can be made, and a user's own file of that name is left alone.

    Nor is there one while no checkpoint clears the stage: nothing moves it to the newest when that is saved.
    """
    entries, link = read(run), run / BEST
    found = best_of(step_folders(run), entries)
    if found is not None and rank(entries.get(found, {})) == NEVER_CLEARED:
        found = None
    if link.exists() and not link.is_symlink():
        return
    temporary = hidden_name(link)
    with contextlib.suppress(OSError, NotImplementedError):
        if found is None:
            link.unlink(missing_ok=True)
            return
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(found)
        os.replace(temporary, link)
