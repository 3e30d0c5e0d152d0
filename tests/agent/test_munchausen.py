"""The target of Munchausen DQN is the paper's, written out in NumPy."""

import numpy as np
import pytest
import torch

from mario_tui.agent.loss import double_dqn
from mario_tui.agent.mario import Mario
from mario_tui.config import TrainingConfig
from test_mario import make_mario, random_batch


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("alpha", "tau"), [(0.9, 0.03), (0.5, 1.0), (0.9, 50.0)])
@pytest.mark.parametrize("bins", [0, 51])
def test_the_target_is_the_papers(alpha: float, tau: float, bins: int) -> None:
    mario = make_mario(
        munchausen=alpha, munchausen_temperature=tau, reward_scale=15.0, value_bins=bins, value_min=-3, value_max=9
    )
    with torch.no_grad():  # actions of the target network that differ
        mario.net.target[-1].weight.mul_(20)
    batch = random_batch(2)
    batch = batch._replace(discount_t=torch.linspace(0.5, 0.97, 32) * (batch.discount_t > 0))
    _, q, td_error = double_dqn(mario.net, batch, mario.config)
    with torch.no_grad():
        q_tm1, q_t = (mario.net.q_values(s, "target").double().numpy() for s in (batch.s_tm1, batch.s_t))
    with np.errstate(divide="ignore"):
        log_pi_tm1 = np.log(softmax(q_tm1 / tau))[np.arange(32), batch.a_tm1.numpy()]
    bonus = np.clip(tau * log_pi_tm1, -1, 0)
    pi_t = softmax(q_t / tau)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.nansum(pi_t * (q_t - tau * np.log(pi_t)), axis=1)
    target = batch.r_t.numpy() / 15 + alpha * bonus + batch.discount_t.numpy() * value
    if bins:
        target = target.clip(-3, 9)
    np.testing.assert_allclose((q + td_error).numpy(), target, atol=1e-4)
    assert len(np.unique(bonus.round(6))) > 3 or (bonus == -1).all()
    assert (bonus == -1).all() == (tau == 50), "which is clipped"
    assert not q.requires_grad
    assert not td_error.requires_grad


def test_a_terminal_state_is_worth_nothing_and_its_action_has_the_bonus() -> None:
    mario, batch = make_mario(munchausen=0.9, munchausen_temperature=0.5), random_batch(0)
    batch = batch._replace(discount_t=torch.zeros(32))
    _, q, td_error = double_dqn(mario.net, batch, mario.config)
    bonus = (q + td_error - batch.r_t) / 0.9
    assert (bonus < 0).all()
    with torch.no_grad():
        other = mario.net.q_values(batch.s_tm1, "target").div(0.5).softmax(dim=1)
    torch.testing.assert_close((bonus / 0.5).exp(), other[torch.arange(32), batch.a_tm1], atol=1e-4, rtol=0)


def test_it_widens_the_gap_between_actions() -> None:
    """Of two actions with the same reward, the one that the target network likes less has the lower target."""
    mario, batch = make_mario(munchausen=0.9), random_batch(1)
    batch = batch._replace(r_t=torch.zeros(32), discount_t=torch.zeros(32))
    targets = []
    for action in (0, 1):
        _, q, td_error = double_dqn(mario.net, batch._replace(a_tm1=torch.full((32,), action)), mario.config)
        targets.append(q + td_error)
    with torch.no_grad():
        liked = mario.net.q_values(batch.s_tm1, "target").argmax(dim=1)
    assert torch.equal(torch.stack(targets, dim=1).argmax(dim=1), liked)


def test_it_is_off_by_default() -> None:
    mario, batch = Mario(TrainingConfig(replay_size=100, munchausen_temperature=7.0)), random_batch(0)
    plain = Mario(TrainingConfig(replay_size=100))
    assert all(
        torch.equal(a, b) for a, b in zip(mario.optimizer.update(batch), plain.optimizer.update(batch), strict=True)
    )
