"""A training ends when one of its agents clears a share of the robust protocol's episodes."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from fake_collector import FakeVectorEnv, fake_trainer
from mario_tui import paths
from mario_tui.agent.policy import Policy, load_policy
from mario_tui.errors import EvaluationError, InputError
from mario_tui.game.episode import EndReason
from mario_tui.game.vector_env import VectorStep
from mario_tui.game_roles import MOST_ROBUST, game_roles
from mario_tui.play.evaluation import ROBUST_NOOPS, ROBUST_STICKY, EpisodeResult, Evaluation
from mario_tui.store import catalog, evaluations, lookup
from mario_tui.store.intervals import wilson_interval
from mario_tui.store.manifest import read_manifest
from mario_tui.training import awaiting, measured, robust_goal
from mario_tui.training.events import EpisodeEnded, Evaluated, Event, Finished, Stepped, Waiting, Warned
from mario_tui.training.resume import resume_config
from mario_tui.training.trainer import Trainer
from runs import differences, full_state, run_to_end


class RobustFromStep(FakeVectorEnv):
    """Short episodes; those of the last game of the last group clear the stage from their sixth on."""

    end_chance = 1 / 5

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._ends = 0

    def receive(self) -> VectorStep:
        step = super().receive()
        self._ends += bool(step.last[-1])
        if step.last[-1] and self._ends > 5:
            step.end[-1] = EndReason.CLEAR
        return step


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A running rate of ten episodes, trials of 100, results after 40 steps, trials every 100."""
    for window in ("LEAST_EPISODES", "ROBUST_WINDOW", "TRIAL_WINDOW"):
        monkeypatch.setattr(measured, window, 10)
    monkeypatch.setattr(robust_goal, "EPISODES", 100)
    monkeypatch.setattr(robust_goal, "WAIT_STEPS", 40)
    monkeypatch.setattr(robust_goal, "RETRY_STEPS", 100)


@pytest.fixture
def config(small: Any) -> Any:
    return small(envs=3, measuring_games=2, actor_groups=1, steps=2000, until_robust=0.9, burn_in=8)


class Protocol:
    """Takes the place of the evaluations; the trials clear so many episodes, one after the other."""

    def __init__(self, *clears: int) -> None:
        self.clears, self.asked = list(clears), []  # type: tuple[list[int], list[dict[str, Any]]]
        self.steps: list[int] = []
        self.weights: list[torch.Tensor] = []

    def __call__(self, policy: Policy, *, cancelled: Any = None, **settings: Any) -> Evaluation:
        episodes = settings.get("episodes", 1)
        if "episodes" not in settings:
            return Evaluation((EpisodeResult(0, 0.0, 9, 300, "death", cleared=False),))
        clears = self.clears[len(self.asked)]
        self.asked.append(settings)
        self.steps.append(policy.step)
        self.weights.append(policy.net.player[0].weight.clone())
        seed = settings["seed"]
        ends = ["clear"] * clears + ["death"] * (episodes - clears)
        return Evaluation(
            tuple(EpisodeResult(seed + n, 0.0, 9, 300, end, end == "clear") for n, end in enumerate(ends))
        )


def run(config: Any, protocol: Any, name: str = "goal") -> tuple[list[Event], Trainer]:
    trainer = fake_trainer(config, games=RobustFromStep, evaluate=protocol, run=name)
    return run_to_end(trainer), trainer


def folder_of(run_dir: Path, step: int) -> Path:
    (folder,) = (one for one in lookup.step_folders(run_dir) if read_manifest(one).step == step)
    return folder


def test_it_stops_when_a_trial_has_the_rate_and_keeps_that_agent(config: Any) -> None:
    protocol = Protocol(80, 97)
    events, trainer = run(config, protocol)
    first, second = protocol.steps
    rates = [(event.record.step, event.record.end) for event in events if isinstance(event, EpisodeEnded)
             and event.record.kind == "robust"]  # fmt: skip
    ten = [end == "clear" for step, end in rates if step <= first][-10:]
    assert len(ten) == 10
    assert sum(ten) >= 9, "it begins when nine of the last ten episodes cleared the stage"
    assert sum([end == "clear" for step, end in rates if step < first][-10:]) < 9, "and not later"
    assert second >= first + 100
    assert [(one["seed"], one["episodes"], one["sticky"], one["noops"]) for one in protocol.asked] == [
        (100_000, 100, ROBUST_STICKY, ROBUST_NOOPS), (100_100, 100, ROBUST_STICKY, ROBUST_NOOPS),
    ], "each trial has seeds that no other had"  # fmt: skip
    assert [one["most_failures"] for one in protocol.asked] == [4, 4], (
        "97 of 100 have 91 % at least, and 95 of 100 have 89 %"
    )
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert second + 40 <= finished.steps < second + 43, "the result is taken at a fixed step"
    kept = folder_of(trainer.run_dir, second)
    assert (trainer.run_dir / "best").resolve() == kept
    entry = evaluations.read(trainer.run_dir)[kept.name]
    assert (entry["robust_clear_rate"], entry["robust_episodes"]) == (0.97, 100)
    assert torch.equal(load_policy(kept).net.player[0].weight, protocol.weights[1])  # type: ignore[arg-type]
    outcome = finished.robust
    assert outcome is not None
    assert (outcome.reached, outcome.target) == (True, 0.9)
    assert outcome.best is not None
    assert (outcome.best.step, outcome.best.clears, outcome.best.checkpoint) == (second, 97, kept.name)
    assert f"0.9 is reached: {kept.name} clears 97 of 100 robust episodes" in str(finished)
    assert (finished.as_json()["robust"]["best"]["clears"], finished.as_json()["robust"]["reached"]) == (97, True)
    assert [event.evaluation.clears for event in events if isinstance(event, Evaluated) and event.robust] == [80, 97]


def test_a_run_that_ends_by_its_steps_says_what_its_best_was(config: Any) -> None:
    events, _ = run(config.replace(steps=500), Protocol(*[70, 80, 60, 50, 40, 30][:6]))
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.robust is not None
    assert not finished.robust.reached
    assert finished.robust.best is not None
    assert finished.robust.best.clears == 80
    assert finished.robust.running_rate == 1.0
    text = "0.9 was not reached: while training it was 1.00 at best; the best agent that was tried cleared 80 of 100"
    assert text in str(finished)


def test_without_enough_episodes_nothing_is_tried(config: Any) -> None:
    events, _ = run(config.replace(steps=90), Protocol())
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert "while training it was too few episodes" in str(finished)


def test_a_run_without_the_goal_says_nothing_of_it(config: Any) -> None:
    protocol = Protocol()
    events, _ = run(config.replace(steps=300, until_robust=0.0), protocol)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.robust is None
    assert "robust" not in str(finished)
    assert protocol.asked == []


def test_a_trial_that_cannot_be_played_is_given_up_and_training_goes_on(config: Any) -> None:
    def evaluate(policy: Policy, **_: Any) -> Evaluation:
        raise EvaluationError("a process that plays it is gone")

    events, trainer = run(config.replace(steps=600), evaluate)
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert any("the robust evaluation of step" in text and "was given up" in text for text in warned)
    assert trainer.step >= 600


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_resumed_amid_a_trial_equals_the_one_that_went_on(config: Any, fails: bool) -> None:
    """The trial is begun anew with the same agent and seeds, and its result is taken at the same step."""
    clears = [50, 97] if fails else [97]

    def told(events: list[Event], after: int) -> list[Any]:
        return [
            (event.step, event.evaluation.clears, event.robust)
            for event in events
            if isinstance(event, Evaluated) and event.step >= after
        ]

    whole_protocol = Protocol(*clears)
    # fake games begin anew when they are resumed, so both runs are resumed from the same save
    trainer = fake_trainer(config, games=RobustFromStep, evaluate=Protocol(*clears), run="amid")
    saved = None
    for event in trainer.run():
        if isinstance(event, Stepped) and saved is None and trainer.evaluator.goal.state_dict()["running"]:
            saved = trainer.save()
            trainer.control.stop()
    assert saved is not None
    begun = trainer.evaluator.goal.state_dict()["running"]["step"]
    assert trainer.step < begun + 40

    again = fake_trainer(config, games=RobustFromStep, evaluate=whole_protocol, resume=saved)
    events = run_to_end(again)
    assert whole_protocol.steps[0] == begun
    assert whole_protocol.asked[0]["seed"] == 100_000
    taken = [at for at, event in enumerate(events) if isinstance(event, Evaluated) and event.robust]
    before = next(event.step for event in reversed(events[: taken[0]]) if isinstance(event, Stepped))
    assert begun + 40 <= before < begun + 43
    assert told(events, 0)[0] == (begun, clears[0], True)
    if fails:
        assert whole_protocol.asked[1]["seed"] == 100_100
        assert whole_protocol.steps[1] >= begun + 100


def test_a_slow_trial_changes_nothing_but_how_long_is_waited(config: Any) -> None:
    states = []
    for slow in (False, True):
        protocol, release = Protocol(50, 97), threading.Event()

        def evaluate(policy: Policy, protocol=protocol, release=release, slow=slow, **settings: Any) -> Evaluation:
            assert not slow or "episodes" not in settings or release.wait(60)
            return protocol(policy, **settings)

        trainer = fake_trainer(config, games=RobustFromStep, evaluate=evaluate, run=f"slow-{slow}")
        for event in trainer.run():
            if isinstance(event, Stepped):
                running = trainer.evaluator.goal.state_dict()["running"]
                release.set() if running and event.step >= running["due"] - 3 else release.clear()
        states.append((trainer.step, protocol.steps, full_state(trainer)))
    assert states[0][:2] == states[1][:2]
    assert differences(states[0][2], states[1][2]) == []


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("passes", [True, False])
def test_a_stop_ends_the_wait_for_a_trial_which_is_begun_anew(
    config: Any, monkeypatch: pytest.MonkeyPatch, passes: bool, groups: int
) -> None:
    monkeypatch.setattr(awaiting, "SAY_SECONDS", 0)
    monkeypatch.setattr(awaiting, "_LOOK_SECONDS", 0.01)
    config = config.replace(actor_groups=groups)
    clears = [97] if passes else [50, 97]

    def endless(policy: Policy, *, cancelled: Any, **settings: Any) -> Evaluation:
        while "episodes" in settings and not cancelled():
            threading.Event().wait(0.01)
        return Protocol()(policy)

    trainer = fake_trainer(config, games=RobustFromStep, evaluate=endless, run="stopped")
    events = []
    for event in trainer.run():
        events.append(event)
        if isinstance(event, Waiting) and "robust" in event.what:
            trainer.control.stop()
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.robust is not None
    assert not finished.robust.reached
    begun = trainer.evaluator.goal.state_dict()["running"]["step"]
    assert str(next(event for event in events if isinstance(event, Waiting))) == (
        f"waiting for the robust evaluation of step {begun:,}"
    )

    protocol = Protocol(*clears)
    again = fake_trainer(config, games=RobustFromStep, evaluate=protocol, resume=finished.checkpoint)
    told = run_to_end(again)
    result = next(at for at, event in enumerate(told) if isinstance(event, Evaluated) and event.robust)
    assert not [event for event in told[:result] if isinstance(event, Stepped)], "it is due before the next step"
    assert (protocol.steps[0], protocol.asked[0]["seed"]) == (begun, 100_000)
    whole_events, whole = run(config, Protocol(*clears), "whole")
    taken = next(at for at, event in enumerate(whole_events) if isinstance(event, Evaluated) and event.robust)
    assert [event for event in whole_events[:taken] if isinstance(event, Stepped)][-1].step == finished.steps
    assert whole_events[taken] == told[result]
    if passes:  # otherwise it plays on, and fake games begin anew when they are resumed
        assert again.step == whole.step == finished.steps
        assert differences(full_state(again), full_state(whole)) == []


def test_a_run_that_reached_its_goal_goes_on_without_it(config: Any) -> None:
    _, trainer = run(config, Protocol(97))
    newest = trainer.last_checkpoint
    assert newest is not None
    assert read_manifest(newest).robust_trial == pytest.approx(0.9155, abs=1e-4)
    assert resume_config(newest).until_robust == 0
    assert resume_config(newest, {"until_robust": 0.97}).until_robust == 0.97


def test_more_than_a_trial_can_show_is_refused(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the trials of the program
    assert MOST_ROBUST < wilson_interval(robust_goal.EPISODES, robust_goal.EPISODES)[0] < MOST_ROBUST + 0.001
    assert robust_goal.most_failures(MOST_ROBUST) == 0
    assert [robust_goal.most_failures(target) for target in (0.5, 0.97)] == [133, 3]
    with pytest.raises(InputError, match=r"until_robust = 0\.99 is more than 300 episodes can show: at most 0\.987"):
        game_roles(config.replace(until_robust=0.99))


def test_the_goal_needs_the_game_that_measures_it(config: Any) -> None:
    for measuring in (0, 1):
        with pytest.raises(InputError, match=r"until_robust = 0\.9 needs .* --measuring-games 2"):
            fake_trainer(config.replace(measuring_games=measuring), run="refused")
    assert not paths.run_dir("refused").exists()


def test_many_episodes_count_more_than_few_in_what_is_best(config: Any) -> None:
    _, trainer = run(config.replace(until_robust=0.9), Protocol(96))
    assert trainer.evaluator.goal.best is not None
    tried = trainer.run_dir / trainer.evaluator.goal.best.checkpoint
    assert trainer.last_checkpoint is not None
    evaluations.record(trainer.last_checkpoint, robust_clear_rate=1.0, robust_episodes=20)
    assert (trainer.run_dir / "best").resolve() == tried
    assert next(info for info in catalog.scan().checkpoints if info.best).path == tried
    evaluations.record(trainer.last_checkpoint, robust_clear_rate=0.99, robust_episodes=100)
    assert (trainer.run_dir / "best").resolve() == trainer.last_checkpoint
