"""A stage as a strip: from left to right in a few pixels, with where episodes ended, and where Mario is now."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mario_tui import stage_map
from mario_tui.game.kept_episodes import Place
from mario_tui.play.run_map import END_COLOURS, GROUND, MapEpisode

MARIO = (255, 255, 255)
_DOTS = 8
"""A dot is so many times lower than the strip."""
_ALONE, _MANY = 0.65, 4
"""How much of its colour a dot has that one episode ended at, and how many have to for all of it."""
_COLUMN = 0.4
"""How much lighter the strip is above and below Mario."""


def draw_strip(stage: str, episodes: Sequence[MapEpisode], width: int, height: int) -> NDArray[np.uint8]:
    """The whole stage in so many pixels, with a dot where each of its episodes ended, the brighter the more did there.

    Args:
        episodes: the newest last; those of other stages are left out.

    Returns: (height, width, 3) uint8.
    """
    strip = _ground(stage, width, height).copy()
    size = _dot_size(height)
    ends: dict[tuple[int, int], str] = {}
    counts: Counter[tuple[int, int]] = Counter()
    for episode in episodes:
        if episode.record.stage == stage and (dot := _last_dot(episode, width, height)):
            ends[dot] = episode.record.end
            counts[dot] += 1
    for (row, column), end in ends.items():
        strength = _ALONE + (1 - _ALONE) * min(1.0, (counts[row, column] - 1) / (_MANY - 1))
        part = strip[row : row + size, column : column + size]
        part[:] = part * (1 - strength) + np.array(END_COLOURS[end]) * strength
    return strip


def dot_of(stage: str, place: Place | None, width: int, height: int) -> tuple[int, int] | None:
    """Row and column of the dot that a place has on a strip of that size; None where the map does not have it."""
    return None if place is None else _dot_at(stage_map.on_map(stage, np.array([place]))[0], stage, width, height)


def with_mario(strip: NDArray[np.uint8], dot: tuple[int, int] | None) -> NDArray[np.uint8]:
    """A copy of a strip with a bright mark at a dot, or the strip itself without one."""
    if dot is None:
        return strip
    (row, column), size = dot, _dot_size(len(strip))
    marked = strip.copy()
    part = marked[:, column : column + size]
    part[:] = part * (1 - _COLUMN) + 255 * _COLUMN
    part[row : row + size] = MARIO
    return marked


@functools.lru_cache(maxsize=8)
def _ground(stage: str, width: int, height: int) -> NDArray[np.uint8]:
    whole = Image.fromarray(stage_map.stage_map(stage)).resize((width, height), Image.Resampling.BOX)
    return (np.asarray(whole) * GROUND).astype(np.uint8)


def _dot_size(height: int) -> int:
    return max(1, height // _DOTS)


def _last_dot(episode: MapEpisode, width: int, height: int) -> tuple[int, int] | None:
    """Of the last of its places that the map has."""
    points = episode.points()
    known = points[points[:, 0] >= 0]
    return _dot_at(known[-1], episode.record.stage, width, height) if len(known) else None


def _dot_at(point: NDArray[np.int64], stage: str, width: int, height: int) -> tuple[int, int] | None:
    x, y = point.tolist()
    if x < 0:
        return None
    size, length = _dot_size(height), stage_map.stage_map(stage).shape[1]
    column = min(x * width // length, width - 1) // size * size
    row = min(max(y * height // stage_map.HEIGHT, 0), height - 1) // size * size  # who fell is at the lower edge
    return row, column
