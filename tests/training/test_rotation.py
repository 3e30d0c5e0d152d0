"""Which checkpoints of a run stay, and what they take on the disk, which is told before."""

from pathlib import Path
from typing import Any

import pytest

from fake_collector import fake_trainer
from mario_tui.config import TrainingConfig
from mario_tui.store import checkpoint, lookup
from mario_tui.store.manifest import read_manifest
from mario_tui.store.run import find_resumable
from mario_tui.training.export import export_policy
from mario_tui.training.resume import resume_config
from mario_tui.training.sizes import SAVED_REPLAY_BYTES, disk_need
from mario_tui.training.state_files import REPLAY_PARTS
from runs import run_to_end


def steps(run: Path) -> list[int]:
    return [checkpoint.verify(folder).step for folder in lookup.step_folders(run)]


def test_every_so_many_stay_and_those_that_a_person_saved(small: Any) -> None:
    trainer = fake_trainer(small(steps=200, save_every=20, keep_every=3, network="small"), run="kept")
    run_to_end(trainer, {50: lambda control: control.save()})
    assert steps(trainer.run_dir) == [50, 60, 120, 180, 200]
    assert (find_resumable(trainer.run_dir)[0] / "replay.frames").exists()


def test_all_stay_where_nothing_is_said(small: Any) -> None:
    trainer = fake_trainer(small(steps=100, save_every=20, network="small"), run="all")
    run_to_end(trainer)
    assert steps(trainer.run_dir) == [20, 40, 60, 80, 100]


def test_who_wants_to_keep_all_from_now_on_keeps_all(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = fake_trainer(small(steps=60, save_every=20, keep_every=100, network="small"), run="changed")
    run_to_end(trainer)
    assert steps(trainer.run_dir) == [40, 60]
    saved = lookup.step_folders(trainer.run_dir)[-1]
    run_to_end(fake_trainer(resume_config(saved, {"steps": 140, "keep_every": 1}), resume=saved))
    assert steps(trainer.run_dir) == [40, 60, 80, 100, 120, 140]


def test_a_copy_is_not_replaced(home: Path, small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = fake_trainer(small(steps=20, save_every=20, keep_every=2, network="small"), run="source")
    run_to_end(trainer)
    (source,) = lookup.step_folders(trainer.run_dir)
    assert read_manifest(source).rotates
    assert not read_manifest(export_policy(source, "copy")).rotates


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"network": "small"},
        {"network": "small", "average_updates": 50},
        {"network": "small", "value_bins": 51, "action_set": "complex"},
        {"network": "small", "envs": 4, "measuring_games": 2},
    ],
)
def test_what_a_checkpoint_takes_is_told_before(small: Any, changes: dict[str, Any]) -> None:
    config = small(steps=60, **changes)
    trainer = fake_trainer(config, run="size")
    run_to_end(trainer)
    (folder,) = lookup.step_folders(trainer.run_dir)
    taken = sum(part.stat().st_size for part in folder.iterdir() if part.name not in REPLAY_PARTS)
    assert disk_need(config).each == pytest.approx(taken, rel=0.03)


def test_before_the_first_checkpoint_its_size_is_estimated(small: Any) -> None:
    trainer = fake_trainer(small(steps=60), run="first")
    assert trainer.checkpointer.bytes_needed(1000) == disk_need(trainer.config).each + 1000 * SAVED_REPLAY_BYTES
    run_to_end(trainer)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"steps": 1_000_000}, 2),
        ({"steps": 1_000_000, "save_every": 50_000}, 20),
        ({"steps": 1_010_000, "save_every": 50_000}, 21),
        ({"steps": 1_000_000, "save_every": 50_000, "keep_every": 10}, 4),
        ({"steps": 1_000_000, "save_every": 0}, 1),
        ({}, None),
    ],
)
def test_how_many_there_will_be(changes: dict[str, int], kept: int | None) -> None:
    need = disk_need(TrainingConfig(**changes))
    assert need.kept == kept
    assert need.total == need.each * (kept or 1) + need.replay * (1 if kept == 1 else 2)


def test_the_need_in_words() -> None:
    assert str(disk_need(TrainingConfig(network="small", average_updates=9))) == "14 MB each, newest +120 MB"
