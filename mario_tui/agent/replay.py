"""The replay: every frame is stored once, and states are put together when they are sampled.

A transition of the naive kind holds eight frames, and seven of them stand in its neighbours too. Here each row holds
the frame an agent saw, what it did there and what came of it; the state of a row is that frame with the ones before.

Rows come in ticks: at every tick each of the `envs` games adds one row, so the row before row `i` in the same game is
`i - envs`. An episode's final frame is a row too (`last`): no action was taken in it, it is there to be the next state
of the row before. The storage, its cursor and the sampling protocol are torchrl's.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
from tensordict import TensorDict
from torch import Tensor
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers.samplers import Sampler

from mario_tui.agent.preprocess import FRAME_SHAPE
from mario_tui.errors import InputError

logging.getLogger("torchrl").setLevel(logging.WARNING)  # it announces every storage it makes, on the terminal

# frame, action, reward, terminated, first, last, and the index that torchrl adds
ROW_BYTES = FRAME_SHAPE[0] * FRAME_SHAPE[1] + 1 + 4 + 1 + 1 + 1 + 8


@dataclass(frozen=True, slots=True)
class Batch:
    """Transitions, as the update takes them: s_tm1, a_tm1, r_t, s_t in the usual notation.

    state, next_state: (B, depth, 84, 84) uint8; action: (B,) int64; reward: (B,) float32;
    done: (B,) bool, whether the next state is terminal, so that nothing can be expected after it.
    """

    state: Tensor
    next_state: Tensor
    action: Tensor
    reward: Tensor
    done: Tensor


class _TransitionSampler(Sampler):
    """Uniform over the rows that begin a whole transition, with a generator of its own."""

    def __init__(self, replay: "Replay") -> None:
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
    """The most recent transitions of `envs` games, sampled uniformly.

    Args:
        size: rows to keep, over all games; each takes ROW_BYTES bytes.
        envs: games that add a row at each tick.
        depth: frames in a state.
        device: where rows are kept.
        batch_size: transitions in a sample.
        seed: of the sampling.

    Raises:
        InputError: the rows cannot fit into the memory that is available.
    """

    def __init__(
        self,
        size: int,
        *,
        envs: int = 1,
        depth: int = 4,
        batch_size: int = 32,
        device: torch.device | str = "cpu",
        seed: int = 0,
    ) -> None:
        self.envs = envs
        self.depth = depth
        self.device = torch.device(device)
        # the oldest rows lack their history and the newest their next state, so a few ticks come on top
        self.ticks = max(-(-size // envs), 1) + depth
        self.rows = self.ticks * envs
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

    def _check_memory(self, size: int) -> None:
        if self.device.type == "cuda":
            available = torch.cuda.mem_get_info(self.device)[0]
        else:
            available = psutil.virtual_memory().available
        if self.rows * ROW_BYTES > available:
            raise InputError(
                f"a replay of {size:,} transitions needs {self.rows * ROW_BYTES / 1e9:,.1f} GB and "
                f"{available / 1e9:,.1f} GB are available: choose a smaller replay_size"
            )

    def __len__(self) -> int:
        """Transitions that can be sampled now."""
        return int(self._sampleable().sum())

    @property
    def bytes_per_transition(self) -> float:
        """Bytes of storage in use for each transition held."""
        rows = min(self.tick, self.ticks) * self.envs
        return rows * ROW_BYTES / max(self.transitions, 1)

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
        slot = self.tick % self.ticks
        if self.tick >= self.ticks:
            self.transitions -= int((~self._last[slot]).sum())
        self._first[slot] = first
        self._last[slot] = last
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
        self.tick += 1

    def sample(self) -> Batch:
        """Transitions drawn uniformly, with replacement; raises ValueError where there is none yet."""
        if not self.ready:
            raise ValueError("the replay holds no whole transition yet")
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
        low, high = self._sampling_range()
        index = np.empty(batch_size, dtype=np.int64)
        missing = np.arange(batch_size)
        while len(missing):
            drawn = torch.randint(low * self.envs, high * self.envs, (len(missing),), generator=self._generator)
            index[missing] = drawn.numpy() % self.rows
            missing = missing[self._last.reshape(-1)[index[missing]]]
        return torch.from_numpy(index)

    def _sampling_range(self) -> tuple[int, int]:
        """The ticks that transitions can begin at: the newest has no next state, the oldest lack their history."""
        oldest = self.tick - self.ticks + self.depth - 1 if self.tick > self.ticks else 0
        return oldest, max(self.tick - 1, 0)

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
        """States and next states of the rows at `index`: (B,) int64."""
        first = self._first.reshape(-1)
        history = np.empty((len(index), self.depth + 1), dtype=np.int64)
        history[:, self.depth] = (index + self.envs) % self.rows
        history[:, self.depth - 1] = index
        for k in range(self.depth - 2, -1, -1):
            newer = history[:, k + 1]
            history[:, k] = np.where(first[newer], newer, (newer - self.envs) % self.rows)
        frames = self._frames()[torch.as_tensor(history, device=self.device)]
        return Batch(
            state=frames[:, :-1],
            next_state=frames[:, 1:],
            action=rows["action"].long(),
            reward=rows["reward"],
            done=rows["terminated"],
        )

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
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up where `state_dict` was called; the replay must have the same size and number of games."""
        tick = int(state["tick"])
        held = min(tick, self.ticks) * self.envs
        if held and (len(state["frame"]) != held or state["frame"].shape[1:] != FRAME_SHAPE):
            raise InputError("the saved replay is of another size: resume with the settings it was made with")
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
        self.transitions = int((~self._last.reshape(-1)[:held]).sum())
