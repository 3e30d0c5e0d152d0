"""Observations are shifted at random while learning, all frames of one alike, and the drawn buttons stay."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mario_tui.agent import shift
from mario_tui.agent.loss import LossResult, Transitions
from mario_tui.agent.mario import Mario
from mario_tui.agent.network import MarioNet
from mario_tui.agent.replay_draw import unpacked
from mario_tui.config import TrainingConfig
from test_mario import fill_memory


def observations(count: int, depth: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, depth, 84, 84), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("way", [shift.shifted, shift._by_slices, shift._by_index])
@pytest.mark.parametrize("still", [0, 12])
@pytest.mark.parametrize("most", [1, 4, 20])
def test_a_shift_is_a_crop_of_the_padded_picture(way: Callable[..., Tensor], still: int, most: int) -> None:
    rng = np.random.default_rng(most)
    offsets = np.concatenate(
        [
            rng.integers(-most, most, (6, 2), endpoint=True),
            [[0, 0], [most, most], [-most, -most], [-most, most], [0, most], [-most, 0]],
        ]
    ).astype(np.int32)
    seen = observations(len(offsets))
    before = seen.clone()
    moved = way(seen, torch.from_numpy(offsets), still)
    assert moved.shape == seen.shape
    assert moved.dtype == torch.uint8
    assert torch.equal(seen, before), "what was given is not written to"
    for picture, result, (rows, columns) in zip(seen.numpy(), moved.numpy(), offsets, strict=True):
        assert (result[:, :still] == picture[:, :still]).all()
        padded = np.pad(picture[:, still:], ((0, 0), (most, most), (most, most)), mode="edge")
        top, left = most + rows, most + columns
        assert (result[:, still:] == padded[:, top : top + 84 - still, left : left + 84]).all()


def learned_from(**settings: Any) -> tuple[Mario, list[Transitions]]:
    """A Mario, and the batches that it learns from in five times two updates."""
    mario = Mario(TrainingConfig(replay_size=100, network="small", batch_size=16, n_steps=3, **settings))
    fill_memory(mario, 60)
    batches = []
    update = mario.optimizer.update

    def watched(batch: Transitions, besides: Callable[[MarioNet], Tensor] | None = None) -> LossResult:
        batches.append(batch)
        return update(batch, besides)

    mario.optimizer.update = watched  # type: ignore[method-assign]
    for _ in range(5):
        mario.update(2)
    return mario, batches


def offset_of(moved: Tensor, picture: Tensor, still: int) -> tuple[int, int]:
    """By how much a frame was shifted: random pixels are alike at one place only."""
    inner = picture[still + 20 : -20, 20:-20]
    found = [
        (y, x)
        for y in range(-5, 6)
        for x in range(-5, 6)
        if torch.equal(moved[still + 20 - y : 64 - y, 20 - x : 64 - x], inner)
    ]
    (one,) = found
    return one


@pytest.mark.parametrize("show_buttons", [False, True])
def test_both_states_are_shifted_by_offsets_of_their_own(show_buttons: bool) -> None:
    still = 12 if show_buttons else 0
    _, plain = learned_from(show_buttons=show_buttons)
    _, moved = learned_from(show_buttons=show_buttons, shift=3)
    offsets = []
    for before, after in zip(plain, moved, strict=True):
        for name in ("a_tm1", "r_t", "discount_t", "weight"):
            assert torch.equal(getattr(before, name), getattr(after, name))
        for name in ("s_tm1", "s_t"):
            for picture, result in zip(getattr(before, name), getattr(after, name), strict=True):
                (offset,) = {offset_of(*frames, still) for frames in zip(result, picture, strict=True)}
                offsets.append(offset)
                assert torch.equal(result[:, :still], picture[:, :still])
    assert {y for y, _ in offsets} == {x for _, x in offsets} == set(range(-3, 4))
    pairs = np.array(offsets).reshape(10, 2, 16, 2)
    assert (pairs[:, 0] != pairs[:, 1]).any(axis=-1).mean() > 0.8, "s_tm1 and s_t"
    assert len({tuple(one.ravel()) for one in pairs}) == 10, "each batch has others"


def test_the_shifts_go_on_with_the_random_state() -> None:
    mario, _ = learned_from(shift=4)
    draw = mario.recall(2)
    state = mario.state_dict()
    ahead = [mario._shifts(draw) for _ in range(3)]
    other = Mario(mario.config)
    other.load_state_dict(state)
    assert all((one == other._shifts(draw)).all() for one in ahead)


def test_without_a_shift_nothing_is_drawn_and_nothing_more_travels() -> None:
    mario, _ = learned_from()
    before = Mario(mario.config).state_dict()["rng"]
    assert mario.state_dict()["rng"] == before
    draw = mario.recall()
    (row,) = draw.to(mario.device)
    assert len(row) == 16 * (2 * 4 + 4)
    (longer,) = draw.to(mario.device, np.zeros((1, 2, 16, 2), dtype=np.int32))
    plain, unmoved = unpacked(row, 4, mario.memory.frames), unpacked(longer, 4, mario.memory.frames, still=0)
    assert all(torch.equal(a, b) for a, b in zip(plain, unmoved, strict=True))
