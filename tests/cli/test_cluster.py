"""`train` on a cluster, as far as no cluster is needed for it: what is missing is said, and what happens is shown."""

from __future__ import annotations

from typing import Any

import pytest

from mario_tui import paths
from mario_tui.cli import main
from mario_tui.commands.train_on_cluster import RunsTable, describe
from mario_tui.training import ray_cluster


@pytest.mark.parametrize("flags", [("--actors", "ray"), ("--on", "ray", "--seeds", "0,1")])
def test_without_the_extra_it_says_how_to_install_it(
    flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(f"{ray_cluster.__name__}.find_spec", lambda name: None)
    assert main(["train", *flags, "--name", "there"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert "extra 'cluster': run 'make setup' again" in line
    assert not paths.checkpoints_dir().exists() or not list(paths.checkpoints_dir().iterdir())


@pytest.mark.parametrize("flags", [("--actors", "ray:127.0.0.1:1"), ("--on", "ray:127.0.0.1:1", "--seeds", "0,1")])
def test_where_there_is_no_cluster_it_says_how_to_start_one(
    flags: tuple[str, ...], capsys: pytest.CaptureFixture
) -> None:
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed: no cluster is looked for")
    assert main(["train", *flags, "--name", "there"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "there is no Ray cluster at 127.0.0.1:1" in line
    assert "'ray start --head'" in line
    assert not list(paths.checkpoints_dir().glob("[!.]*"))


EVENTS: list[dict[str, Any]] = [
    {"event": "placed", "machine": "node-1", "checkpoint": ""},
    {"event": "started", "step": 0},
    {"event": "episode", "step": 120, "episode": 1, "max_x": 700, "end": "death"},
    {"event": "saved", "path": "checkpoints/a/step-000000100", "step": 100},
    {"event": "evaluated", "robust": False, "step": 100, "clears": 0, "max_x": 1234, "episodes": 1},
    {"event": "lost", "problem": "its process on node-1, or that machine, died", "checkpoint": "step-000000100"},
    {"event": "placed", "machine": "node-2", "checkpoint": "step-000000100"},
    {"event": "started", "step": 100},
    {"event": "episode", "step": 1900, "episode": 9, "max_x": 3161, "end": "clear"},
]


def test_the_table_shows_where_each_run_is(capsys: pytest.CaptureFixture) -> None:
    with RunsTable(["a", "b"]) as table:
        for event in EVENTS:
            table.report({"run": "a", **event})
    lines = capsys.readouterr().out.splitlines()
    shown = next(line for line in reversed(lines) if line.split()[:1] == ["a"]).split()
    assert shown[:4] == ["a", "trains", "node-2", "1,900"]
    assert shown[5:] == ["9", "3,161", "1"]
    waiting = next(line for line in reversed(lines) if line.split()[:1] == ["b"])
    assert "waits for a machine" in waiting
    told = "\n".join(lines)
    assert "a: trains on node-1, from the beginning" in told
    assert "died; it goes on elsewhere, from step-000000100" in told
    assert "gets to x 1,234" in told


def test_nothing_is_said_of_what_happens_all_the_time() -> None:
    assert [event["event"] for event in EVENTS if not describe(event)] == ["started", "episode"] * 2
