"""A folder that is copied while it grows, shrinks and changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from saved import HEADER

from mario_tui.store import checkpoint
from mario_tui.training.run_mirror import FileState, FolderMirror, list_files, read_part


class Folder:
    """A `Source` on the same machine; `before_read` is called with each file's name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reads: list[str] = []
        self.before_read: Callable[[str], object] = lambda name: None

    def files(self) -> dict[str, FileState]:
        return list_files(self.path)

    def read(self, name: str, offset: int, size_bytes: int) -> bytes:
        self.before_read(name)
        self.reads.append(name)
        return read_part(self.path / name, offset, size_bytes)


@pytest.fixture
def source(tmp_path: Path) -> Folder:
    there = tmp_path / "there"
    there.mkdir()
    return Folder(there)


def save(run: Path, step: int) -> Path:
    """A checkpoint of two parts."""
    parts = {
        "net": lambda path: path.write_bytes(bytes(range(100))),
        "replay": lambda path: path.write_bytes(b"r" * 5000),
    }
    return checkpoint.write(run, step, parts, HEADER)


def content(folder: Path) -> dict[str, bytes | str]:
    return {
        name: os.readlink(folder / name) if state.link else (folder / name).read_bytes()
        for name, state in list_files(folder).items()
    }


def test_it_becomes_what_the_other_folder_is(source: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mario_tui.training.run_mirror.CHUNK_BYTES", 1000)
    here, there = tmp_path / "here", source.path
    mirror = FolderMirror(here)
    (there / "metrics.csv").write_text("1\n")
    (there / "tensorboard").mkdir()
    (there / "tensorboard" / "events").write_text("e")
    (there / ".hidden").write_text("half")
    first, second = save(there, 10), save(there, 20)
    (there / "best").symlink_to(first.name)
    mirror.update(source)
    assert content(here) == content(there)
    assert len(content(here)) == 9

    source.reads.clear()
    mirror.update(source)
    assert source.reads == [], "nothing has changed"

    (there / "metrics.csv").write_text("1\n2\n")
    checkpoint.drop_parts(first, ["replay"])
    save(there, 30)
    (there / "best").unlink()
    (there / "best").symlink_to(second.name)
    mirror.update(source)
    assert content(here) == content(there)

    for file in second.iterdir():
        file.unlink()
    second.rmdir()
    mirror.update(source)
    assert content(here) == content(there)
    assert not list(here.glob(".*"))


def test_a_checkpoint_that_changes_meanwhile_is_copied_later(source: Folder, tmp_path: Path) -> None:
    here = tmp_path / "here"
    folder = save(source.path, 10)
    source.before_read = lambda name: checkpoint.drop_parts(folder, ["replay"]) if name.endswith("net") else None
    mirror = FolderMirror(here)
    mirror.update(source)
    assert content(here) == {}, "part of a checkpoint is none"
    source.before_read = lambda name: None
    mirror.update(source)
    assert content(here) == content(source.path)


def test_a_checkpoint_that_was_damaged_on_the_way_is_not_taken(source: Folder, tmp_path: Path) -> None:
    folder = save(source.path, 10)
    (folder / "net").write_bytes(bytes(100))
    FolderMirror(tmp_path / "here").update(source)
    assert content(tmp_path / "here") == {}


def test_what_is_here_is_kept_where_it_should_be(source: Folder, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "film.mp4").write_text("ours")
    (source.path / "film.mp4").write_text("theirs")
    FolderMirror(here, replace=False).update(source)
    assert (here / "film.mp4").read_text() == "ours"
    FolderMirror(here).update(source)
    assert (here / "film.mp4").read_text() == "theirs"


def test_parts_that_are_here_are_not_copied_again(source: Folder, tmp_path: Path) -> None:
    here = tmp_path / "here"
    save(source.path, 10)
    FolderMirror(here).update(source)
    source.reads.clear()
    FolderMirror(here).update(source)
    assert source.reads == []
