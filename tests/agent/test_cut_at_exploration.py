"""Returns that end before the next exploratory action, from the agent's choice to the batch."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mario_tui.agent.mario import Mario
from mario_tui.agent.replay import Replay
from mario_tui.config import TrainingConfig
from test_replay import GAMMA, play


class Row(NamedTuple):
    frame: int
    action: int
    reward: float
    terminated: bool
    last: bool
    explored: bool


def fill(replay: Replay, seed: int, ticks: int, end_chance: float, explore_chance: float) -> list[list[Row]]:
    """Random episodes; returns the rows of each game."""
    rng = np.random.default_rng(seed + 1)
    games: list[list[Row]] = [[] for _ in range(replay.envs)]
    for frames, actions, rewards, terminated, first, last in play(seed, replay.envs, ticks, end_chance):
        explored = rng.random(replay.envs) < explore_chance
        pictures = torch.from_numpy(frames.astype(np.uint8))[:, None, None].expand(-1, 84, 84)
        replay.add(pictures, actions, rewards, terminated, first, last, explored)
        for game, row in zip(
            games, zip(frames, actions, rewards, terminated, last, explored, strict=True), strict=True
        ):
            game.append(Row(*(value.item() for value in row)))
    return games


def slow_return(rows: list[Row], tick: int, n_steps: int) -> tuple[float, float, int]:
    """The sum of rewards, what the value of the state counts that it is bootstrapped from, and that state's frame."""
    total, steps = 0.0, 0
    while True:
        row, after = rows[tick + steps], rows[tick + steps + 1]
        total += GAMMA**steps * row.reward
        steps += 1
        if steps == n_steps or after.last or after.explored:
            return total, 0.0 if row.terminated else GAMMA**steps, after.frame


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    envs=st.integers(1, 3),
    size=st.integers(4, 40),
    n_steps=st.sampled_from([1, 2, 5, 9]),
    n_now=st.integers(1, 9),
    ticks=st.integers(1, 90),
    end_chance=st.sampled_from([0.0, 0.05, 0.3]),
    explore_chance=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_returns_are_those_of_a_plain_loop(seed, envs, size, n_steps, n_now, ticks, end_chance, explore_chance) -> None:
    replay = Replay(size, envs=envs, depth=1, n_steps=n_steps, gamma=GAMMA, cut=True, alpha=0.6, seed=seed)
    replay.n_now = min(n_now, n_steps)
    games = fill(replay, seed, ticks, end_chance, explore_chance)
    assume(replay.ready)
    draw = replay.draw(2, 8)
    oldest = max(ticks - replay.ticks, 0)
    for number, row in np.ndenumerate(draw.index):
        slot, game = divmod(int(row), envs)
        tick = oldest + (slot - oldest) % replay.ticks
        total, discount, frame = slow_return(games[game], tick, replay.n_now)
        batch, place = number
        assert draw.a_tm1[number] == games[game][tick].action
        assert draw.r_t[number] == total
        assert draw.discount_t[number] == discount
        assert replay.frames[draw.frames[batch, 1, place, -1], 0, 0] == frame


def test_a_return_ends_before_the_next_exploratory_action_and_not_at_its_own() -> None:
    """Rewards 1, 2, 4, ...; the actions at ticks 0 and 3 were exploratory."""
    for cut, expected in ((True, [1 + 1 + 1, 2 + 2, 4, 8 + 8 + 8 + 8]), (False, [4, 8, 16, 32])):
        replay = Replay(100, n_steps=4, gamma=0.5, cut=cut)
        for tick in range(12):
            frame = torch.full((1, 84, 84), tick, dtype=torch.uint8)
            first, explored, nothing = np.array([tick == 0]), np.array([tick in (0, 3)]), np.zeros(1, dtype=bool)
            replay.add(frame, np.array([0]), np.array([2.0**tick]), nothing, first, nothing, explored)
        batch = replay.transitions_at(np.arange(4))
        assert batch.r_t.tolist() == expected
        assert batch.discount_t.tolist() == [0.5**steps for steps in ((3, 2, 1, 4) if cut else (4, 4, 4, 4))]
        assert batch.s_t[:, -1, 0, 0].tolist() == ([3, 3, 3, 7] if cut else [4, 5, 6, 7])


def test_what_was_explored_is_saved_and_stays_with_its_rows_when_games_change() -> None:
    """Here an action is 1 where it was exploratory."""
    replays = [Replay(60, envs=envs, n_steps=3, cut=True) for envs in (2, 2, 5)]
    rng = np.random.default_rng(0)
    for _, _, rewards, terminated, first, last in play(0, 2, 50, 0.1):
        explored, frame = rng.random(2) < 0.4, torch.zeros((2, 84, 84), dtype=torch.uint8)
        replays[0].add(frame, explored.astype(int), rewards, terminated, first, last, explored)
    state = replays[0].state_dict()
    for replay in replays[1:]:
        replay.load_state_dict(state, envs=2)
        held = replay.state_dict()
        assert held["explored"].dtype == torch.bool
        assert 10 < int(held["explored"].sum()) < len(held["explored"]) - 10
        assert torch.equal(held["explored"], held["action"] == 1)


def test_a_replay_saved_without_the_column_is_one_in_which_nothing_was_explored() -> None:
    plain, cutting = (Replay(60, envs=2, n_steps=3, cut=cut, seed=3) for cut in (False, True))
    fill(plain, 0, 40, 0.1, 0.5)
    assert "explored" not in plain.state_dict()
    fill(cutting, 7, 60, 0.1, 0.5)
    cutting.load_state_dict(plain.state_dict())
    assert not cutting.state_dict()["explored"].any()
    ours, theirs = plain.draw(), cutting.draw()
    assert np.array_equal(ours.r_t, theirs.r_t)
    plain.load_state_dict(cutting.state_dict())
    assert "explored" not in plain.state_dict()
    with pytest.raises(ValueError, match="the replay's explored is"):
        cutting.load_state_dict({**plain.state_dict(), "explored": torch.zeros(3, dtype=torch.bool)})


def test_an_action_is_exploratory_if_it_was_random_and_is_not_the_greedy_one(monkeypatch: pytest.MonkeyPatch) -> None:
    states = torch.zeros((3, 4, 84, 84), dtype=torch.uint8)
    marios = [
        Mario(TrainingConfig(replay_size=100, envs=3, exploration_rate=rate, cut_at_exploration=cut))
        for rate, cut in ((0.6, False), (0.6, True), (1.0, True))
    ]
    prefers_1 = lambda states, model: torch.tensor([[0.0, 1.0]]).expand(len(states), 2)  # noqa: E731
    for mario in marios:
        monkeypatch.setattr(mario.net, "q_values", prefers_1)
    chosen = [np.array([mario.act(states) for _ in range(800)]).swapaxes(0, 1) for mario in marios]
    (plain, nothing), (actions, explored), (at_random, unlike_greedy) = chosen
    assert np.array_equal(plain, actions), "it changes no action"
    assert not nothing.any()
    assert np.array_equal(explored, actions == 0)
    assert 0.27 < explored.mean() < 0.33
    assert np.array_equal(unlike_greedy, at_random == 0), "also where all games explore"
