"""A session trains in a thread, and tells about it in snapshots that never change."""

import contextlib
import gc
import json
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from functools import partial

import numpy as np
import pytest
import torch

from fake_collector import fake_factories
from mario_tui import paths
from mario_tui.agent.mario import Mario
from mario_tui.agent.policy import load_policy
from mario_tui.config import TrainingConfig, load_toml
from mario_tui.errors import InputError, MarioTuiError
from mario_tui.store import checkpoint, lookup
from mario_tui.store.run import find_resumable
from mario_tui.system import processors
from mario_tui.training.control import TrainingControl
from mario_tui.training.events import Stepped
from mario_tui.training.highlights import Highlights
from mario_tui.training.restore import Factories, open_trainer
from mario_tui.training.resume import resume_config
from mario_tui.training.session import TrainingSession
from mario_tui.training.snapshot import TrainingSnapshot
from mario_tui.training.watcher import Watcher
from runs import run_to_end

FILMED = Factories(highlights=partial(Highlights, best_every_seconds=0.0, shortest_seconds=0.0))


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
    metrics, windows = ("reward", "length", "loss", "q"), ("", "_10", "_1000")
    means = {f"{metric}_mean{window}" for metric in metrics for window in windows}
    assert set(ended.curves) == {*metrics, "epsilon", *means}
    assert [x for x, _ in ended.curves["reward"]] == list(range(ended.episode))
    assert ended.mean_reward == pytest.approx(np.mean([y for _, y in ended.curves["reward"]]))
    assert ended.eta_seconds > 0
    assert running.frame is not None
    assert np.array_equal(running.frame, frame), "a published frame is never written to"

    session.pause()
    paused = until(session, lambda snapshot: snapshot.status == "paused")
    session.save()
    saved = until(session, lambda snapshot: snapshot.last_checkpoint is not None)
    assert saved.status == "paused"
    assert saved.step == paused.step
    assert saved.last_checkpoint is not None
    checkpoint.verify(saved.last_checkpoint)
    session.resume()
    until(session, lambda snapshot: snapshot.step > paused.step)

    session.stop()
    assert session.join(120)
    assert session.snapshot.status == "finished"
    assert session.result.checkpoint == session.snapshot.last_checkpoint
    assert [notice.kind for notice in session.notices()] == ["paused", "saved", "resumed", "finished"]
    assert session.notices() == []


def test_a_session_tells_of_its_recordings(small) -> None:
    session = TrainingSession(small(episodes=1, record=True), run="filmed", factories=FILMED)
    session.start()
    assert session.join(240)
    kinds = [notice.kind for notice in session.notices()]
    assert kinds[-2:] == ["recorded", "finished"]
    assert (paths.recordings_dir() / "filmed-best.mp4").exists()
    assert session.snapshot.status == "finished"


def test_a_recording_that_fails_is_a_notice_and_training_ends_well(
    small, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "missing"))
    session = TrainingSession(small(episodes=1, record=True), run="filmed", factories=FILMED)
    session.start()
    assert session.join(240)
    told = {notice.kind: notice.text for notice in session.notices()}
    assert "ffmpeg cannot be started" in told["not_recorded"]
    assert session.snapshot.status == "finished"
    assert list(paths.recordings_dir().iterdir()) == []


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


def test_pauses_saves_and_looking_do_not_change_what_is_learned(small) -> None:
    """A session that is disturbed all the time comes to the bits of a training without one that is left alone."""
    config = small(
        steps=300, envs=2, workers=2, eval_every=100, n_steps=3, priority_exponent=0.5, sticky=0.25, noops=20,
        stall_steps=40, average_updates=20,
    )  # fmt: skip
    plain = open_trainer(config, run="plain")
    run_to_end(plain)

    session = TrainingSession(config, run="disturbed")
    session.shows_all_games = True
    session.pause()
    session.start()
    pauses = 0
    while session.alive:
        paused = until(session, lambda snapshot: snapshot.status in ("paused", "finished"))
        if paused.status == "finished":
            break
        pauses += 1
        session.save()
        with contextlib.suppress(MarioTuiError):
            session.live_policy()
        session.note("seen").result(60)
        session.resume()
        until(session, lambda snapshot: snapshot.step > paused.step or snapshot.status == "finished")  # noqa: B023
        session.pause()
    assert session.join(120)
    assert pauses > 5
    last = [lookup.step_folders(paths.run_dir(name))[-1] for name in ("plain", "disturbed")]
    parts = [checkpoint.verify(folder).parts for folder in last]
    assert parts[0].keys() == parts[1].keys()
    different = {name for name in parts[0] if parts[0][name] != parts[1][name]}
    assert different <= {"trainer.json", "metrics.csv"}, "weights, optimizer, replay; the rest has times"
    states = [json.loads((folder / "trainer.json").read_text()) for folder in last]
    assert {name for name in states[0] if states[0][name] != states[1][name]} <= {"seconds", "metrics"}
    logs = [(paths.run_dir(name) / "metrics.csv").read_text().splitlines() for name in ("plain", "disturbed")]
    without_times = [[line.split(",") for line in log] for log in logs]
    column = without_times[0][0].index("seconds")
    for rows in without_times:
        for row in rows:
            del row[column]
    assert without_times[0] == without_times[1]


def test_what_cannot_start_fails_in_one_line(small, home) -> None:
    (paths.run_dir("taken")).mkdir(parents=True)
    (paths.run_dir("taken") / "metrics.csv").touch()
    session = TrainingSession(small(), run="taken")
    session.start()
    assert session.join(120)
    assert session.snapshot.status == "failed"
    assert "exists" in session.snapshot.problem
    assert [notice.kind for notice in session.notices()] == ["failed"]


def test_a_training_that_failed_leaves_its_replay_to_the_next(small, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Callable[[], object]] = []

    def learn(agent: Mario, *_: object) -> None:
        seen.append(weakref.ref(agent.memory))
        try:
            raise ValueError("the cause")
        except ValueError as error:
            raise RuntimeError("cannot learn") from error

    monkeypatch.setattr(Mario, "learn", learn)
    session = TrainingSession(small(), run="failed", factories=fake_factories())
    session.start()
    assert session.join(120)
    assert session.snapshot.problem == "RuntimeError: cannot learn"
    assert "the cause" in next(paths.run_dir("failed").glob("crash-*.log")).read_text()
    gc.collect()
    assert seen[0]() is None, "the app keeps the session, but nothing of what it trained"


def test_a_session_that_never_started_joins_at_once(small) -> None:
    assert TrainingSession(small()).join(0)


@pytest.fixture
def learning(small) -> Iterator[TrainingSession]:
    """A session with games without an emulator, two of them."""
    session = TrainingSession(small(envs=2, learn_every=4, steps=10_000_000), run="live", factories=fake_factories())
    session.start()
    until(session, lambda snapshot: snapshot.updates > 5)
    yield session
    session.stop()
    assert session.join(120)


@pytest.mark.parametrize("paused", [False, True])
def test_live_weights_are_a_copy_that_training_does_not_change(learning: TrainingSession, paused: bool) -> None:
    if paused:
        learning.pause()
        until(learning, lambda snapshot: snapshot.status == "paused")
    policy = learning.live_policy()
    assert policy.step >= learning.snapshot.step or not paused
    before = [parameter.clone() for parameter in policy.net.parameters()]
    learning.resume()
    updates = learning.snapshot.updates
    until(learning, lambda snapshot: snapshot.updates > updates + 5)
    later = learning.live_policy()
    assert all(torch.equal(old, new) for old, new in zip(before, policy.net.parameters(), strict=True))
    assert not all(torch.equal(old, new) for old, new in zip(before, later.net.parameters(), strict=True))
    assert policy.source == f"live, step {policy.step:,}"


def test_the_agent_of_now_is_kept_to_be_measured_and_is_not_what_goes_on(learning: TrainingSession) -> None:
    learning.save()
    saved = until(learning, lambda snapshot: snapshot.last_checkpoint is not None).last_checkpoint
    assert saved is not None
    learning.pause()
    paused = until(learning, lambda snapshot: snapshot.status == "paused")
    kept = learning.keep_agent().result(60)
    assert (kept.parent, load_policy(kept).step) == (saved.parent, paused.step)
    now = learning.live_policy().net.state_dict()
    assert all(torch.equal(weights, now[name]) for name, weights in load_policy(kept).net.state_dict().items())
    assert learning.keep_agent().result(60) == kept, "one for each step"
    assert find_resumable(saved.parent)[0] == saved, "it has no replay"
    learning.resume()


def test_changes_and_notes_are_kept_in_log_and_settings(learning: TrainingSession) -> None:
    assert learning.adjust("learning_rate", lambda now: 1e-5).result(60) == (0.00025, 1e-5)
    epsilon, new = learning.adjust("exploration_rate", lambda now: round(0.041 * now, 3)).result(60)
    assert new == round(0.041 * epsilon, 3)
    with pytest.raises(InputError, match="learning_rate"):
        learning.adjust("learning_rate", lambda now: -now).result(60)
    learning.note("it   stumbles").result(60)
    now = until(learning, lambda snapshot: snapshot.epsilon <= new)
    assert now.learning_rate == 1e-5
    assert now.floor_seconds is None, "the floor came down with it"
    learning.stop()
    assert learning.join(120)
    folder = paths.run_dir("live")
    notes = [line.split(": ", 1)[1] for line in (folder / "log").read_text().splitlines() if line.startswith("#")]
    assert notes[0] == "learning rate 0.00025 -> 1e-05"
    assert notes[1].startswith("epsilon 0.")
    assert notes[1].endswith(f" -> {new:g}")
    assert notes[2] == "it stumbles"
    config = resume_config(find_resumable(folder)[0])
    assert (config.learning_rate, config.exploration_rate_min) == (1e-5, new)
    assert load_toml(folder / "config.toml")["learning_rate"] == 1e-5
    with pytest.raises(MarioTuiError, match="has ended"):
        learning.live_policy()


def test_a_snapshot_has_all_games_where_they_are_asked_for(learning: TrainingSession) -> None:
    assert learning.snapshot.frames == ()
    learning.shows_all_games = True
    now = until(learning, lambda snapshot: len(snapshot.frames) == 2)
    assert [frame.shape for frame in now.frames] == [(240, 256, 3)] * 2
    frames = [frame.copy() for frame in now.frames]
    until(learning, lambda snapshot: snapshot.step > now.step + 20)
    assert all(np.array_equal(frame, old) for frame, old in zip(now.frames, frames, strict=True)), "copies"


def test_a_snapshot_says_where_episodes_ended(learning: TrainingSession) -> None:
    now = until(learning, lambda snapshot: snapshot.episode >= 5)
    assert now.ends.deaths.sum() + now.ends.clears.sum() == now.episode


@pytest.mark.parametrize(("cores", "most"), [(1, 20), (2, 20), (3, 40), (16, 40)])
def test_snapshots_come_as_often_as_a_screen_may_look(cores: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "count", lambda: cores)
    now = 1000.0
    monkeypatch.setattr("mario_tui.training.watcher.time.monotonic", lambda: now)
    watching = Watcher(TrainingControl(), "run", TrainingConfig())
    taken: list[object] = []
    monkeypatch.setattr(watching, "_publish", lambda *_: (taken.append(now), setattr(watching, "_published_at", now)))
    for step in range(1000):
        now += 1 / 500
        watching.watch(None, Stepped(step))  # type: ignore[arg-type]
    assert most * 1.8 < len(taken) <= most * 2 + 1, "in two seconds"
