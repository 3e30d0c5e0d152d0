"""Whole runs on a cluster of several nodes: they arrive here as if they had been trained here, also where nodes die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mario_tui import paths
from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError
from mario_tui.store import checkpoint, lookup
from mario_tui.store.run import locked
from mario_tui.training import ray_cluster
from mario_tui.training.control import TrainingControl
from mario_tui.training.ray_runs import ClusterRuns, Share, check_room
from mario_tui.training.restore import open_trainer
from ray_clusters import SmallCluster, small_cluster
from runs import run_to_end

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SHARE = Share(cores=2)


@pytest.fixture(scope="module")
def head() -> Iterator[SmallCluster]:
    with small_cluster(head_cores=0) as cluster:
        yield cluster


@pytest.fixture
def cluster(head: SmallCluster) -> Iterator[SmallCluster]:
    """A head on which nothing is trained; each test adds nodes."""
    ray_cluster.connect(head.where)
    yield head
    head.remove_nodes()


def train(
    cluster: SmallCluster, runs: dict[str, TrainingConfig], at: Callable[[dict[str, Any], TrainingControl], object]
) -> list[dict[str, Any]]:
    """All events of these runs; `at` is called with each."""
    control = TrainingControl()
    events = []
    for event in ClusterRuns(cluster.where, list(runs.items()), SHARE, control).run():
        events.append(event)
        at(event, control)
    return events


def nothing(event: dict[str, Any], control: TrainingControl) -> None:
    pass


def weights(run: str) -> dict[str, str]:
    """The hashes of what the newest checkpoint of a run has of the agent, after it was verified."""
    newest = lookup.step_folders(paths.run_dir(run))[-1]
    return {name: part.sha256 for name, part in checkpoint.verify(newest).parts.items() if "safetensors" in name}


def told(events: list[dict[str, Any]], run: str, *which: str) -> list[str]:
    return [event["event"] for event in events if event["run"] == run and event["event"] in which]


def test_runs_arrive_here_as_if_they_had_been_trained_here(small, cluster: SmallCluster) -> None:
    cluster.add_node(2)
    cluster.add_node(2)
    config = small(envs=2, workers=1, steps=200, save_every=80, max_episode_steps=30, sticky=0.25)
    runs = {f"there-{seed}": config.replace(seed=seed) for seed in (0, 1)}
    locks = []

    def look(event: dict[str, Any], control: TrainingControl) -> None:
        if event["event"] == "saved":
            assert Path(event["path"]).is_dir(), "it is here when it is told"
            with pytest.raises(InputError, match="is being trained"), locked(Path(event["path"]).parent):
                locks.append(event["run"])

    events = train(cluster, runs, look)
    assert locks == []
    for seed, run in enumerate(runs):
        assert told(events, run, "placed", "started", "finished", "lost", "failed") == ["placed", "started", "finished"]
        run_to_end(open_trainer(runs[run], run=f"here-{seed}"))
        assert weights(run) == weights(f"here-{seed}")
        there, here = (lookup.step_folders(paths.run_dir(one)) for one in (run, f"here-{seed}"))
        assert [folder.name for folder in there] == [folder.name for folder in here]
        assert (paths.run_dir(run) / "metrics.csv").read_text().count("\n") > 3
    assert weights("there-0") != weights("there-1")
    assert next(event for event in events if event["event"] == "started")["run"] in runs


def test_a_run_whose_node_dies_goes_on_elsewhere_from_its_last_checkpoint(small, cluster: SmallCluster) -> None:
    first = cluster.add_node(2)
    config = small(envs=2, workers=1, steps=900, save_every=200, max_episode_steps=30, sticky=0.25)
    nodes: list[Any] = []

    def kill(event: dict[str, Any], control: TrainingControl) -> None:
        if event["event"] == "saved" and not nodes:
            nodes.append(cluster.add_node(2))
            cluster.kill_node(first)

    events = train(cluster, {"moved": config}, kill)
    assert told(events, "moved", "placed", "lost", "finished", "failed") == ["placed", "lost", "placed", "finished"]
    (lost,) = [event for event in events if event["event"] == "lost"]
    assert lost["checkpoint"].startswith("step-")
    assert "died" in lost["problem"]
    run_to_end(open_trainer(config, run="undisturbed"))
    assert weights("moved") == weights("undisturbed"), "it went on exactly"


def test_runs_that_are_stopped_are_saved_and_go_on_later(small, cluster: SmallCluster) -> None:
    cluster.add_node(2)
    config = small(envs=2, workers=1, steps=0, max_episode_steps=30)

    def stop(event: dict[str, Any], control: TrainingControl) -> None:
        if event["event"] == "episode":
            control.stop()

    events = train(cluster, {"one": config, "two": config}, stop)
    began = {event["run"] for event in events if event["event"] == "placed"}
    assert len(began) == 1, "the node has room for one run"
    (run,) = began
    assert told(events, run, "finished", "failed") == ["finished"]
    (saved,) = lookup.step_folders(paths.run_dir(run))
    step = checkpoint.verify(saved).step
    later = train(cluster, {run: config.replace(steps=step + 40)}, nothing)
    assert told(later, run, "placed", "finished", "failed") == ["placed", "finished"]
    (placed,) = [event for event in later if event["event"] == "placed"]
    assert placed["checkpoint"] == saved.name


def test_what_fails_there_is_told_here(small, cluster: SmallCluster) -> None:
    cluster.add_node(2)
    events = train(cluster, {"bad": small(device="cuda:97", steps=10)}, nothing)
    assert [event["event"] for event in events] == ["placed", "failed"]
    assert "cuda:97" in events[-1]["problem"]


def test_a_run_that_no_machine_has_room_for_is_refused(cluster: SmallCluster) -> None:
    with pytest.raises(InputError, match="no machine of the Ray cluster has 64 cores and 1 GPUs"):
        check_room(cluster.where, Share(64, 1.0))


def test_the_command_prints_json_and_nothing_else_and_saves_on_a_signal(cluster: SmallCluster) -> None:
    cluster.add_node(2)
    options = ["--on", cluster.where, "--seeds", "3", "--name", "spread", "--envs", "2", "--json"]
    quick = ["--burn-in", "1000", "--replay-size", "2000", "--device", "cpu", "--no-record"]
    command = [sys.executable, "-m", "mario_tui", "train", *options, *quick]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        events = [json.loads(process.stdout.readline())]
        while events[-1]["event"] != "episode":
            events.append(json.loads(process.stdout.readline()))
        os.kill(process.pid, signal.SIGTERM)
        events += [json.loads(line) for line in process.stdout]
        assert process.stderr.read() == ""
        assert process.wait() == 143
    assert {event["run"] for event in events} == {"spread-seed-3"}
    assert events[-1]["event"] == "finished"
    assert Path(events[-1]["checkpoint"]) == lookup.step_folders(paths.run_dir("spread-seed-3"))[-1]
