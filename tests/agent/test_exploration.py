"""How the chance of a random action falls."""

import math

import numpy as np
import pytest
import torch

from mario_tui.agent.exploration import ExponentialDecay, HeldActions, LinearDecay, per_actor_exponents
from mario_tui.agent.mario import Mario
from mario_tui.config import TrainingConfig


def test_epsilon_decays_by_step_down_to_its_floor() -> None:
    decay = ExponentialDecay(1.0, 0.9, 0.5)
    decay.advance(3)
    assert decay.rate == pytest.approx(0.729)
    decay.advance(100)
    assert decay.rate == 0.5


def test_epsilon_falls_in_a_straight_line_to_its_floor() -> None:
    decay = LinearDecay(1.0, 100, 0.2)
    rates = []
    for _ in range(6):
        decay.advance(25)
        rates.append(decay.rate)
    assert rates == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.2, 0.2])


def test_many_steps_at_once_are_as_good_as_one_by_one() -> None:
    one, other = LinearDecay(0.7, 50, 0.1), LinearDecay(0.7, 50, 0.1)
    for _ in range(20):
        one.advance(1)
    other.advance(20)
    assert one.rate == pytest.approx(other.rate)


def test_the_exponents_go_from_epsilon_itself_to_the_power_of_one_more_than_alpha() -> None:
    assert per_actor_exponents(3, 7.0).tolist() == [1.0, 4.5, 8.0]
    assert per_actor_exponents(1, 7.0).tolist() == [1.0]
    assert np.array_equal(per_actor_exponents(4, 0.0), np.ones(4)), "without one all games are alike"


def test_the_settings_choose_the_schedule() -> None:
    linear = Mario(TrainingConfig(replay_size=100, exploration_steps=80, exploration_rate_min=0.2))
    linear.count_steps(40)
    assert linear.exploration_rate == pytest.approx(0.6)
    by_factor = Mario(TrainingConfig(replay_size=100, exploration_rate_decay=0.5))
    by_factor.count_steps(2)
    assert by_factor.exploration_rate == 0.25


def test_a_schedule_goes_on_where_it_was_saved() -> None:
    config = TrainingConfig(replay_size=100, exploration_steps=80)
    whole, part, resumed = (Mario(config) for _ in range(3))
    whole.count_steps(30)
    part.count_steps(30)
    resumed.load_state_dict(part.state_dict())
    for mario in (whole, resumed):
        mario.count_steps(10)
    assert whole.exploration_rate == resumed.exploration_rate


def test_steps_to_the_floor() -> None:
    for schedule in (ExponentialDecay(1.0, 0.99, 0.5), LinearDecay(1.0, 64, 0.25)):
        steps = schedule.steps_to_minimum()
        schedule.advance(int(steps) - 1)
        assert schedule.rate > schedule.minimum
        schedule.advance(1)
        assert schedule.rate == schedule.minimum
        assert schedule.steps_to_minimum() == 0
    assert ExponentialDecay(1.0, 1.0, 0.5).steps_to_minimum() == math.inf
    assert ExponentialDecay(1.0, 0.9, 0.0).steps_to_minimum() == math.inf


def test_an_exploring_action_is_held_for_a_zeta_distributed_number_of_steps() -> None:
    rng, games = np.random.default_rng(0), np.array([2, 0])
    held, none, all_of_them = HeldActions(3, 4), np.zeros(2, dtype=bool), np.ones(2, dtype=bool)
    lengths: list[int] = []
    for _ in range(3000):
        explore, actions = held.hold(games, all_of_them, np.array([1, 0]), rng)
        assert explore.all()
        assert actions.tolist() == [1, 0]
        length = 1
        while held.hold(games[:1], none[:1], np.array([3]), rng)[0][0]:
            length += 1
        lengths.append(length)
        held.end(games)
    shares = [np.mean([one == k for one in lengths]) for k in (1, 2, 3, 4)]
    zeta = math.pi**2 / 6
    expected = [1 / zeta, 1 / 4 / zeta, 1 / 9 / zeta, 1 - (1 + 1 / 4 + 1 / 9) / zeta]
    assert shares == pytest.approx(expected, abs=0.03)
    assert held.left[1] == 0, "the game between is another group's"


def holder(**settings) -> Mario:
    """Explores at every step."""
    return Mario(TrainingConfig(replay_size=100, envs=2, action_set="complex", exploration_hold=100, **settings))


STATES = torch.zeros((2, 4, 84, 84), dtype=torch.uint8)


def test_a_held_action_is_played_until_its_time_or_the_episode_is_over() -> None:
    mario = holder()
    long = mario.act(STATES)[0]
    while mario._held.left[1] < 5:
        long = mario.act(STATES)[0]
    assert [mario.act(STATES)[0][1] for _ in range(2)] == [long[1]] * 2
    mario.begin_episodes(np.array([0]))
    assert mario._held.left[0] == 0
    assert mario._held.left[1] > 2, "that of the other game goes on"
    mario.exploration.rate = 0.0
    greedy = int(mario.net.q_values(STATES[:1], "online").argmax())
    assert mario.act(STATES)[0].tolist() == [greedy, long[1]]


def test_what_is_held_goes_on_where_it_was_saved() -> None:
    whole, resumed, other = holder(), holder(seed=1), Mario(TrainingConfig(replay_size=100, envs=3, exploration_hold=9))
    while not (whole._held.left > 1).all():
        whole.act(STATES)
    state = whole.state_dict()
    resumed.load_state_dict(state)
    resumed.net.load_state_dict(whole.net.state_dict())
    assert [whole.act(STATES)[0].tolist() for _ in range(20)] == [resumed.act(STATES)[0].tolist() for _ in range(20)]
    other.load_state_dict(state)
    assert not other._held.left.any(), "other games hold nothing"
    with pytest.raises(ValueError, match="out of range"):
        resumed.load_state_dict({**state, "held": [[1, 1], [0, 12]]})


@pytest.mark.parametrize("hold", [0, 1])
def test_without_holding_a_random_action_is_for_one_step_and_draws_no_more_numbers(hold: int) -> None:
    mario, rng = Mario(TrainingConfig(replay_size=100, envs=2, exploration_hold=hold)), np.random.Generator
    expected = rng(np.random.PCG64(int(np.random.SeedSequence(0).generate_state(3)[2])))
    for _ in range(30):
        expected.random(2)
        assert mario.act(STATES)[0].tolist() == expected.integers(2, size=2).tolist()
    assert "held" not in mario.state_dict()
