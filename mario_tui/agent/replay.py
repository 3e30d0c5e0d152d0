"""The replay buffer: every frame is stored once, and observations are put together when they are sampled.

A naive transition holds eight frames, seven of which are in its neighbours, too. Here each row holds one frame, the
action taken there and what came of it; an observation is that frame with the ones before it.

Rows come in ticks: at every tick each of the E games (`envs`) adds one row, so that the row before row i of the same
game is row i - E. An episode's final frame is a row too (`last`): no action was taken there, it is the next observation
of the row before.

With n-step returns (Sutton 1988, Learning to Predict by the Methods of Temporal Differences) r_t is the discounted sum
of the next n rewards, and s_t the observation n steps later, or the episode's final one.

Where torchrl ends and this project begins. torchrl: `TensorDictReplayBuffer` with `LazyTensorStorage` and its
round-robin writer keeps the rows, moves the cursor and runs the sampling; `Priorities` stand on its sum tree. This
project: which rows may be sampled (`TransitionSampler` asks `Replay.draw`), and how a row becomes a transition
(`Replay._assemble`). The few columns that decide both are in numpy arrays beside the storage, too: looking them up
there costs a fraction and never waits for a GPU.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor
from torchrl import torchrl_logger
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers.samplers import RandomSampler

from mario_tui.agent.loss import Transitions
from mario_tui.agent.priorities import Priorities
from mario_tui.agent.replay_games import regroup
from mario_tui.agent.replay_snapshot import FrameSnapshot
from mario_tui.errors import InputError
from mario_tui.grey_frames import FRAME_SHAPE
from mario_tui.system import free_memory

torchrl_logger.setLevel(logging.WARNING)  # it announces every storage on the terminal

# frame, action, reward, terminated, first, last, and the index that torchrl adds
STORED_BYTES = FRAME_SHAPE[0] * FRAME_SHAPE[1] + 1 + 4 + 1 + 1 + 1 + 8
# and the numpy columns of reward, terminated, first and last
ROW_BYTES = STORED_BYTES + 4 + 1 + 1 + 1
# a row's priority, and its part of a sum tree of at most four times as many nodes
PRIORITY_BYTES = 4 + 4 * 4

OWN, DEMONSTRATED = 0, 1
"""Whose a transition is: the agent's, or a demonstration's."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A sample of B transitions.

    s_tm1, a_tm1, r_t, discount_t, s_t, weight: as in `loss.Transitions`; index: (B,) int64 on the CPU, the rows they
    begin in; source: (B,) uint8 on the CPU, whose they are: OWN or DEMONSTRATED.
    """

    s_tm1: Tensor
    a_tm1: Tensor
    r_t: Tensor
    discount_t: Tensor
    s_t: Tensor
    weight: Tensor
    index: Tensor
    source: Tensor

    @property
    def transitions(self) -> Transitions:
        """What the learning rule takes of it."""
        return Transitions(self.s_tm1, self.a_tm1, self.r_t, self.discount_t, self.s_t, self.weight)

    def __getitem__(self, part: slice) -> Batch:
        """A part of the transitions."""
        return Batch(*(getattr(self, field.name)[part] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """The transitions of several batches, one after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))


class TransitionSampler(RandomSampler):
    """Lets a replay choose the rows."""

    def __init__(self, replay: Replay) -> None:
        super().__init__()
        self._replay = replay

    def sample(self, storage: Any, batch_size: int) -> tuple[Tensor, dict]:
        return self._replay.draw(batch_size), {}


class Replay:
    """The most recent transitions of `envs` games, sampled uniformly or by priority.

    Args:
        size: capacity in rows, over all games; each takes ROW_BYTES bytes, and PRIORITY_BYTES more with priorities.
        envs: games that add a row at each tick.
        depth: frames in an observation.
        device: where rows are kept.
        batch_size: transitions in a sample.
        n_steps: n of the n-step return.
        gamma: discount factor.
        alpha, beta: exponents of prioritised replay, see priorities.py; alpha 0 samples uniformly.
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
        self._size = size
        self.ticks = self.ticks_of(envs)
        self.rows = self.ticks * envs
        self.row_bytes = ROW_BYTES + (PRIORITY_BYTES if alpha else 0)
        self._check_memory(size)
        self.tick = 0  # ticks added so far
        self.transitions = 0  # rows in the storage that begin a transition
        self._generator = torch.Generator().manual_seed(seed)
        # compilable: not shared with other processes. Otherwise its counters would be semaphores of the system, which
        # need /dev/shm, and some containers have none.
        self._buffer = TensorDictReplayBuffer(
            storage=LazyTensorStorage(self.rows, device=self.device, compilable=True),
            sampler=TransitionSampler(self),
            batch_size=batch_size,
            compilable=True,
        )
        # columns of the storage again, by tick
        self._first = np.zeros((self.ticks, envs), dtype=bool)
        self._last = np.zeros((self.ticks, envs), dtype=bool)
        self._reward = np.zeros((self.ticks, envs), dtype=np.float32)
        self._terminated = np.zeros((self.ticks, envs), dtype=bool)
        self.priorities = Priorities(self.rows, alpha, beta) if alpha else None
        self._pending_priorities: tuple[np.ndarray, Tensor] | None = None  # rows and TD errors of the last update
        self._snapshot: FrameSnapshot | None = None

    def ticks_of(self, envs: int) -> int:
        """The ticks that a buffer of this capacity holds with so many games."""
        # the oldest rows lack their history and the newest their next observation, so a few ticks come on top
        return max(-(-self._size // envs), 1) + self.depth + self.n_steps - 1

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
        if self.tick == 0:  # perhaps amid episodes, after a resume without the replay: there is no row before
            first = np.ones_like(first)
        self._apply_priorities()
        slot = self.tick % self.ticks
        if self.tick >= self.ticks:
            self.transitions -= int((~self._last[slot]).sum())
            if self._snapshot:
                self._snapshot.preserve(slot)
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
        """After a tick was added: ticks that can no longer be sampled leave, the one that now can enters."""
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
        """So many transitions, a batch by default, with replacement; raises ValueError if there is none yet."""
        if not self.ready:
            raise ValueError("the replay holds no whole transition yet")
        if batch_size is not None:  # torchrl would warn about a size other than its own
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
        """The rows of a sample, (B,) int64; final frames begin no transition and are drawn again."""
        if self.priorities:
            self._apply_priorities()
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
        """The ticks at which transitions can begin: the newest have no s_t yet, the oldest lack their history."""
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
        last, rewards, terminated = (column.reshape(-1) for column in (self._last, self._reward, self._terminated))
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
        discount = self._powers[steps] * ~done  # nothing can be expected after a terminal s_t
        return Batch(
            s_tm1=states[0],
            a_tm1=rows["action"].long(),
            r_t=torch.from_numpy(reward).to(self.device),
            discount_t=torch.from_numpy(discount).to(self.device),
            s_t=states[1],
            weight=self._weights(index),
            index=torch.from_numpy(index),
            source=torch.full((len(index),), self.source, dtype=torch.uint8),
        )

    def _weights(self, index: np.ndarray) -> Tensor:
        if not self.priorities:
            return torch.ones(len(index), device=self.device)
        return torch.from_numpy(self.priorities.weights(index)).to(self.device)

    def update_priorities(self, batch: Batch, td_errors: Tensor) -> None:
        """Sets the priorities of a batch from its TD errors, (B,) float32.

        It is done when the priorities are needed next, since reading the errors waits for the device.
        """
        if self.priorities:
            self._apply_priorities()
            self._pending_priorities = (batch.index.numpy(), td_errors.detach())

    def _apply_priorities(self) -> None:
        if self.priorities and self._pending_priorities:
            index, td_errors = self._pending_priorities
            self._pending_priorities = None
            self.priorities.update(index, td_errors.cpu().numpy())

    def _stack_rows(self, index: np.ndarray) -> np.ndarray:
        """The rows whose frames make up the observations at `index`: (B,) -> (B, depth) int64, the oldest first."""
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
        """The filled rows, a tensor for each column (`frame` is (N, 84, 84) uint8), and the random state."""
        held = min(self.tick, self.ticks) * self.envs
        rows = self._buffer.storage.get(slice(0, held)) if held else TensorDict({}, batch_size=[0])
        state: dict[str, Any] = {name: rows[name].cpu() for name in rows.keys()}  # noqa: SIM118
        state["tick"] = torch.tensor(self.tick)
        state["generator"] = self._generator.get_state()
        if self.priorities:
            self._apply_priorities()
            state["priorities"] = torch.from_numpy(self.priorities.values.copy())
            state["largest_priority"] = torch.tensor(float(self.priorities.largest))
        return state

    def snapshot(self) -> tuple[dict[str, Tensor], FrameSnapshot]:
        """What `state_dict` returns, without `frame`, and the frames: as of now, whatever is added later.

        The frames can be read until `drop_snapshot` or the next snapshot.
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
        """Ends the last `snapshot`."""
        if self._snapshot:
            self._snapshot.close()
            self._snapshot = None

    def load_state_dict(self, state: dict[str, Any], *, envs: int | None = None) -> None:
        """Continues from a state of `state_dict`; `envs`: of how many games it is, if of others, see `regroup`.

        Raises InputError for a state of another size, KeyError or ValueError for one that is malformed.
        """
        if envs is not None and envs != self.envs:
            state = regroup(
                state,
                before=envs,
                after=self.envs,
                ticks_before=self.ticks_of(envs),
                ticks=self.ticks,
                depth=self.depth,
                n_steps=self.n_steps,
            )
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
        rows = TensorDict({name: state[name] for name in names}, batch_size=[held], device=self.device)
        self._buffer.extend(rows)
        oldest = tick * self.envs % self.rows
        if held == self.rows and oldest:  # the cursor is at row 0: adding what is before the oldest again moves it
            self._buffer.extend(rows[:oldest])
        self._first.reshape(-1)[:held] = state["first"].cpu().numpy()
        self._last.reshape(-1)[:held] = state["last"].cpu().numpy()
        self._reward.reshape(-1)[:held] = state["reward"].cpu().numpy()
        self._terminated.reshape(-1)[:held] = state["terminated"].cpu().numpy()
        self.transitions = int((~self._last.reshape(-1)[:held]).sum())
        if self.priorities:
            self.priorities.load(state["priorities"].numpy(), float(state["largest_priority"]))
