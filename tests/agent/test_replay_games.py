"""A replay with another number of games has the same transitions, and none that joins two episodes."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mario_tui.agent.replay import Replay
from test_replay import GAMMA, NaiveReplay, as_tuples, fill, play


def naive_and_cut(naive: NaiveReplay, n_steps: int) -> Counter[tuple]:
    """Every transition that is right: of n steps, or of fewer where its episode was cut."""
    found: Counter[tuple] = Counter()
    for rows in naive.rows:
        for tick, row in enumerate(rows):
            if not row.last:
                longest = min(n_steps, len(rows) - 1 - tick)
                found.update({naive.transition(rows, tick, steps) for steps in range(1, longest + 1)})
    return found


def held_by(replay: Replay) -> list[tuple]:
    index = replay.sampleable()
    return as_tuples(replay.transitions_at(index)) if len(index) else []


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    before=st.integers(1, 5),
    after=st.integers(1, 9),
    size=st.integers(10, 120),
    depth=st.integers(1, 4),
    n_steps=st.sampled_from([1, 3, 5]),
    alpha=st.sampled_from([0.0, 0.6]),
    ticks=st.integers(0, 49),
    end_chance=st.sampled_from([0.0, 0.05, 0.3, 0.9]),
)
def test_all_transitions_are_of_one_episode(
    seed, before, after, size, depth, n_steps, alpha, ticks, end_chance
) -> None:
    assume(before != after)
    settings = {"depth": depth, "n_steps": n_steps, "gamma": GAMMA, "alpha": alpha}
    old, new = (Replay(size, envs=envs, **settings) for envs in (before, after))
    was, then = NaiveReplay(before, depth), NaiveReplay(after, depth)
    fill(old, was, seed, ticks, end_chance)
    new.load_state_dict(old.state_dict(), envs=before)
    assert new.transitions == int((~new._last[: min(new.tick, new.ticks)]).sum())

    right = naive_and_cut(was, n_steps)
    assert not Counter(held_by(new)) - right
    for frames, actions, rewards, terminated, first, last in play(seed + 1, after, 40, end_chance):
        pictures = torch.from_numpy(frames.astype(np.uint8))[:, None, None].expand(-1, 84, 84)
        new.add(pictures, actions, rewards, terminated, first, last)
        then.add(frames.tolist(), actions.tolist(), rewards.tolist(), terminated.tolist(), first, last)
        assert not Counter(held_by(new)) - right - naive_and_cut(then, n_steps)
        if alpha:
            assert new.priorities is not None
            assert set(np.flatnonzero(new.priorities.values)) == set(new.sampleable())


@pytest.mark.parametrize(("before", "after"), [(4, 8), (4, 1), (1, 8), (3, 2), (8, 3)])
@pytest.mark.parametrize("ticks", [60, 5000])
def test_next_to_nothing_is_lost(before: int, after: int, ticks: int) -> None:
    """Of a replay that is being filled, and of one that was written over many times."""
    old, new = (Replay(2000, envs=envs, n_steps=3, gamma=GAMMA) for envs in (before, after))
    fill(old, NaiveReplay(before, 4), 0, ticks // before, 0.02)
    new.load_state_dict(old.state_dict(), envs=before)
    cuts = 4 * after + before  # a row before each cut, and the history after it
    newest = 3 * max(before, after)  # as in any replay, what has no n steps behind it yet
    no_room = 6 * max(before - after, 0)
    assert len(new) >= len(old) - cuts - newest - no_room
    assert len(new) > 0


def test_rows_keep_their_order_and_their_priorities() -> None:
    old, new = (Replay(400, envs=envs, n_steps=1, gamma=GAMMA, alpha=1.0) for envs in (2, 4))
    fill(old, NaiveReplay(2, 4), 3, 100, 0.1)
    index = old.sampleable()
    batch = old.transitions_at(index)
    old.priorities.update(index, np.arange(1, len(index) + 1, dtype=np.float32))
    state = old.state_dict()
    told = dict(zip(as_tuples(batch), old.priorities.values[index], strict=True))
    new.load_state_dict(state, envs=2)
    assert torch.equal(new.state_dict()["generator"], state["generator"])
    index = new.sampleable()
    moved = [told[one] for one in as_tuples(new.transitions_at(index))]
    assert new.priorities is not None
    assert new.priorities.values[index].tolist() == moved
    assert new.priorities.largest == old.priorities.largest
    # the oldest are written over first: within an episode's length, age rises along the ticks
    ages = [state["frame"][:, 0, 0].tolist().index(frame) // 2 for frame in new.frames[: new.tick * 4, 0, 0].tolist()]
    blocks = np.array(ages)[: len(ages) // 40 * 40].reshape(-1, 40).mean(axis=1)
    assert (np.diff(blocks) > 0).all()


@pytest.mark.parametrize(
    "change",
    [
        {"first": torch.zeros(3, dtype=torch.bool)},
        {"priorities": torch.zeros(3)},
        {"priorities": torch.full((1,), float("nan"))},
        {"tick": torch.tensor(10**9)},
    ],
)
def test_a_malformed_state_is_refused(change: dict) -> None:
    old, new = (Replay(100, envs=envs, alpha=0.5) for envs in (2, 3))
    fill(old, NaiveReplay(2, 4), 0, 30, 0.1)
    with pytest.raises(ValueError, match="the replay's"):
        new.load_state_dict(old.state_dict() | change, envs=2)
