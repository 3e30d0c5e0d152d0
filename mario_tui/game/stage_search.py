"""Search for a way through a stage, without a network: the first phase of Go-Explore on the emulator's saved states.

Ecoffet et al. 2021 (First return, then explore): keep places that are unlike each other, go back to one of them, play
on at random from there, and keep the new places. The game is deterministic, so a way is no more than its buttons.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mario_tui.buttons import ACTION_SETS, RIGHT
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import Emulator

FRAME_SKIP = 4
EXPLORE_STEPS = 48
"""Steps that are played from a place before another one is chosen."""
MEAN_HELD_STEPS = 4
"""An action is held for a geometrically distributed number of steps."""
RIGHT_WEIGHT = 7
"""How much more often an action that goes right is drawn than another one."""
NEAR_THE_FRONT = 0.7
"""Share of the places that are chosen among those that are farthest and least visited; the others are any."""
FRONT = 40
"""So many places are near the front."""
VISIT_WEIGHT = 6
"""A place is put back by so many columns of CELL_X pixels, times the square root of its visits."""
CELL_X, CELL_Y = 24, 32
"""Places this near to each other, in pixels, are one."""
MOST_STATES = 3_000
"""Saved states in memory, 256 KB each; a place without one is reached by its buttons, in a second or so."""

# addresses in the NES's RAM
_LEVEL, _WORLD = 0x075C, 0x075F
_AREA_TYPE, _AREA_NUMBER, _PIPE = 0x074E, 0x074F, 0x0750
_PAGE, _X, _Y = 0x006D, 0x0086, 0x00CE
_RIGHT_IN_MAZE, _PASSED_IN_MAZE = 0x06D9, 0x06DA
_PLAYER_STATE, _NORMAL = 0x000E, 8
_FLOATS = 0x001D  # 0 where Mario stands or swims
_COLUMNS_OF_AREA = 400  # more than any area has

Key = tuple[int, ...]
"""The area's type and number, where its next pipe leads, column, row, parts of a maze passed rightly, parts passed, and
1 if Mario stands.

Where he stands is a place of its own: on a block that was hidden there is no other way to be told from a jump.
"""


@dataclass(slots=True)
class Cell:
    """A place. way: the button byte of each step from the stage's start, the fewest steps known; visits: how often it
    was gone back to; progress: columns from the start of its area, and _COLUMNS_OF_AREA for each area passed before."""

    way: bytes
    visits: int
    progress: int


class StageSearch:
    """Looks for a way through a stage, some steps at a time.

    Args:
        emulator: of the stage; it is moved about. Without snapshots every place is reached by its buttons.
        actions: the name of an action set.
        seed: what is drawn depends on it alone.

    Attributes:
        transitions: steps played from places on, not those that lead back to one.
        cells: the places.
        way: button bytes, one a step, that clear the stage; None as long as none is known.
    """

    def __init__(self, emulator: Emulator, actions: str, seed: int) -> None:
        self.emulator = emulator
        self.actions = actions
        self.transitions = 0
        self.cells: dict[Key, Cell] = {}
        self.way: bytes | None = None
        self._buttons = ACTION_SETS[actions]
        weights = np.array([RIGHT_WEIGHT if byte & RIGHT else 1 for byte in self._buttons], float)
        self._shares = np.cumsum(weights / weights.sum())
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._states: OrderedDict[Key, object] = OrderedDict()  # the newest used last
        emulator.reset()
        self._stage = self._where()
        self._keep(self._key(emulator.ram), b"", 0)

    @property
    def farthest(self) -> tuple[int, int]:
        """The most areas on the way to a place, and the farthest x in the last of them, to CELL_X pixels."""
        passed, column = divmod(max(cell.progress for cell in self.cells.values()), _COLUMNS_OF_AREA)
        return passed + 1, column * CELL_X

    def explore(self) -> None:
        """Goes back to a place and plays EXPLORE_STEPS from there, or fewer where Mario dies, leaves the stage for
        another one, or clears it."""
        key = self._choose()
        cell = self.cells[key]
        cell.visits += 1
        if not self._go_back(key, cell):
            return
        way, left = bytearray(cell.way), 0
        area, passed = key[:2], cell.progress // _COLUMNS_OF_AREA
        for _ in range(EXPLORE_STEPS):
            if not left:
                byte = self._buttons[int(np.searchsorted(self._shares, self._rng.random(), side="right"))]
                left = int(self._rng.geometric(1 / MEAN_HELD_STEPS))
            left -= 1
            way.append(byte)
            self.transitions += 1
            if self._play(byte):
                if self.emulator.flag_get:
                    self.way = bytes(way)
                return
            if self._where() != self._stage or self.emulator.led_back:  # by a warp zone, or wrong in a maze
                return
            ram = self.emulator.ram
            if ram[_PLAYER_STATE] == _NORMAL:
                key = self._key(ram)
                if key[:2] != area:
                    area, passed = key[:2], passed + 1
                self._keep(key, bytes(way), passed)

    def log(self) -> ActionLog:
        """The way through the stage, once there is one."""
        assert self.way is not None
        return ActionLog(self.emulator.stage, FRAME_SKIP, tuple(self.way))

    def _play(self, byte: int) -> bool:
        """Plays a step; whether the episode is over."""
        for _ in range(FRAME_SKIP):
            self.emulator.frame(byte)
            if self.emulator.done:
                return True
        return False

    def _go_back(self, key: Key, cell: Cell) -> bool:
        """Goes to a place; False if its buttons do not lead there, and then it is forgotten."""
        state = self._states.get(key)
        if state is not None:
            self.emulator.restore(state)
            self._states.move_to_end(key)
            return True
        self.emulator.reset()
        if any(self._play(byte) for byte in cell.way) or self._key(self.emulator.ram) != key:
            del self.cells[key]  # of a file that was changed
            if not self.cells:
                self.emulator.reset()
                self._keep(self._key(self.emulator.ram), b"", 0)
            return False
        self._remember(key)
        return True

    def _choose(self) -> Key:
        if self._rng.random() < NEAR_THE_FRONT:
            front = heapq.nlargest(
                FRONT,
                self.cells,
                key=lambda key: self.cells[key].progress - VISIT_WEIGHT * self.cells[key].visits ** 0.5,
            )
            return front[int(self._rng.integers(len(front)))]
        keys = list(self.cells)
        return keys[int(self._rng.integers(len(keys)))]

    def _keep(self, key: Key, way: bytes, passed: int) -> None:
        """Keeps a place, `passed` areas after the first one, if no shorter way to it is known."""
        known = self.cells.get(key)
        if (known is not None and len(known.way) <= len(way)) or key[3] >= _COLUMNS_OF_AREA:
            return
        self.cells[key] = Cell(way, known.visits if known else 0, passed * _COLUMNS_OF_AREA + key[3])
        self._remember(key)

    def _remember(self, key: Key) -> None:
        if self.emulator.has_snapshots():
            self._states[key] = self.emulator.snapshot()
            self._states.move_to_end(key)
            if len(self._states) > MOST_STATES:
                self._states.popitem(last=False)

    def _where(self) -> tuple[int, int]:
        ram = self.emulator.ram
        return int(ram[_WORLD]), int(ram[_LEVEL])

    @staticmethod
    def _key(ram: np.ndarray) -> Key:
        column, row = (int(ram[_PAGE]) * 256 + int(ram[_X])) // CELL_X, int(ram[_Y]) // CELL_Y
        area = (int(ram[address]) for address in (_AREA_TYPE, _AREA_NUMBER, _PIPE))
        stands = int(ram[_FLOATS] == 0)
        return (*area, column, row, int(ram[_RIGHT_IN_MAZE]), int(ram[_PASSED_IN_MAZE]), stands)

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs, as JSON."""
        return {
            "transitions": self.transitions,
            "rng": self._rng.bit_generator.state,
            "cells": [[*key, cell.visits, cell.progress, cell.way.hex()] for key, cell in self.cells.items()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues the search that gave this `state_dict`, of the same stage and actions; what follows is the same.

        Raises KeyError, TypeError or ValueError for anything else.
        """
        cells: dict[Key, Cell] = {}
        for row in state["cells"]:
            *key, visits, progress, way = row
            checked = _checked_key(key, 8)
            cells[checked] = Cell(bytes.fromhex(way), int(visits), int(progress))
            if min(visits, progress) < 0 or not set(cells[checked].way) <= set(self._buttons):
                raise ValueError("a place is out of range")
        if not cells or (transitions := int(state["transitions"])) < 0:
            raise ValueError("there is no place in it")
        self._rng.bit_generator.state = state["rng"]
        self.transitions, self.cells = transitions, cells
        self._states.clear()


def _checked_key(numbers: Sequence[Any], length: int) -> Key:
    if len(numbers) != length or not all(type(one) is int and 0 <= one < 10_000 for one in numbers):
        raise ValueError("the numbers of a place are out of range")
    return tuple(numbers)
