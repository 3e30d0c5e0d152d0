"""The replay gives the same transitions as a plain list that stores each one whole."""

from collections import deque

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_tui.agent.replay import ROW_BYTES, Replay
from mario_tui.errors import InputError


class NaiveReplay:
    """Whole transitions in a list per game, made as the tutorial makes them: eight frames each."""

    def __init__(self, envs: int, depth: int) -> None:
        self.transitions: dict[int, tuple] = {}  # by the tick and game they begin at
        self.depth = depth
        self.stacks: list[deque[int]] = [deque(maxlen=depth) for _ in range(envs)]
        self.waiting: list[tuple | None] = [None] * envs

    def add(self, tick, frames, actions, rewards, terminated, first, last) -> None:
        for env, frame in enumerate(frames):
            if first[env]:
                assert self.waiting[env] is None
                self.stacks[env].extend([frame] * self.depth)
            else:
                self.stacks[env].append(frame)
            state = tuple(self.stacks[env])
            if self.waiting[env] is not None:
                began, before, action, reward, done = self.waiting[env]
                self.transitions[began, env] = (before, state, action, reward, done)
            ends = bool(last[env])
            self.waiting[env] = None if ends else (tick, state, actions[env], rewards[env], terminated[env])


def play(seed: int, envs: int, ticks: int, end_chance: float):
    """Random episodes as the trainer feeds them: a final frame has no action, and the next one begins an episode."""
    rng = np.random.default_rng(seed)
    first, last = np.ones(envs, bool), np.zeros(envs, bool)
    for tick in range(ticks):
        frames = (np.arange(envs) + tick * envs) % 251
        actions = rng.integers(0, 7, envs)
        rewards = rng.integers(-15, 16, envs).astype(float)
        ends = (rng.random(envs) < end_chance) & ~last
        terminated = ends & (rng.random(envs) < 0.7)
        yield tick, frames, actions, rewards, terminated, first, last
        first, last = last, ends


def fill(replay: Replay, naive: NaiveReplay, seed: int, ticks: int, end_chance: float) -> None:
    for tick, frames, actions, rewards, terminated, first, last in play(seed, replay.envs, ticks, end_chance):
        pictures = torch.from_numpy(frames.astype(np.uint8))[:, None, None].expand(-1, 84, 84)
        replay.add(pictures, actions, rewards, terminated, first, last)
        naive.add(tick, frames.tolist(), actions.tolist(), rewards.tolist(), terminated.tolist(), first, last)


def as_tuples(batch) -> list[tuple]:
    assert (batch.state == batch.state[..., :1, :1]).all()
    rows = zip(
        batch.state[:, :, 0, 0].tolist(), batch.next_state[:, :, 0, 0].tolist(), batch.action.tolist(),
        batch.reward.tolist(), batch.done.tolist(), strict=True,
    )  # fmt: skip
    return [(tuple(state), tuple(next_state), *rest) for state, next_state, *rest in rows]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    envs=st.integers(1, 3),
    size=st.integers(4, 40),
    depth=st.integers(1, 4),
    ticks=st.integers(1, 80),
    end_chance=st.sampled_from([0.0, 0.05, 0.3, 0.9]),
)
def test_equals_a_list_of_whole_transitions(seed, envs, size, depth, ticks, end_chance) -> None:
    replay = Replay(size, envs=envs, depth=depth, seed=seed)
    naive = NaiveReplay(envs, depth)
    fill(replay, naive, seed, ticks, end_chance)

    index = replay.sampleable()
    held = as_tuples(replay.transitions_at(index)) if len(index) else []
    oldest = ticks - replay.ticks + depth - 1 if ticks > replay.ticks else 0
    expected = {key: value for key, value in naive.transitions.items() if key[0] >= oldest}
    assert sorted(held) == sorted(expected.values())
    assert len(replay) == len(held)
    assert replay.ready == bool(held)
    if held:
        assert set(as_tuples(replay.sample())) <= set(held)


def test_keeps_as_many_transitions_as_asked_when_no_episode_ends() -> None:
    replay = Replay(50, envs=2)
    fill(replay, NaiveReplay(2, 4), 0, 200, 0.0)
    assert len(replay) == 50


def test_every_transition_is_drawn_about_equally_often() -> None:
    replay = Replay(60, envs=2, batch_size=4000, seed=3)
    fill(replay, NaiveReplay(2, 4), 3, 100, 0.2)
    drawn = np.bincount(replay.draw(40_000).numpy(), minlength=replay.rows)
    index = replay.sampleable()
    assert drawn.sum() == drawn[index].sum()
    expected = 40_000 / len(index)
    assert drawn[index].min() > expected * 0.8
    assert drawn[index].max() < expected * 1.2


def test_at_most_7300_bytes_a_transition_with_short_episodes() -> None:
    replay = Replay(3000)
    fill(replay, NaiveReplay(1, 4), 1, 3500, 1 / 40)
    storage = replay._buffer.storage.get(slice(None))
    stored = sum(tensor.numel() * tensor.element_size() for tensor in storage.values())
    assert stored == replay.rows * ROW_BYTES
    assert stored / replay.transitions <= 7300
    assert replay.bytes_per_transition == pytest.approx(stored / replay.transitions)


def test_state_dict_brings_back_rows_cursor_and_draws() -> None:
    for ticks in (3, 30, 77):
        one, other = Replay(40, envs=2, seed=1), Replay(40, envs=2, seed=99)
        naive = NaiveReplay(2, 4)
        fill(one, naive, 5, ticks, 0.1)
        if one.ready:
            one.sample()
        other.load_state_dict(one.state_dict())
        assert len(other) == len(one)
        frame = torch.full((2, 84, 84), 7, dtype=torch.uint8)
        for replay in (one, other):
            for _ in range(50):
                off = np.zeros(2, bool)
                replay.add(frame, np.ones(2, int), np.ones(2), off, off, off)
        assert as_tuples(one.sample()) == as_tuples(other.sample())


def test_an_empty_replay_says_so() -> None:
    with pytest.raises(ValueError, match="no whole transition"):
        Replay(100).sample()


def test_a_replay_that_does_not_fit_is_refused_with_both_sizes() -> None:
    with pytest.raises(InputError, match=r"needs 7,0\d\d,\d\d\d\.\d GB and [\d,.]+ GB are available"):
        Replay(10**9 * 1000)
    assert 100_000 * ROW_BYTES < 0.75e9
