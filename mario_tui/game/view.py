"""What the NES's memory says of a picture: the part of the area that it shows, and the sprites of Mario in it."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mario_tui.errors import EmulatorError
from mario_tui.system import installation

# Addresses in the NES's RAM.
_WORLD, _LEVEL, _AREA_TYPE, _AREA_NUMBER = 0x075F, 0x075C, 0x074E, 0x074F
_LEFT_PAGE, _LEFT = 0x071A, 0x071C
_PAGE, _X, _SCREEN, _Y = 0x006D, 0x0086, 0x00B5, 0x00CE
_SPRITES, _MARIO = 0x0200, 0x06E4
_SPRITE_BYTES = 8 * 4  # Mario is two sprites wide and four high, of four bytes each

_HEADER_BYTES, _PROGRAM_BYTES, _PATTERN_BYTES = 16, 16_384, 4_096

Area = tuple[int, int, int]
"""World, level, and the number of the area."""


@dataclass(frozen=True, slots=True)
class View:
    """Of one picture of the game. It shows what the game put in memory in the frame before.

    Attributes:
        area: the one that is shown.
        left: x position in the area of the picture's first column, pixels.
        x, y: of Mario's box of 16 by 32 pixels in the picture; it may lie outside.
        sprites: the eight sprites of Mario as the NES has them: row less one, tile, attributes and column of each. The
            game may be late, in a frame with many enemies: then all lie below the picture, as they do without Mario.
        sprites_after: those after the frame; where the game is late again, tiles and columns are still the picture's.
    """

    area: Area
    left: int
    x: int
    y: int
    sprites: bytes
    sprites_after: bytes


def view_of(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> View | None:
    """The view of the picture of a frame, of the memory before and after it, (2048,) uint8.

    None where the game went to another area: black screens were skipped, and the picture is of neither.
    """
    memory, memory_after = before.tobytes(), after.tobytes()
    area = _area(memory)
    if area != _area(memory_after):
        return None
    left = memory[_LEFT_PAGE] * 256 + memory[_LEFT]
    return View(
        area=area,
        left=left,
        x=memory[_PAGE] * 256 + memory[_X] - left,
        y=(memory[_SCREEN] - 1) * 256 + memory[_Y],
        sprites=_sprites(memory),
        sprites_after=_sprites(memory_after),
    )


def _area(memory: bytes) -> Area:
    return memory[_WORLD], memory[_LEVEL], memory[_AREA_TYPE] << 5 | memory[_AREA_NUMBER]


def _sprites(memory: bytes) -> bytes:
    start = _SPRITES + memory[_MARIO]
    return memory[start : min(start + _SPRITE_BYTES, _SPRITES + 256)]


@functools.cache
def sprite_tiles() -> NDArray[np.uint8]:
    """The tiles that sprites are made of, (256, 8, 8) uint8, read-only: 0 is transparent, 1 to 3 are colours.

    Raises EmulatorError if the game cannot be read.
    """
    spec = importlib.util.find_spec("gym_super_mario_bros")  # which does not import it
    folders = spec.submodule_search_locations if spec is not None else None
    try:
        if not folders:
            raise FileNotFoundError("gym_super_mario_bros is not installed")
        content = (Path(folders[0]) / "_roms" / "super-mario-bros.nes").read_bytes()
    except OSError as error:
        raise EmulatorError(f"the game cannot be read ({error}): {installation.repair()}") from error
    start = _HEADER_BYTES + content[4] * _PROGRAM_BYTES
    planes = np.frombuffer(content, np.uint8, _PATTERN_BYTES, start).reshape(256, 2, 8, 1)
    bits = np.unpackbits(planes, axis=3)
    tiles = bits[:, 0] + 2 * bits[:, 1]
    tiles.flags.writeable = False
    return tiles
