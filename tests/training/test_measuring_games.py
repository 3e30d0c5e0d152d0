"""Games that measure: greedy, with weights frozen for an episode, in no mean of the training."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fake_collector import FakeVectorEnv, fake_trainer
from mario_tui.agent.mario import Mario
from mario_tui.agent.policy import Policy, load_policy, load_tensors
from mario_tui.config import TrainingConfig
from mario_tui.game.episode import EndReason
from mario_tui.game.vector_env import VectorStep
from mario_tui.play.evaluation import ROBUST_NOOPS, ROBUST_STICKY, EpisodeResult, Evaluation
from mario_tui.stage_progress import progress_at_x
from mario_tui.store import lookup
from mario_tui.store.history import EpisodeRecord, csv_heading, csv_line, progress, read_metrics, run_curve
from mario_tui.store.intervals import wilson_interval
from mario_tui.store.manifest import read_manifest
from mario_tui.training.checkpointing import Snapshot
from mario_tui.training.collector import noise_of
from mario_tui.training.evaluator import Clear
from mario_tui.training.events import EpisodeEnded, Evaluated, Event, Finished, Measurement, Stepped
from mario_tui.training.measured import ROBUST_WINDOW, Measured
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.trainer import Trainer
from runs import run_to_end


class ClearedEnv(FakeVectorEnv):
    """Episodes end often, and always by a clear."""

    end_chance = 1 / 8

    def receive(self) -> VectorStep:
        step = super().receive()
        step.end[:] = [end and EndReason.CLEAR for end in step.end]
        return step


class OftenCleared(ClearedEnv):
    """Of the ends of a game the second, third and fifth of five are clears."""

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__(config)
        self._counts = np.zeros(config.envs, dtype=int)

    def receive(self) -> VectorStep:
        step = super().receive()
        for game in np.flatnonzero(step.last):
            self._counts[game] += 1
            step.end[game] = EndReason.CLEAR if self._counts[game] % 5 in (2, 3, 0) else EndReason.DEATH
        return step


def record(number: int, *, kind: str = "training", end: str = "death", x: int = 300) -> EpisodeRecord:
    return EpisodeRecord(number, 10 * number, 0.1, "1-1", 5.0, 10, 0.1, 0.2, x, end, 1.0, kind, x / 10_000)


def measures(config: TrainingConfig) -> list[str]:
    """The kinds of the running episodes."""
    agent = Mario(config)
    agent.begin_episodes(np.arange(config.envs))
    return [agent.measuring.kind(game) for game in range(config.envs)]


# acting


@pytest.mark.parametrize("averaged", [0, 20])
def test_a_measuring_game_plays_greedily_with_the_weights_of_its_episodes_start(small, averaged: int) -> None:
    agent = Mario(small(envs=4, measuring_games=2, average_updates=averaged, action_set="complex"))
    states = torch.randint(256, (4, 4, 84, 84), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    before = agent.net.greedy(states).argmax(dim=1).numpy()
    agent.begin_episodes(np.array([2, 3]))
    with torch.no_grad():
        for parameter in agent.net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)) * 0.1)
    now = agent.net.greedy(states).argmax(dim=1).numpy()
    assert (now[2:] != before[2:]).all(), "other weights play otherwise"
    for _ in range(20):  # epsilon is 1
        assert agent.act(states)[0][2:].tolist() == before[2:].tolist()
    assert agent.act(states[[0, 3]], np.array([0, 3]))[0][1] == before[3]
    assert len({int(agent.act(states)[0][0]) for _ in range(50)}) > 6, "a training game explores"

    agent.begin_episodes(np.array([3]))
    assert agent.act(states)[0][2:].tolist() == [before[2], now[3]]


def test_actions_of_measuring_games_cut_no_returns(small) -> None:
    agent = Mario(small(envs=3, measuring_games=1, action_set="complex", cut_at_exploration=True))
    agent.begin_episodes(np.arange(3))
    with torch.no_grad():
        for parameter in agent.net.online.parameters():
            parameter.neg_()
    states = torch.randint(256, (3, 4, 84, 84), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    explored = np.array([agent.act(states)[1] for _ in range(30)])
    assert explored[:, :2].mean() > 0.7
    assert not explored[:, 2].any()


def test_an_episode_that_began_before_its_game_measured_is_one_of_training(small) -> None:
    config = small(envs=3, measuring_games=1)
    agent = Mario(config)
    assert [agent.measuring.kind(game) for game in range(3)] == ["training"] * 3
    assert measures(config) == ["training", "training", "greedy"]
    agent.begin_episodes(np.array([0, 2]))
    other = Mario(config.replace(measuring_games=2))  # where game 2 has noise
    other.measuring.load_state_dict(agent.measuring.state_dict())
    assert [other.measuring.kind(game) for game in range(3)] == ["training"] * 3
    same = Mario(config)
    same.measuring.load_state_dict(agent.measuring.state_dict())
    assert same.measuring.kind(2) == "greedy"


@pytest.mark.parametrize("fault", ["shape", "name", "nan"])
def test_networks_of_measuring_games_that_cannot_be_are_refused(small, fault: str) -> None:
    agent = Mario(small(envs=2, measuring_games=1))
    agent.begin_episodes(np.array([1]))
    state = agent.measuring.state_dict()
    name = next(iter(state))
    if fault == "shape":
        state[name] = state[name][:1].clone()
    elif fault == "name":
        state["greedy.1.9.weight"] = state.pop(name)
    else:
        state[name] = torch.full_like(state[name], torch.nan)
    with pytest.raises(ValueError, match="measuring game"):
        agent.measuring.load_state_dict(state)


def test_each_kind_of_game_has_the_whole_ladder_of_epsilon(small) -> None:
    def exponents(**settings: Any) -> list[float]:
        return Mario(small(exploration_ladder=3.0, **settings))._exponents.tolist()

    assert exponents(envs=4) == [1, 2, 3, 4]
    assert exponents(envs=8, noisy_share=0.5, measuring_games=2) == [1, 2.5, 4, 1, 2.5, 4, 1, 1]


# noise


def test_each_game_has_the_noise_of_its_role_in_both_groups(small) -> None:
    config = small(envs=7, noisy_share=0.5, measuring_games=2, sticky=0.1, noops=8)
    noise = [(one.sticky, one.noops) for one in noise_of(config)]
    assert noise == [(0, 0)] * 2 + [(0.1, 8)] * 3 + [(0, 0), (ROBUST_STICKY, ROBUST_NOOPS)]
    made: list[FakeVectorEnv] = []

    def games(own: TrainingConfig) -> FakeVectorEnv:
        made.append(FakeVectorEnv(own))
        return made[-1]

    trainer = fake_trainer(config.replace(steps=7), games=games, run="noise")
    run_to_end(trainer)
    given = [list(zip(*env.noise, strict=True)) for env in made]
    assert given == [noise[::2], noise[1::2]]


# counting


def test_measuring_episodes_are_in_no_figure_of_the_training(tmp_path: Path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 3)
    for number in range(30):
        kind = ("training", "greedy", "robust")[number % 3]
        logger.log_step(np.array([number % 3]), np.array([7.0 if kind == "training" else 99.0]), np.array([True]))
        end = "clear" if kind != "training" and number > 10 else "death"
        x = 100 + number if kind == "training" else 3000
        logger.log_episode(
            number % 3, step=number, epsilon=1.0, max_x=x, progress=x / 3200, end=end, seconds=1.0, kind=kind
        )
    assert logger.episode == 30
    assert (logger.clears, logger.best_x, logger.clear_rate, logger.mean("reward")) == (0, 127, 0.0, 7.0)
    assert len(logger.recent) == 10
    ends = logger.end_map.ends()
    assert (int(ends.clears.sum()), int(ends.deaths.sum())) == (0, 10)
    assert {y for _, y in logger.curves["reward"].points()} == {7.0}
    assert max(progress(tmp_path, 5)) < 0.05
    assert run_curve(tmp_path, "clear rate", 5)[-1][1] == 0
    assert run_curve(tmp_path, "progress", 5)[-1][1] < 5

    again = MetricLogger(tmp_path, "1-1", 3)
    again.load_state_dict(logger.state_dict())
    assert again.measured == logger.measured
    assert again.measured.greedy_episodes == 10
    assert again.clears == 0


@pytest.mark.parametrize(
    ("target", "clears", "worth"), [(0.97, 19, True), (0.97, 18, False), (0.85, 17, True), (0.85, 16, False)]
)
def test_an_agent_is_tried_by_the_last_robust_episodes(target: float, clears: int, worth: bool) -> None:
    measured = Measured()
    for number in range(40):  # all of the older ones failed
        assert not measured.worth_a_trial(target)
        ends = "clear" if number >= 40 - clears else "death"
        measured = measured.after(record(number, kind="robust", end=ends))
    assert measured.worth_a_trial(target) == worth


def test_twenty_robust_episodes_are_the_fewest_for_a_trial() -> None:
    measured = Measured()
    for number in range(20):
        assert not measured.worth_a_trial(0.5)
        measured = measured.after(record(number, kind="robust", end="clear"))
    assert measured.worth_a_trial(1.0)


def test_the_robust_rate_is_that_of_its_last_episodes() -> None:
    measured, ends = Measured(), [number % 3 == 0 for number in range(200)]
    assert not measured
    for number, clears in enumerate(ends):
        measured = measured.after(record(number, kind="robust", end="clear" if clears else "death"))
    last = ends[-ROBUST_WINDOW:]
    assert measured.robust_rate == sum(last) / ROBUST_WINDOW
    assert measured.robust_interval == wilson_interval(sum(last), ROBUST_WINDOW)
    assert str(measured) == "robust game: 13 of 40 (20-48 %)"
    measured = measured.after(record(1, kind="greedy", x=900)).after(record(2, kind="greedy", x=700))
    assert str(measured).startswith("greedy game: 7 %, best 9 %; robust game:")
    assert measured.lines == ("greedy game: 7 %, best 9 %", "robust game: 13 of 40 (20-48 %)")
    assert measured.as_json()["greedy"] == {
        "max_x": 700, "cleared": False, "best_x": 900, "progress": 0.07, "best_progress": 0.09, "clears": 0,
        "episodes": 2,
    }  # fmt: skip


def test_a_run_counts_by_kind_what_its_games_did(small) -> None:
    trainer = fake_trainer(
        small(envs=5, measuring_games=2, steps=800), games=OftenCleared, evaluate=_never_clears, run="kinds"
    )
    events = run_to_end(trainer)
    records = [event.record for event in events if isinstance(event, EpisodeEnded)]
    assert records == read_metrics(trainer.run_dir / "metrics.csv")
    of_kind = {kind: [one for one in records if one.kind == kind] for kind in ("training", "greedy", "robust")}
    assert all(len(some) > 5 for some in of_kind.values())
    assert len(of_kind["training"]) > len(of_kind["greedy"]) + len(of_kind["robust"])
    assert trainer.logger.clears == sum(one.end == "clear" for one in of_kind["training"])
    last = [event for event in events if isinstance(event, Measurement)][-1].measured
    assert last == trainer.logger.measured
    assert last.robust == tuple(one.end == "clear" for one in of_kind["robust"])
    assert last.robust_rate == sum(one.end == "clear" for one in of_kind["robust"]) / len(of_kind["robust"])
    assert last.greedy_clears == sum(one.end == "clear" for one in of_kind["greedy"])
    assert "robust game: " in (trainer.run_dir / "log").read_text()


def _never_clears(policy: Policy, **_: Any) -> Evaluation:
    return Evaluation((EpisodeResult(0, 0.0, 9, 300, "death", cleared=False),))


def test_a_file_without_kinds_reads_as_training_and_gets_the_column(small) -> None:
    trainer = fake_trainer(small(envs=2, steps=300), run="old")
    run_to_end(trainer)
    path = trainer.run_dir / "metrics.csv"
    before = read_metrics(path)
    assert before
    rows = list(csv.reader(path.open(newline="")))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(row[:-2] for row in rows)
    assert read_metrics(path) == [replace(one, progress=progress_at_x("1-1", one.max_x)) for one in before]
    (saved,) = lookup.step_folders(trainer.run_dir)
    again = fake_trainer(small(envs=2, steps=600), resume=saved)
    run_to_end(again)
    assert path.read_text().splitlines()[0] == csv_heading(EpisodeRecord).strip()
    after = read_metrics(path)
    assert after[: len(before)] == before, "as the checkpoint has them"
    assert len(after) > len(before)
    assert ",training," in csv_line(after[-1])


# resuming


def test_a_run_may_begin_to_measure_when_it_goes_on(small) -> None:
    trainer = fake_trainer(small(envs=4, steps=80), run="later")
    run_to_end(trainer)
    (saved,) = lookup.step_folders(trainer.run_dir)
    assert not (saved / "measuring.safetensors").exists()
    again = fake_trainer(small(envs=4, steps=800, measuring_games=2), resume=saved)
    run_to_end(again)
    kinds = [one.kind for one in read_metrics(trainer.run_dir / "metrics.csv") if one.step > 80]
    assert {"training", "greedy", "robust"} == set(kinds)


# a clear of the greedy game


def weights_of(trainer: Trainer, game: int) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.agent.measuring.weights(game).items()}


@pytest.mark.parametrize("averaged", [0, 20])
def test_until_clear_stops_by_a_clear_of_the_greedy_game_and_keeps_the_agent_that_cleared(small, averaged: int) -> None:
    played: list[dict[str, torch.Tensor]] = []

    def evaluate(policy: Policy, **_: Any) -> Evaluation:
        played.append({name: value.clone() for name, value in policy.net.state_dict().items()})
        return Evaluation((EpisodeResult(0, 5.0, 9, 3161, "clear", cleared=True),))

    class Late(FakeVectorEnv):
        end_chance = 1 / 30

        def receive(self) -> VectorStep:
            step = super().receive()
            step.end[-1] = step.end[-1] and EndReason.CLEAR
            return step

    config = small(
        envs=3, measuring_games=1, actor_groups=1, steps=3000, until_clear=True, average_updates=averaged, burn_in=8
    )
    trainer = fake_trainer(config, games=Late, evaluate=evaluate, run="clear")
    events: list[Event] = []
    frozen: dict[str, torch.Tensor] = {}
    ended = 0
    for event in trainer.run():
        events.append(event)
        if isinstance(event, EpisodeEnded) and event.record.kind == "greedy":
            ended = ended or event.record.step
            frozen = frozen or weights_of(trainer, event.game)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.first_greedy_clear is not None
    assert finished.first_greedy_clear.step == ended, "steps taken when the episode ended"
    assert ended < finished.steps <= ended + 23, "the result is taken 20 steps later"
    (best,) = (folder for folder in lookup.step_folders(trainer.run_dir) if read_manifest(folder).step == ended)
    assert (trainer.run_dir / "best").resolve() == best
    kept = load_policy(best).net
    assert all(torch.equal(value, frozen[name]) for name, value in kept.state_dict().items())
    assert all(torch.equal(value, frozen[name]) for name, value in played[0].items())
    now = trainer.agent.net.state_dict()
    assert not all(torch.equal(value, now[name]) for name, value in frozen.items()), "training went on"
    assert [event.step for event in events if isinstance(event, Evaluated)] == [ended]


def test_a_clear_that_is_not_confirmed_stops_nothing(small) -> None:
    trainer = fake_trainer(
        small(envs=2, measuring_games=1, steps=400, until_clear=True),
        games=ClearedEnv,
        evaluate=_never_clears,
        run="unconfirmed",
    )
    events = run_to_end(trainer)
    assert trainer.step == 400
    assert trainer.first_greedy_clear is None
    evaluations = [event for event in events if isinstance(event, Evaluated)]
    assert len(evaluations) > 3, "the next clear is looked at, too"
    assert len(evaluations) <= 400 / 20 + 1, "one at a time"


def test_a_clear_with_chance_does_not_stand_in_the_way_of_a_greedy_one(small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes that learn clear again and again, and greedy play does not confirm it: it does that of the greedy game,
    which ended while they were looked at."""
    of_greedy_game: list[Policy] = []

    def evaluate(policy: Policy, **_: Any) -> Evaluation:
        clears = any(policy is one for one in of_greedy_game)
        return Evaluation((EpisodeResult(0, 5.0, 9, 3161, "clear" if clears else "death", cleared=clears),))

    class Often(FakeVectorEnv):
        end_chance = 1 / 5

        def receive(self) -> VectorStep:
            step = super().receive()
            step.end[:] = [end and EndReason.CLEAR for end in step.end]
            return step

    config = small(envs=3, measuring_games=1, actor_groups=1, steps=300, until_clear=True, burn_in=8)
    config = config.replace(exploration_rate=0.05, exploration_rate_min=0.05)
    trainer = fake_trainer(config, games=Often, evaluate=evaluate, run="in-the-way")
    start = trainer.evaluator.start

    def watched(snapshot: Snapshot, policy: Policy, *, confirms: Clear | None = None) -> None:
        if confirms == "greedy":
            of_greedy_game.append(policy)
        start(snapshot, policy, confirms=confirms)

    monkeypatch.setattr(trainer.evaluator, "start", watched)
    first, weights = 0, {}
    for event in trainer.run():
        if isinstance(event, EpisodeEnded) and event.record.kind == "greedy" and not first:
            first, weights = event.record.step, weights_of(trainer, event.game)
    assert trainer.first_greedy_clear is not None
    assert trainer.first_greedy_clear.step == first
    kept = of_greedy_game[0].net.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in kept.items())


class ClearedInTraining(FakeVectorEnv):
    """The episodes of the games that learn end by a clear, those of the last game do not."""

    end_chance = 1 / 30

    def receive(self) -> VectorStep:
        step = super().receive()
        step.end[:] = [end and (EndReason.CLEAR if game < len(step.end) - 1 else EndReason.DEATH)
                       for game, end in enumerate(step.end)]  # fmt: skip
        return step


@pytest.mark.parametrize("epsilon", [0.05, 0.2])
def test_the_agent_of_now_is_evaluated_after_a_clear_of_a_game_that_hardly_explores(small, epsilon: float) -> None:
    evaluated: list[dict[str, torch.Tensor]] = []

    def evaluate(policy: Policy, **_: Any) -> Evaluation:
        evaluated.append({name: value.clone() for name, value in policy.net.state_dict().items()})
        return Evaluation((EpisodeResult(0, 5.0, 9, 3161, "clear", cleared=True),))

    config = small(envs=3, measuring_games=1, actor_groups=1, steps=300, until_clear=True, burn_in=8)
    config = config.replace(exploration_rate=epsilon, exploration_rate_min=epsilon)
    trainer = fake_trainer(config, games=ClearedInTraining, evaluate=evaluate, run=f"now-{epsilon}")
    clears: dict[int, dict[str, torch.Tensor]] = {}
    for event in trainer.run():
        if isinstance(event, EpisodeEnded) and event.record.cleared:
            assert event.record.kind == "training"
            clears[event.record.step] = {name: value.clone() for name, value in trainer.agent.net.state_dict().items()}
    if epsilon > 0.05:
        assert clears
        assert not trainer.first_greedy_clear or trainer.first_greedy_clear.step not in clears
        return
    assert trainer.first_greedy_clear is not None
    first = min(clears)
    assert trainer.first_greedy_clear.step == first
    assert all(torch.equal(value, evaluated[0][name]) for name, value in clears[first].items())


def test_training_games_that_clear_are_not_evaluated_without_a_game_that_measures(small) -> None:
    events = run_to_end(
        fake_trainer(small(envs=2, steps=200), games=ClearedEnv, evaluate=_never_clears, run="no-measuring")
    )
    assert not [event for event in events if isinstance(event, Evaluated | Measurement)]


def test_the_games_are_saved_amid_their_episodes(small, tmp_path: Path) -> None:
    """The frozen networks of a save equal those that played on, though the agent has learned since."""
    config = small(envs=4, measuring_games=2, steps=200, burn_in=8)
    trainer = fake_trainer(config, run="amid")
    saved = None
    for event in trainer.run():
        if isinstance(event, Stepped) and event.step >= 120 and saved is None:
            state = {name: value.clone() for name, value in trainer.agent.measuring.state_dict().items()}
            saved = shutil.copytree(trainer.save(), tmp_path / "run" / "step-000000120")
    assert saved is not None
    assert {name.split(".")[0] for name in state} == {"greedy", "robust"}
    kept = load_tensors(saved / "measuring.safetensors")
    assert kept.keys() == state.keys()
    assert all(torch.equal(kept[name], value) for name, value in state.items())


def test_two_agents_of_one_step_are_saved_each(small) -> None:
    """An evaluation is due in the step in which a game that measures clears the stage, with the weights of earlier."""
    trainer = fake_trainer(small(envs=3, measuring_games=1, steps=60), run="two")
    run_to_end(trainer)
    now = trainer.agent.net.state_dict()
    frozen = {name: torch.zeros_like(value) for name, value in now.items()}
    snapshots = [trainer._snapshot(full=False, evaluated=True, weights=weights) for weights in (None, frozen)]
    first, second = map(trainer.checkpointer.save_evaluated, snapshots)
    assert trainer.checkpointer.save_evaluated(snapshots[0]) == first, "once"
    assert all(torch.equal(value, now[name]) for name, value in load_tensors(first / "agent.safetensors").items())
    assert not any(value.any() for value in load_tensors(second / "agent.safetensors").values())


def test_a_line_without_a_kind_is_of_training_and_its_progress_goes_by_x(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    line = csv_line(record(3, kind=""))
    short = csv_line(record(4)).rsplit(",", 2)[0] + "\r\n"
    path.write_text(csv_heading(EpisodeRecord) + line + short, newline="")
    assert read_metrics(path) == [record(3), replace(record(4), progress=progress_at_x("1-1", 300))]
