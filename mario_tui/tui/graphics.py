"""Pictures in the terminal: what the app asks of whatever protocol the terminal has, and which one that is.

There are two: kitty's (kitty_graphics.py), whose pictures lie on a layer above the cells, and sixel
(sixel_graphics.py), whose pictures are drawn over the cells and are gone where something is written there.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from textual.geometry import Region, Size

from mario_tui.tui import cells

SYNC_START, SYNC_END = "\x1b[?2026h", "\x1b[?2026l"
SAVE_CURSOR, RESTORE_CURSOR = "\x1b7", "\x1b8"

Kind = Literal["kitty", "sixel", "characters"]

_ASK_WHAT_IT_CAN = "\x1b[16t\x1b[?1;3;256S\x1b[c"
"""The size of a cell in pixels; to have 256 colour registers; and what the terminal is, which each one answers."""
ANSWER_SECONDS = 1.0
"""For the answer to come over a slow line."""
_DEVICE = re.compile(rb"\x1b\[\?([0-9;]*)c")
_CELL = re.compile(rb"\x1b\[6;([0-9]{1,4});([0-9]{1,4})t")
_REGISTERS = re.compile(rb"\x1b\[\?1;0;([0-9]{1,5})S")
_SIXEL = 4
USUAL_REGISTERS = 256
_FEWEST_REGISTERS = 16


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


class Picture(Protocol):
    """One picture, which changes and moves; it is seen from `show` to `remove`."""

    def show(self, frame: NDArray[np.uint8], place: Place) -> bool:
        """Shows the frame, (height, width, 3) uint8 RGB; returns whether it is on the screen now.

        Where the terminal has not yet taken what it was given, it is not given more: on a slow line pictures would
        pile up, and keys be answered late.
        """

    def remove(self) -> None:
        """Removes it from the screen; may be called again."""

    def was_written_over(self) -> None:
        """Cells of its place were written: a picture that is no layer of its own has to be drawn again."""


class Graphics(Protocol):
    """The pictures of one app in its terminal. To be used from the app's thread only, as its driver is."""

    are_left_out: bool
    """Whether widgets are to draw with characters for now, e.g. for a screenshot of the cells."""
    is_costly: bool
    """Whether a picture takes milliseconds, which a training beside it would feel."""

    @property
    def cell_ratio(self) -> float:
        """Height of a cell, its width being 1."""

    def new_picture(self) -> Picture: ...

    def remove_all(self) -> None: ...


def ratio(terminal: Terminal) -> float:
    """Height of a cell of a terminal, its width being 1."""
    width, height = terminal.cell_pixels or (1, 2)
    return height / width


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a terminal says that it can show.

    Attributes:
        sixel: whether it draws sixel pictures.
        registers: how many colours one of them has.
        cell_pixels: width and height of a cell, if it tells.
    """

    sixel: bool = False
    registers: int = USUAL_REGISTERS
    cell_pixels: tuple[int, int] | None = None

    @classmethod
    def of_answer(cls, answer: bytes) -> Abilities:
        """What it wrote when it was asked; nothing where that is no answer."""
        device, cell, registers = _DEVICE.search(answer), _CELL.search(answer), _REGISTERS.search(answer)
        if device is None:
            return cls()
        size = (int(cell[2]), int(cell[1])) if cell else None
        return cls(
            sixel=str(_SIXEL).encode() in device[1].split(b";")[1:],
            registers=min(max(_FEWEST_REGISTERS, int(registers[1])), USUAL_REGISTERS) if registers else USUAL_REGISTERS,
            cell_pixels=size if size and min(size) > 0 else None,
        )


def ask_terminal() -> Abilities:
    """Asks the terminal on stderr, where the app is drawn, before it is; nothing where there is none, or no answer."""
    nobody = Abilities()
    if not (sys.stdin and sys.stderr and sys.stdin.isatty() and sys.stderr.isatty()):
        return nobody
    keys = sys.stdin.fileno()
    try:
        before = termios.tcgetattr(keys)
    except (termios.error, OSError):
        return nobody
    answer = b""
    try:
        tty.setcbreak(keys)
        os.write(sys.stderr.fileno(), _ASK_WHAT_IT_CAN.encode())
        end = time.monotonic() + ANSWER_SECONDS
        while not _DEVICE.search(answer) and (left := end - time.monotonic()) > 0:
            if not select.select([keys], [], [], left)[0] or not (more := os.read(keys, 1024)):
                break
            answer += more
    except (termios.error, OSError):
        return nobody
    finally:
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(keys, termios.TCSADRAIN, before)
    return Abilities.of_answer(answer)


def kind_of(choice: str, environment: Mapping[str, str], abilities: Abilities) -> Kind:
    """How pictures are shown, by the setting, the environment and what the terminal says."""
    if choice in cells.BY_NAME:
        return "characters"
    if choice == "kitty" or (choice == "auto" and _knows_kitty(environment)):
        return "kitty"
    return "sixel" if abilities.sixel or choice == "sixel" else "characters"


def characters_of(choice: str, term: str) -> cells.Characters:
    """With which characters the game is drawn where it is no picture, by the setting and the variable TERM."""
    # Linux' own console has 256 or 512 characters: half blocks are among them, quadrants are not.
    usual = cells.BLOCKS if term.startswith("linux") else cells.QUADRANTS
    return cells.BY_NAME.get(choice, usual)


def should_ask(choice: str, environment: Mapping[str, str]) -> bool:
    """Whether the terminal has to be asked what it can."""
    return choice == "sixel" or (choice == "auto" and not _knows_kitty(environment))


def _knows_kitty(environment: Mapping[str, str]) -> bool:
    if any(environment.get(name) for name in ("TMUX", "STY", "ZELLIJ")):
        return False  # these pass no such pictures on, and move what is on the screen
    # TERM is what the innermost terminal says of itself; other names outlive it, in a terminal started from there.
    return environment.get("TERM") in ("xterm-kitty", "xterm-ghostty")
