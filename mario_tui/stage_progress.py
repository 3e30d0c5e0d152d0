"""How far through a stage a place is: a number from 0 to 1 that means the same in every stage.

Pixels do not: a way has one to six stretches, with x positions of their own, and 2,200 to 6,000 pixels in all. So a way
through each stage was measured on the real game (docs/make_ways.py): its stretches, one after the other, each in an
area of the game and from one x position to another. A place's progress is the share of the way that lies before it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

Area = tuple[int, int, int]
"""World, level and area of the game, see `Emulator.area`."""

FILE = Path(__file__).parent / "stage_routes.json"

MOST = 0.99
"""The progress of an episode that comes to the end and does not clear the stage."""


@functools.cache
def routes() -> Mapping[str, tuple[tuple[Area, int, int], ...]]:
    """Stage -> the stretches of a way through it: area, and the x position where each begins and ends, pixels."""
    stored = json.loads(FILE.read_bytes())
    return {
        stage: tuple(((world, level, area), begin, end) for world, level, area, begin, end in stretches)
        for stage, stretches in stored.items()
    }


def stage_progress(stage: str, frontiers: Mapping[Area, int], *, cleared: bool = False) -> float:
    """The progress of an episode by the farthest x position in each area that it was in; 1 where it cleared the stage.

    Areas that the way does not go through count for nothing.
    """
    if cleared:
        return 1.0
    before, farthest = 0, 0
    for area, begin, end in routes().get(stage, ()):
        x = frontiers.get(area, -1)
        if x >= begin:
            farthest = max(farthest, before + min(x, end) - begin)
        before += end - begin
    return min(round(farthest / before, 4), MOST) if before else 0.0


def progress_at_x(stage: str, x: int, *, cleared: bool = False) -> float:
    """The progress at an x position where the area is not known: in the longest stretch of the way."""
    if stage not in routes():
        return 1.0 if cleared else 0.0
    area, *_ = max(routes()[stage], key=lambda stretch: stretch[2] - stretch[1])
    return stage_progress(stage, {area: x}, cleared=cleared)
