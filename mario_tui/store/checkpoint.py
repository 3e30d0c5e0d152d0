"""Checkpoints: folders of named parts, written whole or not at all, and verified before they are used.

A checkpoint is written into a hidden folder beside its place, every file is flushed to the disk, and the folder is then
renamed once, to a name that no other has. `manifest.json` holds the size and SHA-256 of every part. Nothing in
a checkpoint is a pickle: tensors are safetensors, the rest is JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from mario_tui import __version__, paths
from mario_tui.errors import CheckpointError, DamagedError
from mario_tui.store.lookup import next_sequence
from mario_tui.store.manifest import MANIFEST, Manifest, Part, read_manifest
from mario_tui.store.untrusted import one_line_error
from mario_tui.system import times
from mario_tui.system.files import fsync, write_atomically

_State: TypeAlias = tuple[tuple[str, int, int, int], ...]


def write(run: Path, step: int, parts: Mapping[str, Callable[[Path], object]], header: Mapping[str, Any]) -> Path:
    """Writes a new checkpoint into a run's folder.

    It gets its name only after every file of it is on the disk: a program that is killed, or a disk that fills up,
    leaves a hidden folder or none, never part of a checkpoint. Size and hash are those of the files as they are read
    back once, after they were flushed: whatever changes in them from then on is found by `verify`.

    Args:
        run: the run's folder, made if it is missing.
        step: training steps so far, which name the folder.
        parts: file name -> function that writes that file.
        header: what else the manifest says, see `Manifest`. By default `created` is now, and `sequence` the next one.

    Returns:
        The new folder.

    Raises:
        OSError: it cannot be written, e.g. since the disk is full.
        CheckpointError: its manifest could not be read again.
    """
    run.mkdir(parents=True, exist_ok=True)
    temporary, final = _claim(run, step)
    try:
        listed = {}
        for name, write_part in parts.items():
            part = temporary / name
            write_part(part)
            fsync(part)
            listed[name] = {"bytes": part.stat().st_size, "sha256": _sha256(part)}
        manifest = Manifest.model_validate(
            {
                "program": f"mario-tui {__version__}",
                "python": ".".join(map(str, sys.version_info[:3])),
                "created": times.now(),
                "sequence": header["sequence"] if "sequence" in header else next_sequence(run),
                "step": step,
                **header,
                "parts": listed,
            }
        )
        (temporary / MANIFEST).write_text(_as_text(manifest))
        fsync(temporary / MANIFEST)
        fsync(temporary)
        state = _state_of(temporary)
        os.rename(temporary, final)
        fsync(run)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, ValidationError):  # e.g. of a number out of range in the manifest before it
            raise CheckpointError(f"{final} could not be saved: {one_line_error(error)}") from None
        raise
    _found[final] = state, ""
    return final


def _as_text(manifest: Manifest) -> str:
    return json.dumps(manifest.model_dump(), indent=1) + "\n"


def _claim(run: Path, step: int) -> tuple[Path, Path]:
    """A new hidden folder for this save alone, and the name that it gets at the end: two saves may run at once."""
    number = 1
    while True:
        name = paths.checkpoint_name(step, number)
        temporary, final = run / f".{name}.part", run / name
        number += 1
        try:
            temporary.mkdir()
        except FileExistsError:
            continue
        if not final.exists():
            return temporary, final
        temporary.rmdir()


def drop_parts(folder: Path, names: Collection[str]) -> None:
    """Deletes parts of a checkpoint: first from its manifest, then from the disk, so that it is whole at any moment.

    A checkpoint that cannot be read is left as it is, and so is one to which a link leads.
    """
    if folder.is_symlink():
        return
    try:
        manifest = read_manifest(folder)
    except CheckpointError:
        return
    kept = {name: part for name, part in manifest.parts.items() if name not in names}
    if len(kept) < len(manifest.parts):
        write_atomically(folder / MANIFEST, _as_text(manifest.model_copy(update={"parts": kept})))
    for name in names:
        (folder / name).unlink(missing_ok=True)


def looks_whole(folder: Path, manifest: Manifest | None = None) -> bool:
    """Whether `check_sizes` finds nothing wrong."""
    try:
        check_sizes(folder, manifest)
    except CheckpointError:
        return False
    return True


def check_sizes(folder: Path, manifest: Manifest | None = None) -> Manifest:
    """The manifest, after a quick look that every part is there and has its size; raises CheckpointError.

    Args:
        manifest: as it was read before; None to read it.
    """
    return _check_parts(folder, _check_size, manifest)


def verify(folder: Path) -> Manifest:
    """The manifest, after every part was read and found to be what was written; raises CheckpointError.

    The result is remembered for as long as the files do not change: lists of checkpoints show it.
    """
    state = _state_of(folder)
    try:
        check_sizes(folder)
        manifest = _check_parts(folder, _check_content)
    except CheckpointError as error:
        _found[folder] = state, str(error)
        raise
    _found[folder] = state, ""
    return manifest


def is_whole(folder: Path) -> bool:
    """Whether `verify` finds nothing wrong."""
    try:
        verify(folder)
    except CheckpointError:
        return False
    return True


_found: dict[Path, tuple[_State, str]] = {}
"""What `verify` found last in this process: of which state of a folder's files, and what is wrong with it, or ""."""


def _state_of(folder: Path) -> _State:
    """What tells whether the files of a folder have changed: names, sizes, times."""
    try:
        statuses = [(file.name, file.stat()) for file in os.scandir(folder)]
    except OSError:
        return ()
    return tuple(sorted((name, status.st_size, status.st_mtime_ns, status.st_ino) for name, status in statuses))


def last_verdict(folder: Path) -> str | None:
    """What `verify` found wrong with the files as they are now, "" for nothing; None if it has not read them."""
    state, found = _found.get(folder, ((), ""))
    return found if state and state == _state_of(folder) else None


def _check_parts(folder: Path, check: Callable[[Path, Part], None], manifest: Manifest | None = None) -> Manifest:
    """The manifest, after each part was checked; begins anew if a training takes parts out meanwhile."""
    try:
        manifest = manifest or read_manifest(folder)
        while True:
            try:
                for name, part in manifest.parts.items():
                    check(folder / name, part)
            except CheckpointError:
                now_there = read_manifest(folder)
                if now_there.parts == manifest.parts:
                    raise
                manifest = now_there
            else:
                return manifest
    except CheckpointError:
        if folder.is_dir():
            raise
        raise gone_error(folder) from None


def gone_error(folder: Path) -> CheckpointError:
    """The error for a folder that was there a moment ago."""
    return CheckpointError(f"{folder} is gone: deleted, or replaced by a later one of its run")


def _check_size(path: Path, part: Part) -> None:
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError:  # deleted just now
        size = None
    if size is None:
        raise DamagedError(f"{path} is missing")
    if size != part.bytes:
        raise DamagedError(f"{path} is damaged: {size:,} bytes instead of {part.bytes:,}")


def _check_content(path: Path, part: Part) -> None:
    try:
        content = _sha256(path)
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror}") from None
    if content != part.sha256:
        raise DamagedError(f"{path} is damaged: its content is not what was saved")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
