"""What lists of runs and checkpoints show."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from saved import HEADER, write

from mario_tui import paths
from mario_tui.errors import CheckpointError, InputError
from mario_tui.store import catalog, checkpoint, evaluations, lookup, manifest
from mario_tui.store.intervals import rate_in_percent
from mario_tui.store.manifest import read_manifest
from mario_tui.store.run import find_resumable
from mario_tui.store.untrusted import read_json


def test_a_checkpoint_that_goes_while_one_lists_them_is_not_listed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = write(run), write(run)
    (run / "config.toml").write_text("")
    as_it_is = read_manifest

    def meanwhile(folder: Path) -> Any:
        if folder == first and first.exists():
            shutil.rmtree(first)
        return as_it_is(folder)

    monkeypatch.setattr(lookup, "read_manifest", meanwhile)
    assert [(info.path, info.whole) for info in catalog.scan().checkpoints] == [(second, True)]


def test_a_missing_or_short_part_shows_in_the_list(run: Path) -> None:
    missing, short = write(run, 1), write(run, 2)
    (missing / "agent.bin").unlink()
    os.truncate(short / "agent.bin", 10)
    problems = {info.step: info.problem for info in catalog.scan().checkpoints}
    assert problems[1].endswith("agent.bin is missing")
    assert "10 bytes instead of 700" in problems[2]
    with pytest.raises(CheckpointError, match=r"agent\.bin"):
        find_resumable(run)[0]


def test_the_best_of_each_stage_comes_first(home: Path) -> None:
    folder = home / "checkpoints"
    a, b = write(folder / "a", 1), write(folder / "a", 2)
    c = write(folder / "b", 3)
    evaluations.record(a, robust_clear_rate=0.9)
    evaluations.record(c, robust_clear_rate=0.5, greedy_clear=True)
    listed = catalog.scan().checkpoints
    assert listed[0].path == a
    assert {info.path for info in listed} == {a, b, c}
    assert set(listed[0].as_json()) == {
        "path", "run", "stage", "step", "created", "size_bytes", "whole", "best", "greedy_clear", "robust_clear_rate",
        "mean_reward",
    }  # fmt: skip


def test_how_far_greedy_play_got_decides_between_runs_that_clear_nothing(home: Path) -> None:
    """In a run it does not: of checkpoints that clear nothing the newest is the best."""
    folder = home / "checkpoints"
    far, later = write(folder / "far", 1), write(folder / "far", 2)
    near = write(folder / "near", 3)
    evaluations.record(far, greedy_clear=False, greedy_progress=0.9, robust_clear_rate=0.0)
    evaluations.record(near, greedy_clear=False, greedy_progress=0.2)
    assert [info.path for info in catalog.scan().best_of_stages] == [later]
    evaluations.record(near, robust_clear_rate=0.1)
    assert [info.path for info in catalog.scan().best_of_stages] == [near]


def test_of_rates_the_lower_end_of_the_interval_counts_in_a_run_as_well(run: Path) -> None:
    many, few = write(run, 1), write(run, 2)
    write(run, 3)
    evaluations.record(many, robust_clear_rate=0.97, robust_episodes=100)
    evaluations.record(few, robust_clear_rate=1.0, robust_episodes=10)
    (known,) = catalog.scan().trained_runs
    assert known.best is not None
    assert (known.best.path, known.robust_clear_rate, known.robust_episodes) == (many, 0.97, 100)
    os.truncate(many / "agent.bin", 10)
    (known,) = catalog.scan().trained_runs
    assert known.best is not None
    assert (known.best.path, known.robust_clear_rate, known.robust_episodes) == (few, 1.0, 10)


def test_rates_that_cannot_be_are_taken_for_the_nearest_that_can(run: Path) -> None:
    for step, (rate, episodes) in enumerate(((2.0, 10), (-0.5, 10), (0.5, -100)), 1):
        evaluations.record(write(run, step), greedy_clear=True, robust_clear_rate=rate, robust_episodes=episodes)
    known = {info.step: info for info in catalog.scan().runs[0].checkpoints}
    assert [(known[step].robust_clear_rate, known[step].robust_episodes) for step in (1, 2, 3)] == [
        (1.0, 10), (0.0, 10), (None, 0)
    ]  # fmt: skip
    assert [rate_in_percent(info.robust_clear_rate or 0.0, info.robust_episodes) for info in known.values()]


def test_the_best_of_a_run_that_clears_nothing_is_its_newest_that_is_whole(run: Path) -> None:
    older, newest = write(run, 1), write(run, 2)
    assert evaluations.best(run) == newest
    next(part for part in newest.iterdir() if part.name != "manifest.json").write_bytes(b"")
    assert evaluations.best(run) == older
    assert [info.step for info in catalog.scan().runs[0].checkpoints if info.best] == [1]


def test_a_home_that_is_a_file_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("MARIO_TUI_HOME", str(home / "file"))
    with pytest.raises(InputError, match="no folder"):
        catalog.scan()


def test_a_run_tells_of_its_best_and_its_newest_whole_checkpoint(run: Path) -> None:
    one, two, three, four = write(run, 1), write(run, 2), write(run, 3), write(run, 4)
    evaluations.record(one, greedy_clear=True, robust_clear_rate=0.4)
    evaluations.record(two, greedy_clear=False, robust_clear_rate=0.7)
    evaluations.record(three, greedy_clear=False, robust_clear_rate=0.9)
    (known,) = catalog.scan().trained_runs
    assert [info.path for info in known.checkpoints] == [four, three, two, one]
    assert known.newest is not None
    assert known.best is not None
    assert (known.newest.path, known.best.path) == (four, three)
    os.truncate(three / "agent.bin", 10)
    (known,) = catalog.scan().trained_runs
    assert known.newest is not None
    assert known.best is not None
    assert (known.newest.path, known.best.path) == (four, two), "the best is damaged"
    assert (known.damaged, known.greedy_clear, known.robust_clear_rate) == (1, True, 0.7)
    for folder in (one, two, four):
        (folder / "manifest.json").unlink()
    (known,) = catalog.scan().trained_runs
    assert (known.newest, known.best, known.damaged) == (None, None, 4)
    assert (known.greedy_clear, known.robust_clear_rate) == (None, None)


def test_runs_come_in_the_order_of_the_best_of_each_stage(home: Path) -> None:
    folder = home / "checkpoints"
    write(folder / "a", 1)
    evaluations.record(write(folder / "b", 2), robust_clear_rate=0.9)
    write(folder / "b", 3)
    (folder / "empty").mkdir()
    (folder / "empty" / "config.toml").touch()
    assert [(run.run, len(run.checkpoints)) for run in catalog.scan().trained_runs] == [("b", 2), ("a", 1)]


def test_lists_know_what_was_found_by_reading_a_checkpoint_through(run: Path) -> None:
    folder = write(run)
    assert [info.verified for info in catalog.scan().checkpoints] == [True], "it was read back when it was saved"
    content = (folder / "agent.bin").read_bytes()
    (folder / "agent.bin").write_bytes(content[:-1] + b"?")
    assert [(info.whole, info.verified) for info in catalog.scan().checkpoints] == [(True, False)]
    with pytest.raises(CheckpointError):
        checkpoint.verify(folder)
    (info,) = catalog.scan().checkpoints
    assert not info.whole
    assert info.problem == f"{folder / 'agent.bin'} is damaged: its content is not what was saved"
    (folder / "agent.bin").write_bytes(content)
    assert [(info.whole, info.verified) for info in catalog.scan().checkpoints] == [(True, False)]
    checkpoint.verify(folder)
    assert [(info.whole, info.verified) for info in catalog.scan().checkpoints] == [(True, True)]


def test_one_look_reads_each_manifest_and_each_file_of_evaluations_once(
    run: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (write(run, 1), write(run, 2), write(home / "checkpoints" / "another", 3)):
        evaluations.record(folder, greedy_x=1)
    read: list[Path] = []

    def counted(path: Path) -> Any:
        read.append(path)
        return read_json(path)

    for module in (manifest, evaluations):
        monkeypatch.setattr(module, "read_json", counted)
    found = catalog.scan()
    assert len(found.checkpoints) == 3
    assert found.best_of_stage("1-1") == found.checkpoints[0]
    assert found.best_of_stage("8-4") is None
    assert len(found.trained_runs) == 2
    assert sorted(path.name for path in read) == ["evaluations.json"] * 2 + ["manifest.json"] * 3


def test_parts_that_a_training_takes_out_after_the_manifest_was_read_are_no_damage(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(run)
    as_it_was = read_manifest(folder)
    checkpoint.drop_parts(folder, ["trainer.json"])
    monkeypatch.setattr(lookup, "read_manifest", lambda _: as_it_was)
    assert [info.whole for info in catalog.scan().checkpoints] == [True]


def test_runs_without_a_checkpoint_are_there_and_the_newest_comes_first(home: Path) -> None:
    folder = home / "checkpoints"
    write(folder / "old", created="2020-01-01T00:00:00+00:00")
    write(folder / "new", created="2030-01-01T00:00:00+00:00")
    (folder / "empty").mkdir()
    (folder / "empty" / "config.toml").touch()
    found = catalog.scan()
    assert [run.run for run in found.runs] == ["new", "empty", "old"]
    assert [run.run for run in found.trained_runs] == ["new", "old"]


@pytest.mark.parametrize(
    ("count", "taken"), [(2, [0, 9]), (4, [0, 3, 6, 9]), (10, list(range(10))), (20, list(range(10)))]
)
def test_items_are_taken_evenly_from_the_first_to_the_last(count: int, taken: list[int]) -> None:
    assert catalog.evenly_spaced(range(10), count) == taken


def test_the_saves_of_a_run_stay_in_their_order_where_the_clock_was_put_back(home: Path) -> None:
    run, other = paths.run_dir("run"), paths.run_dir("other")
    saves = [(run, 100, "T10:00"), (run, 200, "T09:00"), (other, 300, "T09:30"), (other, 400, "T11:00")]
    for folder, step, time in saves:
        write(folder, step, created=f"2026-01-01{time}:00+00:00")
        (folder / "config.toml").write_text("")
    found = catalog.scan()
    best = found.best_of_stages
    assert [info.step for info in best] == [400]
    assert [info.step for info in found.checkpoints] == [400, 200, 100, 300]


def test_a_run_tells_how_far_it_has_trained_and_whether_it_was_trained_here(run: Path, home: Path) -> None:
    """Not only where it was saved last: it may train now, or have been killed."""
    write(run, 200)
    (run / "metrics.csv").write_text(
        "episode,step,epsilon,stage,reward,length,loss,q,max_x,end,seconds\n1,350,0.1,1-1,5,9,0,0,40,death,1\n"
    )
    agent = home / "checkpoints" / "agent"
    agent.mkdir()
    (agent / "config.toml").touch()
    checkpoint.write(agent, 900, {"agent.safetensors": lambda path: path.write_bytes(b"w")}, HEADER)
    found = {known.run: known for known in catalog.scan().runs}
    assert (found[run.name].step, found[run.name].is_export) == (350, False)
    assert (found["agent"].step, found["agent"].is_export) == (900, True)
    (run / "metrics.csv").unlink()
    assert {known.run: known.step for known in catalog.scan().runs}[run.name] == 200
