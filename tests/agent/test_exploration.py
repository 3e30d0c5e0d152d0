"""How the chance of a random action falls."""

import math

import numpy as np
import pytest
import torch

from mario_tui.agent.exploration import ExponentialDecay, LinearDecay, per_actor_exponents
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


STATES = torch.zeros((2, 4, 84, 84), dtype=torch.uint8)


def test_a_random_action_is_drawn_for_each_game_and_step() -> None:
    mario, rng = Mario(TrainingConfig(replay_size=100, envs=2)), np.random.Generator
    expected = rng(np.random.PCG64(int(np.random.SeedSequence(0).generate_state(3)[2])))
    for _ in range(30):
        expected.random(2)
        assert mario.act(STATES)[0].tolist() == expected.integers(2, size=2).tolist()
