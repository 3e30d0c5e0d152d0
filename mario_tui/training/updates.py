"""The results of updates, until they are logged."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mario_tui.agent.mario import Update
from mario_tui.training.metrics import MetricLogger

_MANY = 100


class PendingUpdates:
    """Losses and Q values of updates that are still on the device: on a GPU to read them waits for it."""

    def __init__(self) -> None:
        self._updates: list[Update] = []

    def add(self, updates: Sequence[Update]) -> None:
        self._updates += updates

    @property
    def many(self) -> bool:
        """Whether there are so many that they should be logged."""
        return len(self._updates) >= _MANY

    def log(self, logger: MetricLogger) -> int:
        """Logs them; returns how many were skipped, as their loss or a gradient was not finite."""
        if not self._updates:
            return 0
        losses = torch.stack([update.loss for update in self._updates]).tolist()
        q_values = torch.stack([update.q for update in self._updates]).tolist()
        skipped = torch.stack([update.skipped for update in self._updates]).tolist()
        self._updates.clear()
        for loss, q, left_out in zip(losses, q_values, skipped, strict=True):
            if not left_out:
                logger.log_update(loss, q)
        return sum(skipped)
