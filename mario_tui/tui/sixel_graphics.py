"""Pictures in the terminal as sixels, DEC's format of 1983 that many terminals draw again: foot, Konsole, WezTerm,
Windows Terminal, VS Code, xterm, mlterm, and tmux between them and the app.

https://vt100.net/docs/vt3xx-gp/chapter14.html. A picture is cut into bands of six rows. In a band each colour is drawn
by itself: a character stands for six pixels, one under the other, that have the colour or not; `!n` repeats it.

The terminal does not scale it, so the frame is scaled here, to the pixels of its cells: each pixel becomes some columns
and rows of its colour, and nothing is mixed. A frame of the game has some 25 colours, so nothing of it is lost but what
rounding them to percent takes. Only rows of cells that changed are sent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from textual.geometry import Region

from mario_tui.tui.graphics import (
    RESTORE_CURSOR,
    SAVE_CURSOR,
    USUAL_CELL_PIXELS,
    USUAL_REGISTERS,
    Graphics,
    Picture,
    Place,
    Terminal,
    seen_parts,
)

BAND = 6
_REPEATED = 3
"""Runs of the same character that are longer are written as `!n` and the character."""


class SixelGraphics(Graphics):
    """Sixel pictures.

    Args:
        registers: the most colours in a picture.
    """

    is_costly = True

    def __init__(self, terminal: Terminal, registers: int = USUAL_REGISTERS) -> None:
        super().__init__(terminal)
        self._registers = registers

    def new_picture(self) -> Picture:
        return SixelPicture(self._terminal, self._shown, self._registers)


class SixelPicture(Picture):
    def __init__(self, terminal: Terminal, shown: set[Picture], registers: int) -> None:
        super().__init__(terminal, shown)
        self._registers = registers
        self._sent: _Scaled | None = None

    def _draw(self, frame: NDArray[np.uint8], place: Place, *, stays: bool) -> str:
        width, height = self._terminal.cell_pixels or USUAL_CELL_PIXELS
        scaled = _Scaled(frame, place.region, (round(width), round(height)), self._registers)
        changed = scaled.changed_rows(self._sent if stays else None)
        parts = [scaled.part(part) for part in seen_parts(place, changed)]
        self._sent = scaled
        return "".join((SAVE_CURSOR, *parts, RESTORE_CURSOR)) if parts else ""

    def remove(self) -> None:
        super().remove()
        self._sent = None


class _Scaled:
    """A frame at the size of its place in pixels, as colours and where in the frame each pixel comes from.

    colours: (n, 3) uint8; numbers: (height, width) uint8 of the frame; columns, rows: for each column and row of the
    screen's pixels that of the frame.
    """

    def __init__(self, frame: NDArray[np.uint8], region: Region, cell: tuple[int, int], registers: int) -> None:
        self.region, self.cell = region, cell
        width, height = region.width * cell[0], region.height * cell[1]
        if width < frame.shape[1] or height < frame.shape[0]:  # single pixels would tear Mario apart
            frame = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BOX))
        self.colours, self.numbers = in_few_colours(frame, registers)
        self.columns = np.arange(width) * frame.shape[1] // width
        self.rows = np.arange(height) * frame.shape[0] // height
        # where each column of the frame begins on the screen: runs are counted in the frame
        self._edges = np.searchsorted(self.columns, np.arange(frame.shape[1] + 1))

    def changed_rows(self, before: _Scaled | None) -> NDArray[np.bool_]:
        """Of the rows of cells, those that look different now."""
        if before is None or before.numbers.shape != self.numbers.shape:
            return np.ones(self.region.height, bool)
        different = (before.colours[before.numbers] != self.colours[self.numbers]).any(axis=(1, 2))
        return different[self.rows].reshape(self.region.height, self.cell[1]).any(axis=1)

    def part(self, part: Region) -> str:
        """The escape sequences that draw a part of the place, in cells of the screen."""
        left, top = (part.x - self.region.x) * self.cell[0], (part.y - self.region.y) * self.cell[1]
        width, height = part.width * self.cell[0], part.height * self.cell[1]
        first, last = self.columns[left], self.columns[left + width - 1] + 1
        edges = np.clip(self._edges[first : last + 1], left, left + width) - left
        sixels = encode(self.numbers[self.rows[top : top + height], first:last], edges, self.colours)
        return f"\x1b[{part.y + 1};{part.x + 1}H{sixels}"


def in_few_colours(frame: NDArray[np.uint8], most: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A frame, (height, width, 3) uint8, as colours (n, 3) and their numbers (height, width); at most `most` of them.

    Nothing is lost where it has no more.
    """
    packed = frame[..., 0].astype(np.uint32) << 16 | frame[..., 1].astype(np.uint32) << 8 | frame[..., 2]
    colours, numbers = np.unique(packed, return_inverse=True)
    if len(colours) > most:
        image = Image.fromarray(frame).quantize(most, dither=Image.Dither.NONE)
        palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
        return palette, np.asarray(image, np.uint8)
    rgb = np.stack([colours >> 16, colours >> 8 & 0xFF, colours & 0xFF], axis=1).astype(np.uint8)
    return rgb, numbers.reshape(packed.shape).astype(np.uint8)


def encode(numbers: NDArray[np.uint8], edges: NDArray[np.integer], colours: NDArray[np.uint8]) -> str:
    """The sixels of a picture.

    Args:
        numbers: (rows, columns) uint8, the colour of each pixel; a column of it may be several on the screen.
        edges: (columns + 1,), where each column begins on the screen, and the end of the last.
        colours: (n, 3) uint8.
    """
    height, width = len(numbers), int(edges[-1])
    used = np.unique(numbers)
    registers = "".join(
        f"#{number};2;{red};{green};{blue}"
        for number, (red, green, blue) in zip(
            used.tolist(), np.rint(colours[used].astype(float) * 100 / 255).astype(int).tolist(), strict=True
        )
    )
    bands = -(-height // BAND)
    padded = np.full((bands * BAND, numbers.shape[1]), 255, np.int16)
    padded[:height] = numbers
    padded[height:] = -1  # of no colour
    blocks = padded.reshape(bands, BAND, -1)
    weights = (1 << np.arange(BAND))[:, None]
    lines: list[list[str]] = [[] for _ in range(bands)]
    for number in used.tolist():
        has = blocks == number
        bits = (has * weights).sum(axis=1)  # (bands, columns)
        for band in np.flatnonzero(bits.any(axis=1)).tolist():
            lines[band].append(f"#{number}{_runs(bits[band], edges)}")
    body = "-".join("$".join(line) for line in lines)
    return f'\x1bP0;1;0q"1;1;{width};{height}{registers}{body}\x1b\\'


def _runs(bits: NDArray[np.integer], edges: NDArray[np.integer]) -> str:
    """A colour's characters in a band, with runs counted."""
    starts = np.flatnonzero(np.diff(bits, prepend=-1))
    values = bits[starts]
    if values[-1] == 0:  # what follows the last pixel of the colour
        ends = edges[np.append(starts[1:], starts[-1])]
        starts, values, ends = starts[:-1], values[:-1], ends[:-1]
    else:
        ends = edges[np.append(starts[1:], len(bits))]
    lengths = ends - edges[starts]
    return "".join(
        f"!{length}{_CHARACTERS[value]}" if length > _REPEATED else _CHARACTERS[value] * length
        for value, length in zip(values.tolist(), lengths.tolist(), strict=True)
    )


_CHARACTERS = [chr(0x3F + value) for value in range(64)]
