"""The replay: every frame is stored once, and states are put together when they are sampled.

A transition of the naive kind holds eight frames, and seven of them stand in its neighbours too. Here each row holds
the frame an agent saw, what it did there and what came of it; the state of a row is that frame with the ones before.

Rows come in ticks: at every tick each of the `envs` games adds one row, so the row before row `i` in the same game is
`i - envs`. An episode's final frame is a row too (`last`): no action was taken in it, it is there to be the next state
of the row before. The storage, its cursor and the sampling protocol are torchrl's.

With n-step returns (Sutton 1988, Learning to Predict by the Methods of Temporal Differences) a sample's reward is the
discounted sum of the next n rewards, and its next state the one n steps on, or the episode's final one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor
from torchrl._torchrl import SumSegmentTreeFp32
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers.samplers import Sampler

from mario_tui.agent.spec import FRAME_SHAPE
from mario_tui.errors import InputError
from mario_tui.system import free_memory

logging.getLogger("torchrl").setLevel(logging.WARNING)  # it announces every storage it makes, on the terminal

# frame, action, reward, terminated, first, last, and the index that torchrl adds
STORED_BYTES = FRAME_SHAPE[0] * FRAME_SHAPE[1] + 1 + 4 + 1 + 1 + 1 + 8
# and the mirrors of reward, terminated, first and last, in which sampling looks rows up
ROW_BYTES = STORED_BYTES + 4 + 1 + 1 + 1
# a row's priority, and its part of a sum tree of at most four times as many nodes
PRIORITY_BYTES = 4 + 4 * 4

OWN, DEMONSTRATED = 0, 1
"""Whose a transition is: the agent's, or from a game that it was shown."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Transitions, as the update takes them: s_tm1, a_tm1, r_t, s_t in the usual notation.

    state, next_state: (B, depth, 84, 84) uint8; action: (B,) int64; reward: (B,) float32, a discounted sum of up to n;
    done: (B,) bool, whether the next state is terminal, so that nothing can be expected after it; discount: (B,)
    float32, what the next state's value counts, gamma to the power of the steps between the two states; index: (B,)
    int64 on the CPU, the rows they begin in; weight: (B,) float32, what each counts in the loss; source: (B,) uint8 on
    the CPU, whose they are: OWN or DEMONSTRATED.
    """

    state: Tensor
    next_state: Tensor
    action: Tensor
    reward: Tensor
    done: Tensor
    discount: Tensor
    index: Tensor
    weight: Tensor
    source: Tensor

    def __getitem__(self, part: slice) -> Batch:
        """A part of the transitions."""
        return Batch(*(getattr(self, field.name)[part] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """The transitions of several batches, one after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))


class Priorities:
    """What chance each row has of being drawn: prioritised replay (Schaul et al. 2016, Prioritized Experience Replay).

    A row's chance is proportional to |TD error| ** alpha, and what it counts in the loss to (rows x chance) ** -beta,
    the largest of a batch being 1. The sum tree is torchrl's.

    Args:
        rows: how many there are.
        alpha: exponent of the TD error, more than 0.
        beta: exponent of the correction.
    """

    _SMALLEST = 1e-3  # |TD error| added to every row's, so that none is never drawn again

    def __init__(self, rows: int, alpha: float, beta: float) -> None:
        self.rows, self.alpha, self.beta = rows, alpha, beta
        self.values = np.zeros(rows, dtype=np.float32)  # |TD error| ** alpha
        self.largest = np.float32(1.0)  # of all so far: what a new row gets
        self._tree = SumSegmentTreeFp32(rows)

    def enter(self, rows: np.ndarray) -> None:
        """Makes rows as likely as the likeliest so far."""
        self._set(rows, np.full(len(rows), self.largest, dtype=np.float32))

    def leave(self, rows: np.ndarray) -> None:
        """Makes rows impossible to draw."""
        self._set(rows, np.zeros(len(rows), dtype=np.float32))

    def update(self, rows: np.ndarray, td_errors: np.ndarray) -> None:
        """Takes note of the TD errors, (B,) float32, that rows were found to have."""
        values = ((np.abs(td_errors) + self._SMALLEST) ** self.alpha).astype(np.float32)
        self.largest = max(self.largest, values.max())
        still_there = self.values[rows] > 0
        self._set(rows[still_there], values[still_there])

    def draw(self, batch_size: int, generator: torch.Generator) -> np.ndarray:
        """Rows by their chances, one from each of `batch_size` equal parts of the sum: (B,) int64."""
        total = self._tree.query(0, self.rows)
        part = torch.rand(batch_size, generator=generator, dtype=torch.float64) + torch.arange(batch_size)
        index = self._tree.scan_lower_bound((part * (total / batch_size)).float().numpy())
        rows = np.minimum(np.asarray(index, dtype=np.int64), self.rows - 1)
        missed = self.values[rows] == 0  # by rounding: the nearest row with a chance takes its place
        if missed.any():
            possible = np.flatnonzero(self.values)
            rows[missed] = possible[np.searchsorted(possible, rows[missed]).clip(max=len(possible) - 1)]
        return rows

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """What drawn rows count in the loss: (B,) float32."""
        weights = self.values[rows] ** -self.beta
        return np.asarray(weights / weights.max(), dtype=np.float32)

    def oversampling(self, rows: np.ndarray) -> np.ndarray:
        """How many times as likely rows are to be drawn as they would be if all were alike: (B,) float32."""
        mean = self._tree.query(0, self.rows) / np.count_nonzero(self.values)
        return np.asarray(self.values[rows] / mean, dtype=np.float32)

    def load(self, values: np.ndarray, largest: float) -> None:
        """Takes up the `values` and `largest` of an earlier one."""
        self.largest = np.float32(largest)
        self._set(np.arange(self.rows), np.asarray(values, dtype=np.float32))

    def _set(self, rows: np.ndarray, values: np.ndarray) -> None:
        if len(rows):
            self.values[rows] = values
            self._tree[rows] = values


class FrameSnapshot:
    """The frames that a replay holds at one moment, for another thread to read while the replay goes on.

    They are not copied: a frame is only when the replay is about to write over it and it was not read yet.

    Args:
        frames: (ticks, E, 84, 84) uint8 on the CPU.
    """

    _TICKS_AT_ONCE = 64  # copied in one go, in which the replay may have to wait

    def __init__(self, frames: Tensor) -> None:
        self._frames = frames
        self._kept: dict[int, Tensor] = {}
        self._read = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Ticks."""
        return len(self._frames)

    def keep(self, tick: int) -> None:
        """Called by the replay before it writes over a tick."""
        with self._lock:
            if self._read <= tick < len(self._frames) and tick not in self._kept:  # the second time it is not the same
                self._kept[tick] = self._frames[tick].clone()

    def read(self, ticks: int) -> Iterator[Tensor]:
        """The frames as they were, once, in blocks of that many ticks: (ticks, E, 84, 84) uint8, copies."""
        for start in range(0, len(self), ticks):
            block = torch.empty_like(self._frames[start : start + ticks])
            for first in range(0, len(block), self._TICKS_AT_ONCE):
                part = block[first : first + self._TICKS_AT_ONCE]
                with self._lock:
                    part.copy_(self._frames[self._read : self._read + len(part)])
                    for tick in range(self._read, self._read + len(part)):
                        if tick in self._kept:
                            part[tick - self._read] = self._kept.pop(tick)
                    self._read += len(part)
            yield block

    def close(self) -> None:
        """Nothing is read any more."""
        with self._lock:
            self._read = len(self._frames)
            self._kept.clear()


class _TransitionSampler(Sampler):
    """Draws rows that begin a whole transition, with a generator of its own."""

    def __init__(self, replay: Replay) -> None:
        super().__init__()
        self._replay = replay

    def sample(self, storage: Any, batch_size: int) -> tuple[Tensor, dict]:
        return self._replay.draw(batch_size), {}

    def _empty(self) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass

    def dumps(self, path: Any) -> None:
        raise NotImplementedError("the replay is saved by its state_dict")

    def loads(self, path: Any) -> None:
        raise NotImplementedError("the replay is loaded by its state_dict")


class Replay:
    """The most recent transitions of `envs` games, sampled uniformly or by priority.

    Args:
        size: rows to keep, over all games; each takes ROW_BYTES bytes, and PRIORITY_BYTES more with priorities.
        envs: games that add a row at each tick.
        depth: frames in a state.
        device: where rows are kept.
        batch_size: transitions in a sample.
        n_steps: rewards that a sample sums.
        gamma: discount factor of that sum.
        alpha, beta: exponents of prioritised replay, see Priorities; alpha 0 samples uniformly.
        seed: of the sampling.

    Raises:
        InputError: the rows cannot fit into the memory that is available.
    """

    source = OWN

    def __init__(
        self,
        size: int,
        *,
        envs: int = 1,
        depth: int = 4,
        batch_size: int = 32,
        n_steps: int = 1,
        gamma: float = 0.9,
        alpha: float = 0.0,
        beta: float = 0.4,
        device: torch.device | str = "cpu",
        seed: int = 0,
    ) -> None:
        self.envs = envs
        self.depth = depth
        self.batch_size = batch_size
        self.n_steps = n_steps
        self._powers = (gamma ** np.arange(n_steps + 1)).astype(np.float32)
        self.device = torch.device(device)
        # the oldest rows lack their history and the newest their next state, so a few ticks come on top
        self.ticks = max(-(-size // envs), 1) + depth + n_steps - 1
        self.rows = self.ticks * envs
        self.row_bytes = ROW_BYTES + (PRIORITY_BYTES if alpha else 0)
        self._check_memory(size)
        self.tick = 0  # ticks added so far
        self.transitions = 0  # rows in the storage that begin a transition
        self._generator = torch.Generator().manual_seed(seed)
        self._buffer = TensorDictReplayBuffer(
            storage=LazyTensorStorage(self.rows, device=self.device),
            sampler=_TransitionSampler(self),
            batch_size=batch_size,
        )
        # small mirrors, so that sampling looks rows up without going through the storage or the device
        self._first = np.zeros((self.ticks, envs), dtype=bool)
        self._last = np.zeros((self.ticks, envs), dtype=bool)
        self._reward = np.zeros((self.ticks, envs), dtype=np.float32)
        self._terminated = np.zeros((self.ticks, envs), dtype=bool)
        self.priorities = Priorities(self.rows, alpha, beta) if alpha else None
        self._unnoted: tuple[np.ndarray, Tensor] | None = None  # rows and TD errors of the last update
        self._snapshot: FrameSnapshot | None = None

    def _check_memory(self, size: int) -> None:
        on_gpu = self.device.type == "cuda"
        available = torch.cuda.mem_get_info(self.device)[0] if on_gpu else free_memory.free_bytes()
        if self.rows * self.row_bytes > available:
            raise InputError(
                f"a replay of {size:,} transitions needs {self.rows * self.row_bytes / 1e9:,.1f} GB and "
                f"{available / 1e9:,.1f} GB are available: choose a smaller replay_size"
            )

    def __len__(self) -> int:
        """Transitions that can be sampled now."""
        return int(self._sampleable().sum())

    @property
    def bytes_per_transition(self) -> float:
        """Bytes of storage in use for each transition held."""
        return (self.rows * self.row_bytes - self.missing_bytes) / max(self.transitions, 1)

    @property
    def missing_bytes(self) -> int:
        """Bytes of storage that will be in use besides when it is full."""
        return (self.rows - min(self.tick, self.ticks) * self.envs) * self.row_bytes

    def add(
        self,
        frame: Tensor,
        action: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        first: np.ndarray,
        last: np.ndarray,
    ) -> None:
        """Adds one row for each game.

        Args:
            frame: (E, 84, 84) uint8, what the agent saw.
            action: (E,) int, what it did there (ignored in final rows).
            reward: (E,) float, what it got for it.
            terminated: (E,) bool, whether the episode ended by it, in death or at the flag.
            first: (E,) bool, whether the frame begins an episode.
            last: (E,) bool, whether the frame is an episode's final one, in which nothing was done.
        """
        if self.tick == 0:  # in the middle of episodes, where a run goes on without its replay: there is no row before
            first = np.ones_like(first)
        self._note_priorities()
        slot = self.tick % self.ticks
        if self.tick >= self.ticks:
            self.transitions -= int((~self._last[slot]).sum())
            if self._snapshot:
                self._snapshot.keep(slot)
        self._first[slot] = first
        self._last[slot] = last
        self._reward[slot] = reward
        self._terminated[slot] = terminated
        self.transitions += int((~self._last[slot]).sum())
        self._buffer.extend(
            TensorDict(
                {
                    "frame": frame,
                    "action": torch.as_tensor(action, dtype=torch.uint8),
                    "reward": torch.as_tensor(reward, dtype=torch.float32),
                    "terminated": torch.as_tensor(terminated),
                    "first": torch.as_tensor(first),
                    "last": torch.as_tensor(last),
                },
                batch_size=[self.envs],
                device=self.device,
            )
        )
        low, _ = self._sampling_range()
        self.tick += 1
        if self.priorities:
            self._move_priorities(low)

    def _move_priorities(self, low_before: int) -> None:
        """After a tick was added: the ticks that can no longer be sampled leave, the one that can now enters."""
        low, high = self._sampling_range()
        assert self.priorities
        for tick in range(low_before, low):
            self.priorities.leave(self._tick_rows(tick))
        if high:
            rows = self._tick_rows(high - 1)
            self.priorities.enter(rows[~self._last.reshape(-1)[rows]])

    def _tick_rows(self, tick: int) -> np.ndarray:
        return tick % self.ticks * self.envs + np.arange(self.envs)

    def sample(self, batch_size: int | None = None) -> Batch:
        """So many transitions, a batch by default, with replacement; raises ValueError where there is none yet."""
        if not self.ready:
            raise ValueError("the replay holds no whole transition yet")
        if batch_size is not None:  # torchrl would warn of another size than its own
            return self.transitions_at(self.draw(batch_size).numpy())
        rows = self._buffer.sample()
        return self._assemble(rows["index"].cpu().numpy(), rows)

    def transitions_at(self, index: np.ndarray) -> Batch:
        """The transitions that begin at these rows of the storage (see `sampleable`)."""
        return self._assemble(index, self._buffer[torch.as_tensor(index)])

    def sampleable(self) -> np.ndarray:
        """The rows that begin a whole transition, the oldest tick first."""
        order = np.arange(max(self.tick - self.ticks, 0), self.tick)
        ticks, envs = np.nonzero(self._sampleable())
        return (order[ticks] % self.ticks) * self.envs + envs

    def draw(self, batch_size: int) -> Tensor:
        """Rows of `batch_size` transitions; final frames, being no transitions, are drawn again."""
        if self.priorities:
            self._note_priorities()
            return torch.from_numpy(self.priorities.draw(batch_size, self._generator))
        low, high = self._sampling_range()
        index = np.empty(batch_size, dtype=np.int64)
        missing = np.arange(batch_size)
        while len(missing):
            drawn = torch.randint(low * self.envs, high * self.envs, (len(missing),), generator=self._generator)
            index[missing] = drawn.numpy() % self.rows
            missing = missing[self._last.reshape(-1)[index[missing]]]
        return torch.from_numpy(index)

    def _sampling_range(self) -> tuple[int, int]:
        """The ticks that transitions can begin at: the newest have no next state, the oldest lack their history."""
        oldest = self.tick - self.ticks + self.depth - 1 if self.tick > self.ticks else 0
        return oldest, max(self.tick - self.n_steps, 0)

    @property
    def ready(self) -> bool:
        """Whether there is a transition to sample."""
        low, high = self._sampling_range()
        # looking at two ticks is enough, since no game has a final frame at both
        return any(not self._last[tick % self.ticks].all() for tick in range(max(low, high - 2), high))

    def _sampleable(self) -> np.ndarray:
        """(ticks held, envs) bool, the oldest tick first."""
        low, high = self._sampling_range()
        order = np.arange(max(self.tick - self.ticks, 0), self.tick)
        return ~self._last[order % self.ticks] & ((order >= low) & (order < high))[:, None]

    def _assemble(self, index: np.ndarray, rows: TensorDict) -> Batch:
        """The transitions that begin in the rows at `index`: (B,) int64."""
        last, rewards, terminated = (mirror.reshape(-1) for mirror in (self._last, self._reward, self._terminated))
        row, going_on = index, np.ones(len(index), dtype=bool)
        reward = np.zeros(len(index), dtype=np.float32)
        done = np.zeros(len(index), dtype=bool)
        steps = np.zeros(len(index), dtype=np.int64)
        for power in self._powers[:-1]:
            reward += power * rewards[row] * going_on
            done |= terminated[row] & going_on
            steps += going_on
            row = np.where(going_on, (row + self.envs) % self.rows, row)
            going_on &= ~last[row]
        stacks = torch.from_numpy(np.concatenate((self._stack_rows(index), self._stack_rows(row))))
        frames = self._frames().index_select(0, stacks.reshape(-1).to(self.device))
        states = frames.reshape(2, len(index), self.depth, *FRAME_SHAPE)
        return Batch(
            state=states[0],
            next_state=states[1],
            action=rows["action"].long(),
            reward=torch.from_numpy(reward).to(self.device),
            done=torch.from_numpy(done).to(self.device),
            discount=torch.from_numpy(self._powers[steps]).to(self.device),
            index=torch.from_numpy(index),
            weight=self._weights(index),
            source=torch.full((len(index),), self.source, dtype=torch.uint8),
        )

    def _weights(self, index: np.ndarray) -> Tensor:
        if not self.priorities:
            return torch.ones(len(index), device=self.device)
        return torch.from_numpy(self.priorities.weights(index)).to(self.device)

    def update_priorities(self, batch: Batch, td_errors: Tensor) -> None:
        """Makes the transitions of a batch the likelier the larger their TD errors, (B,) float32, were.

        Done when the priorities are needed next, since reading the errors waits for the device.
        """
        if self.priorities:
            self._note_priorities()
            self._unnoted = (batch.index.numpy(), td_errors.detach())

    def _note_priorities(self) -> None:
        if self.priorities and self._unnoted:
            index, td_errors = self._unnoted
            self._unnoted = None
            self.priorities.update(index, td_errors.cpu().numpy())

    def _stack_rows(self, index: np.ndarray) -> np.ndarray:
        """The rows whose frames make up the states at `index`: (B,) -> (B, depth) int64, the oldest first."""
        first = self._first.reshape(-1)
        stack = np.empty((len(index), self.depth), dtype=np.int64)
        stack[:, -1] = index
        for k in range(self.depth - 2, -1, -1):
            newer = stack[:, k + 1]
            stack[:, k] = np.where(first[newer], newer, (newer - self.envs) % self.rows)
        return stack

    def _frames(self) -> Tensor:
        frames: Tensor = self._buffer.storage.get(slice(None)).get("frame")
        return frames

    def state_dict(self) -> dict[str, Any]:
        """What is held, in tensors of the filled rows (`frame` is (N, 84, 84) uint8), and the random state."""
        held = min(self.tick, self.ticks) * self.envs
        rows = self._buffer.storage.get(slice(0, held)) if held else TensorDict({}, batch_size=[0])
        state: dict[str, Any] = {name: rows[name].cpu() for name in rows.keys()}  # noqa: SIM118
        state["tick"] = torch.tensor(self.tick)
        state["generator"] = self._generator.get_state()
        if self.priorities:
            self._note_priorities()
            state["priorities"] = torch.from_numpy(self.priorities.values.copy())
            state["largest_priority"] = torch.tensor(float(self.priorities.largest))
        return state

    def snapshot(self) -> tuple[dict[str, Tensor], FrameSnapshot]:
        """What `state_dict` returns, without `frame`, and the frames: as of now, whatever is added later.

        Until `drop_snapshot`, which ends the one before as well.
        """
        self.drop_snapshot()
        state = self.state_dict()
        frames = state.pop("frame", torch.empty((0, *FRAME_SHAPE), dtype=torch.uint8))
        self._snapshot = FrameSnapshot(frames.view(-1, self.envs, *FRAME_SHAPE))
        return {name: value.clone() for name, value in state.items()}, self._snapshot

    def _check(self, state: dict[str, Any], held: int) -> None:
        kinds = dict.fromkeys(("terminated", "first", "last"), torch.bool)
        for name, kind in {"frame": torch.uint8, "action": torch.uint8, "reward": torch.float32, **kinds}.items():
            rows = state[name]
            shape = (held, *FRAME_SHAPE) if name == "frame" else (held,)
            if rows.dtype != kind or rows.shape != shape:
                raise ValueError(f"the replay's {name} is {tuple(rows.shape)} {rows.dtype}, not {shape} {kind}")
        if not torch.isfinite(state["reward"]).all():
            raise ValueError("the replay's rewards are not all finite")
        if self.priorities:
            values, largest = state["priorities"], float(state["largest_priority"])
            if values.dtype != torch.float32 or values.shape != (self.rows,):
                raise ValueError(f"the replay's priorities are {tuple(values.shape)} {values.dtype}")
            if not (torch.isfinite(values).all() and (values >= 0).all() and 0 < largest < float("inf")):
                raise ValueError("the replay's priorities are not all finite")

    def drop_snapshot(self) -> None:
        """Keeps no frame for the last `snapshot` any more."""
        if self._snapshot:
            self._snapshot.close()
            self._snapshot = None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up where `state_dict` was called; the replay must have the same size and number of games.

        Raises InputError where it has not, ValueError where the state is none.
        """
        tick = int(state["tick"])
        held = min(tick, self.ticks) * self.envs
        if held and (len(state["frame"]) != held or state["frame"].shape[1:] != FRAME_SHAPE):
            raise InputError("the saved replay is of another size: resume with the settings it was made with")
        if held:
            self._check(state, held)
        self._buffer.empty()
        self.tick = tick
        self._generator.set_state(state["generator"])
        self._first[:] = self._last[:] = False
        self.transitions = 0
        if not held:
            return
        names = ("frame", "action", "reward", "terminated", "first", "last")
        self._buffer.extend(TensorDict({name: state[name] for name in names}, batch_size=[held], device=self.device))
        self._buffer.writer._cursor = tick * self.envs % self.rows  # torchrl has no public way to set it
        self._first.reshape(-1)[:held] = state["first"].cpu().numpy()
        self._last.reshape(-1)[:held] = state["last"].cpu().numpy()
        self._reward.reshape(-1)[:held] = state["reward"].cpu().numpy()
        self._terminated.reshape(-1)[:held] = state["terminated"].cpu().numpy()
        self.transitions = int((~self._last.reshape(-1)[:held]).sum())
        if self.priorities:
            self.priorities.load(state["priorities"].numpy(), float(state["largest_priority"]))
