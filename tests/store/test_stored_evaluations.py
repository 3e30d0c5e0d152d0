"""What was measured of checkpoints, and what the user wrote about them, stays with them."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from saved import write

from mario_tui.errors import CheckpointError
from mario_tui.store import catalog, checkpoint, evaluations, lookup
from mario_tui.store.run import rename_run, trash


def test_evaluations_noted_at_once_are_all_kept(run: Path) -> None:
    folders = [write(run, step) for step in range(1, 5)]

    def note(folder: Path) -> None:
        for x in range(25):
            evaluations.record(folder, greedy_x=x)

    threads = [threading.Thread(target=note, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert evaluations.read(run) == {folder.name: {"greedy_x": 24} for folder in folders}


def test_a_new_checkpoint_inherits_no_measurements_of_a_deleted_one(run: Path) -> None:
    folder = write(run)
    evaluations.record(folder, greedy_clear=True, robust_clear_rate=1.0)
    trash(folder)
    assert write(run) == folder
    (info,) = catalog.scan().checkpoints
    assert (info.greedy_clear, info.robust_clear_rate, info.rank) == (None, None, evaluations.NEVER_CLEARED)


def test_a_measured_rate_of_none_is_no_better_than_a_greedy_clear(run: Path) -> None:
    clears, fails = write(run, 1), write(run, 2)
    evaluations.record(clears, greedy_clear=True, greedy_x=3161)
    evaluations.record(fails, greedy_clear=False, greedy_x=900, robust_clear_rate=0.0)
    assert (run / "best").resolve() == clears
    assert catalog.scan().checkpoints[0].path == clears


def test_a_note_stays_with_its_checkpoint_and_makes_it_no_better(run: Path) -> None:
    one, other = write(run, 1), write(run, 2)
    evaluations.annotate(other, "  jumps \n well ")
    assert not (run / "best").exists()
    evaluations.record(one, greedy_clear=True)
    assert (run / "best").resolve() == one
    evaluations.annotate(one, "slow")
    assert {info.path: info.note for info in catalog.scan().checkpoints} == {one: "slow", other: "jumps well"}
    evaluations.annotate(one, " ")
    assert evaluations.read(run)[one.name] == {"greedy_clear": True}


def test_what_was_noted_comes_back_with_what_is_taken_out_of_the_trash(run: Path) -> None:
    one, other = write(run, 1), write(run, 2)
    evaluations.record(one, greedy_clear=True, greedy_x=3161)
    evaluations.record(other, greedy_x=500)
    evaluations.annotate(one, "jumps well")
    moved = trash(one)
    assert evaluations.read(run).keys() == {other.name}
    moved.rename(one)
    checkpoint.verify(one)
    assert evaluations.read(run)[one.name] == {"greedy_clear": True, "greedy_x": 3161, "note": "jumps well"}
    evaluations.annotate(one, "")
    assert evaluations.read(run)[one.name] == {"greedy_clear": True, "greedy_x": 3161}
    assert (run / "best").resolve() == one.resolve() or evaluations.record(one, greedy_x=3161) is None
    assert (run / "best").resolve() == one.resolve()


def test_what_a_person_wrote_between_the_measurements_stays(run: Path) -> None:
    folder = write(run)
    (run / evaluations.EVALUATIONS).write_text(json.dumps({"to do": "watch the last jump", folder.name: {"note": "x"}}))
    evaluations.record(folder, greedy_x=24)
    content = json.loads((run / evaluations.EVALUATIONS).read_text())
    assert content == {"to do": "watch the last jump", folder.name: {"note": "x", "greedy_x": 24}}


def test_a_note_does_nothing_to_the_terminal(run: Path) -> None:
    folder = write(run)
    (run / evaluations.EVALUATIONS).write_text(json.dumps({folder.name: {"note": "x\x1b]0;y\x07\nz"}}))
    (info,) = catalog.scan().checkpoints
    assert info.note == "x?]0;y? z"
    evaluations.annotate(folder, "a\x1b[2Jb")
    assert evaluations.read(run)[folder.name]["note"] == "a?[2Jb"


def test_a_best_that_is_no_link_to_a_checkpoint_does_no_harm(run: Path) -> None:
    folder = write(run)
    (run / "best").symlink_to("best")
    assert evaluations.best(run) == folder
    evaluations.record(folder, greedy_clear=True)
    assert catalog.scan().checkpoints[0].best
    (run / "best").unlink()
    (run / "best").write_text("mine")
    evaluations.record(folder, robust_clear_rate=0.5)
    assert (run / "best").read_text() == "mine"
    assert list(run.glob(".best*")) == []


def test_nothing_is_written_beside_a_checkpoint_that_is_in_no_run(home: Path) -> None:
    folder = write(home / "downloads", 7)
    (home / "downloads" / "config.toml").write_text("a_setting_of = 'something else'")
    before = sorted(path.name for path in (home / "downloads").iterdir())
    evaluations.record(folder, greedy_x=25)
    assert sorted(path.name for path in (home / "downloads").iterdir()) == before
    (home / "downloads" / "config.toml").write_text("stage = '1-1'")
    assert lookup.is_run(home / "downloads")


def test_a_run_that_has_gone_is_not_made_by_who_notes_something(run: Path) -> None:
    folder = write(run)
    rename_run(run, "another")
    with pytest.raises(CheckpointError, match="is gone"):
        evaluations.annotate(folder, "x")
    assert not run.exists()


def test_notes_that_cannot_be_read_are_told_of(run: Path) -> None:
    folder = write(run)
    evaluations.annotate(folder, "x")
    assert catalog.scan().runs[0].unread == ""
    (run / evaluations.EVALUATIONS).write_text("{")
    assert catalog.scan().runs[0].unread == "evaluations.json"
    evaluations.annotate(folder, "y")
    assert catalog.scan().runs[0].unread == "evaluations.damaged.json"


@pytest.mark.parametrize("value", ["1000", True, [], {}, float("nan"), float("inf"), 10**400, 1e300])
def test_a_value_of_the_wrong_kind_counts_as_none(run: Path, value: Any) -> None:
    folder = write(run)
    measured = {"greedy_clear": "yes", "greedy_x": value, "robust_clear_rate": value, "robust_episodes": value}
    (run / evaluations.EVALUATIONS).write_text(json.dumps({folder.name: {**measured, "note": 5}}))
    (info,) = catalog.scan().checkpoints
    assert (info.greedy_clear, info.robust_clear_rate, info.robust_episodes, info.note) == (None, None, 0, "")
    evaluations.record(folder, greedy_clear=True)
    assert (run / "best").resolve() == folder


def test_a_rate_over_fewer_episodes_does_not_replace_one_over_more(run: Path) -> None:
    folder = write(run)
    evaluations.record(folder, robust_clear_rate=0.6, robust_episodes=100)
    evaluations.record(folder, robust_clear_rate=0.9, robust_episodes=10, greedy_x=7)
    known = {"robust_clear_rate": 0.6, "robust_episodes": 100, "greedy_x": 7}
    assert evaluations.read(run) == {folder.name: known}
    evaluations.record(folder, robust_clear_rate=0.7, robust_episodes=100)
    assert evaluations.read(run)[folder.name]["robust_clear_rate"] == 0.7
