"""The game through nes-py, the same for both generations of gym-super-mario-bros.

Python < 3.13 has version 7.4.0 and Python >= 3.13 has 9.x (pyproject.toml). Their RAM and screens are equal,
bit by bit; their rewards are not, so the reward is computed here, by the formula of 7.4.0.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import warnings
from types import TracebackType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mario_tui.errors import EmulatorError
from mario_tui.game.stages import MAZES, check_stage, next_stage
from mario_tui.rewards import frame_reward
from mario_tui.system import installation

# Addresses in the NES's RAM.
_PLAYER_STATE = 0x000E
_PLAYER_SCREEN = 0x00B5  # 1: on the screen, 2 and more: below it
_DEAD, _DYING = 0x06, 0x0B
_WORLD, _LEVEL = 0x075F, 0x075C
_MODE, _TASK = 0x0770, 0x0772
_PLAYS = 1, 3  # of these: a stage is played, and not being built up
_AREA_TYPE, _AREA_NUMBER = 0x074E, 0x074F
_RIGHT, _PASSED = 0x06D9, 0x06DA  # parts of a maze's question: taken rightly, passed

_PAGE, _X = 0x006D, 0x0086
_Y = 0x00CE
_WALKS = 8  # of _PLAYER_STATE: Mario is moved by the buttons

_LED_BACK = range(-1_032, -1_015)
"""How far a wrong way in a maze leads back, in a single frame: four pages of 256 pixels, less what Mario walks."""

_LEADS_BACK = frozenset(MAZES) - {"8-4"}
"""In 8-4 being led back is part of the way: the right pipe is still on the screen then."""

_LONGEST_TRANSITION = 5_000
"""Frames from a clear to the next stage; without those that are skipped it is none or two."""

_ATTRIBUTES = (
    "stage", "done", "dead", "flag_get", "led_back", "left", "area", "x_position", "y_position", "time", "life",
    "coins", "score", "status",
)  # fmt: skip


class NesPyEmulator:
    """One game of Super Mario Bros on one stage; see `Emulator` for its attributes and methods.

    After a frame the attributes are what the package judges it by, which is before it skips the black screens between
    areas.
    """

    def __init__(self, stage: str = "1-1") -> None:
        """Raises InputError for an unknown stage and EmulatorError if the game cannot be loaded."""
        self.stage = check_stage(stage)
        self._environment: Any = self._new_environment()
        self._start_of = stage  # what the environment's reset leads to
        self._has_saved_state = False
        self.reset()

    def _new_environment(self) -> Any:
        world, level = self.stage.split("-")
        return _environment_class()(target=(int(world), int(level)))

    def reset(self) -> None:
        environment = self._open_environment()
        if self._has_saved_state or self._start_of != self.stage:  # in the place of the start
            environment.close()
            environment = self._environment = self._new_environment()
            self._has_saved_state, self._start_of = False, self.stage
        environment.reset()
        self._begin(environment)

    def go_on(self, wait: int = 0) -> None:
        environment = self._open_environment()
        if not self.flag_get:
            raise EmulatorError(f"{self.stage} is not cleared: the game cannot go on with the next stage")
        following = next_stage(self.stage)
        if following is None:
            raise EmulatorError(f"{self.stage} is the last stage: the game does not go on after it")
        environment.done = False
        # The package skips what no button changes, such as the walk to the castle, and black screens.
        environment._did_step(False)
        for _ in range(_LONGEST_TRANSITION):
            if self._plays(following):
                break
            environment._frame_advance(0)
            environment._did_step(False)
        else:
            raise EmulatorError(f"the game did not go on from {self.stage} to {following}")
        self.stage = following
        self._begin(environment)
        for _ in range(wait):
            self.frame(0)

    def _begin(self, environment: Any) -> None:
        self.done = self.dead = self.led_back = self.left = False
        # The older generation's reset() returns no info.
        self._read(environment._get_info())
        self._place = self._where()
        self.area = self._area()

    def frame(self, buttons: int) -> float:
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
        place = self._where()
        if place != self._place:
            self.left |= place[:2] != self._place[:2]
            self._place = place
        elif self.stage in _LEADS_BACK:
            # The last part of a question is counted, judged and forgotten within one frame: only the way back shows it.
            ram = environment.ram
            self.led_back |= moved in _LED_BACK or bool(ram[_PASSED] > ram[_RIGHT])

        self.area = self._area()
        return frame_reward(moved, self.time - time_before, dead=self.dead)

    def save_state(self) -> None:
        """The next reset takes some 0.3 seconds, as the emulator has room for one state, and that was the start."""
        self._open_environment()._backup()
        self._has_saved_state = True
        self._saved_course = self.led_back, self.left

    def load_state(self) -> None:
        environment = self._open_environment()
        if not self._has_saved_state:
            raise EmulatorError("there is no saved state of the game to go back to")
        environment._restore()
        environment.done = False
        self.done = self.dead = False
        self.led_back, self.left = self._saved_course
        self._read(environment._get_info())
        self._place = self._where()
        self.area = self._area()

    def has_snapshots(self) -> bool:
        return hasattr(self._open_environment(), "dump_state")

    def snapshot(self) -> object:
        environment = self._open_environment()
        if not self.has_snapshots():
            raise EmulatorError(
                "this nes-py has no snapshots of the game: that takes nes-py 9 and Python 3.13 or newer"
            )
        # The attributes cannot be read again: the package may have skipped black screens since.
        return environment.dump_state(), {name: getattr(self, name) for name in _ATTRIBUTES}

    def restore(self, snapshot: object) -> None:
        environment = self._open_environment()
        state, attributes = cast(tuple[Any, dict[str, Any]], snapshot)
        environment.load_state(state)
        vars(self).update(attributes)
        environment.done = self.done
        self._place = self._where()

    @property
    def screen(self) -> NDArray[np.uint8]:
        out = np.empty(self._open_environment().screen.shape, np.uint8)
        self.copy_screen(out)
        return out

    def copy_screen(self, out: NDArray[np.uint8]) -> None:
        screen = self._open_environment().screen
        # By channel: four times as fast as in one go, since the emulator keeps its pixels as 32-bit BGRx.
        for channel in range(3):
            out[..., channel] = screen[..., channel]

    @property
    def ram(self) -> NDArray[np.uint8]:
        return np.array(self._open_environment().ram)

    def close(self) -> None:
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.close()

    def __enter__(self) -> NesPyEmulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_environment(self) -> Any:
        if self._environment is None:
            raise EmulatorError("the emulator is closed")
        return self._environment

    def _where(self) -> tuple[int, int, int]:
        """World, level and area."""
        ram = self._open_environment().ram
        # The game's pointer at 0x0750 says more, but changes on the way: it is where the next pipe leads.
        return int(ram[_WORLD]), int(ram[_LEVEL]), int(ram[_AREA_TYPE]) << 5 | int(ram[_AREA_NUMBER])

    def _plays(self, stage: str) -> bool:
        """Whether this stage is played, and Mario is moved by the buttons."""
        ram = self._open_environment().ram
        here = f"{ram[_WORLD] + 1}-{ram[_LEVEL] + 1}" == stage
        return here and (ram[_MODE], ram[_TASK]) == _PLAYS and bool(ram[_PLAYER_STATE] == _WALKS)

    def _area(self) -> tuple[int, int, int] | None:
        """See `Emulator.area`. Where black screens were skipped, RAM is of what came after x_position."""
        ram = self._open_environment().ram
        walks = ram[_PLAYER_STATE] == _WALKS and _signed(int(ram[_PAGE]) * 256 + int(ram[_X])) == self.x_position
        return self._place if walks else None

    def _read(self, info: dict[str, Any]) -> None:
        # The older generation gives numpy scalars, which overflow and are no JSON.
        self.flag_get = bool(info["flag_get"])
        self.x_position = _signed(int(info["x_pos"]))
        ram = self._open_environment().ram
        self.y_position = (int(ram[_PLAYER_SCREEN]) - 1) * 256 + int(ram[_Y])
        self.time = int(info["time"])
        self.life = int(info["life"])
        self.coins = int(info["coins"])
        self.score = int(info["score"])
        self.status: str = info["status"]


def _signed(x: int) -> int:
    """An x position, which is below 0 for some frames where a maze leads back to before its first page."""
    return x - 0x10000 if x >= 0x8000 else x


def _is_dying(ram: NDArray[np.uint8]) -> bool:
    return bool(ram[_PLAYER_STATE] in (_DEAD, _DYING) or ram[_PLAYER_SCREEN] > 1)


@functools.cache
def _environment_class() -> Any:
    _silence_game_packages()
    try:
        from gym_super_mario_bros import SuperMarioBrosEnv
    except Exception as error:
        reason = " ".join(str(error).split())
        raise EmulatorError(f"the game cannot be loaded ({reason}): {installation.repair()}") from error
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
