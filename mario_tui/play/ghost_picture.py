"""Draws ghosts into the picture of a game: half transparent, each with a colour and a name."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mario_tui.game.view import View
from mario_tui.play.ghost_trail import GhostTrail
from mario_tui.play.sprites import Sight, SpriteFinder, on_screen

TINTS = ((88, 216, 255), (255, 160, 232), (120, 248, 120), (255, 208, 88), (176, 160, 255), (255, 136, 112))
"""The colours of ghosts, RGB; the seventh has the first one's again."""

_OPACITY = 152  # of 256
_TINT = 80  # of 256, in the ghost's own colours
_LABEL_GAP = 1
_SHADOW = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class ShownGhost:
    """A ghost in one picture; without a `name` nothing is written over it."""

    sight: Sight
    tint: tuple[int, int, int] = TINTS[0]
    name: str = ""


def ghosts_at(
    trails: Sequence[GhostTrail], frame: int, *, names: bool = True, but: GhostTrail | None = None
) -> list[ShownGhost]:
    """The ghosts, all `but` one, that are to be seen so many frames into their episodes."""
    seen = (
        (None if trail is but else trail.at(frame), tint_of(trail, number), trail.name)
        for number, trail in enumerate(trails)
    )
    return [ShownGhost(sight, tint, name if names else "") for sight, tint, name in seen if sight is not None]


def tint_of(trail: GhostTrail, number: int) -> tuple[int, int, int]:
    """The colour of a ghost that is the so-manyth of those shown."""
    return TINTS[(number if trail.tint is None else trail.tint) % len(TINTS)]


def draw_ghosts(
    frame: NDArray[np.uint8], view: View, ghosts: Sequence[ShownGhost], own: Sight | None = None
) -> NDArray[np.uint8]:
    """A picture with the ghosts that are in its part of the area, (240, 256, 3) uint8 RGB; `frame` stays as it is.

    The first ghost lies on top of the others, and Mario himself, `own`, on top of all.
    """
    drawn = frame.copy()
    labels: list[tuple[ShownGhost, int, int]] = []
    for ghost in reversed(ghosts):
        place = on_screen(ghost.sight, view)
        if place is None:
            continue
        rows, columns, sprite_rows, sprite_columns = place
        sprite = ghost.sight.sprite
        mask = sprite.mask[sprite_rows, sprite_columns]
        part = drawn[rows, columns]
        colours = sprite.pixels[sprite_rows, sprite_columns][mask].astype(np.uint16)
        colours = (colours * (256 - _TINT) + np.array(ghost.tint, np.uint16) * _TINT) // 256
        part[mask] = (part[mask].astype(np.uint16) * (256 - _OPACITY) + colours * _OPACITY) // 256
        if ghost.name:
            labels.append((ghost, (columns.start + columns.stop) // 2, rows.start))
    if own is not None and (place := on_screen(own, view)) is not None:
        mask = own.sprite.mask[place[2], place[3]]
        drawn[place[0], place[1]][mask] = frame[place[0], place[1]][mask]
    _write(drawn, labels[::-1])
    return drawn


def _write(picture: NDArray[np.uint8], labels: Sequence[tuple[ShownGhost, int, int]]) -> None:
    """Writes names over ghosts, (ghost, middle column, top row), each above those that it would cover."""
    taken: list[tuple[int, int, int, int]] = []
    for ghost, middle, top in labels:
        letters, shadow = _letters(ghost.name)
        height, width = letters.shape
        left = min(max(middle - width // 2, 0), picture.shape[1] - width)
        row = top - height - _LABEL_GAP
        while blocking := [
            box for box in taken if left < box[1] and box[0] < left + width and row < box[3] and box[2] < row + height
        ]:
            row = min(box[2] for box in blocking) - height
        if row < 0:
            continue
        taken.append((left, left + width, row, row + height))
        part = picture[row : row + height, left : left + width]
        part[shadow] = _SHADOW
        part[letters] = ghost.tint


@functools.lru_cache(maxsize=256)
def _letters(name: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A name in Pillow's own pixel font, and the pixels around its letters."""
    font = ImageFont.load_default_imagefont()
    name = name.encode("latin-1", "replace").decode("latin-1")  # the font has no other letters
    image = Image.new("1", (min(int(font.getlength(name)), 250) + 2, 9))
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"
    draw.text((1, -1), name, 1, font)
    letters = np.array(image)
    padded = np.pad(letters, 1)
    height, width = letters.shape
    around = np.stack([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)])
    return letters, around.any(axis=0) & ~letters


class GhostsInPicture:
    """Draws the same ghosts into the pictures of one game, and keeps its own Mario on top.

    Args:
        trails: the ghosts, the one to lie on top first.
        names: whether they are written over the ghosts.

    Attributes:
        trails: as given.
    """

    def __init__(self, trails: Sequence[GhostTrail], *, names: bool = True) -> None:
        self.trails, self._names = tuple(trails), names
        self._finder = SpriteFinder()

    def draw(self, picture: NDArray[np.uint8], view: View | None, frame: int) -> NDArray[np.uint8]:
        """The picture of a frame of the game, by its number, with the ghosts in it."""
        own = self._finder.find(picture, view)
        ghosts = ghosts_at(self.trails, frame, names=self._names)
        return picture if view is None or not ghosts else draw_ghosts(picture, view, ghosts, own)
