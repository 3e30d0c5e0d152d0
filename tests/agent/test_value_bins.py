"""Values learned as histograms: what a target's histogram is, what it teaches, and that it plays as any other head."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from mario_tui.agent.heads import Head, ValueBins
from mario_tui.agent.loss import double_dqn
from mario_tui.agent.mario import Mario
from mario_tui.agent.policy import Policy
from mario_tui.cli import main
from mario_tui.config import TrainingConfig, make_config
from mario_tui.errors import InputError
from test_mario import make_mario, random_batch

SETTINGS: dict[str, Any] = {"network": "small", "value_bins": 51, "reward_scale": 15.0}


def normal_cdf(x: float, mean: float, deviation: float) -> float:
    return 0.5 * math.erfc((mean - x) / (deviation * math.sqrt(2)))


def test_a_histogram_is_the_gaussians_mass_in_each_bin() -> None:
    low, high, count = -0.5, 5.0, 11
    width = (high - low) / count
    values = [-0.5, -0.3, 0.0, 1.23, 4.9, 5.0]
    expected = []
    for value in values:
        mass = [
            normal_cdf(low + (i + 1) * width, value, 0.75 * width) - normal_cdf(low + i * width, value, 0.75 * width)
            for i in range(count)
        ]
        expected.append([one / sum(mass) for one in mass])
    bins = ValueBins(count, low, high)
    histogram = bins.histogram(torch.tensor(values))
    torch.testing.assert_close(histogram, torch.tensor(expected), atol=1e-5, rtol=0)
    assert histogram.dtype == torch.float32


def test_a_histogram_has_the_mean_of_its_target() -> None:
    """But near the ends, where a part of the Gaussian lies outside."""
    bins = ValueBins(51, -0.5, 5.0)
    values = torch.linspace(-0.25, 4.75, 301)
    histogram = bins.histogram(values)
    torch.testing.assert_close(histogram.sum(dim=1), torch.ones(301))
    torch.testing.assert_close(bins.mean(histogram.log()), values, atol=2e-3, rtol=0)
    ends = bins.histogram(torch.tensor([-0.5, 5.0]))
    torch.testing.assert_close(bins.mean(ends.log()), torch.tensor([-0.5, 5.0]), atol=5.5 / 51, rtol=0)


def test_q_is_the_mean_of_the_histogram() -> None:
    head = Head(ValueBins(3, 0.0, 3.0))
    shares = torch.tensor([[[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]])
    torch.testing.assert_close(head.q_values(shares.log()), torch.tensor([[0.2 * 0.5 + 0.3 * 1.5 + 0.5 * 2.5, 0.5]]))


@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_the_loss_is_the_weighted_cross_entropy_of_the_targets_histograms(seed: int, dueling: bool) -> None:
    mario, batch = make_mario(**SETTINGS, dueling=dueling), random_batch(seed)
    batch = batch._replace(weight=torch.rand(32, generator=torch.Generator().manual_seed(3)))
    loss, q, td_error = double_dqn(mario.net, batch, mario.config)
    with torch.no_grad():
        output = mario.net(batch.s_tm1, "online")
        target = mario.td_target(batch.r_t / 15, batch.s_t, batch.discount_t).double().clamp(-0.5, 5.0)
    assert output.shape == (32, 2, 51)
    assert (target == 5).any(), "some lie outside of the range"
    logits = output[torch.arange(32), batch.a_tm1].double().numpy()
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    edges = np.linspace(-0.5, 5.0, 52)
    deviation = 0.75 * 5.5 / 51
    losses, means = [], []
    for share, goal in zip(shares, target.tolist(), strict=True):
        mass = np.diff([normal_cdf(edge, goal, deviation) for edge in edges])
        losses.append(-(mass / mass.sum() * np.log(share)).sum())
        means.append((share * (edges[:-1] + edges[1:]) / 2).sum())
    assert loss.item() == pytest.approx(np.mean(np.array(losses) * batch.weight.numpy()), abs=1e-4)
    torch.testing.assert_close(q, torch.tensor(means, dtype=torch.float32), atol=1e-4, rtol=0)
    torch.testing.assert_close(td_error, target.float() - q, atol=1e-4, rtol=0)
    assert loss.requires_grad
    assert not q.requires_grad


@pytest.mark.parametrize("target", [0.3, 4.4])
def test_a_step_down_the_gradient_moves_the_value_towards_its_target_and_no_other(target: float) -> None:
    head = Head(ValueBins(51, -0.5, 5.0))
    output = torch.zeros((1, 2, 51), requires_grad=True)  # both values are in the middle
    head.losses(output, torch.tensor([1]), torch.tensor([target])).sum().backward()
    assert output.grad is not None
    before, after = head.q_values(output.detach())[0], head.q_values(output.detach() - output.grad)[0]
    assert before.tolist() == pytest.approx([2.25, 2.25])
    assert abs(after[1] - target) < abs(before[1] - target) - 0.01
    assert after[0] == before[0]
    output = head.bins.histogram(torch.tensor([target])).log().expand(1, 2, 51).clone().requires_grad_()
    head.losses(output, torch.tensor([1]), torch.tensor([target])).sum().backward()
    assert output.grad is not None
    assert output.grad.abs().max() < 1e-6, "nothing to learn where the histogram is the target's"


def test_it_learns_the_values_of_a_batch() -> None:
    mario = Mario(TrainingConfig(replay_size=100, **SETTINGS, centered=True, learning_rate=1e-3))
    batch = random_batch(0)
    batch = batch._replace(discount_t=torch.zeros(32))
    for _ in range(60):
        result = mario.optimizer.update(batch)
    torch.testing.assert_close(result.q, (batch.r_t / 15).clamp(-0.5, 5.0), atol=0.2, rtol=0)


@pytest.mark.parametrize("averaged", [0, 20])
def test_acting_and_greedy_play_take_the_larger_mean(averaged: int) -> None:
    mario = make_mario(**SETTINGS, average_updates=averaged, exploration_rate=0, exploration_rate_min=0)
    with torch.no_grad():
        mario.net.online[-1].weight.normal_(std=20, generator=torch.Generator().manual_seed(0))
    states = random_batch(1).s_tm1
    q_values = mario.net.q_values(states, "online")
    assert q_values.shape == (32, 2)
    actions, _ = mario.act(states)
    assert len(set(actions.tolist())) == 2
    assert (actions == q_values.argmax(dim=1).numpy()).all()
    playing = mario.net.q_values(states[:1], "average" if averaged else "online")
    assert Policy(mario.net, "1-1", 0, "a test").q_values(states[0]) == pytest.approx(playing[0].tolist())


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"value_bins": 1}, "value_bins = 1 cannot be used: one bin tells no values apart: it takes 0, or 2 to 1,001"),
        ({"value_bins": 5000}, "value_bins = 5000 cannot be used: it takes a whole number, 0 to 1,001"),
        ({"value_min": 5}, "value_max = 5.0 cannot be used: it has to be more than value_min"),
        ({"value_min": 1, "value_max": -1}, "value_max = -1 cannot be used: it has to be more than value_min"),
        ({"value_max": math.inf}, "value_max = inf cannot be used: it takes a number, -1e+06 to 1e+06"),
    ],
)
def test_bins_that_cannot_be_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        make_config(**values)
    assert str(caught.value) == says


def test_the_command_line_refuses_them_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--value-bins", "51", "--value-min", "6"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "value_max = 5.0 cannot be used: it has to be more than value_min" in line
