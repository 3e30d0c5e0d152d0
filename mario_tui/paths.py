"""Where runs, recordings and settings live.

Everything sits under one home folder: the one named by the environment variable `MARIO_TUI_HOME`, otherwise the folder
that `mario-tui` was started in.
"""

import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from mario_tui.errors import CheckpointError, InputError

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
STEP_FOLDER = re.compile(r"step-(\d{9,})(?:-(\d+))?")


def home() -> Path:
    return Path(os.environ.get("MARIO_TUI_HOME") or Path.cwd())


def checkpoints_dir() -> Path:
    return home() / "checkpoints"


def recordings_dir() -> Path:
    return home() / "recordings"


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
    """A path in the recordings folder that no file has yet; `suffix` is `.mp4` or `.gif`."""
    folder = recordings_dir()
    path = folder / f"{stem}_{timestamp()}{suffix}"
    number = 2
    while path.exists() or path.with_suffix(".json").exists():
        path = folder / f"{stem}_{timestamp()}_{number}{suffix}"
        number += 1
    return path


def checkpoint_name(step: int, run: Path) -> str:
    """The name of a new checkpoint folder in `run`: never one that exists, so nothing is ever written over."""
    name = base = f"step-{step:09d}"
    number = 2
    while (run / name).exists():
        name = f"{base}-{number}"
        number += 1
    return name


def step_folders(run: Path) -> list[Path]:
    """The checkpoints of a run, the oldest first (by step, then by the number of the save at that step)."""

    def numbered(folders: Iterator[Path]) -> Iterator[tuple[int, int, Path]]:
        for folder in folders:
            match = STEP_FOLDER.fullmatch(folder.name)
            if match and folder.is_dir():
                yield int(match[1]), int(match[2] or 1), folder

    if not run.is_dir():
        return []
    return [folder for _, _, folder in sorted(numbered(run.iterdir()))]


def runs() -> list[Path]:
    """The folders that hold a training run, in alphabetical order."""
    folder = checkpoints_dir()
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and (p / "config.toml").is_file())


def find_checkpoint(text: str | Path) -> Path:
    """The checkpoint that a user means by a path or a name.

    Accepts a checkpoint folder, a run folder (its newest checkpoint, which may be damaged), `best` inside a run, each
    also as seen from the folder of runs, e.g. `my-run` or `my-run/best`; or a tutorial checkpoint (a `.chkpt` file).

    Raises CheckpointError where there is none.
    """
    path = Path(text).expanduser()
    if not path.exists() and (checkpoints_dir() / path).is_dir():
        path = checkpoints_dir() / path
    if not path.exists():
        raise CheckpointError(f"no checkpoint at {path}: 'mario-tui checkpoints' lists the ones there are")
    if path.is_file():
        if path.name == "manifest.json":
            return path.parent
        if path.suffix == ".chkpt":
            return path
        raise CheckpointError(f"{path} is no checkpoint: name a folder step-*, a run, or a tutorial .chkpt file")
    if (path / "manifest.json").is_file() or STEP_FOLDER.fullmatch(path.name):
        return path.resolve() if path.is_symlink() else path
    folders = step_folders(path)
    if not folders:
        raise CheckpointError(f"{path} holds no checkpoint yet: train and save first, or name another folder")
    return folders[-1]
