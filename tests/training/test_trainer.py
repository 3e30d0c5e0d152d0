"""The training loop on the real game: what it writes, and that a run depends on its seed alone."""

import csv
import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from fake_collector import FakeVectorEnv, fake_trainer
from mario_tui import paths
from mario_tui.agent.mario import Mario
from mario_tui.agent.policy import load_policy
from mario_tui.errors import CheckpointError, EmulatorError, InputError
from mario_tui.play.evaluation import EpisodeResult, Evaluation
from mario_tui.store import catalog, checkpoint, lookup, named
from mario_tui.store.manifest import read_manifest
from mario_tui.store.run import find_resumable, trash
from mario_tui.store.untrusted import read_json
from mario_tui.system import files
from mario_tui.training.events import (
    EpisodeEnded,
    Evaluated,
    Event,
    Finished,
    Observer,
    Paused,
    Resumed,
    Saved,
    Started,
    Stepped,
    Warned,
)
from mario_tui.training.restore import open_trainer
from mario_tui.training.resume import resume_config
from runs import differences, emulator_pids, full_state, run_to_end


def test_a_run_leaves_its_artefacts(small) -> None:
    trainer = open_trainer(small(episodes=3, log_every=2), run="first")
    events = run_to_end(trainer)
    assert isinstance(events[0], Started)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.episodes == 3
    assert finished.steps == trainer.step > 60
    assert trainer.agent.updates == finished.steps // 4 - 19 // 4 - (finished.steps % 4 == 0)  # the last is not learned

    run = paths.run_dir("first")
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.toml", "metrics.csv", "episodes.csv", "log",
        "reward_plot.png", "length_plot.png", "loss_plot.png", "q_plot.png",
        f"step-{finished.steps:09d}",
    }  # fmt: skip
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    records = [event.record for event in events if isinstance(event, EpisodeEnded)]
    assert [row["episode"] for row in rows] == ["0", "1", "2"]
    assert [float(row["reward"]) for row in rows] == [record.reward for record in records]
    assert sum(int(row["length"]) for row in rows) == finished.steps
    assert {row["end"] for row in rows} <= {"death", "time", "clear"}
    log = (run / "log").read_text().splitlines()
    assert log[0].split() == [
        "Episode", "Step", "Epsilon", "MeanReward", "MeanLength", "MeanLoss", "MeanQValue", "TimeDelta", "Time",
    ]  # fmt: skip
    assert [line.split()[0] for line in log[1:]] == ["0", "2"], "episodes 0 and 2 by log_every, the last one once only"
    assert (run / "reward_plot.png").read_bytes().startswith(b"\x89PNG")
    checkpoint.verify(finished.checkpoint)
    assert load_policy(finished.checkpoint).step == finished.steps
    again = run / f"{finished.checkpoint.name}-2"
    shutil.copytree(finished.checkpoint, again)
    assert load_policy(again).source == f"{run.name}, step {finished.steps:,} (2)"


def test_the_last_episode_is_logged_when_it_is_not_due(small) -> None:
    run_to_end(open_trainer(small(episodes=2, log_every=20), run="log"))
    lines = (paths.run_dir("log") / "log").read_text().splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["0", "1"]


def test_the_number_of_worker_processes_changes_nothing(small) -> None:
    states = []
    for workers in (1, 2, 3):
        trainer = open_trainer(small(steps=240, envs=3, workers=workers, stall_steps=30), run=f"workers-{workers}")
        run_to_end(trainer)
        assert trainer.agent.updates > 40
        states.append(full_state(trainer))
    assert differences(states[0], states[1]) == []
    assert differences(states[0], states[2]) == []


def test_another_seed_is_another_run(small) -> None:
    states = []
    for seed in (0, 1):
        trainer = open_trainer(small(steps=60, seed=seed), run=f"seed-{seed}")
        run_to_end(trainer)
        states.append(full_state(trainer))
    assert "net.online.0.weight" in differences(*states)
    assert "replay.action" in differences(*states)


def test_the_replay_keeps_what_was_chosen_also_where_other_buttons_were_held(small) -> None:
    class StuckGames(FakeVectorEnv):
        def send(self, buttons: np.ndarray) -> None:
            super().send(np.full_like(buttons, 129))

    actions = []
    for games in (FakeVectorEnv, StuckGames):
        trainer = fake_trainer(
            small(steps=50, envs=2), run=games.__name__, games=games
        )  # with epsilon 1 chosen by the seed alone
        run_to_end(trainer)
        memory = trainer.agent.memory
        actions.append(memory.transitions_at(memory.sampleable()).a_tm1.tolist())
    assert actions[0] == actions[1]
    assert set(actions[0]) == {0, 1}


def test_a_run_that_was_paused_and_saved_equals_one_that_was_not(small) -> None:
    config = small(steps=200, envs=2)
    plain = open_trainer(config, run="plain")
    run_to_end(plain)

    disturbed = open_trainer(config, run="disturbed")
    control = disturbed.control
    seen, before = [], None
    for event in disturbed.run():
        seen.append(event)
        if isinstance(event, Stepped) and event.step >= 100 and before is None:
            control.pause()
        elif isinstance(event, Paused):
            before = full_state(disturbed)
            control.save()  # while paused
        elif isinstance(event, Saved) and control.paused:
            assert before is not None
            assert differences(before, full_state(disturbed)) == []
            control.resume()
    kinds = [type(event) for event in seen if isinstance(event, Paused | Saved | Resumed)]
    assert kinds == [Paused, Saved, Resumed]
    assert differences(full_state(plain), full_state(disturbed)) == []


def test_another_thread_pauses_saves_and_stops(small) -> None:
    trainer = open_trainer(small(), run="threads")
    control = trainer.control
    paused, saved = threading.Event(), threading.Event()
    events = []

    def train() -> None:
        for event in trainer.run():
            events.append(event)
            if isinstance(event, Paused):
                paused.set()
            if isinstance(event, Saved):
                saved.set()

    thread = threading.Thread(target=train)
    thread.start()
    control.pause()
    assert paused.wait(120)
    step = trainer.step
    control.save()
    assert saved.wait(120)
    assert trainer.step == step
    control.stop()
    thread.join(120)
    assert not thread.is_alive()
    assert isinstance(events[-1], Finished)
    assert events[-1].steps == step


@pytest.mark.parametrize("envs", [1, 3])
def test_a_resumed_run_equals_the_one_that_went_on(small, envs: int) -> None:
    config = small(steps=400, envs=envs, stall_steps=25, replay_size=100)
    whole = open_trainer(config, run="whole")
    run_to_end(whole, {200: lambda control: control.save()})
    saved = lookup.step_folders(paths.run_dir("whole"))[0]
    # its replay was dropped when the newest full checkpoint was written, so save it in a run of its own
    part = open_trainer(small(**{**config.model_dump(), "steps": 200}), run="part")
    run_to_end(part)
    assert not part.agent.memory.missing_bytes, "the replay was full, and older transitions were written over"
    first = lookup.step_folders(paths.run_dir("part"))[-1]
    assert first.name == saved.name
    resumed = open_trainer(resume_config(first, {"steps": 400}), resume=first)
    run_to_end(resumed)
    assert differences(full_state(whole), full_state(resumed)) == []


def test_a_resumed_run_with_everything_on_equals_the_one_that_went_on(small) -> None:
    config = small(
        steps=300, envs=3, max_episode_steps=18, replay_size=100, n_steps=3, priority_exponent=0.5, dueling=True,
        network="small", average_updates=20, sticky=0.25, noops=20, show_buttons=True, exploration_steps=150,
        exploration_ladder=3, reward_scale=15, centered=True, precision="bfloat16",
    )  # fmt: skip
    whole = open_trainer(config, run="whole")
    run_to_end(whole)
    part = open_trainer(config.replace(steps=180), run="part")
    run_to_end(part)
    assert not part.agent.memory.missing_bytes
    saved = lookup.step_folders(paths.run_dir("part"))[-1]
    games = json.loads((saved / "trainer.json").read_text())["games"]
    assert any(any(group["noop_steps"]) for group in games["groups"]), "saved in an episode that began with no button"
    assert any(any(group["frame_logs"]) for group in games["groups"]), "and in the middle of one"
    resumed = open_trainer(resume_config(saved, {"steps": 300}), resume=saved)
    run_to_end(resumed)
    assert resumed.agent.updates > 50
    assert differences(full_state(whole), full_state(resumed)) == []


def test_resume_takes_up_the_log_and_sets_given_up_episodes_aside(small) -> None:
    run_to_end(open_trainer(small(episodes=4), run="again"), {60: lambda control: control.save()})
    run = paths.run_dir("again")
    early = lookup.step_folders(run)[0]
    resumed = open_trainer(resume_config(early, {"episodes": 6}), resume=early)
    events = run_to_end(resumed)
    assert isinstance(events[-1], Finished)
    assert events[-1].episodes == 6
    with (run / "metrics.csv").open(newline="") as file:
        assert [row["episode"] for row in csv.DictReader(file)] == [str(number) for number in range(6)]
    aside = list(run.glob("metrics.until-*.csv"))
    assert len(aside) == 1
    assert len(aside[0].read_text().splitlines()) == 5


def test_a_checkpoint_without_replay_waits_for_the_replay_to_fill(small) -> None:
    result = Evaluation((EpisodeResult(0, 0.0, 1, 300, "death", False),))
    run_to_end(fake_trainer(small(steps=60, eval_every=50), run="light", evaluate=lambda *args, **settings: result))
    light = paths.run_dir("light") / "step-000000050"
    assert "replay.frames" not in checkpoint.verify(light).parts
    resumed = open_trainer(resume_config(light, {"steps": 80, "eval_every": 0}), resume=light)
    assert resumed.step == 50
    updates = resumed.agent.updates
    run_to_end(resumed)
    assert resumed.agent.updates - updates == 80 // 4 - 69 // 4 - 1


def test_a_checkpoint_that_was_taken_away_is_written_again_at_the_end(small) -> None:
    trainer = open_trainer(small(steps=40), run="taken")
    running = trainer.run()
    for event in running:
        if isinstance(event, Stepped) and event.step == 40:
            trainer.control.save()
        elif isinstance(event, Saved):
            trash(event.path)
        last = event
    assert isinstance(last, Finished)
    checkpoint.verify(last.checkpoint)


def test_only_the_newest_full_checkpoint_keeps_the_replay(small) -> None:
    run_to_end(open_trainer(small(steps=90, save_every=30), run="rotate"))
    folders = lookup.step_folders(paths.run_dir("rotate"))
    assert [folder.name for folder in folders] == ["step-000000030", "step-000000060", "step-000000090"]
    assert ["replay.frames" in checkpoint.verify(folder).parts for folder in folders] == [False, False, True]
    assert not (folders[0] / "replay.frames").exists()


def test_greedy_evaluations_do_not_change_the_training(small) -> None:
    plain = open_trainer(small(steps=120), run="plain")
    run_to_end(plain)
    evaluated = open_trainer(small(steps=120, eval_every=50), run="evaluated")
    events = run_to_end(evaluated)
    assert [event.step for event in events if isinstance(event, Evaluated)] == [50, 100]
    assert differences(full_state(plain), full_state(evaluated)) == []
    infos = {info.step: info for info in catalog.scan().checkpoints if info.run == "evaluated"}
    assert infos[50].greedy_clear is False
    assert [step for step, info in infos.items() if info.best] == [120], "nothing clears: it is the newest"
    assert not (paths.run_dir("evaluated") / "best").is_symlink()


def test_an_emulator_that_cannot_be_started_again_ends_training_with_a_checkpoint(
    small, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = open_trainer(small(steps=200), run="killed")

    def kill(_: object) -> None:
        monkeypatch.setattr(sys, "executable", "/bin/false")
        os.kill(emulator_pids(trainer)[0], signal.SIGKILL)

    with pytest.raises(EmulatorError, match="ended with exit status 1"):
        run_to_end(trainer, {30: kill})
    assert load_policy(paths.run_dir("killed")).step >= 30
    (log,) = paths.run_dir("killed").glob("crash-*.log")
    assert "EmulatorError" in log.read_text()


def test_two_trainers_do_not_share_a_run(small) -> None:
    trainer = open_trainer(small(steps=30), run="shared")
    running = trainer.run()
    next(running)
    with pytest.raises(InputError, match="another mario-tui"):
        open_trainer(small(), run="shared")
    running.close()
    run_to_end(open_trainer(small(steps=30), run="shared"))  # nothing of the first was saved
    with pytest.raises(InputError, match="exists"):
        open_trainer(small(), run="shared")
    run_to_end(open_trainer(small(steps=30), run="other"))
    first = lookup.step_folders(paths.run_dir("other"))[0]
    one = open_trainer(resume_config(first, {"steps": 60}), resume=first)
    with pytest.raises(InputError, match="another mario-tui"):
        open_trainer(resume_config(first, {"steps": 60}), resume=first)
    one.close()
    open_trainer(resume_config(first, {"steps": 60}), resume=first).close()


def test_what_a_run_keeps_cannot_be_changed_on_resume(small) -> None:
    run_to_end(open_trainer(small(steps=30), run="fixed"))
    folder = lookup.step_folders(paths.run_dir("fixed"))[0]
    with pytest.raises(InputError, match=r"frame_stack cannot change.*weights fit no other"):
        resume_config(folder, {"frame_stack": 2})
    with pytest.raises(InputError, match="priority_exponent cannot change"):
        resume_config(folder, {"priority_exponent": 0.5})
    assert resume_config(folder, {"learning_rate": 1e-3}).learning_rate == 1e-3
    assert resume_config(folder).steps == 0, "a limit that was reached is lifted"
    assert resume_config(folder, {"steps": 50}).steps == 50


@pytest.mark.parametrize("part", ["agent.safetensors", "trainer.json", "replay.frames"])
def test_a_flipped_bit_is_found_before_training_goes_on(small, part: str) -> None:
    run_to_end(open_trainer(small(steps=30), run="flipped"))
    folder = lookup.step_folders(paths.run_dir("flipped"))[0]
    content = bytearray((folder / part).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / part).write_bytes(content)
    with pytest.raises(CheckpointError, match=part):
        open_trainer(resume_config(folder), resume=folder)


def test_a_tutorial_checkpoint_starts_a_new_run_with_its_weights(small, home: Path) -> None:
    import torch

    from mario_tui.agent.network import MarioNet
    from mario_tui.agent.spec import TUTORIAL

    net = MarioNet(TUTORIAL)
    path = home / "mario_net_3.chkpt"
    torch.save({"model": net.state_dict(), "exploration_rate": 0.4}, path)
    trainer = open_trainer(small(steps=10, network="nature"), run="from-tutorial", resume=path)
    assert torch.equal(next(trainer.agent.net.online.parameters()), next(net.online.parameters()))
    assert trainer.agent.exploration_rate == 0.4
    run_to_end(trainer)
    with pytest.raises(InputError, match="--action-set tutorial"):
        open_trainer(small(action_set="simple", network="nature"), run="x", resume=path)
    for settings, flag in (
        ({"network": "small"}, "--network nature"),
        ({"dueling": True}, "--no-dueling"),
        ({"centered": True}, "--no-centered"),
        ({"show_buttons": True}, "--no-show-buttons"),
        ({"average_updates": 20}, "--average-updates 0"),
    ):
        with pytest.raises(InputError, match=f"add {flag}"):
            open_trainer(small(**{"network": "nature", **settings}), run="x", resume=path)
    assert "x" not in [run.name for run in lookup.runs()], "a start that failed leaves no run"
    open_trainer(small(steps=10, network="nature"), run="x", resume=path).close()


def test_what_a_tutorial_checkpoint_does_not_say_is_said_at_the_start(small, home: Path) -> None:
    import torch

    from mario_tui.agent.network import MarioNet
    from mario_tui.agent.spec import TUTORIAL

    weights = MarioNet(TUTORIAL).state_dict()
    torch.save(weights, home / "bare.pt")
    torch.save({"model": weights, "exploration_rate": 0.5, "memory": [1]}, home / "more.pth")
    for name, epsilon, note in (
        ("bare.pt", 1.0, "bare.pt: it holds weights only, so epsilon starts at 1, as in a new run"),
        ("more.pth", 0.5, "more.pth: weights and epsilon are taken over, not memory"),
    ):
        trainer = open_trainer(small(network="nature"), run=name.replace(".", "-"), resume=home / name)
        assert trainer.agent.exploration_rate == epsilon
        assert trainer.resume_notes == [note]
        trainer.close()


@pytest.mark.parametrize(("stage", "told"), [("4-4", True), ("1-1", False)])
def test_a_training_in_a_maze_says_so_at_its_start(small, stage: str, told: bool) -> None:
    config = small(stage=stage, steps=4, network="small")
    warned = [event.text for event in run_to_end(fake_trainer(config, run="maze")) if isinstance(event, Warned)]
    assert any(text.startswith(f"{stage} is a maze") for text in warned) is told


def test_tensorboard_events_are_written_where_asked_for(small) -> None:
    pytest.importorskip("tensorboard")
    run_to_end(open_trainer(small(episodes=1, tensorboard=True), run="board"))
    (events,) = (paths.run_dir("board") / "tensorboard").iterdir()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(events.parent))
    accumulator.Reload()
    assert {"episode/reward", "episode/q", "episode/max_x"} <= set(accumulator.Tags()["scalars"])


def test_a_run_continued_from_an_earlier_checkpoint_goes_on_from_there(small) -> None:
    run_to_end(open_trainer(small(steps=60, save_every=30), run="branch"))
    for folder in lookup.step_folders(paths.run_dir("branch")):  # saved long ago, as far as the names of days tell
        manifest = folder / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"created": "20', '"created": "19'))
    early = lookup.step_folders(paths.run_dir("branch"))[0]
    run_to_end(open_trainer(resume_config(early, {"steps": 40}), resume=early))
    newest = named.find_checkpoint("branch")
    assert read_manifest(newest).step == 40, "the last one saved, not the one with the most steps"
    assert find_resumable(newest.parent)[0] == newest
    assert (newest / "replay.frames").exists()


def test_what_was_torn_off_the_metrics_is_brought_back_on_resume(small) -> None:
    run_to_end(open_trainer(small(episodes=2), run="torn"))
    metrics = paths.run_dir("torn") / "metrics.csv"
    metrics.write_bytes(metrics.read_bytes()[:-20])
    newest = named.find_checkpoint("torn")
    run_to_end(open_trainer(resume_config(newest, {"episodes": 3}), resume=newest))
    with metrics.open(newline="") as file:
        assert [row["episode"] for row in csv.DictReader(file)] == ["0", "1", "2"]


@pytest.mark.parametrize("episodes", [2, 4])
def test_a_run_ends_after_exactly_as_many_episodes_as_asked(
    small, episodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three games end in the same tick here, as they are cut after the same number of steps."""
    monkeypatch.setattr(Mario, "act", lambda self, states, games: (np.zeros(len(states), dtype=np.int64), None))
    config = small(envs=3, max_episode_steps=10, steps=0, episodes=episodes)
    events = run_to_end(open_trainer(config, run="episodes"))
    assert sum(isinstance(event, EpisodeEnded) for event in events) == episodes
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.episodes == episodes
    newest = lookup.step_folders(paths.run_dir("episodes"))[-1]
    resumed = open_trainer(resume_config(newest, {"episodes": episodes + 3}), resume=newest)
    lengths = [event.record.length for event in run_to_end(resumed) if isinstance(event, EpisodeEnded)]
    assert lengths == [10, 10, 10], "what was not counted is not part of the next episode"


def test_steps_are_taken_while_a_checkpoint_is_written(small, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    fsync = files.fsync

    def held_up(path: Path) -> None:
        assert not threading.current_thread().name.startswith("saving") or goes_on.wait(120)
        fsync(path)

    monkeypatch.setattr(checkpoint, "fsync", held_up)
    trainer = fake_trainer(small(steps=300, replay_size=100, envs=2), run="beside")
    begun = 0
    saved: list[Saved] = []
    for event in trainer.run():
        if isinstance(event, Stepped) and event.step >= 100 and not begun:
            begun = event.step
            expected = {name: value.clone() for name, value in trainer.agent.net.state_dict().items()}
            trainer.control.save()
        elif isinstance(event, Stepped) and event.step >= 290:  # the whole replay was written over meanwhile
            assert begun
            assert goes_on.is_set() or not saved
            goes_on.set()
        elif isinstance(event, Saved):
            saved.append(event)
    assert [event.step for event in saved] == [begun]
    net = load_policy(saved[0].path).net.state_dict()
    assert all(torch.equal(value, net[name]) for name, value in expected.items())
    assert read_json(saved[0].path / "trainer.json")["mario"]["curr_step"] == begun


def test_a_checkpoint_under_way_is_told_during_the_pause_that_comes_after(
    small, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = threading.Event()
    fsync = files.fsync

    def held_up(path: Path) -> None:
        assert not threading.current_thread().name.startswith("saving") or paused.wait(120)
        fsync(path)

    monkeypatch.setattr(checkpoint, "fsync", held_up)
    trainer = fake_trainer(small(steps=300), run="paused")
    told: list[Event] = []
    steps = 0
    for event in trainer.run():
        if isinstance(event, Stepped):
            steps += 1
            if steps == 100:
                trainer.control.save()
            elif steps == 110:
                trainer.control.pause()
        elif isinstance(event, Paused):
            paused.set()
        elif isinstance(event, Saved):
            trainer.control.resume()
        if isinstance(event, Paused | Saved | Resumed):
            told.append(event)
    assert [type(event) for event in told[:3]] == [Paused, Saved, Resumed]


def test_an_observer_that_fails_at_the_end_keeps_neither_games_nor_run(small) -> None:
    closed = []

    class Failing(Observer):
        def close(self) -> None:
            closed.append(self)
            raise OSError("the disk is full")

    trainer = fake_trainer(small(steps=100), run="failing")
    trainer.observers += [Failing(), Failing()]
    with pytest.raises(OSError, match="full"):
        list(trainer.run())
    assert len(closed) == 2
    fake_trainer(small(steps=200), resume=trainer.last_checkpoint).close()  # nobody holds the run
