"""Checkpoints: folders of named parts, written whole or not at all, and verified before they are used.

A checkpoint is written into a hidden folder beside its place, every file is flushed to the disk, and the folder is then
renamed once, to a name that no other has. `manifest.json` holds the size and SHA-256 of every part. Nothing in
a checkpoint is a pickle: tensors are safetensors, the rest is JSON.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeAlias

from mario_tui import __version__, paths
from mario_tui.errors import CheckpointError
from mario_tui.store.lookup import step_folders
from mario_tui.store.manifest import FORMAT, MANIFEST, read_manifest
from mario_tui.system.files import fsync, write_atomically

_State: TypeAlias = tuple[tuple[str, int, int, int], ...]


def write(run: Path, step: int, parts: Mapping[str, Callable[[Path], None]], header: Mapping[str, Any]) -> Path:
    """Writes a new checkpoint into a run's folder.

    Args:
        run: the run's folder, made if it is missing.
        step: training steps so far, which name the folder.
        parts: file name -> function that writes that file.
        header: what else the manifest says (stage, action set, ...); must be JSON. Its `created` stands in the place of
            the present time.

    Returns:
        The new folder.

    Raises:
        OSError: it cannot be written, e.g. as the disk is full.
        CheckpointError: what was written is not what is read.
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
        manifest = {
            "format": FORMAT,
            "program": f"mario-tui {__version__}",
            "python": ".".join(map(str, sys.version_info[:3])),
            "created": now(),
            "step": step,
            **header,
            "parts": listed,
        }
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        fsync(temporary / MANIFEST)
        fsync(temporary)
        verify(temporary)
        os.rename(temporary, final)
        _found[final] = _found.pop(temporary)
        fsync(run)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        _found.pop(temporary, None)
        raise
    return final


def _claim(run: Path, step: int) -> tuple[Path, Path]:
    """A hidden folder, made for this save alone, and the name that it gets at the end: two may be saved at once."""
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
    """Takes parts out of a checkpoint: first out of its manifest, then off the disk, so that it stays whole throughout.

    A checkpoint that cannot be read is left as it is, and so is one elsewhere that a link leads to.
    """
    if folder.is_symlink():
        return
    try:
        manifest = read_manifest(folder)
    except CheckpointError:
        return
    kept = {name: entry for name, entry in manifest["parts"].items() if name not in names}
    if len(kept) < len(manifest["parts"]):
        write_atomically(folder / MANIFEST, json.dumps({**manifest, "parts": kept}, indent=1) + "\n")
    for name in names:
        (folder / name).unlink(missing_ok=True)


def check_sizes(folder: Path) -> dict[str, Any]:
    """The manifest, after a quick look that every part is there and has its size; raises CheckpointError."""
    return _check_parts(folder, _check_size)


def verify(folder: Path) -> dict[str, Any]:
    """The manifest, after every part was read and found to be what was written; raises CheckpointError.

    What is found is remembered for as long as the files stay as they are: lists of checkpoints show it.
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
    """What shows whether files have changed: names, sizes, times."""
    try:
        statuses = [(file.name, file.stat()) for file in os.scandir(folder)]
    except OSError:
        return ()
    return tuple(sorted((name, status.st_size, status.st_mtime_ns, status.st_ino) for name, status in statuses))


def last_verdict(folder: Path) -> str | None:
    """What `verify` found: "" of a whole one; None where it has not looked at the files as they are now."""
    state, found = _found.get(folder, ((), ""))
    return found if state and state == _state_of(folder) else None


def _check_parts(folder: Path, check: Callable[[Path, Mapping[str, Any]], None]) -> dict[str, Any]:
    """The manifest, after each part was checked; begins anew where a training takes parts out meanwhile."""
    try:
        while True:
            manifest = read_manifest(folder)
            try:
                for name, entry in manifest["parts"].items():
                    check(folder / name, entry)
            except CheckpointError:
                if read_manifest(folder)["parts"] == manifest["parts"]:
                    raise
            else:
                return manifest
    except CheckpointError:
        if folder.is_dir():
            raise
        raise gone_error(folder) from None


def gone_error(folder: Path) -> CheckpointError:
    return CheckpointError(f"{folder} is gone: deleted, or replaced by a later one of its run")


def _check_size(part: Path, entry: Mapping[str, Any]) -> None:
    try:
        size = part.stat().st_size if part.is_file() else None
    except OSError:  # it has just gone
        size = None
    if size is None:
        raise CheckpointError(f"{part} is missing")
    if size != entry["bytes"]:
        raise CheckpointError(f"{part} is damaged: {size:,} bytes instead of {entry['bytes']:,}")


def _check_content(part: Path, entry: Mapping[str, Any]) -> None:
    try:
        content = _sha256(part)
    except OSError as error:
        raise CheckpointError(f"{part} cannot be read: {error.strerror}") from None
    if content != entry["sha256"]:
        raise CheckpointError(f"{part} is damaged: its content is not what was saved")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def now() -> str:
    """The time as manifests have it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def now_after(time: str) -> str:
    """Now, but at least a second after `time`, also where the clock was put back: the order of checkpoints is that of
    their times."""
    with contextlib.suppress(ValueError, OverflowError, TypeError):
        if datetime.fromisoformat(time) >= datetime.fromisoformat(now()):
            return (datetime.fromisoformat(time) + timedelta(seconds=1)).isoformat(timespec="seconds")
    return now()


def newest_time(run: Path) -> str:
    """When the newest of a run's checkpoints that can be read was saved; "" where there is none."""
    for folder in reversed(step_folders(run)):
        with contextlib.suppress(CheckpointError):
            return str(read_manifest(folder)["created"])
    return ""
