"""A run that is trained on another machine, copied here while it grows: its files are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mario_tui.errors import CheckpointError
from mario_tui.store import checkpoint
from mario_tui.system.files import fsync, hidden_name

CHUNK_BYTES = 8 * 2**20
_CHECKPOINT = "step-"


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells whether a file has changed; a link has its target."""

    size_bytes: int
    changed_ns: int
    link: str = ""


class Source(Protocol):
    """The folder on the other machine."""

    def files(self) -> dict[str, FileState]:
        """Its files, by their names in it, `/` between the parts; without hidden ones."""

    def read(self, name: str, offset: int, size_bytes: int) -> bytes:
        """A part of a file, less where it ends; raises FileNotFoundError."""


def list_files(folder: Path) -> dict[str, FileState]:
    """What `Source.files` tells of a folder in which somebody else writes."""
    found: dict[str, FileState] = {}
    for path in sorted(folder.rglob("[!.]*")):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            continue
        with contextlib.suppress(OSError):  # it has just gone
            status = path.lstat()
            if path.is_symlink():
                found[name.as_posix()] = FileState(0, 0, os.readlink(path))
            elif path.is_file() and not any(parent.is_symlink() for parent in path.parents if parent != folder):
                found[name.as_posix()] = FileState(status.st_size, status.st_mtime_ns)
    return found


def read_part(path: Path, offset: int, size_bytes: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size_bytes)


class FolderMirror:
    """Keeps a folder as one on another machine is.

    A checkpoint is copied under a hidden name, verified, and then gets its own; one that is gone there goes here, too.
    Any other file is replaced in one step where it has changed.

    Args:
        folder: the folder here.
        replace: whether a file that was there before this mirror may be replaced.
    """

    def __init__(self, folder: Path, *, replace: bool = True) -> None:
        self._folder, self._replace = folder, replace
        self._copied: dict[str, FileState] = {}

    def update(self, source: Source) -> None:
        """Copies what has changed since the last call; raises OSError where it cannot be written here.

        What changes there meanwhile is copied by the next call.
        """
        there = source.files()
        self._folder.mkdir(parents=True, exist_ok=True)
        checkpoints = {name.split("/")[0] for name in there if name.startswith(_CHECKPOINT)}
        new = {name for name in checkpoints if not (self._folder / name).exists()}
        for name in sorted(new):
            self._copy_checkpoint(source, name, {file: there[file] for file in there if file.startswith(f"{name}/")})
        for file, state in there.items():
            if file.split("/")[0] not in new and self._copied.get(file) != state:
                self._copy(source, file, state)
        self._remove_gone(there, checkpoints)

    def _copy_checkpoint(self, source: Source, name: str, files: dict[str, FileState]) -> None:
        hidden = self._folder / f".{name}.part"  # as of one that is being saved
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.mkdir()
        try:
            for file, state in files.items():
                self._fetch(source, file, state, hidden / file.split("/")[1])
            checkpoint.verify(hidden)
            fsync(hidden)
            os.rename(hidden, self._folder / name)
            fsync(self._folder)
            self._copied.update(files)
        except (CheckpointError, FileNotFoundError):  # parts were taken out there meanwhile
            shutil.rmtree(hidden, ignore_errors=True)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise

    def _copy(self, source: Source, file: str, state: FileState) -> None:
        path = self._folder / file
        if os.path.lexists(path) and file not in self._copied:
            same = not path.is_symlink() and path.stat().st_size == state.size_bytes
            if not self._replace or (file.startswith(_CHECKPOINT) and same):  # no part of a checkpoint ever changes
                self._copied[file] = state
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = hidden_name(path)
        try:
            if state.link:
                hidden.symlink_to(state.link)
            else:
                self._fetch(source, file, state, hidden)
            os.replace(hidden, path)
            self._copied[file] = state
        except FileNotFoundError:
            pass
        finally:
            hidden.unlink(missing_ok=True)

    @staticmethod
    def _fetch(source: Source, file: str, state: FileState, path: Path) -> None:
        with path.open("wb") as out:
            while (done := out.tell()) < state.size_bytes:
                part = source.read(file, done, min(CHUNK_BYTES, state.size_bytes - done))
                if not part:  # it became shorter
                    break
                out.write(part)
        fsync(path)

    def _remove_gone(self, there: Iterable[str], checkpoints: set[str]) -> None:
        for file in [file for file in self._copied if file not in there and file.startswith(_CHECKPOINT)]:
            del self._copied[file]
            folder = self._folder / file.split("/")[0]
            if folder.name in checkpoints:
                (self._folder / file).unlink(missing_ok=True)
            elif folder.exists():
                hidden = hidden_name(folder)
                os.rename(folder, hidden)
                shutil.rmtree(hidden, ignore_errors=True)
