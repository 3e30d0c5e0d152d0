"""The agent learns and explores with what its schedules say for the step."""

import numpy as np
import pytest
import torch

from mario_tui.agent.mario import Mario
from mario_tui.config import TrainingConfig
from test_mario import fill_memory, weights_of

SCHEDULES = {
    "n_steps": 8,
    "n_steps_schedule": "100:8 300:2",
    "learning_rate_schedule": "0:0.01 200:0.0001",
    "batch_size": 4,
    "priority_exponent": 0.5,
    "priority_correction_schedule": "0:0.4 200:1",
    "exploration_schedule": "0:1 200:0.01",
    "average_updates": 20,
    "average_updates_schedule": "0:20 200:2000",
}


def scheduled(step: int = 0, **changes: object) -> Mario:
    mario = Mario(TrainingConfig(**{"replay_size": 100, "network": "small", "envs": 2, **SCHEDULES, **changes}))
    fill_memory(mario)
    mario.count_steps(step)
    return mario


@pytest.mark.parametrize(
    ("step", "n_steps", "rate", "beta", "epsilon"),
    [(0, 8, 0.01, 0.4, 1.0), (100, 8, 1e-3, 0.7, 0.1), (200, 4, 1e-4, 1.0, 0.01), (900, 2, 1e-4, 1, 0.01)],
)
def test_an_update_is_of_its_step(step: int, n_steps: int, rate: float, beta: float, epsilon: float) -> None:
    mario = scheduled(step)
    assert mario.exploration_rate == pytest.approx(epsilon)
    mario.update()
    assert mario.optimizer.adam.param_groups[0]["lr"] == pytest.approx(rate)
    assert mario.memory.n_now == n_steps
    assert mario.memory.priorities.beta == pytest.approx(beta)
    draw = mario.recall()
    assert draw.index.shape == (1, 4)
    last, index = mario.memory._last.reshape(-1), draw.index[0]
    steps = [next((k for k in range(1, n_steps) if last[(row + 2 * k) % mario.memory.rows]), n_steps) for row in index]
    terminal = draw.discount_t[0] == 0
    assert draw.discount_t[0][~terminal] == pytest.approx(0.9 ** np.array(steps)[~terminal])


def test_the_average_is_over_as_many_updates_as_its_step_says() -> None:
    for step, updates in ((0, 20), (100, 200), (200, 2000)):
        mario = scheduled(step)
        mario.updates = 10**6
        before = weights_of(mario.net.average)
        with torch.no_grad():
            for parameter in mario.net.online.parameters():
                parameter.add_(1)
        mario.average()
        torch.testing.assert_close(weights_of(mario.net.average), before + 10 / updates)


def test_it_says_how_far_the_final_epsilon_is() -> None:
    assert scheduled(50).steps_to_final_exploration == 150
    assert scheduled(300).steps_to_final_exploration == 0
    assert scheduled(exploration_schedule="", exploration_steps=80).steps_to_final_exploration == 80


def test_a_schedule_goes_on_where_it_was_saved_and_one_that_ends_leaves_the_constants() -> None:
    whole, resumed, without = scheduled(120), scheduled(), scheduled(exploration_schedule="", exploration_steps=300)
    for mario in (resumed, without):
        mario.load_state_dict(whole.state_dict())
    assert resumed.exploration_rate == whole.exploration_rate < 0.1
    assert without.exploration_rate == pytest.approx(whole.exploration.rate)


def test_adams_epsilon_is_a_setting() -> None:
    for epsilon in (1e-8, 1e-3):
        mario = Mario(TrainingConfig(replay_size=100, network="small", adam_epsilon=epsilon))
        assert mario.optimizer.adam.param_groups[0]["eps"] == epsilon
        fill_memory(mario)
        mario.update()
        mario.optimizer.load_state_dict(mario.optimizer.state_dict())
        assert mario.optimizer.adam.param_groups[0]["eps"] == epsilon
