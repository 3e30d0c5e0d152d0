"""Labelled states: states of which it is known which actions are safe there, and the loss that learns from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_tui.agent.network import MarioNet
from mario_tui.agent.replay import FRAME_BYTES, available_bytes
from mario_tui.agent.replay_snapshot import FrameSnapshot
from mario_tui.errors import InputError
from mario_tui.grey_frames import FRAME_SHAPE

MARGIN = 0.1
"""By so much, in scaled rewards, the best safe action is to be worth more than any other."""


class LabelledStates:
    """The newest labelled states: a part of every update is drawn from them, uniformly and with replacement.

    Args:
        capacity: states; each takes depth x 7 KB.
        actions: that there are to choose from.
        depth: frames in a state.
        device: where they are kept.
        seed: of the drawing.
        reserved_bytes: of memory, what others will take that have not taken it yet.

    Attributes:
        added: states so far, those overwritten included.

    Raises:
        InputError: they cannot fit into the memory that is available.
    """

    def __init__(
        self,
        capacity: int,
        *,
        actions: int,
        depth: int,
        device: torch.device | str = "cpu",
        seed: int = 0,
        reserved_bytes: int = 0,
    ) -> None:
        self.added = 0
        self._generator = torch.Generator().manual_seed(seed)
        needed = capacity * depth * FRAME_BYTES
        available = max(available_bytes(torch.device(device)) - reserved_bytes, 0)
        if needed > available:  # it would be given to the program, which is killed when it uses it
            raise InputError(
                f"{capacity:,} labelled states need {needed / 1e9:,.1f} GB and {available / 1e9:,.1f} GB are "
                "available: choose a smaller corrections_size"
            )
        self._states = torch.empty((capacity, depth, *FRAME_SHAPE), dtype=torch.uint8, device=device)
        self._safe = torch.zeros((capacity, actions), dtype=torch.bool, device=device)

    def __len__(self) -> int:
        return min(self.added, len(self._states))

    @property
    def missing_bytes(self) -> int:
        """Bytes that will be in use besides when there are as many states as can be kept."""
        return (len(self._states) - len(self)) * self._states[0].nbytes

    def add(self, states: NDArray[np.uint8], safe: NDArray[np.bool_]) -> None:
        """Takes states, (N, depth, 84, 84), and whether each action is safe there, (N, actions); the oldest leave.

        Raises ValueError if all actions of a state are safe, or none: there is nothing to learn from it.
        """
        if not (safe.any(axis=1) & ~safe.all(axis=1)).all():
            raise ValueError("a labelled state has no safe action, or no unsafe one")
        rows = torch.from_numpy((self.added + np.arange(len(states))) % len(self._states)).to(self._states.device)
        self._states[rows] = torch.from_numpy(states).to(self._states.device)
        self._safe[rows] = torch.from_numpy(safe).to(self._safe.device)
        self.added += len(states)

    def draw(self, batches: int, size: int) -> Tensor:
        """Rows of so many states for so many batches, (batches, size) int32, on the CPU; size 0 as long as there are
        none."""
        size = size if self.added else 0
        return torch.randint(max(len(self), 1), (batches, size), generator=self._generator, dtype=torch.int32)

    def at(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The states in rows of `draw`, (B, depth, 84, 84) uint8, and (B, actions) bool: which actions are safe."""
        return self._states.index_select(0, rows), self._safe.index_select(0, rows)

    def snapshot(self) -> tuple[dict[str, Tensor], FrameSnapshot]:
        """What `load_state_dict` needs but the states' frames, and these, by state: copies, as of now."""
        held = torch.arange(self.added - len(self), self.added) % len(self._states)  # the oldest first
        states, safe = self.at(held.to(self._states.device))
        state = {"added": torch.tensor(self.added), "safe": safe.cpu(), "generator": self._generator.get_state()}
        return state, FrameSnapshot(states.cpu())

    def load_state_dict(self, state: Mapping[str, Tensor], frames: Tensor) -> None:
        """Continues from a `snapshot`, whose frames are (N x depth, 84, 84) uint8; the oldest are left out if it is
        of a larger capacity.

        Raises KeyError or ValueError for anything else.
        """
        added, safe = int(state["added"]), state["safe"]
        capacity, depth = self._states.shape[:2]
        if safe.dtype != torch.bool or safe.shape[1:] != self._safe.shape[1:] or not len(safe) <= added < 2**40:
            raise ValueError(f"the labels are {tuple(safe.shape)} {safe.dtype}")
        if len(frames) != len(safe) * depth:
            raise ValueError("the labelled states are not as many as their labels")
        kept = min(len(safe), capacity)
        self.added = added - kept
        states = frames.view(len(safe), depth, *FRAME_SHAPE)[len(safe) - kept :]
        self.add(states.numpy(), safe[len(safe) - kept :].numpy())
        self._generator.set_state(state["generator"])


def margin_loss(net: MarioNet, states: Tensor, safe: Tensor) -> Tensor:
    """How far actions that are not safe come too close to the best safe one: a 0-d float32 with a gradient.

    The mean over states of the mean over unsafe actions u of max(0, MARGIN + Q(u) - max over safe actions a of Q(a)).
    It is the large-margin loss of DQfD (Hester et al. 2018, Deep Q-learning from Demonstrations, equation 2) for a set
    of right actions instead of a demonstrator's one; only where the order is wrong, or the margin short, is there a
    gradient.

    Args:
        states: (B, depth, 84, 84) uint8.
        safe: (B, actions) bool, in each state one at least and not all.
    """
    q = net.q_values(states, "online")
    best_safe = q.masked_fill(~safe, -torch.inf).amax(dim=1, keepdim=True)
    short = (MARGIN + q - best_safe).relu().masked_fill(safe, 0)
    return (short.sum(dim=1) / (~safe).sum(dim=1)).mean()
