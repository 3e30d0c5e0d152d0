"""Where runs, recordings and settings live.

Runs and recordings sit under one home folder: the one named by the environment variable `MARIO_TUI_HOME`, otherwise the
folder that `mario-tui` was started in.
"""

import json
import os
import re
from datetime import datetime, timezone
from pathlib import Path

import platformdirs

from mario_tui.errors import CheckpointError, InputError

MAX_JSON_BYTES = 16 * 2**20
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
STEP_FOLDER = re.compile(r"step-(\d{9,})(?:-(\d+))?")


def home() -> Path:
    """The folder that holds everything; raises InputError where MARIO_TUI_HOME names a file."""
    folder = Path(os.environ.get("MARIO_TUI_HOME") or Path.cwd())
    if folder.exists() and not folder.is_dir():
        raise InputError(f"MARIO_TUI_HOME = {str(folder)!r} cannot be used: it is no folder")
    return folder


def checkpoints_dir() -> Path:
    return home() / "checkpoints"


def recordings_dir() -> Path:
    return home() / "recordings"


def logs_dir() -> Path:
    """Where the log of a crash goes that has no run to go to."""
    return home() / "logs"


def plays_dir() -> Path:
    """Where the action logs of games played by hand are kept."""
    return home() / "plays"


def settings_file() -> Path:
    """The app's settings: with MARIO_TUI_HOME in that folder, otherwise where the system keeps a user's settings."""
    if os.environ.get("MARIO_TUI_HOME"):
        return home() / "settings.toml"
    return platformdirs.user_config_path("mario-tui") / "settings.toml"


def timestamp() -> str:
    """Now, as it appears in the names of runs and recordings, e.g. `2026-11-22T08-30-00`."""
    return datetime.now().strftime("%Y-%m-%dT%H-%M-%S")


def check_run_name(name: str) -> str:
    """Returns the name if it can be a folder of its own; raises InputError otherwise."""
    if not RUN_NAME.fullmatch(name) or name.endswith(".lock"):
        raise InputError(
            f"run name {name!r} cannot be used: take up to 64 letters, digits, '.', '_' or '-', without a folder"
        )
    return name


def new_run_name(stage: str) -> str:
    """A name that no run has yet, made of the stage and the time."""
    name = base = f"{stage}_{timestamp()}"
    number = 2
    while (checkpoints_dir() / name).exists():
        name = f"{base}_{number}"
        number += 1
    return name


def run_dir(name: str) -> Path:
    return checkpoints_dir() / check_run_name(name)


def new_recording_path(stem: str, suffix: str) -> Path:
    """A path in the recordings folder that no file has yet; `suffix` is e.g. `.mp4`."""
    return _new_path(recordings_dir(), stem, suffix)


def new_play_path(stage: str) -> Path:
    """A path in the folder of plays that no file has yet."""
    return _new_path(plays_dir(), stage, ".json")


def _new_path(folder: Path, stem: str, suffix: str) -> Path:
    path = folder / f"{stem}_{timestamp()}{suffix}"
    number = 2
    while path.exists() or path.with_suffix(".json").exists():
        path = folder / f"{stem}_{timestamp()}_{number}{suffix}"
        number += 1
    return path


def checkpoint_name(step: int, number: int = 1) -> str:
    """The name of the first, second, ... checkpoint of a step."""
    return f"step-{step:09d}" + (f"-{number}" if number > 1 else "")


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


def find_run(text: str | Path) -> Path | None:
    """The run folder that a user means by a path or a name, if it is one and has a checkpoint."""
    path = _existing(text)
    if not path.is_dir() or _is_checkpoint(path):
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
    if _is_checkpoint(path):
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


def _is_checkpoint(path: Path) -> bool:
    return (path / "manifest.json").is_file() or bool(STEP_FOLDER.fullmatch(path.name))
