"""Which checkpoints of a run are replaced by later ones."""

import os
from pathlib import Path
from typing import Any

import pytest
from saved import write

from mario_tui import paths
from mario_tui.store import checkpoint, evaluations, lookup
from mario_tui.store.manifest import MANIFEST, read_manifest
from mario_tui.store.run import rotate


def rotating(run: Path, step: int, **header: Any) -> Path:
    return write(run, step, **{"rotates": True, "full": True, **header})


def test_the_best_one_those_with_a_note_and_what_cannot_be_read_stay(run: Path) -> None:
    folders = [rotating(run, step) for step in range(1, 7)]
    kept = rotating(run, 7, rotates=False)
    newest, later = rotating(run, 8), rotating(run, 9)
    for folder, rate in zip(folders, (0.1, 0.9, 0.2, 0.3, 0.4, 0.5), strict=True):
        evaluations.record(folder, greedy_clear=False, greedy_x=900, robust_clear_rate=rate)
    evaluations.annotate(folders[2], "jumps too late")
    (folders[3] / "manifest.json").write_text("{")
    rotate(run, newest)
    assert lookup.step_folders(run) == [folders[1], folders[2], folders[3], kept, newest, later]
    assert (run / "best").resolve() == folders[1]
    assert evaluations.read(run).keys() == {folder.name for folder in folders[1:4]}
    assert list(run.glob(".*.part")) == []


def test_the_full_one_before_the_newest_stays(run: Path) -> None:
    folders = [rotating(run, step, full=step != 3) for step in range(1, 5)]
    rotate(run, folders[-1])
    assert lookup.step_folders(run) == [folders[1], folders[3]]


def test_where_notes_cannot_be_read_nothing_goes(run: Path) -> None:
    folders = [rotating(run, step) for step in range(1, 5)]
    evaluations.annotate(folders[0], "keep this")
    (run / evaluations.EVALUATIONS).write_text("{")
    rotate(run, folders[-1])
    assert lookup.step_folders(run) == folders


def test_notes_that_cannot_be_read_are_kept_when_the_next_is_written(run: Path) -> None:
    folders = [rotating(run, step) for step in range(1, 5)]
    evaluations.annotate(folders[0], "keep this")
    damaged = (run / evaluations.EVALUATIONS).read_text() + "}"
    (run / evaluations.EVALUATIONS).write_text(damaged)
    evaluations.record(folders[-1], greedy_x=700)
    assert evaluations.read(run) == {folders[-1].name: {"greedy_x": 700}}
    (run / evaluations.EVALUATIONS).write_text("also damaged")
    evaluations.record(folders[-1], greedy_x=700)
    assert (run / "evaluations.damaged.json").read_text() == damaged
    assert (run / "evaluations.damaged_2.json").read_text() == "also damaged"
    rotate(run, folders[-1])
    assert lookup.step_folders(run) == folders


def test_the_best_stays_though_nothing_links_to_it(run: Path) -> None:
    folders = [rotating(run, step) for step in range(1, 6)]
    for folder, rate in zip(folders, (0.9, 0.1, 0.2, 0.3, 0.4), strict=True):
        evaluations.record(folder, robust_clear_rate=rate)
    (run / "best").unlink()  # as a copy without links has none
    rotate(run, folders[-1])
    assert lookup.step_folders(run) == [folders[0], *folders[3:]]


def test_what_a_link_leads_to_is_not_touched(run: Path) -> None:
    mine = rotating(paths.run_dir("mine"), 7)
    folders = [rotating(run, step) for step in range(1, 4)]
    (run / "step-000000009").symlink_to(mine)
    before = (mine / MANIFEST).read_bytes()
    checkpoint.drop_parts(run / "step-000000009", read_manifest(mine).parts.keys())
    rotate(run, folders[-1])
    assert (mine / MANIFEST).read_bytes() == before
    checkpoint.verify(mine)
    assert (run / "step-000000009").is_symlink()


def test_where_nothing_is_noted_any_more_the_others_go(run: Path) -> None:
    folders = [rotating(run, step) for step in range(1, 5)]
    (run / evaluations.EVALUATIONS).write_text("{}")
    rotate(run, folders[-1])
    assert lookup.step_folders(run) == folders[2:]


def test_one_that_cannot_be_deleted_does_not_keep_the_others(
    run: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [rotating(run, step) for step in range(1, 5)]
    rename = os.rename

    def refuse(source: Path, target: Path) -> None:
        if source == folders[0]:
            raise PermissionError(1, "Operation not permitted")
        rename(source, target)

    monkeypatch.setattr("mario_tui.store.run.os.rename", refuse)
    with pytest.raises(PermissionError):
        rotate(run, folders[-1])
    assert lookup.step_folders(run) == [folders[0], *folders[2:]]
