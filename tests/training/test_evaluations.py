"""Evaluations run beside training: what comes of them depends on the seed, not on how long they take."""

import csv
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fake_collector import fake_factories, fake_trainer
from mario_tui import paths
from mario_tui.agent.policy import Policy, load_policy
from mario_tui.errors import EvaluationError
from mario_tui.play.evaluation import ROBUST_NOOPS, ROBUST_STICKY, EpisodeResult, Evaluation
from mario_tui.store import catalog, checkpoint, evaluations, lookup
from mario_tui.store.manifest import read_manifest
from mario_tui.system import times
from mario_tui.training.evaluator import Evaluator, process_count
from mario_tui.training.events import EpisodeEnded, Evaluated, Event, Finished, Saved, Stepped, Waiting, Warned
from mario_tui.training.restore import Factories, open_trainer
from runs import differences, full_state, run_to_end, until_saved


def fingerprint(net: nn.Module) -> float:
    return float(sum(parameter.detach().double().abs().sum() for parameter in net.parameters()))


def outcome(clears: int = 0, *, episodes: int = 1, x: int = 300, reward: float = 0.0) -> Evaluation:
    ends = ["clear"] * clears + ["death"] * (episodes - clears)
    return Evaluation(tuple(EpisodeResult(i, reward, 9, x, end, end == "clear") for i, end in enumerate(ends)))


def told(event: Event) -> Any:
    """What an event says, without times."""
    if isinstance(event, Evaluated):
        return "evaluated", event.step, event.evaluation, event.robust
    if isinstance(event, EpisodeEnded):
        return "ended", event.record.step, event.record.reward, event.record.loss, event.record.q
    return type(event).__name__, getattr(event, "step", None)


def best_of(run: str) -> Path:
    return (paths.run_dir(run) / "best").resolve()


def test_a_slow_evaluation_changes_nothing_but_how_long_is_waited(small) -> None:
    runs: list[list[Any]] = []
    for held_back in (False, True):
        release = threading.Event()

        def evaluate(policy: Policy, release=release, held_back=held_back, **_: Any) -> Evaluation:
            assert not held_back or release.wait(60)
            return outcome(reward=fingerprint(policy.net))

        weights, events = {}, []
        trainer = fake_trainer(
            small(network="small", steps=130, eval_every=50), run=f"held-back-{held_back}", evaluate=evaluate
        )
        for event in trainer.run():
            events.append(told(event))
            if isinstance(event, Stepped):
                weights[event.step] = fingerprint(trainer.agent.net)
                release.clear() if event.step == 75 else None
                release.set() if event.step in (69, 119) else None
        for step in (50, 100):
            at = events.index(("evaluated", step, outcome(reward=weights[step]), False))
            assert events[at - 1] == ("Stepped", step + 20)
        assert weights[50] != weights[70] != weights[100]
        runs.append(events)
    assert runs[0] == runs[1]


def test_the_best_checkpoint_holds_the_weights_that_were_evaluated(small) -> None:
    trainer = fake_trainer(
        small(network="small", steps=180, eval_every=50, average_updates=20),
        run="best",
        evaluate=lambda policy, **_: outcome(int(policy.step == 100), x={50: 500, 100: 700, 150: 600}[policy.step]),
    )
    weights: dict[int, dict[str, torch.Tensor]] = {}
    for event in trainer.run():
        if isinstance(event, Stepped) and event.step in (100, 120):
            weights[event.step] = {name: value.clone() for name, value in trainer.agent.net.state_dict().items()}
    folder = best_of("best")
    assert checkpoint.verify(folder).step == 100
    state = load_policy(folder).net.state_dict()
    assert all(torch.equal(value, weights[100][name]) for name, value in state.items())
    assert not torch.equal(state["online.0.weight"], weights[120]["online.0.weight"])
    assert json.loads((folder / "trainer.json").read_text())["mario"]["curr_step"] == 100
    assert [step.name for step in lookup.step_folders(paths.run_dir("best"))] == [
        "step-000000050", "step-000000100", "step-000000180",
    ], "what is no better than the best so far is not kept"  # fmt: skip


def test_the_robust_protocol_follows_a_greedy_clear_and_decides_what_is_best(small) -> None:
    asked: list[tuple[int, Any]] = []

    def evaluate(policy: Policy, *, cancelled: Callable[[], bool], **settings: Any) -> Evaluation:
        assert not cancelled()
        asked.append((policy.step, settings))
        if settings:
            return outcome({100: 5, 300: 9, 500: 2}[policy.step], episodes=settings["episodes"])
        return outcome(int(policy.step in (100, 150, 300, 500)), x=1000 - policy.step)

    events = run_to_end(
        fake_trainer(
            small(network="small", steps=730, eval_every=50, robust_episodes=10), run="robust", evaluate=evaluate
        )
    )
    protocol = {"episodes": 10, "sticky": ROBUST_STICKY, "noops": ROBUST_NOOPS}
    assert [step for step, settings in asked if not settings] == list(range(50, 730, 50))
    assert [one for one in asked if one[1]] == [(100, protocol), (300, protocol), (500, protocol)], "one at a time"
    taken = [(events[at - 1], event) for at, event in enumerate(events) if isinstance(event, Evaluated)]
    robust = {one.step: before for before, one in taken if one.robust}
    assert robust == {100: Stepped(320), 300: Stepped(520), 500: Stepped(720)}, "200 steps after the greedy result"
    assert read_manifest(best_of("robust")).step == 300
    infos = {info.step: info for info in catalog.scan().checkpoints}
    assert infos[300].robust_clear_rate == 0.9
    assert infos[300].greedy_clear is True, "which was no better than that of step 100, and is known all the same"
    assert infos[100].robust_clear_rate == 0.5
    assert infos[100].greedy_clear is True
    with (paths.run_dir("robust") / "evaluations.csv").open(newline="") as file:
        lines = [(int(row["step"]), row["protocol"], int(row["clears"])) for row in csv.DictReader(file)]
    assert lines == [(one.step, "robust" if one.robust else "greedy", one.evaluation.clears) for _, one in taken]


@pytest.mark.parametrize("sticky", [0.0, 0.25])
def test_where_games_are_sticky_the_robust_protocol_needs_no_greedy_clear(small, sticky: float) -> None:
    def evaluate(policy: Policy, **settings: Any) -> Evaluation:
        if "episodes" in settings:
            return outcome({200: 0, 400: 4, 600: 3}.get(policy.step, 1), episodes=10)
        return outcome(x=1000 - policy.step)

    trainer = fake_trainer(
        small(network="small", steps=830, eval_every=50, robust_episodes=10, sticky=sticky),
        run="none",
        evaluate=evaluate,
    )
    events = []
    for event in trainer.run():
        events.append(event)
        if event == Stepped(200):
            trainer.logger.clears = 1  # of training episodes: before, there is nothing to find
    robust = [event.step for event in events if isinstance(event, Evaluated) and event.robust]
    assert robust == ([200, 400, 600, 800] if sticky else [])
    best = evaluations.best(paths.run_dir("none"))
    assert best is not None
    assert read_manifest(best).step == (400 if sticky else 830), "without a clear it is the newest"


def test_a_robust_rate_of_none_is_noted_and_no_better_than_a_greedy_clear(small) -> None:
    run_to_end(
        fake_trainer(
            small(network="small", steps=70, eval_every=50, robust_episodes=10),
            run="zero",
            evaluate=lambda policy, **settings: outcome(int("episodes" not in settings), episodes=10),
        )
    )
    (info,) = (info for info in catalog.scan().checkpoints if info.step == 50)
    assert (info.greedy_clear, info.robust_clear_rate) == (True, 0.0)


def test_a_robust_evaluation_under_way_holds_up_neither_greedy_ones_nor_a_save(small) -> None:
    release = threading.Event()

    def evaluate(policy: Policy, **settings: Any) -> Evaluation:
        assert "episodes" not in settings or release.wait(60)
        return outcome(10, episodes=10)

    config = small(network="small", steps=330, eval_every=50, save_every=150, robust_episodes=10)
    before: list[Any] = []
    trainer = fake_trainer(config, run="long", evaluate=evaluate)
    for event in trainer.run():
        before.append(event)
        if isinstance(event, Stepped) and event.step == 200:
            until_saved(trainer)
        elif isinstance(event, Stepped) and event.step == 260:
            release.set()
    robust = [at for at, event in enumerate(before) if isinstance(event, Evaluated) and event.robust]
    greedy = [event.step for event in before[: robust[0]] if isinstance(event, Evaluated)]
    assert greedy == [50, 100, 150, 200]
    assert any(isinstance(event, Saved) for event in before[: robust[0]])


def test_until_clear_stops_at_the_first_greedy_clear(small) -> None:
    asked = []

    def evaluate(policy: Policy, **settings: Any) -> Evaluation:
        asked.append(set(settings))
        return outcome(int(policy.step >= 100))

    config = small(network="small", steps=1000, eval_every=50, until_clear=True, robust_episodes=10)
    finished = run_to_end(fake_trainer(config, run="until", evaluate=evaluate))[-1]
    assert isinstance(finished, Finished)
    assert finished.steps == 120
    assert finished.first_greedy_clear is not None
    assert finished.first_greedy_clear.step == 100
    assert asked == [{"cancelled"}] * 2, "who waits for a clear does not wait for the robust protocol"
    assert read_manifest(best_of("until")).step == 100


def test_what_is_under_way_at_the_last_step_is_waited_for(small) -> None:
    events = run_to_end(
        fake_trainer(
            small(network="small", steps=55, eval_every=50), run="last", evaluate=lambda policy, **_: outcome()
        )
    )
    assert [(event.step, event.robust) for event in events if isinstance(event, Evaluated)] == [(50, False)]


def test_a_robust_evaluation_that_the_last_greedy_one_calls_for_is_waited_for_too(small) -> None:
    events = run_to_end(
        fake_trainer(
            small(network="small", steps=55, eval_every=50, robust_episodes=10),
            run="last",
            evaluate=lambda policy, **settings: outcome(settings.get("episodes", 1), episodes=10),
        )
    )
    assert [(event.step, event.robust) for event in events if isinstance(event, Evaluated)] == [(50, False), (50, True)]


def test_an_agent_kept_late_is_not_the_newest_checkpoint(small, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(f"2026-01-01T00:00:{second:02d}+00:00" for second in range(60))
    monkeypatch.setattr(times, "now", lambda: next(clock))

    def evaluate(policy: Policy, **settings: Any) -> Evaluation:
        clears = {50: 5, 250: 9}[policy.step] if "episodes" in settings else 10
        return outcome(clears, episodes=10, x=900 - policy.step)

    config = small(network="small", steps=480, eval_every=50, save_every=160, robust_episodes=10)
    run = paths.run_dir("late")
    trainer = fake_trainer(config, run="late", evaluate=evaluate)
    for event in trainer.run():
        if isinstance(event, Stepped) and event.step == 400:
            until_saved(trainer)
        elif isinstance(event, Evaluated) and event.robust and event.step == 250:
            # greedy play of step 250 was no better than that of 50, so that it is written now, after step 320
            assert best_of("late").name == "step-000000250"
            newest = lookup.step_folders(run)[-1]
            assert newest.name == "step-000000320"
            assert "replay.frames" in checkpoint.verify(newest).parts
            return
    raise AssertionError("the robust evaluation of step 250 was not taken")


def test_a_run_taken_up_from_an_earlier_step_forgets_the_evaluations_after_it(small) -> None:
    config = small(network="small", steps=140, eval_every=50, save_every=80)
    run_to_end(fake_trainer(config, run="given-up", evaluate=lambda policy, **_: outcome(x=900 - policy.step)))
    run = paths.run_dir("given-up")
    first = next(folder for folder in lookup.step_folders(run) if folder.name == "step-000000080")
    trainer = fake_trainer(config, resume=first, evaluate=lambda policy, **_: outcome(x=900 - policy.step))
    trainer.logger.begin()
    steps = [int(row["step"]) for row in csv.DictReader((run / "evaluations.csv").open(newline=""))]
    trainer.close()
    assert steps == [50]


def test_a_checkpoint_knows_what_greedy_play_showed_before_it(small) -> None:
    events = run_to_end(
        fake_trainer(
            small(network="small", steps=70, eval_every=50, save_every=60),
            run="saved",
            evaluate=lambda policy, **_: outcome(1),
        )
    )
    evaluated = next(at for at, event in enumerate(events) if isinstance(event, Evaluated))
    saved = next(event for event in events[evaluated:] if isinstance(event, Saved))
    assert [told(event) for event in (events[evaluated - 1], saved)] == [("Stepped", 60), ("Saved", 60)]
    folders = lookup.step_folders(paths.run_dir("saved"))
    assert [read_manifest(folder).greedy_clear for folder in folders] == [False, True, True]


def test_an_evaluation_is_told_to_end_when_training_stops(small) -> None:
    ended = []

    def evaluate(policy: Policy, *, cancelled: Callable[[], bool], **_: Any) -> Evaluation:
        while not cancelled():
            threading.Event().wait(0.01)
        ended.append(policy.step)
        return Evaluation(())

    events = run_to_end(
        fake_trainer(small(network="small", eval_every=50), run="stop", evaluate=evaluate),
        {60: lambda control: control.stop()},
    )
    assert isinstance(events[-1], Finished)
    assert ended == [50]
    assert not [event for event in events if isinstance(event, Evaluated)]


def unawaited(evaluate: Callable[..., Evaluation]) -> Factories:
    """As for a training on a GPU: results are taken when they are there."""
    made = fake_factories(evaluate=evaluate)
    return replace(made, evaluator=lambda *parts, awaited: Evaluator(*parts, awaited=False, evaluate=evaluate))


def test_an_evaluation_that_is_not_awaited_never_stops_the_training(small) -> None:
    release = threading.Event()
    asked: list[int] = []

    def evaluate(policy: Policy, **settings: Any) -> Evaluation:
        asked.append(policy.step)
        assert release.wait(60)
        return outcome(3, episodes=10, x=policy.step)

    config = small(network="small", steps=900, eval_every=50, save_every=200, robust_episodes=10)
    trainer = open_trainer(config, run="free", factories=unawaited(evaluate))
    told_events: list[Any] = []
    for event in trainer.run():
        told_events.append(told(event))
        if event == Stepped(420):
            until_saved(trainer)
        elif event == Stepped(500):
            assert asked == [50], "greedy play is left out while that before it goes on"
            assert ("Saved", 400) in told_events, "nor does it stop a save"
            assert not [one for one in told_events if one[0] == "evaluated"]
            release.set()
        elif event == Stepped(700):
            for future in [one.result for one in trainer.evaluator._pending]:
                future.result()  # the results of those begun since are there, too
    evaluated = [one[1] for one in told_events if one[0] == "evaluated"]
    assert evaluated[0] == 50
    assert told_events.index(("evaluated", 50, outcome(3, episodes=10, x=50), False)) < told_events.index(
        ("Stepped", 800)
    ), "it is taken as soon as it is there"
    assert {(one[1], one[3]) for one in told_events if one[0] == "evaluated"} >= {(50, False), (50, True)}
    assert len(asked) == len(evaluated), "what is under way at the end is waited for"


def test_an_evaluation_that_cannot_be_played_is_told_and_left_out(small) -> None:
    def evaluate(policy: Policy, **settings: Any) -> Evaluation:
        if policy.step == 50:
            raise EvaluationError("a process that plays it was killed by signal 9")
        return outcome(x=policy.step)

    events = run_to_end(fake_trainer(small(network="small", steps=120, eval_every=50), run="given", evaluate=evaluate))
    assert [event.step for event in events if isinstance(event, Evaluated)] == [100]
    (warned,) = [event for event in events if isinstance(event, Warned)]
    assert (warned.step, warned.text) == (
        70,
        "the greedy evaluation of step 50 was given up: a process that plays it was killed by signal 9",
    )
    assert warned.text in (paths.run_dir("given") / "log").read_text()


@pytest.mark.parametrize(
    ("cores", "emulating", "free_gb", "processes"),
    [
        (2, 1, 8, 1),  # a core for the games, and one to learn: none is left
        (1, 1, 8, 1),
        (8, 4, 64, 3),
        (16, 15, 64, 1),
        (16, 8, 64, 7),
        (64, 4, 64, 8),
        (64, 4, 7, 5),
        (64, 4, 1, 0),
    ],
)
def test_evaluations_get_the_cores_that_are_left(cores: int, emulating: int, free_gb: int, processes: int) -> None:
    assert process_count(cores, emulating, free_gb * 10**9) == processes


@pytest.mark.slow
@pytest.mark.parametrize("free_gb", [1, 8])
def test_evaluations_in_processes_or_threads_change_no_bit_of_a_run(
    small, free_gb: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run with real games, which ends in the middle of an evaluation that is then waited for."""
    monkeypatch.setattr("mario_tui.system.free_memory.free_bytes", lambda: free_gb * 10**9)
    config = small(network="small", steps=130, eval_every=50, robust_episodes=2, sticky=0.25, stall_steps=40)
    trainers = [
        open_trainer(config, run=f"run-{number}", factories=factories)
        for number, factories in enumerate((Factories(evaluator=Evaluator), Factories()))
    ]
    runs, states = [], []
    for trainer in trainers:
        runs.append([told(event) for event in run_to_end(trainer) if not isinstance(event, Saved | Finished | Waiting)])
        states.append(full_state(trainer))
    assert runs[0] == runs[1]
    assert [one[1] for one in runs[1] if one[0] == "evaluated"] == [50, 100]
    assert not differences(*states)
