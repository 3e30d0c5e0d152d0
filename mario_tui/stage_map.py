"""The map of each stage, put together from the real game by docs/make_stage_maps.py, and where on it a place is."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "maps"
PIECES = FOLDER / "pieces.json"
TOP = 32
"""Rows of the screen that the map leaves out: the line of figures."""
HEIGHT = 240 - TOP
GAP = 16
"""Columns between two pieces."""
MIDDLE = (8, 24)
"""From the place of Mario, the corner of a box of 16 by 32 pixels, to the middle of small Mario in it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of an area: its first x position, and its width and first column on the map, pixels."""

    area: int
    x: int
    width: int
    left: int


@functools.cache
def pieces() -> Mapping[str, tuple[Piece, ...]]:
    """Stage -> the pieces of its map, in the order of a way through it."""
    stored = json.loads(PIECES.read_bytes())
    return {stage: tuple(Piece(*numbers) for numbers in known) for stage, known in stored.items()}


def on_map(stage: str, places: NDArray[np.integer]) -> NDArray[np.int64]:
    """Column and row on the map, (N, 2), of places (N, 3): x, y, and the number of the area, as `place` gives them.

    -1 and -1 where the map does not have the place, e.g. in a bonus room, or in a pipe.
    """
    found = np.full((len(places), 2), -1, np.int64)
    x, y, area = np.asarray(places, np.int64).T if len(places) else np.empty((3, 0), np.int64)
    for piece in pieces()[stage]:
        column = x - piece.x + MIDDLE[0]
        inside = (area == piece.area) & (column >= 0) & (column < piece.width)
        found[inside, 0] = column[inside] + piece.left
        found[inside, 1] = y[inside] + MIDDLE[1] - TOP
    return found


@functools.lru_cache(maxsize=8)
def stage_map(stage: str) -> NDArray[np.uint8]:
    """The map: (208, W, 3) uint8 RGB, read-only."""
    from PIL import Image

    with Image.open(FOLDER / f"{stage}.png") as file:
        picture = np.array(file.convert("RGB"))
    picture.flags.writeable = False
    return picture
