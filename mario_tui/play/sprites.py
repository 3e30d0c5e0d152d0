"""Mario as pixels: which of a picture's pixels are his, without what lies behind him.

Memory says which tiles he is made of, and where they lie; the tiles say which of their pixels are transparent, and the
picture has the colours.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mario_tui.game.view import Area, View, sprite_tiles

_Pixel = TypeVar("_Pixel", np.uint8, np.bool_)

_BELOW = 0xEF  # rows from here on are not shown
_BEHIND, _MIRRORED, _UPSIDE_DOWN = 0x20, 0x40, 0x80  # of a sprite's attributes
_ENOUGH = 0.95
"""The share of his pixels that must have his colours."""
_LONGEST_GAP = 2
"""Frames for which Mario is where memory has him, as he was seen last, while his sprites are not known."""
_MOST_KNOWN = 64


@dataclass(frozen=True, eq=False, slots=True)
class Sprite:
    """Mario as he looks in one or more frames; there is one object for each look.

    Attributes:
        mask: (H, W) bool, the pixels that are his.
        pixels: (H, W, 3) uint8 RGB, 0 where the mask is False.
    """

    mask: NDArray[np.bool_]
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sight:
    """Where Mario is in one frame, and how he looks: `x` and `y` of the sprite's corner, x in the area, y on screen."""

    area: Area
    x: int
    y: int
    sprite: Sprite


class SpriteFinder:
    """Finds Mario in the pictures of one episode, in their order."""

    def __init__(self) -> None:
        self._sprites: dict[bytes, Sprite] = {}
        self._known: dict[Sprite, tuple[int, int]] = {}  # to its corner from Mario's box; the last one seen is last
        self._colours: dict[int, NDArray[np.uint8]] = {}  # of each palette, as seen last
        self._last: Sprite | None = None
        self._gap = 0

    def find(self, frame: NDArray[np.uint8], view: View | None) -> Sight | None:
        """Mario in a picture, (240, 256, 3) uint8; None where he is not to be seen."""
        found = None if view is None else self._find(frame, view)
        if found is not None:
            self._gap = 0
            return found
        self._gap += 1
        sprite = self._last
        if view is None or sprite is None or self._gap > _LONGEST_GAP:
            self._last = None
            return None
        return self._at(view, sprite)

    def _find(self, frame: NDArray[np.uint8], view: View) -> Sight | None:
        if all(row < _BELOW for row in view.sprites[::4]):
            return self._seen(view, _look(frame, view.sprites, self._colours))
        # He is partly outside, or the game was late: then what he looks like is known, or stands in memory still, or is
        # a frame old. The one that explains the most pixels is right.
        best: Sight | None = None
        most = 0
        for sprite in reversed(self._known):
            sight = self._at(view, sprite)
            part, mask = _cut(frame, sprite.mask, sight.x - view.left, sight.y)
            pixels = sprite.pixels[: mask.shape[0], : mask.shape[1]]
            same = int((part == pixels).all(axis=2)[mask].sum())
            if same > max(most, _ENOUGH * int(mask.sum()) - 1):
                best, most = sight, same
        found: _Found | None = None
        for sprites in (view.sprites, _placed(view.sprites_after, view), _placed(view.sprites, view)):
            looked = _look(frame, sprites, self._colours)
            if looked is not None and looked.count > most:
                found, most = looked, looked.count
        if found is not None:
            return self._seen(view, found)
        if best is not None:
            self._last = best.sprite
        return best

    def _seen(self, view: View, found: _Found | None) -> Sight | None:
        if found is None:
            return None
        sprite = self._shared(found.mask, found.pixels)
        if not found.behind:  # there he is less and less: no look to know him by
            self._colours[found.palette] = found.colours
            self._known.pop(sprite, None)
            self._known[sprite] = found.x - view.x, found.y - view.y
            if len(self._known) > _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._last = sprite
        return Sight(view.area, view.left + found.x, found.y, sprite)

    def _at(self, view: View, sprite: Sprite) -> Sight:
        right, down = self._known[sprite]
        return Sight(view.area, view.left + view.x + right, view.y + down, sprite)

    def _shared(self, mask: NDArray[np.bool_], pixels: NDArray[np.uint8]) -> Sprite:
        pixels = pixels * mask[:, :, None]
        key = bytes(mask.shape) + mask.tobytes() + pixels.tobytes()
        sprite = self._sprites.get(key)
        if sprite is None:
            sprite = self._sprites[key] = Sprite(mask, pixels)
        return sprite


@dataclass(frozen=True, slots=True)
class _Found:
    """Mario's pixels in a picture, `count` of which have his colours, and the corner of the part that they are in."""

    mask: NDArray[np.bool_]
    pixels: NDArray[np.uint8]
    count: int
    x: int
    y: int
    colours: NDArray[np.uint8]
    palette: int
    behind: bool


def _look(frame: NDArray[np.uint8], sprites: bytes, known: Mapping[int, NDArray[np.uint8]]) -> _Found | None:
    """Looks whether a picture shows Mario as these sprites; `known`: colours of palettes, for where he is behind it."""
    drawn = _drawn(sprites)
    if drawn is None:
        return None
    indices, x, y, palette, behind = drawn
    part, indices = _cut(frame, indices, x, y)
    colours = known.get(palette) if behind else _colours_of(part, indices)
    if colours is None:
        return None
    pixels = colours[indices]
    shows = (part == pixels).all(axis=2)
    mask = (indices > 0) & shows if behind else indices > 0
    count, size = int(shows[mask].sum()), int(mask.sum())
    if not count or count < _ENOUGH * size:
        return None
    return _Found(mask, pixels, count, x, y, colours, palette, behind)


def on_screen(sight: Sight, view: View) -> tuple[slice, slice, slice, slice] | None:
    """The rows and columns of a picture that a sprite covers, and those of the sprite; None where it covers none."""
    if sight.area != view.area:
        return None
    height, width = sight.sprite.mask.shape
    left, top = sight.x - view.left, sight.y
    x, y, right, bottom = max(left, 0), max(top, 0), min(left + width, 256), min(top + height, 240)
    if x >= right or y >= bottom:
        return None
    return slice(y, bottom), slice(x, right), slice(y - top, bottom - top), slice(x - left, right - left)


def _drawn(sprites: bytes) -> tuple[NDArray[np.uint8], int, int, int, bool] | None:
    """Mario's pixels as colours of a palette, their corner, the palette, and whether he is behind the background."""
    shown = [entry for entry in _entries(sprites) if entry[0] < _BELOW and sprite_tiles()[entry[1]].any()]
    if not shown:
        return None
    x, y = min(entry[3] for entry in shown), min(entry[0] for entry in shown)
    relative = tuple((row - y, tile, attributes, column - x) for row, tile, attributes, column in shown)
    attributes = shown[0][2]
    return _indices(relative), x, y + 1, attributes & 3, bool(attributes & _BEHIND)


def _placed(sprites: bytes, view: View) -> bytes:
    """Sprites in the rows where Mario is."""
    placed = bytearray(sprites)
    for number, start in enumerate(range(0, len(placed), 4)):
        row = view.y + 8 * (number // 2)
        placed[start] = row if 0 <= row < _BELOW else 255
    return bytes(placed)


def _entries(sprites: bytes) -> Iterator[tuple[int, int, int, int]]:
    for start in range(0, len(sprites) - 3, 4):
        row, tile, attributes, column = sprites[start : start + 4]
        yield row, tile, attributes, column


@functools.lru_cache(maxsize=512)
def _indices(entries: tuple[tuple[int, int, int, int], ...]) -> NDArray[np.uint8]:
    """(H, W) uint8: 0 where nothing is, 1 to 3 for the colours of the palette."""
    height, width = max(entry[0] for entry in entries) + 8, max(entry[3] for entry in entries) + 8
    indices = np.zeros((height, width), np.uint8)
    for row, tile, attributes, column in reversed(entries):  # the first one lies on top
        pattern = sprite_tiles()[tile]
        pattern = pattern[:, ::-1] if attributes & _MIRRORED else pattern
        pattern = pattern[::-1] if attributes & _UPSIDE_DOWN else pattern
        there = indices[row : row + 8, column : column + 8]
        there[pattern > 0] = pattern[pattern > 0]
    return indices


def _cut(frame: NDArray[np.uint8], shape: NDArray[_Pixel], x: int, y: int) -> tuple[NDArray[np.uint8], NDArray[_Pixel]]:
    """The part of a picture under a shape whose corner is there, and the part of the shape that is in the picture."""
    if x < 0 or y < 0:
        return frame[:0, :0], shape[:0, :0]
    part = frame[y : y + shape.shape[0], x : x + shape.shape[1]]
    return part, shape[: part.shape[0], : part.shape[1]]


def _colours_of(part: NDArray[np.uint8], indices: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """(4, 3) uint8 RGB: the commonest colour of each index's pixels; None where two are the same, as in the sky."""
    values = part[..., 0].astype(np.int64) << 16 | part[..., 1].astype(np.int64) << 8 | part[..., 2]
    colours, found = np.zeros((4, 3), np.uint8), []
    for index in (1, 2, 3):
        of_index = values[indices == index].tolist()
        if of_index:
            value = max(set(of_index), key=of_index.count)
            colours[index] = value >> 16, value >> 8 & 255, value & 255
            found.append(value)
    return colours if len(found) == len(set(found)) > 1 else None
