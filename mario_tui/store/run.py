"""The folder of a run: its lock, its name, what goes to the trash, what is replaced, and what training resumes from."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from mario_tui import paths
from mario_tui.config import TrainingConfig, load_toml, make_config
from mario_tui.errors import CheckpointError, DamagedError, InputError
from mario_tui.store import evaluations, lookup, rescue, shipped
from mario_tui.store.checkpoint import check_sizes, verify
from mario_tui.store.lookup import step_folders
from mario_tui.store.manifest import Manifest
from mario_tui.system import files
from mario_tui.system.files import hidden_name, write_atomically
from mario_tui.system.locks import file_lock, marker

MOST_RUN_NAME_BYTES = 200
"""So much of a run's name is in that of its lock: a run may have the longest name that a folder can have."""


def settings_of(run: Path) -> TrainingConfig:
    """The settings of a run, as they are now; raises InputError where its config.toml cannot be read."""
    return make_config(**load_toml(run / "config.toml"))


def find_resumable(run: Path) -> tuple[Path, str]:
    """The checkpoint from which training resumes, and a line that says why that is not the newest one; "" if it is.

    It is the newest intact one. One that was saved for an evaluation, as the best so far or for a robust trial, has no
    replay and is passed over if there is an intact one with the replay. Raises CheckpointError if none is intact.
    """
    why, damaged = "", False
    evaluated: tuple[Path, str] | None = None
    for folder in reversed(step_folders(run)):
        try:
            manifest = verify(folder)
        except CheckpointError as error:
            damaged = damaged or isinstance(error, DamagedError)
            why = why or str(error)
            continue
        found = folder, f"{why}; resuming from {folder.name} instead" if why else ""
        if evaluated is None and manifest.evaluated:
            evaluated = found
            why = why or f"{folder.name} was saved for an evaluation, without the replay"
        elif evaluated is None or manifest.full:
            return found
    if evaluated is None:
        raise CheckpointError(
            f"{why}; {rescue.advice(run, None)}" if damaged else why or f"{run} holds no checkpoint yet"
        )
    return evaluated


def run_lock(run: Path) -> Path:
    """The file that is locked while a run is trained; the same one through whatever link the run was found."""
    run = run.resolve()
    return run.with_name(f".{files.cut(run.name, MOST_RUN_NAME_BYTES)}.lock")


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Holds a run's lock; raises InputError if a training holds it."""
    lock = file_lock(run_lock(run))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"the run {run.name!r} is being trained: stop that first{marker(lock)}") from None
    try:
        yield
    finally:
        lock.release()


def rename_run(run: Path, name: str) -> Path:
    """Gives a run another name; returns its new folder.

    Raises InputError for a name that cannot be used or is taken, and for a run that is being trained or is shipped.
    """
    shipped.protect(run)
    folder = paths.run_dir(name)
    if folder.exists():
        raise InputError(f"a run named {name!r} exists: choose another name")
    with locked(run), locked(folder):  # a training may be about to begin under the new name
        os.rename(run, folder)
    return folder


def trash(path: Path) -> Path:
    """Moves a checkpoint or a run into the trash folder beside the runs; returns where it is now.

    Raises InputError for a run that is being trained, and for what is shipped.
    """
    shipped.protect(path)
    whole_run = path.parent.resolve() == paths.checkpoints_dir().resolve()
    name = path.name if whole_run else f"{path.parent.name}_{path.name}"
    trash = paths.checkpoints_dir() / ".trash"
    trash.mkdir(parents=True, exist_ok=True)
    with files.Reservation(trash, f"{paths.timestamp()}_{name}") as folder:
        if whole_run:
            with locked(path):
                os.rename(path, folder)
            return folder
        run = path.parent
        with evaluations.lock(run):
            if measured := evaluations.read(run).get(path.name):
                write_atomically(path / evaluations.TRASHED, json.dumps(measured, indent=1) + "\n")
            os.rename(path, folder)
            if measured:
                evaluations.forget(run, path.name)
        return folder


def take_back(trashed: Path, path: Path) -> None:
    """Moves what `trash` moved back to where it was.

    Raises InputError where there is something of that name again, or its run is gone.
    """
    if path.exists() or not path.parent.is_dir():
        why = "there is another one of that name" if path.exists() else "its run is gone"
        raise InputError(f"{path.name} cannot be taken back, as {why}: it stays in {trashed}")
    os.rename(trashed, path)


def rotate(run: Path, newest: Path) -> None:
    """Deletes the checkpoints of a run that were saved to be replaced by later ones (`rotates` in their manifest).

    What stays: `newest` and what is later, the full one before (should the newest be damaged one day), the best one,
    those with a note, whatever is damaged, and what a link leads to. A folder gets a hidden name before anything in it
    goes, so that it is there whole or not at all.

    Raises:
        OSError: one cannot be deleted; the others are.
    """
    folders = step_folders(run)
    older = folders[: folders.index(newest)] if newest in folders else []
    manifests = {folder: _manifest_if_whole(folder) for folder in older}
    before = next((folder for folder, manifest in reversed(manifests.items()) if manifest and manifest.full), None)
    replaced = [folder for folder, manifest in manifests.items() if manifest and manifest.rotates and folder != before]
    if not replaced:
        return
    problem = None
    with evaluations.lock(run):
        known = evaluations.load(run)
        if known.unreadable:  # which ones have a note cannot be known
            return
        measured = known.entries
        best = {evaluations.best_of(folders, measured), evaluations.linked_best(run)}
        for folder in replaced:
            if measured.get(folder.name, {}).get("note") or folder.name in best or folder.is_symlink():
                continue
            try:
                if folder.name in measured:
                    evaluations.forget(run, folder.name)
                hidden = hidden_name(folder)
                os.rename(folder, hidden)
                shutil.rmtree(hidden)
            except OSError as error:
                problem = problem or error
    if problem:
        raise problem


def _manifest_if_whole(folder: Path) -> Manifest | None:
    try:
        return check_sizes(folder)
    except CheckpointError:
        return None


def sweep_runs() -> None:
    """Removes leftovers of killed programs from the folders of runs that are not being trained."""
    for run in lookup.runs():
        if any(run.glob(".*.part")):
            with contextlib.suppress(InputError), locked(run):
                sweep_run(run)


def sweep_run(run: Path) -> None:
    """Removes what a killed program left half-written in a run's folder; call it with the run's lock."""
    for leftover in run.glob(".step-*.part"):
        shutil.rmtree(leftover, ignore_errors=True)
    for folder in (run, *step_folders(run)):
        if not folder.is_symlink() or folder == run:
            files.sweep(folder)
