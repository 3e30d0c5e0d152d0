"""Which checkpoints of a run stay, and what they take on the disk, which is told before."""

import os
from pathlib import Path
from typing import Any

import pytest

from fake_fleet import FakeFleet
from mario_tui import paths
from mario_tui.config import TrainingConfig, preset
from mario_tui.store import checkpoint, evaluations, lookup
from mario_tui.store.manifest import MANIFEST, read_manifest
from mario_tui.store.run import find_resumable, rotate
from mario_tui.training.export import export_policy
from mario_tui.training.resume import resume_config
from mario_tui.training.sizes import SAVED_REPLAY_BYTES, disk_need
from mario_tui.training.state_files import REPLAY_PARTS
from mario_tui.training.trainer import Trainer
from runs import run_to_end

HEADER = {"stage": "1-1", "action_set": "tutorial", "frame_skip": 4, "agent": {"actions": 2}}


@pytest.fixture
def fake_games(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mario_tui.training.trainer.VectorEnv", FakeFleet)


def steps(run: Path) -> list[int]:
    return [checkpoint.verify(folder)["step"] for folder in lookup.step_folders(run)]


def write(run: Path, step: int, **header: Any) -> Path:
    parts = {"agent.bin": lambda path: path.write_bytes(bytes(10))}
    return checkpoint.write(run, step, parts, {**HEADER, "rotates": True, "full": True, **header})


@pytest.mark.usefixtures("fake_games")
def test_every_so_many_stay_and_those_that_a_person_saved(small: Any) -> None:
    trainer = Trainer(small(steps=200, save_every=20, keep_every=3, network="small"), run="kept")
    run_to_end(trainer, {50: lambda control: control.save()})
    assert steps(trainer.run_dir) == [50, 60, 120, 180, 200]
    assert (find_resumable(trainer.run_dir)[0] / "replay.frames").exists()


@pytest.mark.usefixtures("fake_games")
def test_all_stay_where_nothing_is_said(small: Any) -> None:
    trainer = Trainer(small(steps=100, save_every=20, network="small"), run="all")
    run_to_end(trainer)
    assert steps(trainer.run_dir) == [20, 40, 60, 80, 100]


def test_the_best_one_those_with_a_note_and_what_cannot_be_read_stay(home: Path) -> None:
    run = paths.run_dir("run")
    folders = [write(run, step) for step in range(1, 7)]
    kept = write(run, 7, rotates=False)
    newest, later = write(run, 8), write(run, 9)
    for folder, x in zip(folders, (30, 900, 40, 50, 60, 70), strict=True):
        evaluations.record(folder, greedy_clear=False, greedy_x=x)
    evaluations.annotate(folders[2], "jumps too late")
    (folders[3] / "manifest.json").write_text("{")
    rotate(run, newest)
    assert lookup.step_folders(run) == [folders[1], folders[2], folders[3], kept, newest, later]
    assert (run / "best").resolve() == folders[1]
    assert evaluations.read(run).keys() == {folder.name for folder in folders[1:4]}
    assert list(run.glob(".*.part")) == []


def test_the_full_one_before_the_newest_stays(home: Path) -> None:
    run = paths.run_dir("run")
    folders = [write(run, step, full=step != 3) for step in range(1, 5)]
    rotate(run, folders[-1])
    assert lookup.step_folders(run) == [folders[1], folders[3]]


def test_where_notes_cannot_be_read_nothing_goes(home: Path) -> None:
    run = paths.run_dir("run")
    folders = [write(run, step) for step in range(1, 5)]
    evaluations.annotate(folders[0], "keep this")
    (run / evaluations.EVALUATIONS).write_text("{")
    rotate(run, folders[-1])
    assert lookup.step_folders(run) == folders


def test_notes_that_cannot_be_read_are_kept_when_the_next_is_written(home: Path) -> None:
    run = paths.run_dir("run")
    folders = [write(run, step) for step in range(1, 5)]
    evaluations.annotate(folders[0], "keep this")
    damaged = (run / evaluations.EVALUATIONS).read_text() + "}"
    (run / evaluations.EVALUATIONS).write_text(damaged)
    evaluations.record(folders[-1], greedy_x=700)
    assert evaluations.read(run) == {folders[-1].name: {"greedy_x": 700}}
    (run / evaluations.EVALUATIONS).write_text("also damaged")
    evaluations.record(folders[-1], greedy_x=700)
    assert (run / "evaluations.damaged.json").read_text() == damaged
    assert (run / "evaluations.damaged-2.json").read_text() == "also damaged"
    rotate(run, folders[-1])
    assert lookup.step_folders(run) == folders


def test_the_best_stays_though_nothing_links_to_it(home: Path) -> None:
    run = paths.run_dir("run")
    folders = [write(run, step) for step in range(1, 6)]
    for folder, x in zip(folders, (3200, 500, 600, 700, 800), strict=True):
        evaluations.record(folder, greedy_x=x)
    (run / "best").unlink()  # as a copy without links has none
    rotate(run, folders[-1])
    assert lookup.step_folders(run) == [folders[0], *folders[3:]]


def test_what_a_link_leads_to_is_not_touched(home: Path) -> None:
    mine = write(paths.run_dir("mine"), 7)
    run = paths.run_dir("run")
    folders = [write(run, step) for step in range(1, 4)]
    (run / "step-000000009").symlink_to(mine)
    before = (mine / MANIFEST).read_bytes()
    checkpoint.drop_parts(run / "step-000000009", read_manifest(mine)["parts"].keys())
    rotate(run, folders[-1])
    assert (mine / MANIFEST).read_bytes() == before
    checkpoint.verify(mine)
    assert (run / "step-000000009").is_symlink()


def test_where_nothing_is_noted_any_more_the_others_go(home: Path) -> None:
    run = paths.run_dir("run")
    folders = [write(run, step) for step in range(1, 5)]
    (run / evaluations.EVALUATIONS).write_text("{}")
    rotate(run, folders[-1])
    assert lookup.step_folders(run) == folders[2:]


def test_one_that_cannot_be_deleted_does_not_keep_the_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = paths.run_dir("run")
    folders = [write(run, step) for step in range(1, 5)]
    rename = os.rename

    def refuse(source: Path, target: Path) -> None:
        if source == folders[0]:
            raise PermissionError(1, "Operation not permitted")
        rename(source, target)

    monkeypatch.setattr("mario_tui.store.run.os.rename", refuse)
    with pytest.raises(PermissionError):
        rotate(run, folders[-1])
    assert lookup.step_folders(run) == [folders[0], *folders[2:]]


@pytest.mark.usefixtures("fake_games")
def test_who_wants_to_keep_all_from_now_on_keeps_all(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeFleet, "restore", lambda fleet, state: fleet.receive(), raising=False)
    trainer = Trainer(small(steps=60, save_every=20, keep_every=100, network="small"), run="changed")
    run_to_end(trainer)
    assert steps(trainer.run_dir) == [40, 60]
    saved = lookup.step_folders(trainer.run_dir)[-1]
    run_to_end(Trainer(resume_config(saved, {"steps": 140, "keep_every": 1}), resume=saved))
    assert steps(trainer.run_dir) == [40, 60, 80, 100, 120, 140]


def test_a_copy_is_not_replaced(home: Path, small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mario_tui.training.trainer.VectorEnv", FakeFleet)
    trainer = Trainer(small(steps=20, save_every=20, keep_every=2, network="small"), run="source")
    run_to_end(trainer)
    (source,) = lookup.step_folders(trainer.run_dir)
    assert read_manifest(source)["rotates"]
    assert "rotates" not in read_manifest(export_policy(source, "copy"))


@pytest.mark.usefixtures("fake_games")
@pytest.mark.parametrize("changes", [{}, {"network": "small"}, {"network": "small", "average_updates": 50}])
def test_what_a_checkpoint_takes_is_told_before(small: Any, changes: dict[str, Any]) -> None:
    config = small(steps=60, **changes)
    trainer = Trainer(config, run="size")
    run_to_end(trainer)
    (folder,) = lookup.step_folders(trainer.run_dir)
    taken = sum(part.stat().st_size for part in folder.iterdir() if part.name not in REPLAY_PARTS)
    assert disk_need(config).each == pytest.approx(taken, rel=0.03)


@pytest.mark.usefixtures("fake_games")
def test_before_the_first_checkpoint_its_size_is_estimated(small: Any) -> None:
    trainer = Trainer(small(steps=60), run="first")
    assert trainer._saver.bytes_needed(1000) == disk_need(trainer.config).each + 1000 * SAVED_REPLAY_BYTES
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
    assert str(disk_need(preset("fast"))) == "14 MB each, newest +120 MB"
