"""Pictures in the terminal: what the app asks of whatever protocol the terminal has, and which one that is.

There are three: kitty's (kitty_graphics.py), whose pictures lie on a layer above the cells, sixel (sixel_graphics.py)
and iTerm2's (iterm_graphics.py), whose pictures are drawn over the cells and are gone where something is written there.
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
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from textual.geometry import Region, Size

from mario_tui.tui import cells

SYNC_START, SYNC_END = "\x1b[?2026h", "\x1b[?2026l"
SAVE_CURSOR, RESTORE_CURSOR = "\x1b7", "\x1b8"

Kind = Literal["kitty", "iterm", "sixel", "characters"]

_ASK_WHAT_IT_CAN = "\x1b[>q\x1b[16t\x1b[?1;3;256S\x1b[c"
"""Its name; the size of a cell in pixels; to have 256 colour registers; and what kind it is, which each one answers."""
ANSWER_SECONDS = 1.0
"""For the answer to come over a slow line."""
_NAME = re.compile(rb"\x1bP>\|([^\x1b]{1,99})\x1b\\")
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


class Picture(ABC):
    """One picture, which changes and moves; it is seen from `show` to `remove`.

    Where it is no layer of its own, what was there before it has to be written again by whoever removes it.

    Args:
        shown: the pictures of the app that are on the screen, for this one to join and leave.
    """

    def __init__(self, terminal: Terminal, shown: set[Picture]) -> None:
        self._terminal, self._shown = terminal, shown
        self._frame: NDArray[np.uint8] | None = None
        self._place: Place | None = None
        self._is_whole = False

    def show(self, frame: NDArray[np.uint8], place: Place) -> bool:
        """Shows the frame, (height, width, 3) uint8 RGB; returns whether it is on the screen now.

        Where the terminal has not yet taken what it was given, it is not given more: on a slow line pictures would
        pile up, and keys be answered late.
        """
        stays = self._is_whole and place == self._place
        if stays and self._frame is not None and np.array_equal(frame, self._frame):
            return True
        if self._terminal.is_busy:
            return False
        if drawn := self._draw(frame, place, stays=stays):
            self._terminal.write(f"{SYNC_START}{drawn}{SYNC_END}")
        self._frame, self._place, self._is_whole = frame, place, True
        self._shown.add(self)
        return True

    @abstractmethod
    def _draw(self, frame: NDArray[np.uint8], place: Place, *, stays: bool) -> str:
        """The escape sequences that show the frame; "" where there is nothing to show.

        Args:
            stays: whether the frame before this one is whole and in the same place.
        """

    def remove(self) -> None:
        """Removes it from the screen; may be called again."""
        self._frame = self._place = None
        self._is_whole = False
        self._shown.discard(self)

    def was_written_over(self) -> None:
        """Cells of its place were written: a picture that is no layer of its own has to be drawn again."""
        self._is_whole = False


class Graphics(ABC):
    """The pictures of one app in its terminal. To be used from the app's thread only, as its driver is.

    Attributes:
        are_left_out: whether widgets are to draw with characters for now, e.g. for a screenshot of the cells.
        is_costly: whether a picture takes milliseconds, which a training beside it would feel.
    """

    is_costly = False

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._shown: set[Picture] = set()
        self.are_left_out = False

    @property
    def cell_ratio(self) -> float:
        """Height of a cell, its width being 1."""
        width, height = self._terminal.cell_pixels or (1, 2)
        return height / width

    @abstractmethod
    def new_picture(self) -> Picture: ...

    def remove_all(self) -> None:
        for picture in list(self._shown):
            picture.remove()


USUAL_CELL_PIXELS = (8, 16)
"""Of a cell whose size the terminal does not tell."""


def seen_parts(place: Place, rows: NDArray[np.bool_] | None = None) -> Iterator[Region]:
    """The parts of a place, in cells, that nothing covers: where a picture may be drawn over the cells.

    The last line of the screen is left out: after a picture there the terminal would scroll.

    Args:
        rows: which of its rows of cells are wanted, from the top; all of them without.
    """
    region = place.region
    seen = np.ones((region.height, region.width), bool)
    if rows is not None:
        seen &= rows[:, None]
    last_line = Region(0, place.screen.height - 1, place.screen.width, 1)
    for hole in (*place.holes, last_line):
        covered = hole.intersection(region).translate(-region.offset)
        seen[covered.y : covered.bottom, covered.x : covered.right] = False
    line = 0
    while line < region.height:
        end = line + 1
        while end < region.height and np.array_equal(seen[end], seen[line]):
            end += 1
        edges = np.flatnonzero(np.diff(seen[line], prepend=False, append=False)).tolist()
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            yield Region(region.x + left, region.y + line, right - left, end - line)
        line = end


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a terminal says that it can show.

    Attributes:
        sixel: whether it draws sixel pictures.
        registers: how many colours one of them has.
        cell_pixels: width and height of a cell, if it tells.
        name: what it calls itself, often with its version; "" if it does not say.
    """

    sixel: bool = False
    registers: int = USUAL_REGISTERS
    cell_pixels: tuple[int, int] | None = None
    name: str = ""

    @classmethod
    def of_answer(cls, answer: bytes) -> Abilities:
        """What it wrote when it was asked; nothing where that is no answer."""
        device, cell, registers = _DEVICE.search(answer), _CELL.search(answer), _REGISTERS.search(answer)
        if device is None:
            return cls()
        name = _NAME.search(answer)
        size = (int(cell[2]), int(cell[1])) if cell else None
        return cls(
            sixel=str(_SIXEL).encode() in device[1].split(b";")[1:],
            registers=min(max(_FEWEST_REGISTERS, int(registers[1])), USUAL_REGISTERS) if registers else USUAL_REGISTERS,
            cell_pixels=size if size and min(size) > 0 else None,
            name=name[1].decode("ascii", "replace") if name else "",
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
    if choice == "iterm" or (choice == "auto" and _knows_iterm(environment, abilities)):
        return "iterm"  # which also draws sixels, but more slowly
    return "sixel" if abilities.sixel or choice == "sixel" else "characters"


def characters_of(choice: str, term: str) -> cells.Characters:
    """With which characters the game is drawn where it is no picture, by the setting and the variable TERM."""
    # Linux' own console has 256 or 512 characters: half blocks are among them, quadrants are not.
    usual = cells.BLOCKS if term.startswith("linux") else cells.QUADRANTS
    return cells.BY_NAME.get(choice, usual)


def should_ask(choice: str, environment: Mapping[str, str]) -> bool:
    """Whether the terminal has to be asked what it can."""
    return choice in ("sixel", "iterm") or (choice == "auto" and not _knows_kitty(environment))


def _is_within_another(environment: Mapping[str, str]) -> bool:
    """Whether there is a terminal between, which passes no such pictures on and moves what is on the screen."""
    return any(environment.get(name) for name in ("TMUX", "STY", "ZELLIJ"))


def _knows_kitty(environment: Mapping[str, str]) -> bool:
    if _is_within_another(environment):
        return False
    # TERM is what the innermost terminal says of itself; other names outlive it, in a terminal started from there.
    return environment.get("TERM") in ("xterm-kitty", "xterm-ghostty")


def _knows_iterm(environment: Mapping[str, str], abilities: Abilities) -> bool:
    if _is_within_another(environment):
        return False
    if abilities.name:
        return abilities.name.startswith("iTerm2")
    # Older ones do not say their name. The variable LC_TERMINAL comes along by ssh; the other one says whether it is of
    # this terminal, as both outlive it in one that was started from there.
    program = environment.get("TERM_PROGRAM")
    return program == "iTerm.app" or (program is None and environment.get("LC_TERMINAL") == "iTerm2")
