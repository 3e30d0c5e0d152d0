"""Pictures in the terminal by the kitty graphics protocol, https://sw.kovidgoyal.net/kitty/graphics-protocol/.

A picture lies on a layer of its own, above the cells. Where a widget lies above the picture's, the picture gets a hole.
The protocol could also put it below all cells that have a background; but kitty up to 0.26 does not draw these above
it, and other terminals have their own ideas of the layers.
"""

from __future__ import annotations

import zlib
from base64 import standard_b64encode
from collections.abc import Mapping
from itertools import count
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from textual.geometry import Region, Size

MAX_CHUNK = 4096
"""Characters of base64 in one escape sequence, by the protocol."""

_SYNC_START, _SYNC_END = "\x1b[?2026h", "\x1b[?2026l"
_SAVE_CURSOR, _RESTORE_CURSOR = "\x1b7", "\x1b8"

# Numbers that another program in this terminal has hardly given to a picture of its own.
_ids = count(0x4D41_5249)


class Place(NamedTuple):
    """Where a picture is to be seen."""

    region: Region
    """Of the screen, in cells: the picture is scaled to it."""

    holes: tuple[Region, ...]
    """Parts of it that something else covers."""

    screen: Size
    """The terminal's size, in cells: when it changes, the terminal may move its pictures."""


class Terminal(Protocol):
    """What a driver offers for pictures."""

    @property
    def is_busy(self) -> bool:
        """Whether it is still writing what it was given, or takes nothing at all."""

    @property
    def cell_pixels(self) -> tuple[float, float] | None:
        """Width and height of a character cell, if they are known."""

    def write(self, data: str) -> None: ...


class KittyGraphics:
    """The pictures of one app in its terminal. To be used from the app's thread only, as its driver is."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._shown: set[TerminalPicture] = set()
        self.are_left_out = False
        """Whether widgets are to draw with characters for now, e.g. for a screenshot of the cells."""

    @property
    def cell_ratio(self) -> float:
        """Height of a cell, its width being 1."""
        width, height = self._terminal.cell_pixels or (1, 2)
        return height / width

    def new_picture(self) -> TerminalPicture:
        return TerminalPicture(self._terminal, self._shown)

    def remove_all(self) -> None:
        for picture in list(self._shown):
            picture.remove()


class TerminalPicture:
    """One picture, which changes and moves; it is seen from `show` to `remove`."""

    def __init__(self, terminal: Terminal, shown: set[TerminalPicture]) -> None:
        self._terminal = terminal
        self._all_shown = shown
        # The next frame comes under the other number and only then the last one is deleted: a terminal that draws in
        # the middle of it has one of them to draw.
        self._id, self._other_id = next(_ids), next(_ids)
        self._frame: NDArray[np.uint8] | None = None
        self._place: Place | None = None

    def show(self, frame: NDArray[np.uint8], place: Place) -> bool:
        """Shows the frame, (height, width, 3) uint8 RGB; returns whether it is on the screen now.

        Where the terminal has not yet taken what it was given, it is not given more: on a slow line pictures would
        pile up, and keys be answered late.
        """
        if place == self._place and self._frame is not None and np.array_equal(frame, self._frame):
            return True
        if self._terminal.is_busy:
            return False
        old = "" if self._frame is None else delete(self._id)
        self._id, self._other_id = self._other_id, self._id
        self._terminal.write(f"{_SYNC_START}{show(frame, self._id, place)}{old}{_SYNC_END}")
        self._frame, self._place = frame, place
        self._all_shown.add(self)
        return True

    def remove(self) -> None:
        """Removes it from the screen and from the terminal's memory; may be called again."""
        if self._frame is not None:
            self._frame = self._place = None
            self._all_shown.discard(self)
            self._terminal.write(delete(self._id))


def is_used(choice: str, environment: Mapping[str, str]) -> bool:
    """Whether pictures are to be shown, by the setting and the environment.

    The terminal is not asked: its answer would come among the keys, and late over a slow line.
    """
    return choice == "kitty" or (choice == "auto" and _is_known(environment))


def _is_known(environment: Mapping[str, str]) -> bool:
    if any(environment.get(name) for name in ("TMUX", "STY", "ZELLIJ")):
        return False  # these pass no pictures on, and move what is on the screen
    # TERM is what the innermost terminal says of itself; other names outlive it, in a terminal started from there.
    return environment.get("TERM") in ("xterm-kitty", "xterm-ghostty")


def show(frame: NDArray[np.uint8], image: int, place: Place) -> str:
    """The escape sequences that show a frame, (height, width, 3) uint8 RGB, under a number, scaled to its place."""
    height, width = frame.shape[:2]
    pixels = cut_holes(frame, place) if place.holes else frame
    data = standard_b64encode(zlib.compress(pixels.tobytes(), 1)).decode("ascii")
    x, y, columns, rows = place.region
    keys = f"a=T,f={8 * pixels.shape[2]},o=z,s={width},v={height},i={image},c={columns},r={rows},C=1,q=2,"
    parts = [_SAVE_CURSOR, f"\x1b[{y + 1};{x + 1}H"]
    for start in range(0, len(data), MAX_CHUNK):
        more = int(start + MAX_CHUNK < len(data))
        parts.append(f"\x1b_G{keys}m={more};{data[start : start + MAX_CHUNK]}\x1b\\")
        keys = "q=2,"
    parts.append(_RESTORE_CURSOR)
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
