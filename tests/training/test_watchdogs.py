"""What training does about a number that is not finite, an emulator that dies or hangs, and memory that runs out."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import warm

from fake_collector import FakeVectorEnv, fake_factories, fake_trainer
from mario_tui import paths
from mario_tui.agent.loss import LossResult, Transitions
from mario_tui.agent.network import MarioNet
from mario_tui.agent.policy import load_policy
from mario_tui.config import TrainingConfig
from mario_tui.errors import TrainingError
from mario_tui.game.vector_env import VectorEnv, VectorStep
from mario_tui.store import checkpoint, lookup
from mario_tui.store.manifest import read_manifest
from mario_tui.system import cgroups, free_memory
from mario_tui.training import health
from mario_tui.training.events import Finished, Paused, Restarted, Resumed, Saved, Stepped
from mario_tui.training.restore import open_trainer
from mario_tui.training.session import TrainingSession
from mario_tui.training.trainer import Trainer
from runs import SMALL, differences, emulator_pids, full_state, run_to_end
from test_session import until


def is_finite(trainer: Trainer) -> bool:
    return all(torch.isfinite(value).all() for value in trainer.agent.net.state_dict().values())


# numbers that are not finite


def once(wrong: Callable[[torch.Tensor], torch.Tensor], calls: list[int]) -> Callable[..., torch.Tensor | None]:
    """A hook that spoils what goes through it the first time, and notes each time in `calls`."""

    def hook(*arguments: torch.Tensor) -> torch.Tensor | None:
        calls.append(1)
        return wrong(arguments[-1]) if len(calls) == 1 else None

    return hook


def spoil(trainer: Trainer, what: str, value: float) -> list[int]:
    """Puts a number that is not finite into the next update's loss, gradient or Q; returns what counts the calls."""
    mario, calls = trainer.agent, list[int]()

    def wrong(tensor: torch.Tensor) -> torch.Tensor:
        if what == "Q":
            return torch.full_like(tensor, value)
        tensor = tensor.clone()
        tensor[(-1,) * tensor.dim()] = value
        return tensor

    hook = once(wrong, calls)
    if what == "loss":
        loss = mario.loss

        def spoiled_loss(net: MarioNet, batch: Transitions, config: TrainingConfig) -> LossResult:
            result = loss(net, batch, config)
            spoiled = hook(result.loss)
            return result if spoiled is None else result._replace(loss=spoiled)

        mario.loss = spoiled_loss
    elif what == "first gradient":
        next(mario.learning_net.online.parameters()).register_hook(hook)
    elif what == "last gradient":
        list(mario.learning_net.online.parameters())[-1].register_hook(hook)
    else:
        mario.learning_net.target.register_forward_hook(hook)
    return calls


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("what", "value"),
    [("loss", np.nan), ("first gradient", np.nan), ("last gradient", np.inf), ("Q", np.nan), ("Q", -np.inf)],
)
def test_an_update_that_is_not_finite_is_left_out_and_training_pauses(
    small, what: str, value: float, precision: str
) -> None:
    config = small(steps=120, precision=precision, priority_exponent=0.5, average_updates=20)
    trainer = fake_trainer(config, run="spoiled")
    events, calls, before = [], [], {}
    for event in trainer.run():
        events.append(event)
        if isinstance(event, Stepped) and event.step == 60:
            calls = spoil(trainer, what, value)
        if isinstance(event, Stepped) and not calls:
            names = [name for name in full_state(trainer) if name.startswith(("net.", "adam."))]
            before = {name: state for name, state in full_state(trainer).items() if name in names}
        if isinstance(event, Paused):
            now = full_state(trainer)
            kept = {name for name in before if "average" not in name}  # which follows the weights as they are
            assert {name for name in kept if not torch.equal(before[name], now[name])} == set()
            assert event.reason.startswith("loss or gradient were not finite")
            assert not event.goes_on
            trainer.control.resume()
    assert len(calls) > 1, "it went on to learn"
    kinds = [type(event) for event in events if isinstance(event, Paused | Saved | Resumed | Finished)]
    assert kinds == [Saved, Paused, Resumed, Finished]
    assert trainer.health.skipped_updates == 1
    assert is_finite(trainer)
    assert np.isfinite(trainer.agent.memory.priorities.values).all()
    assert np.isfinite([trainer.logger.mean("loss"), trainer.logger.mean("q")]).all()
    for folder in lookup.step_folders(paths.run_dir("spoiled")):
        assert all(torch.isfinite(value).all() for value in load_policy(folder).net.state_dict().values())
    assert "not finite" in (paths.run_dir("spoiled") / "log").read_text()


def test_an_update_that_was_left_out_leaves_no_trace(small) -> None:
    """The one after it is the update that would have been made without it."""
    states = []
    for name in ("plain", "spoiled"):
        trainer = fake_trainer(small(steps=60), run=name)
        run_to_end(trainer)
        mario = trainer.agent
        batch = mario.memory.transitions_at(mario.memory.draw().index[0])
        if name == "spoiled":
            mario.optimizer.update(batch._replace(r_t=batch.r_t * np.nan))
        mario.optimizer.update(batch)
        states.append(full_state(trainer))
    assert differences(*states) == []


def test_a_reward_that_is_not_finite_is_not_learned_from(small) -> None:
    class BrokenGames(FakeVectorEnv):
        def receive(self) -> VectorStep:
            step = super().receive()
            if self._steps[0] == 30:
                step.reward[0] = np.nan
            return step

    trainer = fake_trainer(small(steps=100), run="reward", games=BrokenGames)
    events = []
    for event in trainer.run():
        events.append(event)
        if isinstance(event, Paused):
            assert event.reason.startswith("a reward was not finite")
            trainer.control.resume()
    assert any(isinstance(event, Paused) for event in events)
    assert np.isfinite(trainer.agent.memory._reward).all()
    assert is_finite(trainer)
    assert trainer.health.skipped_updates == 0


def test_a_network_that_is_not_finite_is_never_saved(small) -> None:
    trainer = fake_trainer(small(steps=200, save_every=50, learn_every=1000), run="never")

    def spoil_weight(_: object) -> None:
        with torch.no_grad():
            next(trainer.agent.net.target.parameters())[0] = np.nan

    with pytest.raises(TrainingError, match="not saved: resume"):
        run_to_end(trainer, {60: spoil_weight})
    (folder,) = lookup.step_folders(paths.run_dir("never"))
    assert folder.name == "step-000000050"
    checkpoint.verify(folder)


# emulators that die or hang


class ImpatientGames(VectorEnv):
    """Waits four seconds for an answer."""

    def receive(self, timeout_seconds: float = 4.0) -> VectorStep:
        return super().receive(timeout_seconds)


def impatient_games(config: TrainingConfig) -> VectorEnv:
    return ImpatientGames(
        config.stage,
        envs=config.envs,
        workers=config.workers,
        frame_skip=config.frame_skip,
        stall_steps=config.stall_steps,
        max_steps=config.max_episode_steps,
    )


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_an_emulator_that_dies_or_hangs_costs_its_episode_alone(small, fault: int) -> None:
    trainer = fake_trainer(
        small(steps=240, envs=2, workers=2, max_episode_steps=40), run="restarted", games=impatient_games
    )
    events = run_to_end(trainer, {100: lambda _: os.kill(emulator_pids(trainer)[1], fault)})
    (restarted,) = [event for event in events if isinstance(event, Restarted)]
    assert restarted.dropped == trainer.health.dropped_episodes == 1
    assert "emulator process 1 of 1" in restarted.problem, "each group has its own"
    assert isinstance(events[-1], Finished)
    assert events[-1].steps >= 240
    assert restarted.problem in (paths.run_dir("restarted") / "log").read_text()

    memory_ = trainer.agent.memory
    first, last = memory_._first[: memory_.tick], memory_._last[: memory_.tick]
    assert (last[:-1] == first[1:]).all(), "every episode's frames end with a final one, the lost one's too"
    lost = int(np.flatnonzero(last[:, 1] & ~last[:, 0])[0])
    assert not memory_._terminated[lost - 1, 1], "what it came to is not known, so it is not an end"
    assert trainer.logger.episode == int(last.sum()) - 1, "it is not among the episodes of the log"


def test_resume_after_a_restart_equals_the_run_that_went_on(small) -> None:
    config = small(steps=160, envs=2, workers=2, max_episode_steps=40, sticky=0.25, noops=20)
    whole = open_trainer(config, run="whole")
    kill = {60: lambda _: os.kill(emulator_pids(whole)[1], signal.SIGKILL), 80: lambda control: control.save()}
    events = run_to_end(whole, kill)
    saved = next(event.path for event in events if isinstance(event, Saved))
    assert any(isinstance(event, Restarted) for event in events)
    games = json.loads((saved / "trainer.json").read_text())["games"]
    part = open_trainer(config.replace(steps=saved_step(saved)), run="part")
    run_to_end(part, {60: lambda _: os.kill(emulator_pids(part)[1], signal.SIGKILL)})
    assert json.loads((part.last_checkpoint / "trainer.json").read_text())["games"] == games
    resumed = open_trainer(config, resume=part.last_checkpoint)
    run_to_end(resumed)
    assert differences(full_state(whole), full_state(resumed)) == []


def saved_step(folder: Path) -> int:
    return int(read_manifest(folder).step)


# memory


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The free memory that training sees: the last of these, in bytes; it looks at every step."""
    values = [8e9]
    monkeypatch.setattr(free_memory, "free_bytes", lambda: int(values[-1]))
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.0)
    return values


def test_training_pauses_before_memory_runs_out_and_goes_on_when_there_is_some(small, free: list[float]) -> None:
    trainer = fake_trainer(small(steps=100), run="short")
    seen = []
    for event in trainer.run():
        if isinstance(event, Stepped) and event.step == 50:
            free.append(2e8)
        elif isinstance(event, Paused):
            assert event.goes_on
            assert event.reason.startswith("memory is short: 0.20 GB are free")
            assert event.step == 50
            free.append(4e8)  # not enough yet
            free.append(7e8)
        if isinstance(event, Saved | Paused | Resumed | Finished):
            seen.append(type(event))
    assert seen == [Saved, Paused, Resumed, Finished]
    assert [saved_step(folder) for folder in lookup.step_folders(paths.run_dir("short"))] == [50, 100]
    plain = fake_trainer(small(steps=100), run="plain")
    run_to_end(plain)
    assert differences(full_state(plain), full_state(trainer)) == [], "the pause changed nothing"


def test_a_person_may_go_on_without_memory_until_there_was_enough_again(small, free: list[float]) -> None:
    trainer = fake_trainer(small(steps=100), run="overruled")
    paused_at = []
    for event in trainer.run():
        if isinstance(event, Stepped):
            free.append({20: 2e8, 50: 7e8, 70: 1e8}.get(event.step, free[-1]))
        elif isinstance(event, Paused):
            paused_at.append(event.step)
            trainer.control.resume()
    assert paused_at == [20, 70]


def test_a_person_who_pauses_while_memory_is_short_is_obeyed(small, free: list[float]) -> None:
    trainer = fake_trainer(small(steps=60), run="both")
    control = trainer.control
    said: list[bool] = []

    def go_on() -> None:
        said.append(True)
        control.resume()

    for event in trainer.run():
        if isinstance(event, Stepped) and event.step == 20:
            free.append(2e8)
        elif isinstance(event, Paused):
            control.pause()
            free.append(8e9)
            threading.Timer(0.3, go_on).start()
        elif isinstance(event, Resumed):
            assert said, "it waited for the person and not for memory"
    assert said


def test_what_a_control_group_leaves_is_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, limit in ((tmp_path / "job", "1000000"), (tmp_path / "job" / "inner", "max")):
        folder.mkdir()
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text("900000\n")
        (folder / "memory.stat").write_text("anon 700000\ninactive_file 200000\n")
    (tmp_path / "own").write_text("0::/job/inner\n")
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "OWN", tmp_path / "own")
    assert free_memory.free_bytes() == 300_000
    (tmp_path / "own").write_text("1:name=systemd:/\n")
    assert free_memory.free_bytes() > 1_000_000


# what a session shows of it, and the command line prints


def test_a_session_shows_why_it_paused_and_what_was_lost(small, free: list[float]) -> None:
    session = TrainingSession(small(steps=10_000_000), run="seen", factories=fake_factories())
    session.start()
    until(session, lambda snapshot: snapshot.updates > 5)
    free.append(2e8)
    short = until(session, lambda snapshot: snapshot.status == "paused")
    assert short.pause_reason.startswith("memory is short")
    assert any(line.startswith("memory is short") for line in short.warnings)
    free.append(8e9)
    again = until(session, lambda snapshot: snapshot.status == "running")
    assert again.pause_reason == ""
    session.stop()
    assert session.join(120)
    kinds = [notice.kind for notice in session.notices()]
    assert kinds == ["saved", "warning", "resumed", "finished"]


_PATCHED = """
import sys
sys.path[:] = {path!r}
{patch}
from mario_tui.cli import main
sys.exit(main(sys.argv[1:]))
"""


def start(patch: str, *arguments: str) -> Any:
    """`mario-tui train` in a process of its own, with a patch applied before."""
    flags = {name.replace("_", "-"): value for name, value in SMALL.items()}
    settings = [f"--no-{flag}" if value is False else f"--{flag}={value}" for flag, value in flags.items()]
    program = _PATCHED.format(path=sys.path, patch=patch)
    return warm.Popen(
        [sys.executable, "-c", program, "train", "--json", *settings, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def events_of(process: Any) -> Iterator[dict]:
    assert process.stdout is not None
    return map(json.loads, process.stdout)


def test_without_the_app_a_number_that_is_not_finite_saves_and_ends_with_a_line() -> None:
    patch = (
        "from dataclasses import replace\nfrom mario_tui.agent.mario import Mario\nplain = Mario.recall\n"
        "def recall(mario, batches):\n    draw = plain(mario, batches)\n"
        "    return replace(draw, r_t=draw.r_t * float('nan')) if mario.curr_step > 50 else draw\n"
        "Mario.recall = recall"
    )
    process = start(patch, "--name", "nan", "--steps", "2000")
    events = list(events_of(process))
    assert process.wait(60) == 1
    assert process.stderr is not None
    (line,) = process.stderr.read().splitlines()
    assert line.startswith("mario-tui: loss or gradient were not finite")
    assert line.endswith("go on with: mario-tui train --resume nan")
    (paused,) = [event for event in events if event["event"] == "paused"]
    assert paused["reason"].startswith("loss or gradient")
    assert events[-1]["event"] == "finished"
    weights = load_policy(paths.run_dir("nan")).net.state_dict().values()
    assert all(torch.isfinite(value).all() for value in weights)


def test_without_the_app_memory_and_emulators_are_told_of_in_events(home: Path) -> None:
    import psutil

    file = home / "free"
    file.write_text("8000000000")
    free = f"lambda: int(open({str(file)!r}).read())"
    patch = f"from mario_tui.system import free_memory\nfree_memory.free_bytes = {free}"
    process = start(patch, "--name", "told", "--steps", "100000", "--envs", "1", "--measuring-games", "0")
    events, seen = events_of(process), []
    for event in events:
        if event["event"] in ("started", "restarted", "paused", "resumed", "finished"):
            seen.append(event["event"])
        match event["event"]:
            case "started":
                workers = psutil.Process(process.pid).children()
                (worker,) = [child for child in workers if "mario_tui.game.worker" in " ".join(child.cmdline())]
                worker.kill()
            case "restarted":
                assert event["dropped"] == 1
                (home / "next").write_text("100000000")
                (home / "next").rename(file)
            case "paused":
                assert event["goes_on"]
                (home / "next").write_text("8000000000")
                (home / "next").rename(file)
            case "resumed":
                process.terminate()
    assert seen == ["started", "restarted", "paused", "resumed", "finished"]
    assert process.wait(60) == 143
