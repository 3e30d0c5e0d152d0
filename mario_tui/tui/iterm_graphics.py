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
    USUAL_CELL_PIXELS,
    Graphics,
    Picture,
    Place,
    seen_parts,
)
from mario_tui.tui.sixel_graphics import in_few_colours

_MOST_COLOURS = 256
"""Of a PNG with a palette."""
_COMPRESSION = 1


class ItermGraphics(Graphics):
    """Pictures by iTerm2's protocol."""

    def new_picture(self) -> Picture:
        return ItermPicture(self._terminal, self._shown)


class ItermPicture(Picture):
    def _draw(self, frame: NDArray[np.uint8], place: Place, *, stays: bool) -> str:
        parts = list(seen_parts(place))
        if parts == [place.region]:
            pictures = [show(frame, place.region)]
        else:
            width, height = self._terminal.cell_pixels or USUAL_CELL_PIXELS
            pictures = [show(pixels, part) for pixels, part in cut(frame, place, parts, (round(width), round(height)))]
        return "".join((SAVE_CURSOR, *pictures, RESTORE_CURSOR)) if pictures else ""


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
