"""Pictures out of characters: a cell shows some pixels in two colours, its foreground and its background.

Unicode has a character for each way to divide the pixels of a cell among the two: of 1x2 pixels (half blocks), of 2x2
(quadrants), and since version 13 of 2x3 (sextants). A cell whose pixels have more than two colours gets the division
and the two colours that are nearest to them, by the sum of squared differences.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

UPPER_HALF = "▀"


@dataclass(frozen=True)
class Characters:
    """Those that divide a cell into pixels.

    Attributes:
        across, down: how many pixels a cell has.
        glyphs: the character of each division, by its number: bit n is set where pixel n has the foreground, counted
            line by line from the upper left.
    """

    across: int
    down: int
    glyphs: str

    @cached_property
    def codes(self) -> NDArray[np.uint32]:
        """The glyphs' numbers in Unicode."""
        return np.array([ord(glyph) for glyph in self.glyphs], np.uint32)

    @property
    def pixels(self) -> int:
        """Of a cell."""
        return self.across * self.down


_OLDER_THAN_SEXTANTS = {0b000000: " ", 0b010101: "▌", 0b101010: "▐", 0b111111: "█"}


def _sextant(division: int) -> str:
    older = _OLDER_THAN_SEXTANTS
    return older.get(division) or chr(0x1FB00 + division - sum(number < division for number in older))


BLOCKS = Characters(1, 2, " ▀▄█")
QUADRANTS = Characters(2, 2, " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█")
SEXTANTS = Characters(2, 3, "".join(map(_sextant, range(64))))
BY_NAME: dict[str, Characters] = {"blocks": BLOCKS, "quadrants": QUADRANTS, "sextants": SEXTANTS}

_UTF_32 = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"


class Drawing:
    """A frame, (height, width, 3) uint8 RGB, drawn in columns x rows cells.

    Attributes:
        cells: what each cell shows, (rows, columns) int64: equal numbers look the same.
        rows: what is to be written for each row: pairs of a text and of the two colours that it has, as one number
            (`both_colours` takes it apart).
    """

    def __init__(self, frame: NDArray[np.uint8], columns: int, rows: int, characters: Characters) -> None:
        divisions, foreground, background = divide(cell_pixels(frame, columns, rows, characters), characters)
        self.cells = (foreground << _COLOUR_BITS | background) << characters.pixels | divisions
        self.rows = _rows(divisions, foreground, background, characters)


def cell_pixels(frame: NDArray[np.uint8], columns: int, rows: int, characters: Characters) -> NDArray[np.uint8]:
    """The pixels of each cell, (pixels of a cell, rows, columns, 3), of a frame, (height, width, 3) uint8.

    They are averages over boxes: taking single pixels would tear Mario apart at a third of his size.
    """
    across, down = characters.across, characters.down
    size = (columns * across, rows * down)
    pixels = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))
    cells = pixels.reshape(rows, down, columns, across, 3)
    return cells.transpose(1, 3, 0, 2, 4).reshape(-1, rows, columns, 3)


def divide(
    pixels: NDArray[np.uint8], characters: Characters
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The best division of each cell, and its foreground and background as numbers of 15 bits: each (rows, columns).

    The foreground is the larger number, so that neighbours with the same two colours have them the same way round.

    Args:
        pixels: (pixels of a cell, rows, columns, 3).
    """
    shape, count = pixels.shape[1:3], characters.pixels
    pixels = pixels.reshape(count, -1, 3)
    colours = _packed(pixels)
    divisions = np.zeros(colours.shape[1], np.int64)
    foreground, background = colours[0].copy(), colours[0].copy()
    mixed = np.flatnonzero((colours[1:] != colours[0]).any(axis=0))
    if len(mixed):
        best, inside, outside = _best(pixels[:, mixed])
        foreground[mixed], background[mixed] = np.maximum(inside, outside), np.minimum(inside, outside)
        best[inside < outside] ^= (1 << count) - 1
        best[inside == outside] = 0
        divisions[mixed] = best
    return divisions.reshape(shape), foreground.reshape(shape), background.reshape(shape)


def _best(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The best division of each cell, (n,), of those that have the last pixel outside, and the colours of both parts.

    The best colours are the means of the parts, and the squared differences from them are least where |sum|^2 / n,
    added up over both parts, is largest, as in Otsu's method for grey pictures.

    Args:
        pixels: (pixels of a cell, n, 3), not all the same in any cell.
    """
    count = len(pixels)
    if count == 2:  # there is but one way
        return np.ones(pixels.shape[1], np.int64), _packed(pixels[0]), _packed(pixels[1])
    sums = np.zeros((1 << count - 1, *pixels.shape[1:]), np.int32)  # over what is inside, for each division
    for bit in range(count - 1):
        np.add(sums[: 1 << bit], pixels[bit], out=sums[1 << bit : 2 << bit])
    inside, outside = sums[1:], pixels.sum(axis=0, dtype=np.int32) - sums[1:]
    sizes = np.array([number.bit_count() for number in range(1, len(sums))])
    common = math.lcm(*range(1, count))  # integers: of equal ones the first is taken everywhere
    weights, others = (common // sizes).astype(np.int32), (common // (count - sizes)).astype(np.int32)
    score = np.einsum("dnc,dnc,d->dn", inside, inside, weights) + np.einsum("dnc,dnc,d->dn", outside, outside, others)
    best = score.argmax(axis=0)
    cell, size = np.arange(len(best)), sizes[best][:, None]
    return best + 1, _packed(inside[best, cell] // size), _packed(outside[best, cell] // (count - size))


_BITS = 5
"""Of a colour's channel: neighbours that hardly differ are equal then, and colours are met again."""
_COLOUR_BITS = 3 * _BITS


def _packed(colours: NDArray[np.integer]) -> NDArray[np.int64]:
    """Colours, (..., 3), as numbers of five bits a channel."""
    channels = (colours >> 8 - _BITS).astype(np.int64)
    return channels[..., 0] << 2 * _BITS | channels[..., 1] << _BITS | channels[..., 2]


def both_colours(number: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Foreground and background, each as red, green and blue of 0 to 255."""
    return _rgb(number >> _COLOUR_BITS), _rgb(number)


def _rgb(number: int) -> tuple[int, int, int]:
    red, green, blue = (number >> shift & (1 << _BITS) - 1 for shift in (2 * _BITS, _BITS, 0))
    return red << 3 | red >> 2, green << 3 | green >> 2, blue << 3 | blue >> 2  # spread over 0 to 255 again


def _rows(
    divisions: NDArray[np.int64], foreground: NDArray[np.int64], background: NDArray[np.int64], characters: Characters
) -> list[list[tuple[str, int]]]:
    """Texts and their colours, row by row, as few as possible.

    Cells of one colour are blanks, with both colours of a neighbour that has the same background. They are no full
    blocks: many a font has those a little smaller than a cell, and lines would cross the sky.
    """
    columns = divisions.shape[1]
    first_column = np.arange(divisions.size, step=columns)
    colours = (foreground << _COLOUR_BITS | background).ravel()
    starts = _starts(colours, first_column)  # of runs with the same colours
    own, fore, back = colours[starts], foreground.ravel()[starts], background.ravel()[starts]
    is_plain, begins_row, written = fore == back, starts % columns == 0, own.copy()
    for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):  # left, then right
        shares = is_plain[here] & (back[there] == back[here]) & ~begins_row[1:]
        written[here] = np.where(shares, own[there], written[here])
    text = characters.codes[divisions.ravel()].tobytes().decode(_UTF_32)
    joins = np.ones(len(starts), bool)
    np.not_equal(written[1:], written[:-1], out=joins[1:])
    joins |= begins_row
    runs = starts[joins]
    begins = runs.tolist()
    pieces = [
        (text[begin:end], number)
        for begin, end, number in zip(begins, [*begins[1:], divisions.size], written[joins].tolist(), strict=True)
    ]
    first = [*np.searchsorted(runs, first_column).tolist(), len(pieces)]
    return [pieces[begin:end] for begin, end in pairwise(first)]


def _starts(numbers: NDArray[np.int64], first_column: NDArray[np.integer]) -> NDArray[np.integer]:
    """Where runs of equal numbers begin; each row, by where its first column is, begins one."""
    starts = np.ones(len(numbers), bool)
    np.not_equal(numbers[1:], numbers[:-1], out=starts[1:])
    starts[first_column] = True
    return np.flatnonzero(starts)
