"""Which runs and checkpoints there are, and which one a path or a name means."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

from mario_tui.config import load_toml
from mario_tui.errors import CheckpointError, InputError
from mario_tui.paths import STEP_FOLDER, checkpoints_dir
from mario_tui.store.untrusted import MAX_JSON_BYTES


def step_folders(run: Path) -> list[Path]:
    """The checkpoints of a run in the order in which they were saved, the oldest first.

    That is not the order of their steps where a run was continued from an earlier checkpoint.
    """
    found = []
    for folder in run.iterdir() if run.is_dir() else ():
        match = STEP_FOLDER.fullmatch(folder.name)
        if match and folder.is_dir():
            found.append((_created(folder), int(match[1]), int(match[2] or 1), folder))
    return [folder for *_, folder in sorted(found)]


def _created(folder: Path) -> str:
    """When a checkpoint was saved; where its manifest cannot be read, when its folder was changed last."""
    manifest = folder / "manifest.json"
    try:
        if manifest.is_file() and manifest.stat().st_size <= MAX_JSON_BYTES:
            created = json.loads(manifest.read_bytes())["created"]
            if isinstance(created, str):
                return created
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    try:
        return datetime.fromtimestamp(folder.stat().st_mtime, timezone.utc).isoformat(timespec="seconds")
    except OSError:  # it has just gone
        return ""


def runs() -> list[Path]:
    """The folders that hold a training run, in alphabetical order."""
    folder = checkpoints_dir()
    if not folder.is_dir():
        return []
    names = (path for path in folder.iterdir() if not path.name.startswith(".") and path.name.isprintable())
    return sorted(path for path in names if path.is_dir() and (path / "config.toml").is_file())


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's: one in the folder of runs, or one that holds the settings of a run."""
    if folder.resolve().parent == checkpoints_dir().resolve():
        return True
    try:
        return (folder / "config.toml").is_file() and bool(load_toml(folder / "config.toml"))
    except InputError:
        return False


def find_run(text: str | Path) -> Path | None:
    """The run folder that a user means by a path or a name, if it is one and has a checkpoint."""
    path = _existing(text)
    if not path.is_dir() or is_checkpoint(path):
        return None
    return path if step_folders(path) else None


def find_checkpoint(text: str | Path) -> Path:
    """The checkpoint that a user means by a path or a name.

    Accepts a checkpoint folder, a run folder (its newest checkpoint, which may be damaged), `best` inside a run, each
    also as seen from the folder of runs, e.g. `my-run` or `my-run/best`; or a tutorial checkpoint (a `.chkpt` file).

    Returns an absolute path. Raises CheckpointError where there is none.
    """
    path = _existing(text)
    if path.is_file():
        if path.name == "manifest.json":
            return path.parent
        if path.suffix == ".chkpt":
            return path
        raise CheckpointError(f"{path} is no checkpoint: name a folder step-*, a run, or a tutorial .chkpt file")
    if is_checkpoint(path):
        return path
    folders = step_folders(path)
    if not folders:
        raise CheckpointError(f"{path} holds no checkpoint yet: train and save first, or name another folder")
    return folders[-1]


def _existing(text: str | Path) -> Path:
    """The file or folder at a path, or at that path in the folder of runs; links are followed."""
    missing = f"no checkpoint at {str(text)!r}: 'mario-tui checkpoints' lists the ones there are"
    if not str(text):
        raise CheckpointError("no checkpoint was named: 'mario-tui checkpoints' lists the ones there are")
    try:
        path = Path(text).expanduser()
        if not path.exists():
            path = checkpoints_dir() / path
        if path.exists():
            return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have
        pass
    raise CheckpointError(missing)


def is_checkpoint(path: Path) -> bool:
    return (path / "manifest.json").is_file() or bool(STEP_FOLDER.fullmatch(path.name))
