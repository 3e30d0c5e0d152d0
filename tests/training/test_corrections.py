"""Deaths that are labelled beside the training: which, when, and what a run makes of the labels."""

import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fake_collector import FakeVectorEnv, fake_factories, fake_trainer
from mario_tui.agent.mario import Mario
from mario_tui.config import TrainingConfig
from mario_tui.errors import CheckpointError, EvaluationError, InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.nes_py_emulator import NesPyEmulator
from mario_tui.play.safe_actions import MOST_STEPS_BACK, Death, DeathLabels, Eyes
from mario_tui.store import checkpoint
from mario_tui.store.history import EpisodeRecord
from mario_tui.training import awaiting
from mario_tui.training.control import TrainingControl
from mario_tui.training.corrector import MOST_LOOKS, PLACE_PIXELS, REPORT_DEATHS, Corrector
from mario_tui.training.events import Corrected, EpisodeEnded, Event, Stepped, Waiting, Warned
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.restore import open_trainer
from mario_tui.training.trainer import Trainer
from runs import differences, run_to_end


class FakeLabeller:
    """Keeps what it is to label until it is told what came of it."""

    processes = 2

    def __init__(self) -> None:
        self.asked: list[Death] = []
        self.results: list[Future[DeathLabels | None]] = []

    def submit(self, death: Death, eyes: Eyes) -> Future[DeathLabels | None]:
        self.asked.append(death)
        self.results.append(Future())
        return self.results[-1]

    def close(self) -> None:
        pass


def labels(count: int, action: int = 0) -> DeathLabels:
    """So many states in which one of two actions is safe."""
    safe = np.zeros((count, 2), bool)
    safe[:, action] = True
    states = np.random.default_rng(count).integers(0, 256, (count, 4, 84, 84), dtype=np.uint8)
    return DeathLabels(states, safe, np.arange(count), played=9)


def died(x: int, *, number: int = 0, game: int = 0, end: str = "death", kind: str = "training") -> EpisodeEnded:
    """An episode that pressed its number."""
    record = EpisodeRecord(number, 1, 0.0, "1-1", 1.0, 9, 0.0, 0.0, x, end, 0.0, kind)
    return EpisodeEnded(record, ActionLog("1-1", 4, (number, number)), game)


@pytest.fixture
def make(small: Callable[..., TrainingConfig], tmp_path: Path) -> Callable[..., tuple[Corrector, FakeLabeller, Mario]]:
    def made(
        awaited: bool = True, control: TrainingControl | None = None, **settings: Any
    ) -> tuple[Corrector, FakeLabeller, Mario]:
        config = small(**{"corrections": 0.5, "exploration_rate": 0.01, "exploration_rate_min": 0.01, **settings})
        agent, labeller = Mario(config), FakeLabeller()
        logger = MetricLogger(tmp_path, "1-1", config.envs)
        return (
            Corrector(config, agent, logger, control or TrainingControl(), labeller, awaited=awaited),
            labeller,
            agent,
        )

    return made


def pressed(death: Death) -> int:
    return death.frame_buttons[0]


def test_of_the_deaths_between_two_turns_the_place_with_the_fewest_labels_has_its_newest_labelled(make) -> None:
    corrector, labeller, _ = make(corrections_from=50)
    corrector.observe(died(300, number=9))
    assert list(corrector.take_turn(40)) == [], "before corrections_from"
    for number, x in enumerate((300, 900, 310)):
        corrector.observe(died(x, number=number))
    list(corrector.take_turn(100))
    assert [pressed(death) for death in labeller.asked] == [2]
    assert labeller.asked[0] == Death("1-1", 4, (2,) * 8)
    labeller.results[0].set_result(labels(1))
    for number, x in enumerate((900, 301, 905, 302), 10):
        corrector.observe(died(x, number=number))
    list(corrector.take_turn(200))
    assert pressed(labeller.asked[1]) == 12
    labeller.results[1].set_result(labels(1))
    list(corrector.take_turn(300))
    assert len(labeller.asked) == 2, "what was passed over is not kept"
    assert 300 // PLACE_PIXELS == 310 // PLACE_PIXELS != 900 // PLACE_PIXELS


def test_only_deaths_of_games_that_hardly_explore_are_labelled(make) -> None:
    corrector, labeller, _ = make(envs=2, exploration_ladder=20.0, exploration_rate=0.5, exploration_rate_min=0.5)
    corrector.observe(died(300, number=1, game=0))
    corrector.observe(died(300, number=2, game=1, end="stall"))
    list(corrector.take_turn(100))
    assert labeller.asked == []
    corrector.observe(died(300, number=3, game=1))
    corrector.observe(died(300, number=4, game=0))
    list(corrector.take_turn(200))
    assert pressed(labeller.asked[0]) == 3
    labeller.results[0].set_result(labels(1))
    corrector.observe(died(300, number=5, game=0, kind="robust"))
    list(corrector.take_turn(300))
    assert pressed(labeller.asked[1]) == 5, "one that measures does not explore at all"


def test_labels_are_counted_by_what_the_agent_would_do_before_it_learns_from_them(make) -> None:
    corrector, labeller, agent = make()
    assert agent.labelled is not None
    events: list[Event] = []
    right = 0
    for turn in range(REPORT_DEATHS + 2):
        if labeller.results:
            found = labels(turn % 3, action=turn % 2)
            greedy = agent.net.greedy(torch.from_numpy(found.states)).argmax(dim=1).numpy() if len(found) else []
            right += sum(found.safe[number, action] for number, action in enumerate(greedy)) if turn <= 10 else 0
            labeller.results[-1].set_result(found)
        corrector.observe(died(300, number=turn))
        events += corrector.take_turn(100 * turn)
    total = sum(turn % 3 for turn in range(1, REPORT_DEATHS + 2))
    assert agent.labelled.added == corrector.total.states == total
    assert corrector.total.deaths == REPORT_DEATHS + 1
    assert corrector.total.avoidable == sum(turn % 3 > 0 for turn in range(1, REPORT_DEATHS + 2))
    (event,) = events
    newest = sum(turn % 3 for turn in range(1, REPORT_DEATHS + 1))
    assert event == Corrected(1000, 10, 7, newest, right, newest, right)
    assert str(event) == f"10 deaths labelled, 7 avoidable, 10 states; of the newest 10 the agent was right in {right}"


def test_without_waiting_as_many_deaths_are_labelled_at_once_as_there_are_processes(make) -> None:
    corrector, labeller, agent = make(awaited=False)
    for turn in range(1, 5):
        corrector.observe(died(300, number=turn))
        list(corrector.take_turn(100 * turn))
    assert [pressed(death) for death in labeller.asked] == [1, 2]
    labeller.results[1].set_result(labels(3))
    assert agent.labelled.added == 0
    list(corrector.take_turn(500))
    assert agent.labelled.added == 3
    assert pressed(labeller.asked[2]) == 4
    labeller.results[0].set_result(labels(2))
    list(corrector.take_turn(600))
    assert agent.labelled.added == 5
    assert (pressed(labeller.asked[3]), labeller.asked[3].look) == (1, 1), "nothing new waits"


def test_while_there_is_no_new_death_earlier_ones_are_looked_at_again_in_turn(make) -> None:
    corrector, labeller, agent = make()
    for number, states in enumerate((2, 0, 4), 1):
        corrector.observe(died(300 * number, number=number))
        list(corrector.take_turn(100 * number))
        labeller.results[-1].set_result(labels(states))
    assert corrector.total.deaths == 2
    for turn in range(4, 8):
        list(corrector.take_turn(100 * turn))
        labeller.results[-1].set_result(labels(1))
    asked = [(pressed(death), death.look, death.lead) for death in labeller.asked[3:]]
    assert asked == [(3, 1, 3), (1, 1, 1), (1, 2, 1), (3, 2, 3)], "but not the one that nothing could have avoided"
    assert (corrector.total.deaths, corrector.total.avoidable) == (3, 2)
    assert agent.labelled.added == corrector.total.states == 9

    corrector.observe(died(900, number=9))
    state = json.loads(json.dumps(corrector.state_dict()))
    again, other, _ = make()
    again.load_state_dict(state)
    assert other.asked == labeller.asked[-1:]
    for turn, expected in enumerate(((9, 0), (3, 3), (1, 3)), 8):
        other.results[-1].set_result(labels(0 if turn == 9 else 1))
        list(again.take_turn(100 * turn))
        assert (pressed(other.asked[-1]), other.asked[-1].look) == expected


def test_a_variant_may_take_longer_to_its_death_than_anything_is_looked_back_for(make) -> None:
    corrector, labeller, _ = make()
    corrector.observe(died(300, number=1))
    list(corrector.take_turn(100))
    labeller.results[0].set_result(replace(labels(2), steps_before=np.array([3, MOST_STEPS_BACK + 9])))
    list(corrector.take_turn(200))
    assert (labeller.asked[1].look, labeller.asked[1].lead) == (1, MOST_STEPS_BACK)
    make()[0].load_state_dict(json.loads(json.dumps(corrector.state_dict())))


def test_a_death_is_looked_at_so_often_and_no_more(make) -> None:
    corrector, labeller, _ = make()
    corrector.observe(died(300, number=1))
    for turn in range(1, MOST_LOOKS + 3):
        list(corrector.take_turn(100 * turn))
        if not labeller.results[-1].done():
            labeller.results[-1].set_result(labels(2))
    assert [death.look for death in labeller.asked] == list(range(MOST_LOOKS))


def test_the_state_of_older_checkpoints_is_taken(make) -> None:
    corrector, _, _ = make()
    corrector.observe(died(300, number=1))
    state = json.loads(json.dumps(corrector.state_dict()))
    place, log, *_ = state["waiting"][0]
    older = {**state, "waiting": [[place, log]], "under_way": log}
    del older["past"]
    again, other, _ = make()
    again.load_state_dict(older)
    assert [(pressed(death), death.look) for death in other.asked] == [(1, 0)]
    make()[0].load_state_dict({**state, "under_way": None})


def test_what_cannot_be_labelled_costs_a_line(make) -> None:
    corrector, labeller, agent = make()
    corrector.observe(died(300, number=1))
    list(corrector.take_turn(100))
    labeller.results[0].set_exception(EvaluationError("a process that plays it ended with exit status 1"))
    corrector.observe(died(300, number=2))
    (event,) = corrector.take_turn(200)
    text = "a death was not labelled: a process that plays it ended with exit status 1"
    assert event == Warned(200, text)
    assert len(labeller.asked) == 2
    labeller.results[1].set_result(None)
    assert list(corrector.take_turn(300)) == []
    assert agent.labelled.added == 0


def test_its_state_brings_back_what_waits_and_what_is_under_way(make) -> None:
    corrector, labeller, _ = make()
    corrector.observe(died(300, number=1))
    list(corrector.take_turn(100))
    corrector.observe(died(700, number=2))
    corrector.observe(died(300, number=3))
    state = json.loads(json.dumps(corrector.state_dict()))
    again, other, agent = make()
    again.load_state_dict(state)
    assert other.asked == labeller.asked
    other.results[0].set_result(labels(4))
    list(again.take_turn(200))
    assert agent.labelled.added == again.total.states == 4
    assert pressed(other.asked[1]) == 2, "as at the other place there was a death labelled before"


def test_a_stop_ends_the_wait_for_labels_which_are_taken_at_the_same_step_of_the_run_that_goes_on(make) -> None:
    control = TrainingControl()
    corrector, labeller, agent = make(control=control)
    corrector.observe(died(300, number=1))
    list(corrector.take_turn(100))
    corrector.observe(died(700, number=2))
    control.stop()
    assert list(corrector.take_turn(200)) == []
    assert corrector.due
    assert len(labeller.asked) == 1
    state = json.loads(json.dumps(corrector.state_dict()))
    assert not make()[0].due

    again, other, agent = make()
    again.load_state_dict(state)
    assert again.due
    assert other.asked == labeller.asked
    other.results[0].set_result(labels(4))
    list(again.take_turn(200))
    assert not again.due
    assert agent.labelled.added == again.total.states == 4
    assert [pressed(death) for death in other.asked] == [1, 2]

    del state["due"]  # as in an older checkpoint
    older = make()[0]
    older.load_state_dict(state)
    assert not older.due


class DeadlyGames(FakeVectorEnv):
    """Every episode that ends can be played again."""

    def action_log(self, env: int) -> ActionLog:  # type: ignore[override]
        return ActionLog("1-1", 4, (int(self._steps[env]) % 200,))


class QuickLabeller(FakeLabeller):
    """Its results are there at once, but for those of one death, which never are."""

    def __init__(self, never: int | None = None) -> None:
        super().__init__()
        self.never = never

    def submit(self, death: Death, eyes: Eyes) -> Future[DeathLabels | None]:
        result = super().submit(death, eyes)
        if len(self.asked) - 1 != self.never:
            safe = np.arange(2 * len(eyes.actions)).reshape(2, -1) % 2 == pressed(death) % 2
            states = np.random.default_rng(pressed(death)).integers(0, 256, (2, 4, 84, 84), dtype=np.uint8)
            result.set_result(DeathLabels(states, safe, np.arange(2), played=9))
        return result


def test_a_run_stopped_while_labels_are_waited_for_goes_on_with_them(
    small: Callable[..., TrainingConfig], snapshots: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaiting, "SAY_SECONDS", 0)
    monkeypatch.setattr(awaiting, "_LOOK_SECONDS", 0.01)
    config = small(
        corrections=0.5, corrections_every=100, exploration_rate=0.01, exploration_rate_min=0.01, envs=2, steps=400,
    )  # fmt: skip

    def made(labeller: FakeLabeller, **arguments: Any) -> Trainer:
        parts = replace(
            fake_factories(DeadlyGames),
            corrector=lambda config, agent, logger, control: Corrector(
                config, agent, logger, control, labeller, awaited=True
            ),
        )
        return open_trainer(config, factories=parts, **arguments)

    def learned(trainer: Trainer) -> list[Any]:
        labelled, frames = trainer.agent.labelled.snapshot()
        return [trainer.corrector.total, {**labelled, "frames": torch.cat([*frames.read(1024)])}]

    trainer = made(QuickLabeller(never=1), run="stopped")
    waits = []
    for event in trainer.run():
        if isinstance(event, Waiting):
            waits.append(event)
            trainer.control.stop()
    assert waits == [Waiting(trainer.step, "the labels of a death")]
    assert trainer.corrector.total.deaths == 1

    whole = made(QuickLabeller(), run="whole")
    for event in whole.run():
        if event == Stepped(trainer.step):
            expected = learned(whole)
            whole.control.stop()
    again = made(QuickLabeller(), resume=trainer.last_checkpoint)
    got: list[Any] = []
    for event in again.run():
        if isinstance(event, Stepped) and not got:
            got = learned(again)
            again.control.stop()
    assert got[0] == expected[0]
    assert got[0].deaths == 2
    expected[1].pop("generator"), got[1].pop("generator")  # it has drawn for a step more
    assert differences(got[1], expected[1]) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state["total"].update(right=5),
        lambda state: state["total"].pop("deaths"),
        lambda state: state.update(waiting=[["here", {}]]),
        lambda state: state["under_way"][0][1].update(stage="1-2"),
        lambda state: state["under_way"][0][1].update(buttons=[1] * 200_000),
        lambda state: state["under_way"][0].__setitem__(2, MOST_LOOKS),
        lambda state: state["under_way"][0].__setitem__(3, -1),
        lambda state: state.update(deaths_at=[1]),
    ],
)
def test_a_state_that_is_none_is_refused(make, spoil: Callable[[dict[str, Any]], object]) -> None:
    corrector, _, _ = make()
    corrector.observe(died(300, number=1))
    list(corrector.take_turn(100))
    state = json.loads(json.dumps(corrector.state_dict()))
    spoil(state)
    with pytest.raises((KeyError, TypeError, ValueError)):
        make()[0].load_state_dict(state)


def test_an_emulator_without_snapshots_is_refused_with_one_line(
    small: Callable[..., TrainingConfig], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NesPyEmulator, "has_snapshots", lambda self: False)
    with pytest.raises(InputError, match=r"need Python 3.13 or newer.*train there, or with --corrections 0") as error:
        fake_trainer(small(corrections=0.25, steps=40), run="refused")
    assert "\n" not in str(error.value)
    assert not list((home / "checkpoints").glob("refused*"))


@pytest.fixture
def snapshots() -> None:
    with open_emulator() as emulator:
        if not emulator.has_snapshots():
            pytest.skip("this emulator cannot go back to places in an episode")


@pytest.fixture
def trained(small: Callable[..., TrainingConfig], home: Path, snapshots: None) -> tuple[Any, list[Event]]:
    """A short run in the real game."""
    config = small(
        envs=4, action_set="run", exploration_rate=0.05, exploration_rate_min=0.05, steps=640, show_buttons=True,
        corrections=0.5, corrections_every=100, learn_every=8,
    )  # fmt: skip
    trainer = open_trainer(config, run="corrected")
    return trainer, run_to_end(trainer)


@pytest.mark.slow
def test_a_run_learns_from_its_own_deaths(trained: tuple[Any, list[Event]], home: Path) -> None:
    trainer, events = trained
    labelled, total = trainer.agent.labelled, trainer.corrector.total
    assert not [event for event in events if isinstance(event, Warned)]
    assert 0 < total.avoidable <= total.deaths < 640 / 100
    assert total.states == labelled.added > 0
    states, safe = labelled.at(torch.arange(len(labelled)))
    assert safe.any(dim=1).all()
    assert not safe.all(dim=1).any()
    assert states[:, :, :12].amax(dim=(2, 3)).eq(255).any(), "the buttons are drawn"

    saved = trainer.last_checkpoint
    resumed = open_trainer(trainer.config.replace(steps=644), resume=saved)
    assert torch.equal(resumed.agent.labelled.at(torch.arange(len(labelled)))[0], states)
    assert resumed.corrector.total == total
    resumed.close()
    without = open_trainer(trainer.config.replace(corrections=0.0, steps=644), resume=saved)
    assert without.corrector is None
    without.close()

    state = json.loads((saved / "trainer.json").read_text())
    state["corrections"]["total"]["right"] = -1
    parts = {path.name: path.read_bytes() for path in saved.iterdir() if path.name != "manifest.json"}
    parts["trainer.json"] = json.dumps(state).encode()
    manifest = json.loads((saved / "manifest.json").read_text())
    header = {name: value for name, value in manifest.items() if name not in ("parts", "step", "sequence", "created")}
    writers = {name: (lambda path, content=content: path.write_bytes(content)) for name, content in parts.items()}
    damaged = checkpoint.write(home / "checkpoints" / "damaged", trainer.step, writers, header)
    with pytest.raises(CheckpointError, match=r"cannot be continued by this version.*counts of corrections") as error:
        open_trainer(trainer.config.replace(steps=700), resume=damaged)
    assert "\n" not in str(error.value)
