"""Updates computed in bfloat16 do what those in float32 do, but for its rounding."""

from typing import Any

import pytest
import torch

from mario_tui.agent.loss import LossResult
from mario_tui.agent.mario import Mario
from mario_tui.agent.runtime import resolve_precision
from mario_tui.config import TrainingConfig
from test_mario import random_batch, weights_of

SETTINGS = {"network": "small", "centered": True}


def in_both(**settings) -> tuple[Mario, Mario]:
    plain, low = (
        Mario(TrainingConfig(replay_size=100, precision=precision, **settings)) for precision in ("float32", "bfloat16")
    )
    return plain, low


def update(mario: Mario, seed: int) -> LossResult:
    return mario.optimizer.update(random_batch(seed))


def assert_rounded_copies(mario: Mario) -> None:
    for name in ("online", "target"):
        ours, theirs = getattr(mario.learning_net, name), getattr(mario.net, name)
        for low, high in zip(ours[:-1].parameters(), theirs[:-1].parameters(), strict=True):
            assert low.dtype == torch.bfloat16
            assert high.dtype == torch.float32
            assert torch.equal(low, high.bfloat16())
        for low, high in zip(ours[-1].parameters(), theirs[-1].parameters(), strict=True):
            assert low.dtype == torch.float32
            assert torch.equal(low, high)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        SETTINGS,
        {**SETTINGS, "dueling": True},
        {**SETTINGS, "layer_norm": True, "value_bins": 51, "reward_scale": 15.0},
        {**SETTINGS, "layer_norm": True, "value_bins": 51, "reward_scale": 15.0, "dueling": True},
    ],
    ids=["tutorial", "small", "dueling", "bins", "dueling bins"],
)
def test_an_update_equals_one_in_float32_but_for_rounding(settings: dict) -> None:
    plain, low = in_both(**settings)
    before = weights_of(plain.net.online).clone()
    assert torch.equal(before, weights_of(low.net.online))
    (loss, estimate, error), (low_loss, low_estimate, low_error) = update(plain, 0), update(low, 0)
    torch.testing.assert_close(low_loss, loss, rtol=0.01, atol=0)
    torch.testing.assert_close(low_estimate, estimate, rtol=0, atol=0.02)
    torch.testing.assert_close(low_error, error, rtol=0, atol=0.02)
    moved, low_moved = weights_of(plain.net.online) - before, weights_of(low.net.online) - before
    assert torch.cosine_similarity(moved, low_moved, dim=0) > 0.9
    assert_rounded_copies(low)


def test_steps_smaller_than_bfloat16_can_tell_apart_are_kept() -> None:
    mario = in_both(**SETTINGS, learning_rate=1e-6)[1]
    before = mario.net.online[5].weight.clone()
    for _ in range(20):
        update(mario, 0)
    moved = (mario.net.online[5].weight - before).abs()
    assert moved.max() > 1e-5
    assert moved.max() < before.abs().max() / 256
    assert_rounded_copies(mario)


@pytest.mark.parametrize("more", [{}, {"layer_norm": True}, {"value_bins": 51}], ids=str)
def test_it_learns_a_batch_by_heart_as_float32_does(more: dict[str, Any]) -> None:
    losses = []
    for mario in in_both(**SETTINGS, **more, learning_rate=1e-3, reward_scale=15.0):
        values = [float(update(mario, 0).td_error.abs().mean()) for _ in range(40)]
        assert values[-1] < values[0] / 5
        losses.append(values[-1])
    assert abs(losses[0] - losses[1]) < 0.1


def test_the_copies_follow_a_sync_and_a_load() -> None:
    mario = in_both(**SETTINGS)[1]
    for seed in range(3):
        update(mario, seed)
    assert not torch.equal(weights_of(mario.learning_net.online), weights_of(mario.learning_net.target))
    mario.sync_q_target()
    assert torch.equal(weights_of(mario.learning_net.online), weights_of(mario.learning_net.target))
    assert_rounded_copies(mario)
    other = Mario(TrainingConfig(replay_size=100, seed=7, **SETTINGS))
    mario.load_net(other.net.state_dict())
    assert torch.equal(weights_of(mario.net.online), weights_of(other.net.online))
    assert_rounded_copies(mario)


@pytest.mark.parametrize("unit", ["avx512_bf16", "amx_tile"])
def test_auto_means_bfloat16_only_on_a_processor_with_units_for_it(unit: str, monkeypatch) -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert resolve_precision("auto", cpu) == torch.float32, "where PyTorch cannot tell"
    for there, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, f"_is_{unit}_supported", lambda there=there: there, raising=False)
        assert resolve_precision("auto", cpu) == expected
        assert resolve_precision("auto", cuda) == torch.float32
        assert resolve_precision("float32", cpu) == torch.float32
        assert resolve_precision("bfloat16", cuda) == torch.bfloat16


def test_the_settings_default_to_the_tutorials_float32() -> None:
    mario = Mario(TrainingConfig(replay_size=100))
    assert mario.learning_net is mario.net
