"""A training that is looked at and steered from another process, by the socket between them."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_collector import FakeVectorEnv, fake_factories
from mario_tui.errors import InputError, MarioTuiError
from mario_tui.game.episode import EndReason
from mario_tui.game.vector_env import VectorStep
from mario_tui.store import checkpoint
from mario_tui.training import shared_protocol
from mario_tui.training.attached_session import AttachedSession
from mario_tui.training.control import TrainingControl
from mario_tui.training.restore import open_trainer
from mario_tui.training.shared_protocol import (
    SharedError,
    packed_snapshot,
    receive,
    send,
    socket_path,
    unpacked_snapshot,
)
from mario_tui.training.shared_training import SharedTraining
from mario_tui.training.snapshot import TrainingSnapshot
from mario_tui.training.watcher import Notice

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no local sockets here")
PATIENCE_SECONDS = 120


@pytest.fixture(autouse=True)
def sockets(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of sockets of its own, with a short name."""
    folder = tmp_path_factory.mktemp("s")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


@contextmanager
def trained(config: Any) -> Iterator[tuple[Path, TrainingControl]]:
    """A run that is trained in a thread, as `mario-tui train` does; its folder, and its control."""
    control = TrainingControl()
    trainer = open_trainer(config, run="shared", factories=fake_factories(), control=control)

    def train() -> None:
        with SharedTraining(trainer, control) as shared:
            assert shared.problem == ""
            for event in trainer.run():
                shared.watch(trainer, event)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        yield trainer.run_dir, control
    finally:
        control.stop()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


@contextmanager
def attached(run: Path) -> Iterator[AttachedSession]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            session = AttachedSession(run)
        except InputError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            break
    session.start()
    try:
        yield session
    finally:
        session.detach()


def until(session: AttachedSession, condition: Callable[[TrainingSnapshot], object]) -> TrainingSnapshot:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition(snapshot := session.snapshot):
        assert time.monotonic() < deadline, snapshot
        time.sleep(0.005)
    return snapshot


def test_it_is_seen_and_steered_and_goes_on_without_who_looked(small: Any, home: Path) -> None:
    with trained(small(learn_every=2, steps=10**9)) as (run, control):
        with attached(run) as session:
            seen = until(session, lambda now: now.status == "running" and now.updates > 5 and now.frame is not None)
            assert (seen.run, seen.device, seen.config.stage) == ("shared", "cpu", "1-1")
            assert seen.frame is not None
            assert seen.frame.shape == (240, 256, 3)
            assert seen.place is not None
            assert seen.place[1:] == (176, 37)
            ended = until(session, lambda now: now.episode >= 3 and now.last_episode)
            assert ended.last_episode is not None
            assert [x for x, _ in ended.curves["reward"]] == list(range(len(ended.curves["reward"])))
            assert ended.ends is not None
            assert ended.ends.deaths.sum() + ended.ends.clears.sum() <= ended.episode

            session.pause()
            paused = until(session, lambda now: now.status == "paused")
            session.save()
            saved = until(session, lambda now: now.last_checkpoint is not None)
            assert (saved.status, saved.step) == ("paused", paused.step)
            assert saved.last_checkpoint is not None
            checkpoint.verify(saved.last_checkpoint)
            until(session, lambda _: any(notice.kind == "saved" for notice in session.notices()))
            assert session.live_policy().step == saved.step
            assert session.adjust("learning_rate", lambda now: now / 2).result(PATIENCE_SECONDS)[1] == pytest.approx(
                saved.learning_rate / 2
            )
            assert session.keep_agent().result(PATIENCE_SECONDS) == saved.last_checkpoint, "this step is saved"
            session.note("a line from afar").result(PATIENCE_SECONDS)
            assert "a line from afar" in (run / "log").read_text()
            with pytest.raises(MarioTuiError, match="learning_rate"):
                session.adjust("learning_rate", lambda now: -1.0).result(PATIENCE_SECONDS)
            session.resume()
            until(session, lambda now: now.step > paused.step)
        assert not session.alive
        assert not control.stopping, "the training goes on"
        with attached(run) as again:
            assert until(again, lambda now: now.step > paused.step).status == "running"
            assert again.notices() == [], "only what happens from now on"


def test_its_end_is_seen_and_asked_for(small: Any, home: Path) -> None:
    with trained(small(steps=10**9)) as (run, _), attached(run) as session:
        until(session, lambda now: now.status == "running")
        session.stop()
        ended = until(session, lambda now: now.status in ("finished", "failed"))
        assert ended.status == "finished"
        assert session.join(PATIENCE_SECONDS)
        assert not session.alive
        assert any(notice.kind == "finished" for notice in session.notices())
        with pytest.raises(MarioTuiError, match="the training has ended"):
            session.note("too late").result(1)
    with pytest.raises(InputError, match="trains shared on this machine"):
        AttachedSession(run)


def test_all_games_are_shown_on_demand_and_none_to_nobody(small: Any, home: Path) -> None:
    with trained(small(envs=3, steps=10**9)) as (run, _), attached(run) as session:
        assert until(session, lambda now: now.frame is not None).frames == ()
        session.shows_all_games = True
        assert len(until(session, lambda now: len(now.frames) > 1).frames) == 3
        session.shows_all_games = False
        until(session, lambda now: now.frames == ())


def test_a_snapshot_survives_the_way(small: Any, home: Path) -> None:
    with trained(small(envs=2, steps=10**9)) as (run, _), attached(run) as session:
        snapshot = until(session, lambda now: now.episode > 2 and now.frame is not None)
        message, blocks = packed_snapshot(snapshot, with_curves=True)
        there = unpacked_snapshot(json.loads(json.dumps(message)), blocks, None)
        for field in fields(snapshot):
            mine, theirs = getattr(snapshot, field.name), getattr(there, field.name)
            if field.name == "frame":
                assert np.array_equal(mine, theirs)
            elif field.name == "ends":
                assert np.array_equal(mine.deaths, theirs.deaths)
            else:
                assert mine == theirs, field.name
        message, blocks = packed_snapshot(snapshot, with_curves=False)
        assert "curves" not in message
        assert unpacked_snapshot(message, blocks, snapshot).curves == snapshot.curves


def test_a_run_that_nobody_trains_cannot_be_attached_to(home: Path) -> None:
    with pytest.raises(InputError, match=r"no 'mario-tui train' of this user trains lonely on this machine"):
        AttachedSession(home / "checkpoints" / "lonely")


def listening(run: Path, say: Callable[[Any], None]) -> threading.Thread:
    """Something else that listens where a training of the run would."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(socket_path(run)))
    listener.listen()

    def serve() -> None:
        client, _ = listener.accept()
        with listener, client, client.makefile("rwb") as file:
            say(file)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("say", "told"),
    [
        (lambda file: send(file, {"version": "0.0.9"}), "is trained by mario-tui 0.0.9"),
        (lambda file: file.write(b"hello\n"), "does not answer"),
        (lambda file: file.write(b'{"blocks": [99999999999]}\n'), "does not answer"),
        (lambda file: file.write(b'{"blocks": [-1]}\n'), "does not answer"),
        (lambda file: None, "does not answer"),
    ],
)
def test_what_is_no_training_is_told(say: Callable[[Any], None], told: str, home: Path) -> None:
    run = home / "checkpoints" / "odd"
    listening(run, say)
    with pytest.raises(InputError, match=told):
        AttachedSession(run)


@pytest.mark.parametrize("damage", [{"config": 3}, {"shapes": [[1, 1]]}, {"last_episode": {"a": 1}}, {"curves": 7}])
def test_a_damaged_snapshot_is_refused(damage: dict[str, Any], small: Any) -> None:
    message, blocks = packed_snapshot(TrainingSnapshot("running", "r", small()), with_curves=True)
    with pytest.raises(SharedError):
        unpacked_snapshot({**message, **damage}, blocks, None)


def test_questions_that_are_none_are_answered_with_a_problem_or_not_at_all(small: Any, home: Path) -> None:
    with trained(small(steps=10**9)) as (run, control), attached(run):
        for question in ({"ask": "erase"}, {"ask": "adjust", "name": "seed", "value": 1}, {"ask": None}):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one, one.makefile("rwb") as file:
                one.connect(str(socket_path(run)))
                stream: Any = file
                receive(stream)
                send(stream, question)
                assert "does not know" in receive(stream)[0]["problem"]
                file.write(b"\xff\xfe nonsense\n")
                file.flush()
                with pytest.raises(EOFError):
                    receive(stream)
        assert not control.stopping


def test_only_its_user_may_enter(sockets: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = socket_path(home)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.parent.chmod(0o755)
    with pytest.raises(InputError, match="not a folder of this user alone"):
        socket_path(home)
    path.parent.rmdir()
    path.parent.symlink_to(sockets)
    with pytest.raises(InputError, match="not a folder of this user alone"):
        socket_path(home)


def test_a_training_without_a_socket_goes_on(small: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "missing"))
    control = TrainingControl()
    trainer = open_trainer(small(steps=40), run="alone", factories=fake_factories(), control=control)
    with SharedTraining(trainer, control) as shared:
        assert "cannot be made" in shared.problem
        for event in trainer.run():
            shared.watch(trainer, event)
    assert shared.snapshot.status == "finished"


def test_the_first_clear_and_the_end_are_announced_once(small: Any, home: Path) -> None:
    class Clears(FakeVectorEnv):
        end_chance = 1 / 10

        def receive(self) -> VectorStep:
            step = super().receive()
            step.end[:] = [end and EndReason.CLEAR for end in step.end]
            return step

    announced: list[Notice] = []
    control = TrainingControl()
    trainer = open_trainer(small(steps=200), run="told", factories=fake_factories(Clears), control=control)
    with SharedTraining(trainer, control, announced.append) as shared:
        for event in trainer.run():
            shared.watch(trainer, event)
    assert trainer.logger.clears > 3
    assert [notice.announces for notice in announced] == ["first-clear", "end"]
    assert "cleared 1-1" in announced[0].text


@pytest.mark.slow
def test_a_training_in_another_process_that_is_killed(home: Path) -> None:
    small = ["--network", "small", "--burn-in", "20", "--replay-size", "400", "--threads", "1", "--no-record"]
    command = [sys.executable, "-m", "mario_tui", "train", "--preset", "tutorial", "--name", "far", "--json", *small]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, env={**os.environ})
    try:
        with attached(home / "checkpoints" / "far") as session:
            until(session, lambda now: now.step > 30)
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE_SECONDS)
            gone = until(session, lambda now: now.status == "failed")
            assert "its process has ended" in gone.problem
            assert not session.alive or session.join(PATIENCE_SECONDS)
    finally:
        process.kill()
    with pytest.raises(InputError, match="on this machine"):
        AttachedSession(home / "checkpoints" / "far")


def test_the_limit_of_a_message_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_protocol, "MOST_BYTES", 100)
    left, right = socket.socketpair()
    with left, right, left.makefile("rwb") as one, right.makefile("rwb") as other:
        mine: Any = one
        theirs: Any = other
        send(mine, {"a": 1}, [b"x" * 101])
        with pytest.raises(SharedError, match="too long"):
            receive(theirs)
