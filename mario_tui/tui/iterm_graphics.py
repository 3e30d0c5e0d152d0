"""Pictures in the terminal as files, by iTerm2's protocol, https://iterm2.com/documentation-images.html.

A frame is sent as a PNG in its own size with the cells that it is to fill, and the terminal scales it. Like a sixel
picture it is drawn over the cells. Where something covers a part of it, the frame is scaled here, to the pixels of its
cells, and the parts that are seen are pictures of their own.
"""

from __future__ import annotations

import io
from base64 import standard_b64encode

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from textual.geometry import Region

from mario_tui.tui.graphics import (
    RESTORE_CURSOR,
    SAVE_CURSOR,
    SYNC_END,
    SYNC_START,
    USUAL_CELL_PIXELS,
    Picture,
    Place,
    Terminal,
    ratio,
    seen_parts,
)
from mario_tui.tui.sixel_graphics import in_few_colours

_MOST_COLOURS = 256
"""Of a PNG with a palette."""
_COMPRESSION = 1


class ItermGraphics:
    """The pictures of one app in its terminal; see `Graphics`."""

    is_costly = False

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._shown: set[ItermPicture] = set()
        self.are_left_out = False

    @property
    def cell_ratio(self) -> float:
        return ratio(self._terminal)

    def new_picture(self) -> Picture:
        return ItermPicture(self._terminal, self._shown)

    def remove_all(self) -> None:
        for picture in list(self._shown):
            picture.remove()


class ItermPicture:
    """One picture; see `Picture`. What was there before it has to be written again by whoever removes it."""

    def __init__(self, terminal: Terminal, shown: set[ItermPicture]) -> None:
        self._terminal, self._all_shown = terminal, shown
        self._frame: NDArray[np.uint8] | None = None
        self._place: Place | None = None
        self._is_whole = False

    def show(self, frame: NDArray[np.uint8], place: Place) -> bool:
        if self._is_whole and place == self._place and self._frame is not None and np.array_equal(frame, self._frame):
            return True
        if self._terminal.is_busy:
            return False
        parts = list(seen_parts(place))
        if parts == [place.region]:
            pictures = [show(frame, place.region)]
        else:
            width, height = self._terminal.cell_pixels or USUAL_CELL_PIXELS
            pictures = [show(pixels, part) for pixels, part in cut(frame, place, parts, (round(width), round(height)))]
        if pictures:
            self._terminal.write("".join((SYNC_START, SAVE_CURSOR, *pictures, RESTORE_CURSOR, SYNC_END)))
        self._frame, self._place, self._is_whole = frame, place, True
        self._all_shown.add(self)
        return True

    def was_written_over(self) -> None:
        self._is_whole = False

    def remove(self) -> None:
        self._frame = self._place = None
        self._is_whole = False
        self._all_shown.discard(self)


def show(pixels: NDArray[np.uint8], region: Region) -> str:
    """The escape sequences that show pixels, (height, width, 3) uint8 RGB, scaled to a region of the screen's cells."""
    x, y, columns, rows = region
    data = png(pixels)
    keys = f"inline=1;size={len(data)};width={columns};height={rows};preserveAspectRatio=0;doNotMoveCursor=1"
    return f"\x1b[{y + 1};{x + 1}H\x1b]1337;File={keys}:{standard_b64encode(data).decode('ascii')}\x07"


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels, (height, width, 3) uint8 RGB, as a PNG with a palette: nothing is lost of up to 256 colours."""
    palette, numbers = in_few_colours(pixels, _MOST_COLOURS)
    image = Image.fromarray(numbers)
    image.putpalette(palette.tobytes())
    file = io.BytesIO()
    image.save(file, "png", compress_level=_COMPRESSION)
    return file.getvalue()


def cut(
    frame: NDArray[np.uint8], place: Place, parts: list[Region], cell: tuple[int, int]
) -> list[tuple[NDArray[np.uint8], Region]]:
    """Parts of a place, in cells of so many pixels, with what is to be seen there of a frame, (height, width, 3)."""
    x, y, columns, rows = place.region
    size = (columns * cell[0], rows * cell[1])
    # single pixels would tear Mario apart where there are fewer of them
    enlarges = size[0] >= frame.shape[1] and size[1] >= frame.shape[0]
    how = Image.Resampling.NEAREST if enlarges else Image.Resampling.BOX
    scaled = np.asarray(Image.fromarray(frame).resize(size, how))
    found = []
    for part in parts:
        left, top = (part.x - x) * cell[0], (part.y - y) * cell[1]
        found.append((scaled[top : top + part.height * cell[1], left : left + part.width * cell[0]], part))
    return found
