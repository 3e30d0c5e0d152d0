"""Demonstrations are kept whole, and a share of every batch comes from them."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_tui.agent.demo_replay import DemonstrationRows, Demonstrations
from mario_tui.agent.replay import Replay
from mario_tui.agent.replay_draw import DEMONSTRATED, OWN, unpacked
from test_replay import GAMMA, NaiveReplay, as_tuples, batch_of, fill, play


def rows_of(seed: int, ticks: int, end_chance: float, left_out: float = 0.3) -> tuple[DemonstrationRows, NaiveReplay]:
    """Random games, one after the other, and the same in a list that stores whole transitions."""
    naive = NaiveReplay(1, 4)
    rng = np.random.default_rng(seed)
    columns: list[list[Any]] = [[] for _ in range(6)]
    for tick, row in enumerate(play(seed, 1, ticks, end_chance)):
        frames, actions, rewards, terminated, first, last = row
        if tick == ticks - 1:
            last, terminated = np.array([not first[0]]), np.array([False])
        naive.add(frames.tolist(), actions.tolist(), rewards.tolist(), terminated.tolist(), first, last)
        for column, value in zip(columns, (frames, actions, rewards, terminated, first, last), strict=True):
            column.append(value[0])
    frame, action, reward, terminated, first, last = (np.array(column) for column in columns)
    usable = ~last & (rng.random(ticks) >= left_out)
    usable[0] = True
    pictures = torch.from_numpy(frame.astype(np.uint8))[:, None, None].expand(-1, 84, 84)
    return DemonstrationRows(pictures, action, reward, terminated, first, last, usable), naive


def demonstrations(seed: int = 0, ticks: int = 60, **changes: Any) -> Demonstrations:
    rows, _ = rows_of(seed, ticks, 0.1)
    return Demonstrations(rows, **{"share": 0.25, "batch_size": 8, "gamma": GAMMA, **changes})


def own(alpha: float = 0.0, **changes: Any) -> Replay:
    replay = Replay(50, **{"envs": 2, "batch_size": 8, "gamma": GAMMA, "alpha": alpha, **changes})
    fill(replay, NaiveReplay(2, 4), 7, 60, 0.1)
    return replay


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    ticks=st.integers(3, 60),
    n_steps=st.sampled_from([1, 3, 5]),
    alpha=st.sampled_from([0.0, 0.6]),
    end_chance=st.sampled_from([0.0, 0.05, 0.3]),
)
def test_holds_every_usable_transition_to_the_last_and_no_other(seed, ticks, n_steps, alpha, end_chance) -> None:
    rows, naive = rows_of(seed, ticks, end_chance)
    if rows.last[-2]:  # the last row would be a game of no step
        return
    shown = Demonstrations(rows, share=0.5, n_steps=n_steps, gamma=GAMMA, alpha=alpha, batch_size=400)
    usable = np.flatnonzero(rows.usable)
    whole = [naive.transition(naive.rows[0], tick, n_steps) for tick in usable.tolist()]
    index = shown.sampleable()
    assert index.tolist() == usable.tolist()
    assert as_tuples(shown.transitions_at(index)) == whole
    assert len(shown) == shown.transitions == len(usable)
    draw = shown.draw()
    assert set(as_tuples(batch_of(shown, draw))) <= set(whole)
    assert set(draw.index[0].tolist()) <= set(usable.tolist())


def test_every_usable_transition_is_drawn_about_equally_often() -> None:
    shown = demonstrations(ticks=80)
    drawn = np.bincount(shown.draw(1, 40_000).index[0], minlength=shown.rows)
    index = shown.sampleable()
    assert 20 < len(index) < 70
    assert drawn.sum() == drawn[index].sum()
    assert drawn[index].min() > 40_000 / len(index) * 0.8
    assert drawn[index].max() < 40_000 / len(index) * 1.2


@pytest.mark.parametrize("alpha", [0.0, 0.6])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.3, 0.01, 1.0])
def test_the_share_of_a_batch_is_right_on_average_and_never_off_by_one_transition(share: float, alpha: float) -> None:
    shown, replay = demonstrations(share=share, alpha=alpha), own(alpha)
    counts = []
    draw = shown.draw_with(replay, 500)
    packed = draw.to(torch.device("cpu"))
    for batch, index, source in zip(packed, draw.index, draw.source, strict=True):
        assert len(source) == 8
        theirs = source == DEMONSTRATED
        assert ((source == OWN) | theirs).all()
        assert set(index[theirs].tolist()) <= set(shown.sampleable().tolist())
        assert set(index[~theirs].tolist()) <= set(replay.sampleable().tolist())
        assert abs(int(theirs.sum()) - 8 * share) < 1
        learned = as_tuples(unpacked(batch, 4, replay.frames, shown.frames))
        for number, replay_of_it in ((OWN, replay), (DEMONSTRATED, shown)):
            part = source == number
            expected = as_tuples(replay_of_it.transitions_at(index[part])) if part.any() else []
            assert [one for one, mine in zip(learned, part, strict=True) if mine] == expected
        counts.append(int(theirs.sum()))
    assert np.mean(counts) == pytest.approx(8 * share, abs=0.08)


def test_with_priorities_weights_make_up_for_the_chances_within_each_of_the_two() -> None:
    shown, replay = demonstrations(alpha=0.7, share=0.5), own(0.7)
    rng = np.random.default_rng(0)
    for one in (shown, replay):
        index = one.sampleable()
        one.priorities.update(index, rng.exponential(5, len(index)).astype(np.float32))
    draw = shown.draw_with(replay)
    expected = []
    for row, source in zip(draw.index[0].tolist(), draw.source[0].tolist(), strict=True):
        values = (shown if source == DEMONSTRATED else replay).priorities.values
        chances = values[values > 0] / values.sum()
        chance = values[row] / values.sum()
        expected.append((len(chances) * chance) ** -0.4)
    np.testing.assert_allclose(draw.weight[0], np.array(expected) / max(expected), rtol=1e-4)
    assert draw.weight.dtype == np.float32


def test_errors_go_to_the_rows_that_they_are_of() -> None:
    shown, replay = demonstrations(alpha=1.0, share=0.5), own(1.0)
    draw = shown.draw_with(replay, 2)
    errors = torch.arange(1.0, 17.0).view(2, 8)
    for one in (shown, replay):
        one.update_priorities(draw, errors)
    shown.state_dict(), replay.state_dict()  # which take note of them
    for one, part in ((replay, slice(0, 4)), (shown, slice(4, 8))):
        noted = dict(zip(draw.index[:, part].ravel().tolist(), errors[:, part].ravel().tolist(), strict=True))
        for row, error in noted.items():
            assert one.priorities.values[row] == pytest.approx(error, abs=2e-3)
        assert set(np.flatnonzero(one.priorities.values).tolist()) == set(one.sampleable().tolist())


@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_state_dict_brings_back_the_draws(alpha: float) -> None:
    one, other = (demonstrations(alpha=alpha, seed=4), demonstrations(alpha=alpha, seed=4))
    mine, theirs = own(alpha), own(alpha)

    def train(shown: Demonstrations, replay: Replay) -> list[np.ndarray]:
        drawn = []
        for _ in range(5):
            draw = shown.draw_with(replay, 2)
            for replay_of_it in (shown, replay):
                replay_of_it.update_priorities(draw, torch.from_numpy(draw.r_t))
            drawn += [draw.index, draw.weight, draw.source]
        return drawn

    train(one, mine)
    other.load_state_dict(one.state_dict())
    theirs.load_state_dict(mine.state_dict())
    ours, resumed = train(one, mine), train(other, theirs)
    assert all(np.array_equal(a, b) for a, b in zip(ours, resumed, strict=True))
