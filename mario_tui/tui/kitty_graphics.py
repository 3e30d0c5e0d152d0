"""Pictures in the terminal by the kitty graphics protocol, https://sw.kovidgoyal.net/kitty/graphics-protocol/.

A picture lies on a layer of its own, above the cells. Where a widget lies above the picture's, the picture gets a hole.
The protocol could also put it below all cells that have a background; but kitty up to 0.26 does not draw these above
it, and other terminals have their own ideas of the layers.
"""

from __future__ import annotations

import zlib
from base64 import standard_b64encode
from itertools import count

import numpy as np
from numpy.typing import NDArray

from mario_tui.tui.graphics import (
    RESTORE_CURSOR,
    SAVE_CURSOR,
    Graphics,
    Picture,
    Place,
    Terminal,
)

MAX_CHUNK = 4096
"""Characters of base64 in one escape sequence, by the protocol."""

# Numbers that another program in this terminal has hardly given to a picture of its own.
_ids = count(0x4D41_5249)


class KittyGraphics(Graphics):
    """Pictures by kitty's protocol."""

    def new_picture(self) -> Picture:
        return KittyPicture(self._terminal, self._shown)


class KittyPicture(Picture):
    def __init__(self, terminal: Terminal, shown: set[Picture]) -> None:
        super().__init__(terminal, shown)
        # The next frame comes under the other number and only then the last one is deleted: a terminal that draws in
        # the middle of it has one of them to draw.
        self._id, self._other_id = next(_ids), next(_ids)

    def _draw(self, frame: NDArray[np.uint8], place: Place, *, stays: bool) -> str:
        old = "" if self._frame is None else delete(self._id)
        self._id, self._other_id = self._other_id, self._id
        return f"{show(frame, self._id, place)}{old}"

    def remove(self) -> None:
        if self._frame is not None:
            super().remove()
            self._terminal.write(delete(self._id))

    def was_written_over(self) -> None:
        """It lies above what was written."""


def show(frame: NDArray[np.uint8], image: int, place: Place) -> str:
    """The escape sequences that show a frame, (height, width, 3) uint8 RGB, under a number, scaled to its place."""
    height, width = frame.shape[:2]
    pixels = cut_holes(frame, place) if place.holes else frame
    data = standard_b64encode(zlib.compress(pixels.tobytes(), 1)).decode("ascii")
    x, y, columns, rows = place.region
    keys = f"a=T,f={8 * pixels.shape[2]},o=z,s={width},v={height},i={image},c={columns},r={rows},C=1,q=2,"
    parts = [SAVE_CURSOR, f"\x1b[{y + 1};{x + 1}H"]
    for start in range(0, len(data), MAX_CHUNK):
        more = int(start + MAX_CHUNK < len(data))
        parts.append(f"\x1b_G{keys}m={more};{data[start : start + MAX_CHUNK]}\x1b\\")
        keys = "q=2,"
    parts.append(RESTORE_CURSOR)
    return "".join(parts)


def cut_holes(frame: NDArray[np.uint8], place: Place) -> NDArray[np.uint8]:
    """A frame, (height, width, 3) uint8, as RGBA that is transparent in each pixel that a hole touches."""
    height, width = frame.shape[:2]
    left, top, columns, rows = place.region
    pixels = np.full((height, width, 4), 255, np.uint8)
    pixels[:, :, :3] = frame
    for x, y, hole_columns, hole_rows in place.holes:
        start, stop = (x - left) * width // columns, -((left - x - hole_columns) * width // columns)
        upper, lower = (y - top) * height // rows, -((top - y - hole_rows) * height // rows)
        pixels[upper:lower, start:stop] = 0
    return pixels


def delete(image: int) -> str:
    """The escape sequence that removes a picture, and frees its memory."""
    return f"\x1b_Ga=d,d=I,i={image},q=2\x1b\\"
