"""Games on a cluster of several nodes: the same run as on one machine, and what a node's death costs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mario_tui import paths
from mario_tui.errors import EmulatorError
from mario_tui.store import checkpoint, lookup
from mario_tui.training import ray_cluster
from mario_tui.training.collector import open_local_games
from mario_tui.training.events import Finished, Restarted
from mario_tui.training.restore import open_trainer
from mario_tui.training.resume import resume_config
from ray_clusters import SmallCluster, small_cluster
from runs import differences, full_state, run_to_end

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[SmallCluster]:
    with small_cluster() as cluster:
        cluster.add_node(2)
        yield cluster


def test_a_run_is_the_same_in_every_bit_wherever_its_games_are_played(small, cluster: SmallCluster) -> None:
    settings: dict[str, Any] = {
        "envs": 5, "steps": 200, "max_episode_steps": 30, "sticky": 0.25, "noops": 20, "show_buttons": True,
        "clear_bonus": 5.0, "stall_steps": 25,
    }  # fmt: skip
    here = open_trainer(small(**settings), run="here")
    run_to_end(here)
    there = open_trainer(small(**settings, workers=3, actors=cluster.where), run="there")
    run_to_end(there)
    assert here.agent.updates > 20
    one, other = full_state(here), full_state(there)
    assert differences(one, other) == []


def test_a_node_that_dies_costs_the_episodes_of_its_games_and_they_come_back_elsewhere(
    small, cluster: SmallCluster, capfd: pytest.CaptureFixture
) -> None:
    node = cluster.add_node(2)
    config = small(envs=6, workers=6, steps=900, actors=cluster.where)  # all cores, so that two games are on each node
    trainer = open_trainer(config, run="killed")
    events = run_to_end(trainer, {60: lambda _: cluster.kill_node(node)})
    cluster.wait_until_gone(node)
    time.sleep(1)  # in which it would print that
    assert capfd.readouterr() == ("", ""), "nothing of Ray is on the screen"
    restarted = [event for event in events if isinstance(event, Restarted)]
    assert sum(event.dropped for event in restarted) == trainer.health.dropped_episodes == 2
    assert "is gone" in restarted[0].problem
    assert isinstance(events[-1], Finished)
    assert events[-1].steps >= 900
    log = (trainer.run_dir / "log").read_text()
    assert all(event.problem in log for event in restarted)


def test_where_the_head_dies_the_training_is_saved_and_ends(small) -> None:
    with small_cluster() as other:
        trainer = open_trainer(small(envs=2, steps=0, actors=other.where), run="headless")
        with pytest.raises(EmulatorError, match="there is no Ray cluster at"):
            run_to_end(trainer, {60: lambda _: other.kill_head()})
    (saved,) = lookup.step_folders(trainer.run_dir)
    assert checkpoint.verify(saved).step >= 60


def test_a_run_goes_on_without_the_cluster(small, cluster: SmallCluster) -> None:
    settings: dict[str, Any] = {"envs": 2, "max_episode_steps": 30, "sticky": 0.25}
    whole = open_trainer(small(**settings, steps=160), run="whole")
    run_to_end(whole)
    part = open_trainer(small(**settings, steps=80, actors=cluster.where), run="part")
    run_to_end(part)
    assert part.last_checkpoint is not None
    resumed = open_trainer(
        resume_config(part.last_checkpoint, {"steps": 160, "actors": "local"}), resume=part.last_checkpoint
    )
    run_to_end(resumed)
    assert differences(full_state(whole), full_state(resumed)) == []


def test_the_terminal_shows_nothing_of_ray_and_a_signal_saves(cluster: SmallCluster) -> None:
    command = [sys.executable, "-m", "mario_tui", "train", "--actors", cluster.where, "--json", "--envs", "2"]
    options = ["--burn-in", "1000", "--replay-size", "2000", "--device", "cpu"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        events = [json.loads(process.stdout.readline())]
        while events[-1]["event"] != "episode":
            events.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGTERM)
        events += [json.loads(line) for line in process.stdout]
        assert process.stderr.read() == ""
        assert process.wait() == 143
    assert events[0]["event"] == "started"
    assert events[-1]["event"] == "finished"


def test_without_a_number_there_are_as_many_processes_as_the_cluster_has_cores(small, cluster: SmallCluster) -> None:
    cores = ray_cluster.cores(cluster.where)
    assert cores >= 4
    with open_local_games(small(envs=cores + 2, actors=cluster.where)) as games:
        assert len(games.pids) == cores
    with open_local_games(small(envs=2, actors=cluster.where)) as games:
        assert len(games.pids) == 2, "no more than games"


def test_more_processes_than_the_cluster_has_cores_are_refused(small, cluster: SmallCluster) -> None:
    with pytest.raises(EmulatorError, match=r"has 4 cores, and 50 processes are asked for: fewer with --workers"):
        run_to_end(open_trainer(small(envs=50, workers=50, actors=cluster.where), run="many"))


def test_where_no_cluster_is_it_is_said(small) -> None:
    with pytest.raises(EmulatorError, match=r"there is no Ray cluster at 127\.0\.0\.1:1: .* --actors local"):
        open_trainer(small(actors="ray:127.0.0.1:1"), run="nowhere")
    assert not paths.run_dir("nowhere").exists()
