"""The replay buffer: every frame is stored once, and observations are put together when they are sampled.

A naive transition holds eight frames, seven of which are in its neighbours, too. Here each row holds one frame, the
action taken there and what came of it; an observation is that frame with the ones before it.

Rows come in ticks: at every tick each of the E games (`envs`) adds one row, so that the row before row i of the same
game is row i - E. An episode's final frame is a row too (`last`): no action was taken there, it is the next observation
of the row before.

With n-step returns (Sutton 1988, Learning to Predict by the Methods of Temporal Differences) r_t is the discounted sum
of the next n rewards, and s_t the observation n steps later, or the episode's final one. With `cut` s_t is at the
latest the first observation that an exploratory action was taken at, as what follows says nothing of the greedy policy
(Watkins 1989, Learning from Delayed Rewards).

Where torchrl ends and this project begins. torchrl: `TensorStorage` keeps the frames, and `Priorities` stand on its sum
tree. This project: which rows may be sampled, and how a row becomes a transition (`Replay.draw`). What decides both is
in numpy arrays beside the storage: it is looked up there without a device being waited for.
"""

from __future__ import annotations

import gc
import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchrl import torchrl_logger
from torchrl.data import TensorStorage

from mario_tui.agent.loss import Transitions
from mario_tui.agent.priorities import Priorities
from mario_tui.agent.replay_draw import OWN, Draw, unpacked
from mario_tui.agent.replay_games import regroup
from mario_tui.agent.replay_snapshot import FrameSnapshot
from mario_tui.errors import InputError
from mario_tui.grey_frames import FRAME_SHAPE
from mario_tui.system import free_memory

torchrl_logger.setLevel(logging.WARNING)  # it announces every storage on the terminal

_KINDS = {
    "frame": torch.uint8,
    "action": torch.uint8,
    "reward": torch.float32,
    "terminated": torch.bool,
    "first": torch.bool,
    "last": torch.bool,
    "explored": torch.bool,
}
_ROWS_AT_ONCE = 4096  # of a replay that is loaded: on a GPU there is no room for all of it twice
FRAME_BYTES = FRAME_SHAPE[0] * FRAME_SHAPE[1]
# a frame, and the numpy columns beside it
ROW_BYTES = FRAME_BYTES + 1 + 4 + 1 + 1 + 1
# a row's priority, and its part of a sum tree of at most four times as many nodes
PRIORITY_BYTES = 4 + 4 * 4


GPU_RESERVE_BYTES = 750_000_000
"""Of a GPU's free memory, what a replay leaves for networks, libraries and recorded updates."""


def available_bytes(device: torch.device) -> int:
    """Memory that replays on a device may take, in bytes."""
    if device.type != "cuda":
        return free_memory.free_bytes()
    gc.collect()
    torch.cuda.empty_cache()  # what an earlier training has left
    return max(torch.cuda.mem_get_info(device)[0] - GPU_RESERVE_BYTES, 0)


class Replay:
    """The most recent transitions of `envs` games, sampled uniformly or by priority.

    Args:
        size: capacity in rows, over all games; each takes ROW_BYTES bytes, and PRIORITY_BYTES more with priorities.
        envs: games that add a row at each tick.
        depth: frames in an observation.
        device: where rows are kept.
        batch_size: transitions in a sample.
        n_steps: n of the n-step return, which `n_now` may lower later.
        cut: whether returns end before the next exploratory action.
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
        cut: bool = False,
        device: torch.device | str = "cpu",
        seed: int = 0,
    ) -> None:
        self.envs = envs
        self.depth = depth
        self.batch_size = batch_size
        self.n_steps = self.n_now = n_steps
        self._powers = (gamma ** np.arange(n_steps + 1)).astype(np.float32)
        self.device = torch.device(device)
        self._size = size
        self.ticks = self.ticks_of(envs)
        self.rows = self.ticks * envs
        self.row_bytes = ROW_BYTES + cut + (PRIORITY_BYTES if alpha else 0)
        self._check_memory(size)
        self.tick = 0  # ticks added so far
        self.transitions = 0  # rows in the storage that begin a transition
        self._generator = torch.Generator().manual_seed(seed)
        # compilable: not shared with other processes. Otherwise its counters would be semaphores of the system, which
        # need /dev/shm, and some containers have none.
        self._storage = TensorStorage(
            torch.empty((self.rows, *FRAME_SHAPE), dtype=torch.uint8, device=self.device),
            device=self.device,
            compilable=True,
        )
        # the other columns, by tick
        self._action = np.zeros((self.ticks, envs), dtype=np.uint8)
        self._reward = np.zeros((self.ticks, envs), dtype=np.float32)
        self._terminated = np.zeros((self.ticks, envs), dtype=bool)
        self._first = np.zeros((self.ticks, envs), dtype=bool)
        self._last = np.zeros((self.ticks, envs), dtype=bool)
        self._explored = np.zeros((self.ticks, envs), dtype=bool) if cut else None
        self.priorities = Priorities(self.rows, alpha, beta) if alpha else None
        self._pending_priorities: tuple[Draw, Tensor] | None = None  # the last one, with its TD errors
        self._snapshot: FrameSnapshot | None = None

    @property
    def frames(self) -> Tensor:
        """(rows, 84, 84) uint8, at the same address as long as the replay lives."""
        frames: Tensor = self._storage.get(slice(None))
        return frames

    def _columns(self) -> dict[str, np.ndarray]:
        """What is kept beside the frames, under the names in `state_dict`: views, (rows,)."""
        columns: dict[str, np.ndarray] = {
            "action": self._action,
            "reward": self._reward,
            "terminated": self._terminated,
            "first": self._first,
            "last": self._last,
            **({} if self._explored is None else {"explored": self._explored}),
        }
        return {name: column.reshape(-1) for name, column in columns.items()}

    def ticks_of(self, envs: int) -> int:
        """The ticks that a buffer of this capacity holds with so many games."""
        # the oldest rows lack their history and the newest their next observation, so a few ticks come on top
        return max(-(-self._size // envs), 1) + self.depth + self.n_steps - 1

    def _check_memory(self, size: int) -> None:
        available = available_bytes(self.device)
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
        return (self.rows - self._held) * self.row_bytes

    def add(
        self,
        frame: Tensor,
        action: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        first: np.ndarray,
        last: np.ndarray,
        explored: np.ndarray | None = None,
    ) -> None:
        """Adds one row for each game.

        Args:
            frame: (E, 84, 84) uint8, what the agent saw.
            action: (E,) int, what it did there (ignored in final rows).
            reward: (E,) float, what it got for it.
            terminated: (E,) bool, whether the episode ended by it, in death or at the flag.
            first: (E,) bool, whether the frame begins an episode.
            last: (E,) bool, whether the frame is an episode's final one, in which nothing was done.
            explored: (E,) bool, whether the action was exploratory: random, and not the greedy one; None if none was.
        """
        if self.tick == 0:  # perhaps amid episodes, after a resume without the replay: there is no row before
            first = np.ones_like(first)
        self._apply_priorities()
        slot = self.tick % self.ticks
        if self.tick >= self.ticks:
            self.transitions -= int((~self._last[slot]).sum())
            if self._snapshot:
                self._snapshot.preserve(slot)
        self._action[slot] = action
        self._reward[slot] = reward
        self._terminated[slot] = terminated
        self._first[slot] = first
        self._last[slot] = last
        if self._explored is not None:
            self._explored[slot] = False if explored is None else explored
        self.transitions += int((~self._last[slot]).sum())
        self._storage.set(slice(slot * self.envs, (slot + 1) * self.envs), frame.to(self.device))
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

    def draw(self, batches: int = 1, size: int | None = None) -> Draw:
        """So many batches of so many transitions, `batch_size` by default, with replacement.

        Raises ValueError if there is no transition yet.
        """
        if not self.ready:
            raise ValueError("the replay holds no whole transition yet")
        self._apply_priorities()
        return self._described(self._draw_rows(batches, size or self.batch_size))

    def transitions_at(self, index: np.ndarray) -> Transitions:
        """The transitions that begin at these rows of the storage, (B,) int64 (see `sampleable`)."""
        return unpacked(self._described(index[None]).to(self.device)[0], self.depth, self.frames)

    def sampleable(self) -> np.ndarray:
        """The rows that begin a whole transition, the oldest tick first."""
        order = np.arange(max(self.tick - self.ticks, 0), self.tick)
        ticks, envs = np.nonzero(self._sampleable())
        return (order[ticks] % self.ticks) * self.envs + envs

    def _draw_rows(self, batches: int, size: int) -> np.ndarray:
        """The rows of a draw, (batches, size) int64; final frames begin no transition and are drawn again."""
        if self.priorities:
            return self.priorities.draw(batches, size, self._generator)
        low, high = self._sampling_range()
        index = np.empty(batches * size, dtype=np.int64)
        missing = np.arange(len(index))
        while len(missing):
            drawn = torch.randint(low * self.envs, high * self.envs, (len(missing),), generator=self._generator)
            index[missing] = drawn.numpy() % self.rows
            missing = missing[self._last.reshape(-1)[index[missing]]]
        return index.reshape(batches, size)

    def _sampling_range(self) -> tuple[int, int]:
        """The ticks at which transitions can begin: the newest have no s_t yet, the oldest lack their history."""
        oldest = self.tick - self.ticks + self.depth - 1 if self.tick > self.ticks else 0
        return oldest, max(self.tick - self.n_steps, 0)

    @property
    def ready(self) -> bool:
        """Whether there is a transition to sample."""
        low, high = self._sampling_range()
        # looking at a few ticks is enough: no game has more rows without an action in a row than an episode's final one
        # and those that lead in to an episode of practice
        return any(not self._last[tick % self.ticks].all() for tick in range(max(low, high - self.depth - 1), high))

    def _sampleable(self) -> np.ndarray:
        """(ticks held, envs) bool, the oldest tick first."""
        low, high = self._sampling_range()
        order = np.arange(max(self.tick - self.ticks, 0), self.tick)
        return ~self._last[order % self.ticks] & ((order >= low) & (order < high))[:, None]

    def _described(self, index: np.ndarray) -> Draw:
        """The transitions that begin in the rows at `index`: (N, B) int64."""
        last, rewards, terminated = (column.reshape(-1) for column in (self._last, self._reward, self._terminated))
        row, going_on = index, np.ones(index.shape, dtype=bool)
        reward = np.zeros(index.shape, dtype=np.float32)
        done = np.zeros(index.shape, dtype=bool)
        steps = np.zeros(index.shape, dtype=np.int64)
        explored = None if self._explored is None else self._explored.reshape(-1)
        for power in self._powers[: self.n_now]:
            reward += power * rewards[row] * going_on
            done |= terminated[row] & going_on
            steps += going_on
            row = np.where(going_on, (row + self.envs) % self.rows, row)
            going_on &= ~last[row]
            if explored is not None:
                going_on &= ~explored[row]
        return Draw(
            frames=self._stack_rows(np.stack((index, row), axis=1)),
            a_tm1=self._action.reshape(-1)[index].astype(np.int32),
            r_t=reward,
            discount_t=self._powers[steps] * ~done,  # nothing can be expected after a terminal s_t
            weight=self.priorities.weights(index) if self.priorities else np.ones(index.shape, dtype=np.float32),
            index=index,
            source=np.full(index.shape, self.source, dtype=np.uint8),
        )

    def update_priorities(self, draw: Draw, td_errors: Tensor) -> None:
        """Sets the priorities of what was drawn from this replay by its TD errors, (N, B) float32.

        It is done when the priorities are needed next, since reading the errors waits for the device.
        """
        if self.priorities:
            self._apply_priorities()
            self._pending_priorities = draw, td_errors.detach()

    def _apply_priorities(self) -> None:
        if self.priorities and self._pending_priorities:
            draw, td_errors = self._pending_priorities
            self._pending_priorities = None
            own = draw.source == self.source
            self.priorities.update(draw.index[own], td_errors.cpu().numpy()[own])

    def _stack_rows(self, index: np.ndarray) -> np.ndarray:
        """The rows whose frames make up the observations at `index`: (..., depth) int32, the oldest first."""
        first = self._first.reshape(-1)
        stack = np.empty((*index.shape, self.depth), dtype=np.int32)
        stack[..., -1] = index
        for k in range(self.depth - 2, -1, -1):
            newer = stack[..., k + 1]
            stack[..., k] = np.where(first[newer], newer, (newer - self.envs) % self.rows)
        return stack

    def state_dict(self) -> dict[str, Any]:
        """The filled rows, a tensor for each column (`frame` is (N, 84, 84) uint8), and the random state."""
        state = self._state_without_frames()
        return {"frame": self.frames[: self._held].cpu(), **state} if self._held else state

    @property
    def _held(self) -> int:
        return min(self.tick, self.ticks) * self.envs

    def _state_without_frames(self) -> dict[str, Any]:
        columns = self._columns() if self._held else {}
        held = slice(self._held)
        state: dict[str, Any] = {name: torch.from_numpy(column[held].copy()) for name, column in columns.items()}
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
        held = self.frames[: self._held]
        self._snapshot = FrameSnapshot(held.view(len(held) // self.envs, self.envs, *FRAME_SHAPE))
        return self._state_without_frames(), self._snapshot

    def _check(self, state: dict[str, Any], held: int) -> None:
        for name in ("frame", *self._columns()):
            rows, kind = state[name], _KINDS[name]
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
        if held and "explored" not in state:  # it was saved without `cut`
            state = {**state, "explored": torch.zeros(held, dtype=torch.bool)}
        if held and (len(state["frame"]) != held or state["frame"].shape[1:] != FRAME_SHAPE):
            raise InputError("the saved replay is of another size: resume with the settings it was made with")
        if held:
            self._check(state, held)
        self.tick = tick
        self._generator.set_state(state["generator"])
        self._pending_priorities = None
        for start in range(0, held, _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, held))
            self._storage.set(rows, state["frame"][rows].to(self.device))
        for name, column in self._columns().items():
            column[:held] = state[name].cpu().numpy() if held else 0
            column[held:] = 0
        self.transitions = int((~self._last.reshape(-1)[:held]).sum())
        if self.priorities and held:
            self.priorities.load(state["priorities"].numpy(), float(state["largest_priority"]))
