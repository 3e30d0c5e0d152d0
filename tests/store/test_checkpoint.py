"""Checkpoints are written whole or not at all, and what is damaged is named."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from saved import HEADER, write

from mario_tui.errors import CheckpointError
from mario_tui.store import checkpoint, evaluations, lookup
from mario_tui.store.manifest import MANIFEST, read_manifest
from mario_tui.system import files


def test_what_is_written_verifies(run: Path) -> None:
    folder = write(run)
    manifest = checkpoint.verify(folder)
    assert folder.name == "step-000000005"
    assert (manifest.step, manifest.stage, manifest.sequence) == (5, "1-1", 1)
    assert manifest.parts["agent.bin"].bytes == 700
    assert manifest == read_manifest(folder)


def test_a_second_save_at_a_step_has_a_name_of_its_own(run: Path) -> None:
    assert [write(run).name for _ in range(3)] == ["step-000000005", "step-000000005-2", "step-000000005-3"]
    assert [folder.name for folder in lookup.step_folders(run)][-1] == "step-000000005-3"


def test_a_failed_save_leaves_nothing(run: Path) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        checkpoint.write(run, 5, {"agent.bin": fail}, HEADER)
    assert list(run.iterdir()) == []


@pytest.mark.parametrize("look", ["_sha256", "_check_size"])
def test_parts_that_a_training_takes_out_while_one_looks_are_no_damage(
    run: Path, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    parts = {name: lambda path: path.write_bytes(b"rows") for name in ("agent.bin", "replay.bin")}
    folder = checkpoint.write(run, 5, parts, HEADER)
    as_it_is, looks = getattr(checkpoint, look), []

    def meanwhile(*arguments: Any) -> Any:
        looks.append(arguments[0])
        if len(looks) == 1:
            checkpoint.drop_parts(folder, ["replay.bin"])
        return as_it_is(*arguments)

    monkeypatch.setattr(checkpoint, look, meanwhile)
    assert checkpoint.verify(folder).parts.keys() == {"agent.bin"}
    (folder / "agent.bin").unlink()
    with pytest.raises(CheckpointError, match=r"agent\.bin is missing"):
        checkpoint.verify(folder)


def test_one_that_goes_while_one_looks_is_said_to_be_gone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(run)
    monkeypatch.setattr(checkpoint, "_sha256", lambda path: shutil.rmtree(path.parent) or "")
    with pytest.raises(CheckpointError, match="is gone: deleted, or replaced"):
        checkpoint.verify(folder)
    with pytest.raises(CheckpointError, match="is gone"):
        evaluations.annotate(folder, "text")
    evaluations.record(folder, greedy_clear=True, greedy_x=3000)
    assert evaluations.read(run) == {}


@pytest.mark.parametrize("at", [0, 350, -1])
def test_a_flipped_bit_is_named(run: Path, at: int) -> None:
    part = write(run) / "agent.bin"
    content = bytearray(part.read_bytes())
    content[at] ^= 1
    part.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"agent\.bin is damaged"):
        checkpoint.verify(part.parent)


def test_what_another_version_said_stays_where_parts_are_taken_out(run: Path) -> None:
    folder = write(run, later={"a key of": "another version"})
    checkpoint.drop_parts(folder, ["trainer.json"])
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["later"] == {"a key of": "another version"}
    assert manifest["parts"].keys() == {"agent.bin"}
    checkpoint.verify(folder)


def test_what_no_manifest_can_say_is_not_saved(run: Path) -> None:
    for header in ({"mean_reward": float("nan")}, {"stage": "\x1b"}, {"sequence": -1}):
        with pytest.raises(CheckpointError, match="could not be saved: ValidationError"):
            write(run, **header)
    assert [path.name for path in run.iterdir()] == ["config.toml"]


def test_what_cannot_be_flushed_to_the_disk_is_not_there(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full is found when a file is flushed, if not before."""
    fsync = files.fsync

    def full(path: Path) -> None:
        if path.name == MANIFEST:
            raise OSError(28, "No space left on device")
        fsync(path)

    monkeypatch.setattr(checkpoint, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(run)
    assert [path.name for path in run.iterdir()] == ["config.toml"]
