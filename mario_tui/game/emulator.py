"""One game of Super Mario Bros on one stage, the same for both generations of gym-super-mario-bros.

Python < 3.13 has version 7.4.0 and Python >= 3.13 has 9.x (pyproject.toml). Their RAM and screens are equal,
bit by bit; their rewards are not, so the reward is computed here, by the formula of 7.4.0.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import warnings
from importlib import metadata
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_tui.errors import EmulatorError
from mario_tui.game.stages import check_stage

REWARD_VERSION = "7.4.0"
"""The reward that agents here learn from is that of this version of gym-super-mario-bros; a checkpoint names it."""
SCREEN_SHAPE = (240, 256, 3)
STATUSES = ("small", "tall", "fireball")

# Addresses in the NES's RAM.
_PLAYER_STATE = 0x000E
_PLAYER_SCREEN = 0x00B5  # 1: on the screen, 2 and more: below it
_DEAD, _DYING = 0x06, 0x0B

_FASTEST_PIXELS = 5  # per frame; a longer way is no walk but a change of area
_DEATH_PENALTY = 25
_REWARD_LIMIT = 15


class MarioEmulator:
    """A game that waits at the start of `stage`; each `frame()` plays 1/60 s of it.

    Attributes, as of the last frame or reset (a frame's are read where the package judges it, which is before
    it skips the black screens between areas):
        done: the episode is over: Mario died, or reached the flag or the axe.
        dead: Mario died.
        flag_get: the stage is cleared.
        x_position: pixels from the start of the area.
        time: what the game's clock shows, 400 down to 0.
        life: lives left after this one; 255 is the game's -1.
        coins, score: as the game shows them.
        status: "small", "tall" or "fireball".
    """

    def __init__(self, stage: str = "1-1") -> None:
        """Raises InputError if there is no such stage and EmulatorError if the game cannot be loaded."""
        self.stage = check_stage(stage)
        self._environment: Any = self._new_environment()
        self._kept = False
        self.reset()

    def _new_environment(self) -> Any:
        world, level = self.stage.split("-")
        return _environment_class()(target=(int(world), int(level)))

    def reset(self) -> None:
        """Goes back to the start of the stage, the same in every bit each time."""
        environment = self._open_environment()
        if self._kept:  # in the place of the start
            environment.close()
            environment = self._environment = self._new_environment()
            self._kept = False
        environment.reset()
        self.done = self.dead = False
        # The older generation's reset() returns no info.
        self._read(environment._get_info())

    def frame(self, buttons: int) -> float:
        """Plays one frame with the buttons of this byte held.

        Returns the reward of gym-super-mario-bros 7.4.0, r = v + c + d clipped to [-15, 15]: v, the pixels
        walked to the right (0 if more than 5 either way); c, the clock's change if it fell; d, -25 for dying.

        Raises EmulatorError if the episode is over or the emulator closed.
        """
        environment = self._open_environment()
        if self.done:
            raise EmulatorError("the episode is over: reset the emulator before the next frame")
        x_before, time_before = self.x_position, self.time
        _, _, *ended, info = environment.step(buttons)
        self.done = any(ended)
        # RAM shows how an episode ended, as the package changes nothing in it after the last frame.
        self.dead = self.done and _is_dying(environment.ram)
        self._read(info)

        moved = self.x_position - x_before
        velocity = moved if abs(moved) <= _FASTEST_PIXELS else 0
        clock = min(self.time - time_before, 0)
        death = -_DEATH_PENALTY if self.dead else 0
        return float(max(-_REWARD_LIMIT, min(_REWARD_LIMIT, velocity + clock + death)))

    def keep(self) -> None:
        """Remembers the state of the game, one at a time, for `go_back`; a reset forgets it.

        The next reset takes some 0.3 seconds, as the emulator has room for one state, and that was the start.
        """
        self._open_environment()._backup()
        self._kept = True

    def go_back(self) -> None:
        """Goes back to the state that was kept: what follows is the same in every bit.

        Only the picture is still that of before, until the next frame. Raises EmulatorError where none was kept.
        """
        environment = self._open_environment()
        if not self._kept:
            raise EmulatorError("no state of the game was kept")
        environment._restore()
        environment.done = False
        self.done = self.dead = False
        self._read(environment._get_info())

    @property
    def screen(self) -> NDArray[np.uint8]:
        """The picture: (240, 256, 3) uint8 RGB, a copy."""
        out = np.empty(SCREEN_SHAPE, np.uint8)
        self.copy_screen(out)
        return out

    def copy_screen(self, out: NDArray[np.uint8]) -> None:
        """Writes the picture into `out`, (240, 256, 3) uint8."""
        screen = self._open_environment().screen
        # By channel: four times as fast as in one go, since the emulator keeps its pixels as 32-bit BGRx.
        for channel in range(3):
            out[..., channel] = screen[..., channel]

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The NES's memory: (2048,) uint8, a copy."""
        return np.array(self._open_environment().ram)

    def close(self) -> None:
        """Frees the game. Closing it again does nothing; anything else raises EmulatorError from then on."""
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.close()

    def __enter__(self) -> MarioEmulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_environment(self) -> Any:
        if self._environment is None:
            raise EmulatorError("the emulator is closed")
        return self._environment

    def _read(self, info: dict[str, Any]) -> None:
        # The older generation gives numpy scalars, which overflow and are no JSON.
        self.flag_get = bool(info["flag_get"])
        self.x_position = int(info["x_pos"])
        self.time = int(info["time"])
        self.life = int(info["life"])
        self.coins = int(info["coins"])
        self.score = int(info["score"])
        self.status: str = info["status"]


def emulator_generation() -> str:
    """Which game package is installed, e.g. "gym-super-mario-bros 7.4.0, nes-py 8.2.1"; does not load it.

    Raises EmulatorError if it is missing.
    """
    try:
        return ", ".join(f"{name} {metadata.version(name)}" for name in ("gym-super-mario-bros", "nes-py"))
    except metadata.PackageNotFoundError as error:
        raise EmulatorError(f"{error.name} is not installed: run 'make setup'") from error


def _is_dying(ram: NDArray[np.uint8]) -> bool:
    return bool(ram[_PLAYER_STATE] in (_DEAD, _DYING) or ram[_PLAYER_SCREEN] > 1)


@functools.cache
def _environment_class() -> Any:
    _silence_game_packages()
    try:
        from gym_super_mario_bros import SuperMarioBrosEnv
    except Exception as error:
        reason = " ".join(str(error).split())
        raise EmulatorError(f"the game cannot be loaded ({reason}): run 'make setup' again") from error
    _silence_game_packages()  # again, as gym puts filters of its own before ours
    return SuperMarioBrosEnv


def _silence_game_packages() -> None:
    """Keeps gym's banner and the packages' warnings off the terminal, where a screen may be drawn.

    The banner is looked up in a table when gym is imported, so it is taken out there: to redirect stderr
    meanwhile would affect every thread.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("gym_notices.notices").notices.clear()
    warnings.filterwarnings("ignore", module=r"(.*[/\\])?(gym|gymnasium|gym_super_mario_bros|nes_py)\b")
