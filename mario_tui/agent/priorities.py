"""Prioritised experience replay (Schaul et al. 2016, Prioritized Experience Replay), proportional variant.

A row is sampled with a probability P proportional to (|TD error| + 0.001) ** alpha. Its importance-sampling weight is
(rows x P) ** -beta, divided by the largest of the batch. The sum tree is torchrl's.
"""

import numpy as np
import torch
from torchrl.data.replay_buffers.samplers import SumSegmentTreeFp32


class Priorities:
    """The sampling probabilities of a replay buffer's rows.

    Args:
        rows: how many there are.
        alpha: exponent of the TD error, more than 0.
        beta: importance-sampling exponent.
    """

    _SMALLEST = 1e-3  # added to every |TD error|, so that no row's probability becomes 0

    def __init__(self, rows: int, alpha: float, beta: float) -> None:
        self.rows, self.alpha, self.beta = rows, alpha, beta
        self.values = np.zeros(rows, dtype=np.float32)  # |TD error| ** alpha
        self.largest = np.float32(1.0)  # of all so far: what a new row gets
        self._tree = SumSegmentTreeFp32(rows)

    def enter(self, rows: np.ndarray) -> None:
        """New rows: they get the largest priority so far."""
        self._set(rows, np.full(len(rows), self.largest, dtype=np.float32))

    def leave(self, rows: np.ndarray) -> None:
        """Rows that cannot be sampled any more: their priority is 0."""
        self._set(rows, np.zeros(len(rows), dtype=np.float32))

    def update(self, rows: np.ndarray, td_errors: np.ndarray) -> None:
        """Sets the priorities of rows from their TD errors, (B,) float32; of those that have left it stays 0."""
        if not len(rows):
            return
        values = ((np.abs(td_errors) + self._SMALLEST) ** self.alpha).astype(np.float32)
        self.largest = np.maximum(self.largest, np.max(values))
        still_there = self.values[rows] > 0
        self._set(rows[still_there], values[still_there])

    def draw(self, batches: int, size: int, generator: torch.Generator) -> np.ndarray:
        """Stratified sampling, in a batch one row from each of `size` equal parts of the sum: (batches, size) int64."""
        total = self._tree.query(0, self.rows)
        part = torch.rand((batches, size), generator=generator, dtype=torch.float64) + torch.arange(size)
        index = self._tree.scan_lower_bound((part * (total / size)).float().reshape(-1).numpy())
        rows = np.minimum(np.asarray(index, dtype=np.int64), self.rows - 1)
        missed = self.values[rows] == 0  # by rounding: the nearest possible row takes its place
        if missed.any():
            possible = np.flatnonzero(self.values)
            rows[missed] = possible[np.searchsorted(possible, rows[missed]).clip(max=len(possible) - 1)]
        return rows.reshape(batches, size)

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """Importance-sampling weights of sampled rows, (..., B): float32, the largest of each batch is 1."""
        weights = self.values[rows] ** -self.beta
        return np.asarray(weights / np.max(weights, axis=-1, keepdims=True), dtype=np.float32)

    def oversampling(self, rows: np.ndarray) -> np.ndarray:
        """The rows' probabilities, as multiples of those of uniform sampling: float32."""
        mean = self._tree.query(0, self.rows) / np.count_nonzero(self.values)
        return np.asarray(self.values[rows] / mean, dtype=np.float32)

    def load(self, values: np.ndarray, largest: float) -> None:
        """Continues from the `values` and `largest` of another one."""
        self.largest = np.float32(largest)
        self._set(np.arange(self.rows), np.asarray(values, dtype=np.float32))

    def _set(self, rows: np.ndarray, values: np.ndarray) -> None:
        if len(rows):
            self.values[rows] = values
            self._tree[rows] = values
