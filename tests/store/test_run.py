"""The folder of a run: its lock and name, its trash, and what training resumes from."""

from pathlib import Path

import pytest
from filelock import FileLock
from saved import write

from mario_tui import paths
from mario_tui.errors import InputError
from mario_tui.store import catalog, checkpoint, evaluations, lookup
from mario_tui.store.run import find_resumable, rename_run, run_lock, sweep_run, take_back, trash


def test_the_newest_whole_checkpoint_is_found_behind_a_damaged_one(run: Path) -> None:
    whole, damaged = write(run, 1), write(run, 2)
    (damaged / "agent.bin").write_bytes(b"x" * 700)
    assert find_resumable(run)[0] == whole


def test_trash_keeps_what_it_takes(run: Path) -> None:
    one, other = write(run, 1), write(run, 2)
    evaluations.record(one, greedy_clear=True, greedy_x=3161)
    evaluations.record(other, greedy_clear=False, greedy_x=500)
    assert (run / "best").resolve() == one
    moved = trash(one)
    checkpoint.verify(moved)
    assert not (run / "best").is_symlink(), "the other one clears nothing"
    assert evaluations.best(run) == other
    trash(run)
    assert catalog.scan().runs == ()
    assert len(list((run.parent / ".trash").iterdir())) == 2


def test_what_the_trash_took_comes_back_with_what_was_measured(run: Path) -> None:
    one, other = write(run, 1), write(run, 2)
    evaluations.record(one, greedy_clear=True, greedy_x=3161)
    moved = trash(one)
    take_back(moved, one)
    checkpoint.verify(one)
    assert evaluations.read(run)[one.name]["greedy_clear"] is True
    gone = trash(other)
    whole = trash(run)
    with pytest.raises(InputError, match="its run is gone"):
        take_back(gone, other)
    take_back(whole, run)
    take_back(gone, other)
    assert len(catalog.scan().checkpoints) == 2
    again = trash(other)
    write(run, 2)
    with pytest.raises(InputError, match="another one of that name"):
        take_back(again, other)
    assert again.is_dir()


def test_a_run_gets_another_name_with_all_that_is_in_it(run: Path) -> None:
    folder = write(run)
    evaluations.record(folder, greedy_clear=True)
    renamed = rename_run(run, "better")
    assert renamed == run.with_name("better")
    assert not run.exists()
    assert (renamed / "best").resolve() == renamed / folder.name
    checkpoint.verify(renamed / folder.name)
    (info,) = catalog.scan().checkpoints
    assert (info.run, info.greedy_clear) == ("better", True)


def test_a_run_is_not_renamed_to_a_name_that_cannot_be_or_while_it_is_trained(run: Path) -> None:
    write(run)
    write(run.with_name("taken"))
    for name, problem in (("taken", "exists"), ("a/b", "cannot be used")):
        with pytest.raises(InputError, match=problem):
            rename_run(run, name)
    with FileLock(run_lock(run)), pytest.raises(InputError, match="is being trained"):
        rename_run(run, "other")
    assert run.is_dir()


def test_a_run_goes_to_the_trash_but_not_while_it_is_trained(run: Path) -> None:
    write(run, 1), write(run, 2)
    with FileLock(run_lock(run)), pytest.raises(InputError, match="'a-run' is being trained"):
        trash(run)
    assert len(lookup.step_folders(run)) == 2
    moved = trash(run)
    assert [checkpoint.verify(folder).step for folder in lookup.step_folders(moved)] == [1, 2]
    assert catalog.scan().trained_runs == []
    FileLock(run_lock(run)).acquire(timeout=0)  # a new run of that name can be trained


def test_a_checkpoint_of_a_run_that_is_trained_goes_to_the_trash(run: Path) -> None:
    folder = write(run)
    with FileLock(run_lock(run)):
        assert trash(folder).is_dir()


def test_a_run_has_one_lock_by_whatever_link_it_is_found(run: Path, home: Path) -> None:
    write(home / "elsewhere" / "a-run")
    run.parent.mkdir()
    run.symlink_to(home / "elsewhere" / "a-run")
    assert run_lock(run) == run_lock(home / "elsewhere" / "a-run")
    with FileLock(run_lock(run.resolve())), pytest.raises(InputError, match="is being trained"):
        rename_run(run, "another")
    moved = trash(lookup.step_folders(run)[0])
    checkpoint.verify(moved)
    assert trash(run).is_symlink()
    assert (home / "elsewhere" / "a-run").is_dir()


def test_training_goes_on_from_the_newest_with_the_replay_unless_what_was_saved_last_had_none(run: Path) -> None:
    def summary() -> Path | None:
        (one,) = catalog.scan().runs
        return one.resumable.path if one.resumable else None

    evaluated = write(run, 1, full=False, evaluated=True)
    assert find_resumable(run) == (summary(), "") == (evaluated, "")
    full = write(run, 2, full=True)
    best = write(run, 3, full=False, evaluated=True)
    why = f"{best.name} was saved for an evaluation, without the replay; resuming from {full.name} instead"
    assert find_resumable(run) == (summary(), why) == (full, why)
    last = write(run, 4, full=False)
    assert find_resumable(run) == (summary(), "") == (last, "")
    (last / "agent.bin").write_bytes(bytes(700))  # of the same size
    taken, why = find_resumable(run)
    assert (taken, summary()) == (full, full)
    assert why == (
        f"{last / 'agent.bin'} is damaged: its content is not what was saved; resuming from {full.name} instead"
    )


def test_a_save_that_was_cut_off_is_never_listed_and_is_swept(run: Path) -> None:
    write(run)
    (run / ".step-000000009.part").mkdir()
    assert [info.step for info in catalog.scan().checkpoints] == [5]
    sweep_run(run)
    assert not (run / ".step-000000009.part").exists()


def test_what_goes_to_the_trash_at_once_gets_names_of_its_own(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "timestamp", lambda: "now")
    moved = []
    for _ in range(4):
        write(run)
        moved.append(trash(run).name)
    assert moved == ["now_a-run", "now_a-run_2", "now_a-run_3", "now_a-run_4"]
