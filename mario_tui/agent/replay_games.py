"""A replay buffer's rows for another number of games: the same episodes, side by side in another way."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heapreplace
from typing import Any

import numpy as np
import torch


def regroup(
    state: Mapping[str, Any], *, before: int, after: int, ticks_before: int, ticks: int, depth: int, n_steps: int
) -> dict[str, Any]:
    """The `state_dict` of a `Replay` of `before` games as one of `after` games, whose episodes have all ended.

    Episodes stay whole and in the order in which they began, each placed behind the shortest column so far; a few are
    cut where a column is full. Where an episode is cut, or had not ended, the row before the cut is made its final one,
    as if a process had been lost there, so that no transition joins two episodes. What follows a cut begins with
    `depth` - 1 rows that are only the history of later ones, so that no observation is one that was never seen. The
    oldest rows are left out where they do not fill a tick, or have no room.

    Args:
        ticks_before, ticks: what the two buffers hold.
        depth, n_steps: of both, see Replay.

    Raises KeyError or ValueError for a malformed state.
    """
    tick = int(state["tick"])
    held = min(tick, ticks_before)
    if not held:
        return dict(state)
    first, last = (np.array(state[name].numpy(), dtype=bool) for name in ("first", "last"))
    if first.shape != (held * before,) or last.shape != first.shape:
        raise ValueError(f"the replay's columns are {first.shape} and {last.shape}, not {held} ticks of {before} games")
    oldest = tick % held if tick > held else 0
    rows = np.roll(np.arange(held * before).reshape(held, before), -oldest, axis=0)  # (ticks, games), by time
    length = min(held * before // after, ticks)
    pieces = _episodes(rows, first)
    _drop_oldest(pieces, held * before - length * after)
    columns = _placed(pieces, after, length)

    source = np.empty((length, after), dtype=np.int64)
    begins, only_history, ends = (np.zeros((length, after), dtype=bool) for _ in range(3))
    for game, column in enumerate(columns):
        at = 0
        for piece in column:
            until = at + len(piece)
            source[at:until, game] = piece
            begins[at, game] = ends[until - 1, game] = True
            if not first[piece[0]]:  # it was cut off what was before
                only_history[at : min(at + depth - 1, until), game] = True
            at = until

    flat = source.reshape(-1)
    index = torch.from_numpy(flat)
    names = ("frame", "action", "reward", "terminated", "explored")
    moved: dict[str, Any] = {name: state[name].index_select(0, index) for name in names if name in state}
    final = (only_history | ends).reshape(-1) | last[flat]
    for name in ("reward", "terminated"):
        moved[name][torch.from_numpy(final)] = 0
    moved |= {
        "first": torch.from_numpy(begins.reshape(-1)),
        "last": torch.from_numpy(final),
        "tick": torch.tensor(length),
    }
    moved["generator"] = state["generator"]
    if "priorities" in state:
        moved["priorities"] = _priorities(state, flat, ~final, ticks_before * before, ticks * after, n_steps * after)
        moved["largest_priority"] = state["largest_priority"]
    return moved


def _episodes(rows: np.ndarray, first: np.ndarray) -> list[np.ndarray]:
    """The rows of each episode, (steps,) int64 in the order of time; the episodes in the order of their beginnings."""
    found = []
    for game in range(rows.shape[1]):
        column = rows[:, game]
        starts = np.flatnonzero(first[column])
        cuts = starts[starts > 0]
        found += list(zip((0, *cuts.tolist()), np.split(column, cuts), strict=True)) if len(column) else []
    return [piece for _, piece in sorted(found, key=lambda one: one[0])]


def _drop_oldest(pieces: list[np.ndarray], count: int) -> None:
    """Takes so many rows away."""
    while count:
        dropped = min(count, len(pieces[0]))
        count -= dropped
        pieces[:1] = [pieces[0][dropped:]] if dropped < len(pieces[0]) else []


def _placed(pieces: list[np.ndarray], games: int, length: int) -> list[list[np.ndarray]]:
    """The pieces in so many columns of this length, which they fill."""
    columns: list[list[np.ndarray]] = [[] for _ in range(games)]
    heights = [(0, game) for game in range(games)]
    heapify(heights)
    for whole in pieces:
        piece = whole
        while len(piece):
            height, game = heights[0]
            part, piece = piece[: length - height], piece[length - height :]
            columns[game].append(part)
            heapreplace(heights, (height + len(part), game))
    return columns


def _priorities(
    state: Mapping[str, Any], source: np.ndarray, sampled: np.ndarray, before: int, rows: int, newest: int
) -> torch.Tensor:
    """The priorities of so many rows, (rows,) float32: 0 where none is `sampled`, and for the `newest`, as in Replay.

    Rows that had none yet get the largest, as new ones do.
    """
    values, largest = state["priorities"], float(state["largest_priority"])
    if values.shape != (before,) or not torch.isfinite(values).all():
        raise ValueError(f"the replay's priorities are {tuple(values.shape)}, or not all finite")
    moved = np.zeros(rows, dtype=np.float32)
    theirs = values.numpy()[source]
    moved[: len(source)] = np.where(sampled, np.where(theirs > 0, theirs, largest), 0)
    moved[max(len(source) - newest, 0) :] = 0
    return torch.from_numpy(moved)
