"""Which runs and checkpoints there are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mario_tui.config import load_toml
from mario_tui.errors import CheckpointError, InputError
from mario_tui.paths import STEP_FOLDER, checkpoints_dir
from mario_tui.store import shipped
from mario_tui.store.manifest import Manifest, read_manifest


def step_folders(run: Path) -> list[Path]:
    """The checkpoints of a run in the order in which they were saved, the oldest first.

    That is not the order of their steps if the run was resumed from an earlier checkpoint.
    """
    return list(read_manifests(run))


def next_sequence(run: Path) -> int:
    """The number of a run's next save."""
    found = read_manifests(run).values()
    return 1 + max((manifest.sequence for manifest in found if isinstance(manifest, Manifest)), default=0)


def read_manifests(run: Path) -> dict[Path, Manifest | CheckpointError]:
    """The checkpoints of a run in the order of `step_folders`, each with its manifest, or why it cannot be read."""
    read: dict[Path, Manifest | CheckpointError] = {}
    for folder in run.iterdir() if run.is_dir() else ():
        if STEP_FOLDER.fullmatch(folder.name) and folder.is_dir():
            try:
                read[folder] = read_manifest(folder)
            except CheckpointError as error:
                read[folder] = error
    return {folder: read[folder] for folder in _in_order(read)}


def _in_order(read: Mapping[Path, Manifest | CheckpointError]) -> list[Path]:
    """Orders checkpoints by the sequence in their manifests, and the others by their names.

    One without a readable manifest comes after all those of fewer steps: right unless the run was resumed from an
    earlier checkpoint.
    """
    places = {folder: place(folder) for folder in read}
    sequences = {folder: found.sequence for folder, found in read.items() if isinstance(found, Manifest)}
    order = sorted(sequences, key=lambda folder: (sequences[folder], places[folder]))
    for folder in sorted(read.keys() - sequences.keys(), key=lambda folder: places[folder]):
        before = [index for index, other in enumerate(order) if places[other] < places[folder]]
        order.insert(before[-1] + 1 if before else 0, folder)
    return order


def place(folder: Path) -> tuple[int, int]:
    """The step in a checkpoint's name, and its number among those of that step."""
    match = STEP_FOLDER.fullmatch(folder.name)
    return (int(match[1]), int(match[2] or 1)) if match else (0, 0)


def runs() -> list[Path]:
    """The folders that hold a training run of the user, in alphabetical order."""
    folder = checkpoints_dir()
    if not folder.is_dir():
        return []
    names = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in names if path.is_dir() and (path / "config.toml").is_file())


def all_runs() -> list[Path]:
    """The user's runs and the shipped ones, in alphabetical order; a user's run takes the place of one of its name."""
    by_name = {run.name: run for run in (*shipped.runs(), *runs())}
    return [by_name[name] for name in sorted(by_name)]


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's: one in the folder of runs, or one that holds the settings of a run."""
    if folder.resolve().parent == checkpoints_dir().resolve():
        return True
    try:
        return (folder / "config.toml").is_file() and bool(load_toml(folder / "config.toml"))
    except InputError:
        return False
