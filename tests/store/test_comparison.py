"""Runs side by side, and runs that differ by their seed alone as one."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from mario_tui.config import make_config
from mario_tui.store.comparison import compare, seed_groups
from mario_tui.store.history import COMPARED, EpisodeRecord, csv_heading, csv_line


def write_run(
    folder: Path, values: Sequence[float], *, every: int = 10, loss: float = 0.5, q: float = 1.0, **settings
) -> Path:
    """A run with an episode every so many steps, whose rewards are these."""
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(make_config(**settings).to_toml())
    records = [
        EpisodeRecord(n, every * n, 1.0, "1-1", value, 50, loss, q, 100, "death", float(n), "training", 0.1)
        for n, value in enumerate(values)
    ]
    (folder / "metrics.csv").write_text(csv_heading(EpisodeRecord) + "".join(map(csv_line, records)), newline="")
    return folder


def test_runs_of_other_seeds_are_a_group_and_all_else_keeps_runs_apart(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", [], seed=0),
        write_run(tmp_path / "b", [], seed=0, gamma=0.8),
        write_run(tmp_path / "c", [], seed=1, threads=2, device="cpu", workers=3),
        write_run(tmp_path / "d", [], seed=1, gamma=0.8),
        write_run(tmp_path / "e", [], seed=2),
        write_run(tmp_path / "f", [], seed=1),
        write_run(tmp_path / "g", [], seed=3, stage="1-2"),
    ]
    names = [[run.name for run in group] for group in seed_groups(runs)]
    assert names == [["a", "c", "e"], ["b", "d"], ["f"], ["g"]], "f has the seed of c: it is no other one"


def test_runs_whose_settings_cannot_be_read_are_alone(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, [], seed=seed) for seed, name in enumerate("abcd")]
    (runs[0] / "config.toml").write_text("gamma = [")
    (runs[1] / "config.toml").unlink()
    (runs[2] / "config.toml").write_text("gamma = 7\n")
    assert [len(group) for group in seed_groups(runs)] == [1, 1, 1, 1]


def test_a_group_has_the_mean_and_the_range_at_steps_that_all_have_reached(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", [100.0] * 11, every=10, seed=0),
        write_run(tmp_path / "b", [160.0] * 8, every=20, seed=1),
        write_run(tmp_path / "c", [10.0 * n for n in range(31)], every=10, seed=2),
    ]
    (group,) = compare([runs], 5, window=1)
    assert group.runs == tuple(runs)
    assert [step for step, _ in group.curves["reward"]] == [0, 25, 50, 75, 100]
    assert [mean for _, mean in group.curves["reward"]] == pytest.approx(
        [(260 + step) / 3 for step in (0, 25, 50, 75, 100)]
    )
    assert [low for _, low in group.low["reward"]] == pytest.approx([0, 25, 50, 75, 100])
    assert {high for _, high in group.high["reward"]} == {160}
    assert group.missing == {}


def test_a_run_alone_has_no_range(tmp_path: Path) -> None:
    (alone,) = compare([[write_run(tmp_path / "a", [float(n) for n in range(30)])]], 3, window=10)
    assert alone.curves["reward"] == [(0.0, 0.0), (150.0, 10.5), (290.0, 24.5)]
    assert (alone.low, alone.high) == ({}, {})


def test_it_says_why_there_is_no_curve(tmp_path: Path) -> None:
    empty = write_run(tmp_path / "empty", [])
    before = write_run(tmp_path / "before", [1.0, 2.0], loss=0.0, q=0.0, seed=1)
    without_q = write_run(tmp_path / "without-q", [1.0, 2.0], q=0.0, seed=2)
    whole = write_run(tmp_path / "whole", [1.0, 2.0], seed=3)
    found = [one.missing for one in compare([[empty], [before], [without_q], [whole]], 5)]
    assert found == [
        dict.fromkeys(COMPARED, "no episodes yet"),
        dict.fromkeys(("loss", "Q"), "nothing learned yet"),
        {"Q": "Q was not recorded"},
        {},
    ]
    (group,) = compare([[without_q, whole]], 5)
    assert group.missing == {"Q": "Q was not recorded"}
    assert group.curves["Q"] == []
    assert group.curves["loss"] != []


def test_runs_that_share_no_step_have_no_mean(tmp_path: Path) -> None:
    early, late = write_run(tmp_path / "a", [1.0, 2.0]), write_run(tmp_path / "b", [1.0, 2.0], seed=1)
    lines = (late / "metrics.csv").read_text().splitlines()
    (late / "metrics.csv").write_text("\n".join([lines[0], lines[-1].replace("1,10,", "1,5000,", 1)]) + "\n")
    (group,) = compare([[early, late]], 5)
    assert set(group.missing.values()) == {"no step that all of the runs have reached"}


def test_a_run_that_grows_is_read_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", [1.0])
    assert len(compare([[run]], 5)[0].curves["reward"]) == 1
    with (run / "metrics.csv").open("a", newline="") as file:
        file.write(csv_line(EpisodeRecord(1, 10, 1.0, "1-1", 3.0, 50, 0.1, 0.2, 100, "death", 1.0, "training", 0.1)))
    assert compare([[run]], 5)[0].curves["reward"] == [(0.0, 1.0), (10.0, 2.0)]
