"""Groups of games that take turns: the order of it, and what is left when a group fails."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from fake_collector import FakeVectorEnv, fake_factories, fake_trainer
from mario_tui.agent.mario import Mario
from mario_tui.config import TrainingConfig
from mario_tui.errors import EmulatorError
from mario_tui.game.vector_env import VectorStep
from mario_tui.store import lookup
from mario_tui.training.actor_groups import ActorGroups, group_config
from mario_tui.training.restore import open_trainer
from mario_tui.training.resume import resume_config
from runs import run_to_end

FAKE: Any = FakeVectorEnv


class WatchedGames(FakeVectorEnv):
    """Writes down what is asked of it."""

    asked: list[tuple[str, int]] = []

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__(config)
        self.games = config.envs

    def send(self, buttons: np.ndarray) -> None:
        self.asked.append(("send", self.games))
        super().send(buttons)

    def receive(self) -> VectorStep:
        self.asked.append(("receive", self.games))
        return super().receive()


def test_one_group_plays_while_the_agent_is_at_the_other(small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five games: three in the first group and two in the other, so that their numbers tell them apart."""
    WatchedGames.asked.clear()
    learned = Mario.learn

    def watched(self: Mario, steps: int, mark: object) -> object:
        WatchedGames.asked.append(("learn", steps))
        return learned(self, steps)

    monkeypatch.setattr(Mario, "learn", watched)
    run_to_end(fake_trainer(small(envs=5, steps=30), run="order", games=WatchedGames))
    asked = [one for one in WatchedGames.asked if one[0] != "learn"]
    assert asked[:4] == [("receive", 3), ("receive", 2), ("send", 3), ("send", 2)], "both start, and both play"
    waiting = 0
    for what, _ in asked[2:]:
        waiting += 1 if what == "send" else -1
        assert waiting >= 1 or what == "receive"
    turns = asked[4:-1]
    assert turns[:8] == [("receive", 3), ("send", 3), ("receive", 2), ("send", 2)] * 2
    learning = [number for number, one in enumerate(WatchedGames.asked) if one[0] == "learn"]
    assert all(WatchedGames.asked[number - 1][0] == "send" for number in learning), "while both groups play"


def test_the_games_are_dealt_to_the_groups(small) -> None:
    config = small(envs=5, workers=3, seed=7)
    one, other = (group_config(config, group, 2) for group in range(2))
    assert (one.envs, other.envs) == (3, 2)
    assert (one.workers, other.workers) == (2, 1), "as many processes as were asked for"
    assert one.seed == 7
    assert one.seed != other.seed
    assert group_config(config, 0, 1) is config
    collector = ActorGroups(config, torch.device("cpu"), open_games=FAKE)
    collector.start()
    assert collector.turn[0].tolist() == [0, 2, 4]
    collector.begin(np.zeros(3, dtype=np.int64))
    assert collector.turn[0].tolist() == [1, 3]
    collector.begin(np.ones(2, dtype=np.int64))
    assert collector.place == (40, 176, 37)
    assert collector.finish().games.tolist() == [0, 2, 4]
    assert collector.place == (43, 176, 37), "of the first game"
    assert collector.finish().games.tolist() == [1, 3]
    assert collector.place == (43, 176, 37)
    rows = collector.take_experiences()
    assert rows is not None
    assert rows.action.tolist() == [0, 1, 0, 1, 0]
    assert rows.frame.shape == (5, 84, 84)
    assert collector.take_experiences() is None
    assert torch.equal(collector.observations[1::2], collector._collectors[1].observations)


def test_what_was_explored_stays_with_the_step_that_is_under_way(small) -> None:
    config = small(envs=5)
    collector, resumed = (ActorGroups(config, torch.device("cpu"), open_games=FAKE) for _ in range(2))
    collector.start()
    collector.begin(np.array([1, 0, 1]), np.array([True, False, True]))
    state = json.loads(json.dumps(collector.state_dict()))
    resumed.load_state_dict(state, collector.observations)
    resumed.start()
    for one in (collector, resumed):
        assert one.under_way == 1
        one.begin(np.zeros(2, dtype=np.int64), np.array([False, True]))
        one.finish()
        one.finish()
        rows = one.take_experiences()
        assert rows is not None
        assert rows.explored.tolist() == [True, False, False, True, True]
    collector.begin(np.array([1, 0, 1]))
    assert "explored" not in json.dumps(collector.state_dict()), "as before there was such a thing"
    assert not collector.finish().experiences.explored.any()
    del state["groups"][0]["under_way"]["explored"][0]
    with pytest.raises(ValueError, match="another number of games"):
        resumed.load_state_dict(state, collector.observations)


def test_one_game_is_one_group(small) -> None:
    assert ActorGroups(small(envs=1), torch.device("cpu"), open_games=FAKE).groups == 1


class FailingGames(FakeVectorEnv):
    """The group of two games fails at its tenth step."""

    def receive(self) -> VectorStep:
        step = super().receive()
        if len(self._steps) == 2 and int(np.max(self._steps)) == 10:
            raise EmulatorError("gone")
        return step


def test_what_the_other_group_played_is_kept_when_one_fails(small) -> None:
    config = small(envs=5, steps=300, replay_size=500)
    trainer = fake_trainer(config, run="failed", games=FailingGames)
    with pytest.raises(EmulatorError, match="gone"):
        run_to_end(trainer)
    memory = trainer.agent.memory
    newest = memory.tick - 1
    assert memory._last[newest].tolist() == [False, True, False, True, False], "cut where nothing more was seen"
    assert not memory._terminated[newest].any()
    (saved,) = lookup.step_folders(trainer.run_dir)
    resumed = open_trainer(resume_config(saved, {"steps": 400}), resume=saved, factories=fake_factories(FakeVectorEnv))
    run_to_end(resumed)
    assert resumed.step >= 400


def test_games_that_were_saved_as_one_group_are_dealt(small) -> None:
    """As by versions that knew no groups: every game goes on where it was."""
    saved = {"frame_logs": [[1], [2], [3]], "noop_steps": [0, 1, 2], "rng": {"state": 5}}
    collector = ActorGroups(small(envs=3), torch.device("cpu"), open_games=FAKE)
    collector.load_state_dict(saved, torch.zeros((3, 4, 84, 84), dtype=torch.uint8))
    assert collector.state_dict() == {
        "groups": [
            {"frame_logs": [[1], [3]], "noop_steps": [0, 2], "rng": {"state": 5}},
            {"frame_logs": [[2]], "noop_steps": [1]},
        ]
    }
    with pytest.raises(ValueError, match="in 3 groups, not 2"):
        collector.load_state_dict({"groups": [{}] * 3}, torch.zeros((3, 4, 84, 84), dtype=torch.uint8))
