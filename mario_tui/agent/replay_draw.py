"""Batches on their way from the replay buffer to the network: drawn as rows, moved in one go, made whole on the device.

What decides which rows are drawn, and what their transitions are worth, is on the CPU, and the frames are where the
networks are. So batches travel as a few numbers each, and the frames are gathered where they lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from mario_tui.agent.loss import Transitions
from mario_tui.agent.shift import shifted
from mario_tui.grey_frames import FRAME_SHAPE

OWN, DEMONSTRATED = 0, 1
"""Whose a transition is: the agent's, or a demonstration's."""


@dataclass(frozen=True, slots=True)
class Draw:
    """N batches of B transitions, as rows of a replay buffer.

    frames: (N, 2, B, depth) int32, the rows whose frames make up s_tm1 and s_t, the oldest first; a_tm1: (N, B) int32;
    r_t, discount_t, weight: (N, B) float32, as in `loss.Transitions`; index: (N, B) int64, the rows they begin in;
    source: (N, B) uint8, whose they are, OWN or DEMONSTRATED.
    """

    frames: np.ndarray
    a_tm1: np.ndarray
    r_t: np.ndarray
    discount_t: np.ndarray
    weight: np.ndarray
    index: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        """Batches."""
        return len(self.index)

    @classmethod
    def joined(cls, parts: Sequence[Draw]) -> Draw:
        """The batches of several draws, one after the other."""
        return parts[0] if len(parts) == 1 else cls._concatenated(parts, {})

    @classmethod
    def side_by_side(cls, parts: Sequence[Draw]) -> Draw:
        """Batches that are made of the transitions of several draws."""
        return parts[0] if len(parts) == 1 else cls._concatenated(parts, {"frames": 2}, axis=1)

    @classmethod
    def _concatenated(cls, parts: Sequence[Draw], axes: dict[str, int], axis: int = 0) -> Draw:
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(one, name) for one in parts], axes.get(name, axis)) for name in names))

    def of_rows_after(self, rows: int) -> Draw:
        """The same with frames that lie behind so many rows of another replay buffer."""
        return replace(self, frames=self.frames + np.int32(rows))

    def to(self, device: torch.device, offsets: np.ndarray | None = None) -> Tensor:
        """What `unpacked` takes, of each batch: (N, B x (2 depth + 4)) int32 on the device, which is not waited for.

        With offsets, (N, 2, B, 2) int32, by which s_tm1 and s_t are to be shifted: (N, B x (2 depth + 8)).
        """
        numbers = (one.view(np.int32) for one in (self.r_t, self.discount_t, self.weight))
        columns = (self.frames, self.a_tm1, *numbers, *([] if offsets is None else [offsets]))
        packed = np.concatenate([one.reshape(len(self), -1) for one in columns], axis=1)
        return on_its_way(torch.from_numpy(packed), device)


def on_its_way(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device, which is not waited for."""
    # pinned memory is used again only when what was copied from it has arrived: PyTorch sees to that
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def unpacked(
    packed: Tensor, depth: int, frames: Tensor, shown: Tensor | None = None, still: int | None = None
) -> Transitions:
    """The transitions of a batch; waits for nothing, so that a CUDA graph can hold it.

    Args:
        packed: (B x (2 depth + 4),) int32, a row of `Draw.to`, or with offsets (B x (2 depth + 8),).
        depth: frames in an observation.
        frames: (rows, 84, 84) uint8, the frames of the replay buffer.
        shown: those of the demonstrations, whose rows are counted on from there.
        still: the rows at the top of observations that the offsets leave as they are; None if there are no offsets.
    """
    more = 0 if still is None else 4
    size = len(packed) // (2 * depth + 4 + more)
    rows, a_tm1, *numbers, offsets = packed.split((2 * depth * size, size, size, size, size, more * size))
    observations = _gathered(rows, frames, shown).view(2 * size, depth, *FRAME_SHAPE)
    if still is not None:
        observations = shifted(observations, offsets.view(-1, 2), still)
    s_tm1, s_t = observations.view(2, size, depth, *FRAME_SHAPE)
    r_t, discount_t, weight = (one.view(torch.float32) for one in numbers)
    return Transitions(s_tm1, a_tm1.long(), r_t, discount_t, s_t, weight)


def _gathered(rows: Tensor, frames: Tensor, shown: Tensor | None) -> Tensor:
    if shown is None:
        return frames.index_select(0, rows)
    theirs = rows - len(frames)  # how many there are is not known here, so both are gathered for all
    own = frames.index_select(0, rows.clamp(max=len(frames) - 1))
    return torch.where((theirs < 0)[:, None, None], own, shown.index_select(0, theirs.clamp(min=0)))
