"""The checkpoint that a command is given."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from mario_tui.errors import CheckpointError, InputError
from mario_tui.game.kept_episodes import EpisodeName
from mario_tui.game.stages import check_stage
from mario_tui.printable import printable
from mario_tui.store import named
from mario_tui.store.manifest import MANIFEST, read_manifest
from mario_tui.training.resume import emulator_note


def episode_name(run: str, episode: int) -> EpisodeName:
    """An episode of the run named; raises InputError where there is no such run, or it does not keep the episode."""
    name = EpisodeName(run_of(run), episode)
    name.load()
    return name


def run_of(text: str) -> Path:
    """The folder of a run by its name or path. The run need not have a checkpoint yet. Raises InputError if there is no
    such run."""
    path = named.find_path(text)
    path = path.parent if path.is_dir() and (path / MANIFEST).is_file() else path
    if not path.is_dir() or not any((path / name).is_file() for name in ("config.toml", "metrics.csv")):
        raise InputError(f"there is no run {printable(text)!r}: 'mario-tui checkpoints' lists them")
    return path


def checkpoint_of(arguments: argparse.Namespace) -> Path:
    """The checkpoint named, with the arguments checked before anything slow is imported.

    Prints a note if the checkpoint was made with another generation of the emulator.
    """
    if arguments.stage is not None:
        check_stage(arguments.stage)
    path = named.find_checkpoint(arguments.checkpoint)
    with contextlib.suppress(CheckpointError):  # which is said when it is loaded
        if path.is_dir() and (note := emulator_note(read_manifest(path))):
            print(f"{printable(path.name)} was {note}", file=sys.stderr)
    return path
