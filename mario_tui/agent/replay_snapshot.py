"""A replay buffer's frames while they are saved: written by another thread, with as few copies as possible."""

import threading
from collections.abc import Iterator

import torch
from torch import Tensor


class FrameSnapshot:
    """The frames in a replay buffer at one moment, for another thread to read while transitions are added.

    A frame is copied only when the buffer is about to overwrite it and it has not been read yet.

    Args:
        frames: (ticks, E, 84, 84) uint8.
    """

    _TICKS_AT_ONCE = 64  # copied under the lock, while the replay buffer may have to wait

    def __init__(self, frames: Tensor) -> None:
        self._frames = frames
        self._preserved: dict[int, Tensor] = {}
        self._read = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Ticks."""
        return len(self._frames)

    def preserve(self, tick: int) -> None:
        """Called by the replay buffer before it overwrites a tick."""
        with self._lock:
            unread = self._read <= tick < len(self._frames)
            if unread and tick not in self._preserved:  # what is there already is older
                self._preserved[tick] = self._frames[tick].clone()

    def read(self, ticks: int) -> Iterator[Tensor]:
        """The frames as they were, in blocks of that many ticks: (ticks, E, 84, 84) uint8, on the CPU; once only."""
        for start in range(0, len(self), ticks):
            block = torch.empty_like(self._frames[start : start + ticks], device="cpu")
            for first in range(0, len(block), self._TICKS_AT_ONCE):
                part = block[first : first + self._TICKS_AT_ONCE]
                with self._lock:
                    part.copy_(self._frames[self._read : self._read + len(part)])
                    for tick in range(self._read, self._read + len(part)):
                        if tick in self._preserved:
                            part[tick - self._read] = self._preserved.pop(tick)
                    self._read += len(part)
            yield block

    def close(self) -> None:
        """Ends the reading and frees the copies."""
        with self._lock:
            self._read = len(self._frames)
            self._preserved.clear()
