"""A session trains in a thread, and tells about it in snapshots that never change."""

import time
from collections.abc import Callable
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from mario_tui import checkpoint, paths
from mario_tui.training.resume import resume_config
from mario_tui.training.session import TrainingSession, TrainingSnapshot


def until(session: TrainingSession, condition: Callable[[TrainingSnapshot], object]) -> TrainingSnapshot:
    """The first snapshot that meets a condition, however long it takes the machine."""
    deadline = time.monotonic() + 120
    while not condition(snapshot := session.snapshot):
        assert time.monotonic() < deadline, snapshot
        assert snapshot.status != "failed", snapshot.problem
        time.sleep(0.005)
    return snapshot


def test_a_session_from_start_to_end(small) -> None:
    session = TrainingSession(small(learn_every=2, steps=100_000), run="seen")
    assert session.snapshot.status == "starting"
    assert not session.alive
    session.start()

    running = until(session, lambda snapshot: snapshot.status == "running" and snapshot.updates > 5)
    assert running.run == "seen"
    assert running.device == "cpu"
    assert running.frame.shape == (240, 256, 3)
    assert running.replay_capacity == 400
    assert 0 < running.replay_transitions <= running.step
    with pytest.raises(FrozenInstanceError):
        running.step = 0  # type: ignore[misc]
    frame = running.frame.copy()

    ended = until(session, lambda snapshot: snapshot.episode >= 2)
    assert ended.last_episode.episode == ended.episode - 1
    assert set(ended.curves) == {
        "reward", "length", "loss", "q", "epsilon", "reward_mean", "length_mean", "loss_mean", "q_mean",
    }  # fmt: skip
    assert [x for x, _ in ended.curves["reward"]] == list(range(ended.episode))
    assert ended.mean_reward == pytest.approx(np.mean([y for _, y in ended.curves["reward"]]))
    assert ended.eta_seconds > 0
    assert np.array_equal(running.frame, frame), "a published frame is never written to"

    session.pause()
    paused = until(session, lambda snapshot: snapshot.status == "paused")
    session.save()
    saved = until(session, lambda snapshot: snapshot.last_checkpoint is not None)
    assert saved.status == "paused"
    assert saved.step == paused.step
    checkpoint.verify(saved.last_checkpoint)
    session.resume()
    until(session, lambda snapshot: snapshot.step > paused.step)

    session.stop()
    assert session.join(120)
    assert session.snapshot.status == "finished"
    assert session.result.checkpoint == session.snapshot.last_checkpoint
    assert [notice.kind for notice in session.notices()] == ["paused", "saved", "resumed", "finished"]
    assert session.notices() == []


def test_a_session_goes_on_from_a_checkpoint_with_its_curves(small) -> None:
    first = TrainingSession(small(episodes=3), run="twice")
    first.start()
    assert first.join(120)
    path = first.result.checkpoint
    second = TrainingSession(resume_config(path, {"episodes": 4}), resume=path)
    second.start()
    assert second.join(120)
    snapshot = second.snapshot
    assert snapshot.run == "twice"
    assert snapshot.episode == 4
    assert snapshot.curves["reward"][:3] == first.snapshot.curves["reward"]


def test_what_cannot_start_fails_in_one_line(small, home) -> None:
    (paths.run_dir("taken")).mkdir(parents=True)
    (paths.run_dir("taken") / "metrics.csv").touch()
    session = TrainingSession(small(), run="taken")
    session.start()
    assert session.join(120)
    assert session.snapshot.status == "failed"
    assert "exists" in session.snapshot.problem
    assert [notice.kind for notice in session.notices()] == ["failed"]


def test_a_session_that_never_started_joins_at_once(small) -> None:
    assert TrainingSession(small()).join(0)
