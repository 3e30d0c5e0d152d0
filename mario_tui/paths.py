"""Where runs, recordings and settings live.

Runs and recordings sit under one home folder: the one named by the environment variable `MARIO_TUI_HOME`, otherwise the
folder that `mario-tui` was started in.
"""

import os
import re
from datetime import datetime
from pathlib import Path

import platformdirs

from mario_tui.errors import InputError

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
