"""What an emulator offers, and the one way to open one."""

from __future__ import annotations

from importlib import metadata
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mario_tui.errors import EmulatorError
from mario_tui.game.nes_py_emulator import NesPyEmulator
from mario_tui.system import installation

SCREEN_SHAPE = (240, 256, 3)
NO_AREA = -1


class Emulator(Protocol):
    """A game that waits at the start of `stage`; each `frame()` plays 1/60 s of it. A context manager that closes it.

    Attributes, as of the last frame or reset:
        done: the episode is over: Mario died, or reached the flag or the axe.
        dead: Mario died.
        flag_get: the stage is cleared.
        led_back: Mario took a wrong way in a maze: it leads him back, or will.
        left: the game went on in another stage, as it does behind the pipes of a warp zone.
        area: world, level and area (its type and number) that x_position is in; None where Mario is not moved by
            the buttons, as in a pipe, and in the frame in which the game shows another area.
        x_position: pixels from the start of the area.
        y_position: of Mario's head, pixels from the top of the screen; below 0 above it.
        time: what the game's clock shows, 400 down to 0.
        life: lives left after this one; 255 is the game's -1.
        coins, score: as the game shows them.
        status: "small", "tall" or "fireball".
    """

    stage: str
    done: bool
    dead: bool
    flag_get: bool
    led_back: bool
    left: bool
    area: tuple[int, int, int] | None
    x_position: int
    y_position: int
    time: int
    life: int
    coins: int
    score: int
    status: str

    def reset(self) -> None:
        """Goes back to the start of the stage, the same in every bit each time."""

    def go_on(self, wait: int = 0) -> None:
        """After a clear: goes on with the next stage by the game's own transition, and waits so many frames there.

        `stage` is the next one then, and score, coins, lives and status are as they were. No button is pressed.
        Raises EmulatorError where the stage is not cleared, or is the last one.
        """

    def frame(self, buttons: int) -> float:
        """Plays one frame with the buttons of this byte pressed.

        Returns the reward of the tutorial, see rewards.py.

        Raises EmulatorError if the episode is over or the emulator closed.
        """

    def save_state(self) -> None:
        """Remembers the state of the game, one at a time, for `load_state`; a reset forgets it."""

    def load_state(self) -> None:
        """Goes back to the saved state: what follows is the same in every bit.

        Only the picture is still the one from before, until the next frame. Raises EmulatorError without a saved state.
        """

    def has_snapshots(self) -> bool:
        """Whether `snapshot` and `restore` can be used: with nes-py 9, which needs Python 3.13."""

    def snapshot(self) -> object:
        """The state of the game with its picture, any number of them, also where the episode is over.

        It is for `restore` of any emulator in this process, and cannot be pickled. Some 256 KB.
        Raises EmulatorError where there are none, see `has_snapshots`.
        """

    def restore(self, snapshot: object) -> None:
        """Goes back, or on, to a state: attributes, picture and what follows are the same in every bit."""

    @property
    def screen(self) -> NDArray[np.uint8]:
        """The picture: (240, 256, 3) uint8 RGB, a copy."""

    def copy_screen(self, out: NDArray[np.uint8]) -> None:
        """Writes the picture into `out`, (240, 256, 3) uint8."""

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The NES's memory: (2048,) uint8, a copy."""

    def close(self) -> None:
        """Frees the game. Closing it again does nothing; anything else raises EmulatorError from then on."""

    def __enter__(self) -> Emulator: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def place(emulator: Emulator) -> tuple[int, int, int]:
    """x and y of Mario in pixels and the number of the area, which is NO_AREA where `Emulator.area` is None."""
    area = emulator.area
    return emulator.x_position, emulator.y_position, NO_AREA if area is None else area[2]


def open_emulator(stage: str = "1-1") -> Emulator:
    """A game at the start of a stage.

    Raises InputError for an unknown stage and EmulatorError if the game cannot be loaded.
    """
    return NesPyEmulator(stage)


def emulator_generation() -> str:
    """Which game package is installed, e.g. "gym-super-mario-bros 7.4.0, nes-py 8.2.1"; does not load it.

    Raises EmulatorError if it is missing.
    """
    try:
        return ", ".join(f"{name} {metadata.version(name)}" for name in ("gym-super-mario-bros", "nes-py"))
    except metadata.PackageNotFoundError as error:
        raise EmulatorError(f"{error.name} is not installed: {installation.repair()}") from error
