"""The replay gives the same transitions as a plain list that stores each one whole."""

from collections import deque
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_tui.agent.loss import Transitions
from mario_tui.agent.replay import PRIORITY_BYTES, ROW_BYTES, Replay
from mario_tui.agent.replay_draw import Draw, unpacked
from mario_tui.errors import InputError

GAMMA = 0.5  # so that sums are exact


class Row(NamedTuple):
    """What a game showed at a tick, and what was done there."""

    state: tuple[int, ...]
    action: int
    reward: float
    terminated: bool
    last: bool


class NaiveReplay:
    """Whole states in a list per game, made as the tutorial makes them, and transitions put together one by one."""

    def __init__(self, envs: int, depth: int) -> None:
        self.rows: list[list[Row]] = [[] for _ in range(envs)]
        self.depth = depth
        self.stacks: list[deque[int]] = [deque(maxlen=depth) for _ in range(envs)]

    def add(self, frames, actions, rewards, terminated, first, last) -> None:
        for env, frame in enumerate(frames):
            self.stacks[env].extend([frame] * (self.depth if first[env] else 1))
            row = Row(tuple(self.stacks[env]), actions[env], rewards[env], terminated[env], bool(last[env]))
            self.rows[env].append(row)

    def transitions(self, oldest: int, n_steps: int) -> list[tuple]:
        """Those that begin at tick `oldest` or later and have n steps behind them, in or after their episode."""
        return [
            self.transition(rows, tick, n_steps)
            for rows in self.rows
            for tick in range(oldest, len(rows) - n_steps)
            if not rows[tick].last
        ]

    @staticmethod
    def transition(rows: list[Row], tick: int, n_steps: int) -> tuple:
        reward, steps = 0.0, 0
        while steps < n_steps and not rows[tick + steps].last:
            reward += GAMMA**steps * rows[tick + steps].reward
            steps += 1
        done = rows[tick + steps - 1].terminated
        discount = 0.0 if done else GAMMA**steps
        return rows[tick].state, rows[tick + steps].state, rows[tick].action, reward, discount


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
        yield frames, actions, rewards, terminated, first, last
        first, last = last, ends


def fill(replay: Replay, naive: NaiveReplay, seed: int, ticks: int, end_chance: float) -> None:
    for frames, actions, rewards, terminated, first, last in play(seed, replay.envs, ticks, end_chance):
        pictures = torch.from_numpy(frames.astype(np.uint8))[:, None, None].expand(-1, 84, 84)
        replay.add(pictures, actions, rewards, terminated, first, last)
        naive.add(frames.tolist(), actions.tolist(), rewards.tolist(), terminated.tolist(), first, last)


def batch_of(replay: Replay, draw: Draw, number: int = 0) -> Transitions:
    """A batch of a draw as the network gets it."""
    return unpacked(draw.to(replay.device)[number], replay.depth, replay.frames)


def as_tuples(batch) -> list[tuple]:
    assert (batch.s_tm1 == batch.s_tm1[..., :1, :1]).all()
    rows = zip(
        batch.s_tm1[:, :, 0, 0].tolist(), batch.s_t[:, :, 0, 0].tolist(), batch.a_tm1.tolist(),
        batch.r_t.tolist(), batch.discount_t.tolist(), strict=True,
    )  # fmt: skip
    return [(tuple(state), tuple(next_state), *rest) for state, next_state, *rest in rows]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    envs=st.integers(1, 3),
    size=st.integers(4, 40),
    depth=st.integers(1, 4),
    n_steps=st.sampled_from([1, 3, 5]),
    alpha=st.sampled_from([0.0, 0.6]),
    ticks=st.integers(1, 80),
    end_chance=st.sampled_from([0.0, 0.05, 0.3, 0.9]),
)
def test_equals_a_list_of_whole_transitions(seed, envs, size, depth, n_steps, alpha, ticks, end_chance) -> None:
    replay = Replay(size, envs=envs, depth=depth, n_steps=n_steps, gamma=GAMMA, alpha=alpha, seed=seed)
    naive = NaiveReplay(envs, depth)
    fill(replay, naive, seed, ticks, end_chance)

    index = replay.sampleable()
    held = as_tuples(replay.transitions_at(index)) if len(index) else []
    oldest = ticks - replay.ticks + depth - 1 if ticks > replay.ticks else 0
    assert sorted(held) == sorted(naive.transitions(oldest, n_steps))
    assert len(replay) == len(held)
    assert replay.ready == bool(held)
    if held:
        draw = replay.draw(3, 5)
        assert draw.index.shape == (3, 5)
        for number in range(3):
            drawn = as_tuples(batch_of(replay, draw, number))
            assert len(drawn) == 5
            assert set(drawn) <= set(held)


@pytest.mark.parametrize("n_steps", [1, 5])
def test_keeps_as_many_transitions_as_asked_when_no_episode_ends(n_steps: int) -> None:
    replay = Replay(50, envs=2, n_steps=n_steps)
    fill(replay, NaiveReplay(2, 4), 0, 200, 0.0)
    assert len(replay) == 50


def test_death_ends_the_sum_and_a_stall_only_cuts_it() -> None:
    """Five rows of a game: rewards 1, 2, 4 and 8, and the final frame; then another episode."""
    for terminated in (True, False):
        replay = Replay(100, n_steps=3, gamma=0.5)
        for tick in range(9):
            frame = torch.full((1, 84, 84), tick, dtype=torch.uint8)
            flags = np.array([tick in (0, 5)]), np.array([tick == 4])
            replay.add(frame, np.array([tick]), np.array([2.0**tick]), np.array([terminated and tick == 3]), *flags)
        batch = replay.transitions_at(np.array([0, 1, 2, 3, 5]))
        assert batch.r_t.tolist() == [1 + 1 + 1, 2 + 2 + 2, 4 + 4, 8, 32 + 32 + 32]
        assert batch.s_t[:, -1, 0, 0].tolist() == [3, 4, 4, 4, 8]
        assert batch.discount_t.tolist() == [0.125, *([0] * 3 if terminated else [0.125, 0.25, 0.5]), 0.125]
        assert batch.weight.tolist() == [1] * 5


def test_every_transition_is_drawn_about_equally_often() -> None:
    replay = Replay(60, envs=2, batch_size=4000, seed=3)
    fill(replay, NaiveReplay(2, 4), 3, 100, 0.2)
    drawn = np.bincount(replay.draw(1, 40_000).index[0], minlength=replay.rows)
    index = replay.sampleable()
    assert drawn.sum() == drawn[index].sum()
    expected = 40_000 / len(index)
    assert drawn[index].min() > expected * 0.8
    assert drawn[index].max() < expected * 1.2


def test_at_most_7300_bytes_a_transition_with_short_episodes() -> None:
    replay = Replay(3000)
    fill(replay, NaiveReplay(1, 4), 1, 3500, 1 / 40)
    columns = (replay._action, replay._reward, replay._terminated, replay._first, replay._last)
    held = replay.frames.nbytes + sum(column.nbytes for column in columns)
    assert held == replay.rows * ROW_BYTES
    assert replay.bytes_per_transition == pytest.approx(held / replay.transitions)
    assert replay.rows * (ROW_BYTES + PRIORITY_BYTES) / replay.transitions <= 7300


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    envs=st.integers(1, 3),
    size=st.integers(4, 20),
    depth=st.integers(1, 4),
    n_steps=st.sampled_from([1, 3, 5]),
    end_chance=st.sampled_from([0.0, 0.3, 0.9]),
)
def test_rows_have_a_chance_as_long_as_they_begin_a_whole_transition(
    seed, envs, size, depth, n_steps, end_chance
) -> None:
    replay = Replay(size, envs=envs, depth=depth, n_steps=n_steps, alpha=0.6, batch_size=8, seed=seed)
    rng = np.random.default_rng(seed)
    for frames, *rest in play(seed, envs, 60, end_chance):
        replay.add(torch.from_numpy(frames.astype(np.uint8))[:, None, None].expand(-1, 84, 84), *rest)
        possible = set(replay.sampleable().tolist())
        assert set(np.flatnonzero(replay.priorities.values).tolist()) == possible
        if replay.ready:
            draw = replay.draw(2)
            assert set(draw.index.reshape(-1).tolist()) <= possible
            replay.update_priorities(draw, torch.from_numpy(rng.exponential(size=(2, 8)).astype(np.float32)))


def test_an_update_of_a_row_that_has_left_does_not_bring_it_back() -> None:
    replay = Replay(20, envs=2, alpha=1.0, batch_size=4)
    naive = NaiveReplay(2, 4)
    fill(replay, naive, 0, 20, 0.0)
    draw = replay.draw()
    blank = np.zeros(2, bool)
    for _ in range(8):
        replay.add(torch.zeros((2, 84, 84), dtype=torch.uint8), np.zeros(2, int), np.zeros(2), blank, blank, blank)
    replay.update_priorities(draw, torch.full((1, 4), 100.0))
    replay.draw()  # which takes note of them
    assert set(np.flatnonzero(replay.priorities.values).tolist()) == set(replay.sampleable().tolist())


@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_state_dict_brings_back_rows_cursor_and_draws(alpha: float) -> None:
    for ticks in (3, 30, 77):
        one, other = (Replay(40, envs=2, n_steps=3, alpha=alpha, seed=seed) for seed in (1, 99))
        naive = NaiveReplay(2, 4)
        fill(one, naive, 5, ticks, 0.1)
        for _ in range(4 if one.ready else 0):
            draw = one.draw(2)
            one.update_priorities(draw, torch.from_numpy(draw.r_t))
        other.load_state_dict(one.state_dict())
        assert len(other) == len(one)
        frame = torch.full((2, 84, 84), 7, dtype=torch.uint8)
        for replay in (one, other):
            for _ in range(50):
                off = np.zeros(2, bool)
                replay.add(frame, np.ones(2, int), np.ones(2), off, off, off)
            for _ in range(3):
                draw = replay.draw()
                replay.update_priorities(draw, torch.from_numpy(draw.r_t))
        ours, theirs = one.draw(2), other.draw(2)
        for number in range(2):
            assert as_tuples(batch_of(one, ours, number)) == as_tuples(batch_of(other, theirs, number))
        assert np.array_equal(ours.index, theirs.index)
        assert np.array_equal(ours.weight, theirs.weight)
        state = other.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in one.state_dict().items())


def test_an_empty_replay_says_so() -> None:
    with pytest.raises(ValueError, match="no whole transition"):
        Replay(100).draw()


def test_a_replay_that_does_not_fit_is_refused_with_both_sizes() -> None:
    with pytest.raises(InputError, match=r"needs 7,0\d\d,\d\d\d\.\d GB and [\d,.]+ GB are available"):
        Replay(10**9 * 1000)
    assert 100_000 * (ROW_BYTES + PRIORITY_BYTES) < 0.75e9


@pytest.mark.parametrize("added", [0, 3, 40, 200, 1000])
def test_a_snapshot_is_of_its_moment_whatever_is_added_later(added: int) -> None:
    replay = Replay(400, envs=2, depth=4)
    nobody = np.zeros(2, dtype=bool)

    def add(number: int) -> None:
        frame = torch.full((2, 84, 84), number % 251, dtype=torch.uint8)
        replay.add(frame, np.zeros(2, dtype=int), np.full(2, number, dtype=np.float32), nobody, nobody, nobody)

    for number in range(300):
        add(number)
    expected = {name: value.clone() for name, value in replay.state_dict().items()}
    state, frames = replay.snapshot()
    blocks = []
    number = 300
    for block in frames.read(70):  # others are added between the blocks
        blocks.append(block)
        for _ in range(added // 3):
            add(number)
            number += 1
    assert torch.equal(torch.cat(blocks).reshape(-1, 84, 84), expected.pop("frame"))
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    assert not frames._preserved, "no frame is kept longer than needed"
    replay.drop_snapshot()


def test_a_snapshot_that_was_dropped_keeps_nothing() -> None:
    replay = Replay(100, envs=1, depth=4)
    nobody = np.zeros(1, dtype=bool)
    _, frames = replay.snapshot()
    replay.drop_snapshot()
    for _ in range(250):
        replay.add(torch.zeros((1, 84, 84), dtype=torch.uint8), np.zeros(1, dtype=int), np.zeros(1), *[nobody] * 3)
    assert not frames._preserved


def test_it_needs_no_semaphore_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_dev_shm(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("_multiprocessing.SemLock", no_dev_shm)
    replay = Replay(6, envs=2, alpha=0.5)
    row = np.zeros(2, dtype=bool)
    for _ in range(20):
        replay.add(torch.zeros((2, 84, 84), dtype=torch.uint8), row, row, row, row, row)
    replay.draw()
    other = Replay(6, envs=2, alpha=0.5)
    other.load_state_dict(replay.state_dict())
    assert len(other) == len(replay) >= 6


def test_a_replay_is_loaded_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU there would be no room for all of it twice."""
    one, other = Replay(9000, envs=3), Replay(9000, envs=3)
    fill(one, NaiveReplay(3, 4), 0, 3100, 0.05)
    sizes = []
    plain = other._storage.set
    monkeypatch.setattr(other._storage, "set", lambda rows, frames: sizes.append(len(frames)) or plain(rows, frames))
    other.load_state_dict(one.state_dict())
    assert sum(sizes) == other.rows > 9000
    assert max(sizes) <= 4096
    assert torch.equal(one.frames, other.frames)


def test_a_snapshot_copies_no_frame_before_it_is_read() -> None:
    replay = Replay(40, envs=2)
    fill(replay, NaiveReplay(2, 4), 0, 30, 0.1)
    _, frames = replay.snapshot()
    assert frames._frames.data_ptr() == replay.frames.data_ptr()


def test_it_is_ready_where_the_rows_of_some_ticks_are_only_history() -> None:
    """As at the beginning of practice: an episode's final row, and those that lead in to the next one."""
    replay = Replay(40, envs=1, depth=4)
    for tick in range(20):
        replay.add(
            frame=torch.zeros((1, 84, 84), dtype=torch.uint8),
            action=np.zeros(1, dtype=np.int64),
            reward=np.zeros(1, dtype=np.float32),
            terminated=np.zeros(1, dtype=bool),
            first=np.array([tick in (0, 11)]),
            last=np.array([10 <= tick < 14]),
        )
        assert replay.ready == (tick > 0)
