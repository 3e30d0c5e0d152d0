import subprocess
import sys
import zlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mario_tui.buttons import RIGHT, A
from mario_tui.errors import EmulatorError, InputError
from mario_tui.game.emulator import SCREEN_SHAPE, emulator_generation
from mario_tui.game.nes_py_emulator import NesPyEmulator
from mario_tui.game.stages import STAGES


@pytest.fixture(scope="module")
def shared_emulator() -> Iterator[NesPyEmulator]:
    with NesPyEmulator("1-1") as emulator:
        yield emulator


@pytest.fixture
def emulator(shared_emulator: NesPyEmulator) -> NesPyEmulator:
    shared_emulator.reset()
    return shared_emulator


def test_it_starts_at_the_start(emulator: NesPyEmulator) -> None:
    assert (emulator.stage, emulator.x_position, emulator.time) == ("1-1", 40, 400)
    assert (emulator.life, emulator.coins, emulator.score, emulator.status) == (2, 0, 0, "small")
    assert (emulator.done, emulator.dead, emulator.flag_get) == (False, False, False)


def test_what_it_shows_are_plain_values(emulator: NesPyEmulator) -> None:
    for name in ("x_position", "time", "life", "coins", "score"):
        assert type(getattr(emulator, name)) is int, name
    for name in ("done", "dead", "flag_get"):
        assert type(getattr(emulator, name)) is bool, name
    assert type(emulator.frame(0)) is float


def test_screen_and_ram_are_copies(emulator: NesPyEmulator) -> None:
    screen, ram = emulator.screen, emulator.ram
    assert (screen.shape, screen.dtype, screen.flags.c_contiguous) == (SCREEN_SHAPE, np.uint8, True)
    assert (ram.shape, ram.dtype) == ((2048,), np.uint8)
    before = screen.copy(), ram.copy()
    for _ in range(20):
        emulator.frame(RIGHT | A)
    assert np.array_equal(screen, before[0])
    assert np.array_equal(ram, before[1])
    assert not np.array_equal(emulator.screen, screen)
    assert not np.array_equal(emulator.ram, ram)

    now = emulator.ram
    emulator.ram[:] = 0
    assert np.array_equal(emulator.ram, now)


def test_copy_screen_fills_the_array_that_it_is_given(emulator: NesPyEmulator) -> None:
    out = np.zeros(SCREEN_SHAPE, np.uint8)
    emulator.copy_screen(out)
    assert np.array_equal(out, emulator.screen)
    assert np.array_equal(out[200, 10], emulator._environment.screen[200, 10])
    sky = out[60, 128]
    assert sky[2] > sky[0], "red, green, blue: the sky is blue"


def test_reset_is_the_same_in_every_bit(emulator: NesPyEmulator) -> None:
    def crc32s() -> tuple[int, int]:
        return zlib.crc32(emulator.ram.data), zlib.crc32(emulator.screen.data)

    first = crc32s()
    for _ in range(50):
        emulator.frame(RIGHT)
    assert crc32s() != first
    emulator.reset()
    assert crc32s() == first
    with NesPyEmulator("1-1") as another:
        assert (zlib.crc32(another.ram.data), zlib.crc32(another.screen.data)) == first


def test_two_emulators_do_not_touch_each_other(emulator: NesPyEmulator) -> None:
    with NesPyEmulator("1-1") as another:
        for _ in range(50):
            another.frame(RIGHT)
        assert another.x_position > emulator.x_position == 40


def test_falling_into_a_pit_is_death(emulator: NesPyEmulator) -> None:
    # The first pit of 1-1 is far: Mario is put below the screen, as if he had fallen in.
    emulator._environment.ram[0x00B5] = 2
    reward = emulator.frame(0)
    assert emulator.done
    assert emulator.dead
    assert not emulator.flag_get
    assert reward == -15, "the penalty of 25, clipped"
    with pytest.raises(EmulatorError, match="over"):
        emulator.frame(0)
    emulator.reset()
    assert not emulator.done


class FakeEnvironment:
    """Shows what it is told to show."""

    def __init__(self, target: tuple[int, int]) -> None:
        self.ram = np.zeros(2048, np.uint8)
        self.shows(x=100, time=400)

    def shows(self, *, x: int, time: int, state: int = 0x08, done: bool = False) -> None:
        self.ram[0x000E] = state
        self.done = done
        self.info: dict[str, Any] = dict.fromkeys(("life", "coins", "score"), 0)
        self.info |= {"x_pos": x, "time": time, "flag_get": False, "status": "small"}

    def reset(self) -> None: ...

    def _get_info(self) -> dict[str, Any]:
        return self.info

    def step(self, buttons: int) -> tuple[None, float, bool, dict[str, Any]]:
        return None, 7.0, self.done, self.info


@pytest.mark.parametrize(
    ("shown", "reward"),
    [
        ({"x": 103, "time": 400}, 3),
        ({"x": 97, "time": 400}, -3),
        ({"x": 105, "time": 400}, 5),
        ({"x": 95, "time": 400}, -5),
        ({"x": 106, "time": 400}, 0),
        ({"x": 94, "time": 400}, 0),
        ({"x": 102, "time": 399}, 1),
        ({"x": 102, "time": 401}, 2),
        ({"x": 100, "time": 386}, -14),
        ({"x": 100, "time": 384}, -15),
        ({"x": 105, "time": 400, "state": 0x0B, "done": True}, -15),
        ({"x": 105, "time": 400, "state": 0x06, "done": True}, -15),
        ({"x": 103, "time": 400, "done": True}, 3),
    ],
)
def test_the_reward_at_its_limits(monkeypatch: pytest.MonkeyPatch, shown: dict[str, Any], reward: float) -> None:
    """x ignored beyond +-5, the clock only downwards, -25 for dying and none for a clear, all within +-15."""
    monkeypatch.setattr("mario_tui.game.nes_py_emulator._environment_class", lambda: FakeEnvironment)
    emulator = NesPyEmulator("1-1")
    emulator._environment.shows(**shown)
    assert emulator.frame(0) == reward


@pytest.mark.parametrize(
    ("stage", "ram", "x", "course"),
    [
        ("1-2", {0x75F: 3, 0x760: 0}, 40, (False, True)),
        ("1-2", {0x75C: 2}, 100, (False, True)),
        ("1-2", {0x74F: 2}, 24, (False, False)),
        ("4-4", {0x6DA: 1}, 100, (True, False)),
        ("4-4", {0x6DA: 1, 0x6D9: 1}, 100, (False, False)),
        ("4-4", {}, 1_476, (True, False)),
        ("4-4", {0x750: 66}, 1_476, (True, False)),
        ("4-4", {0x74F: 2}, 1_476, (False, False)),
        ("4-4", {}, 1_700, (False, False)),
        ("4-3", {}, 1_476, (False, False)),
    ],
)
def test_which_ways_are_wrong(
    monkeypatch: pytest.MonkeyPatch, stage: str, ram: dict[int, int], x: int, course: tuple[bool, bool]
) -> None:
    """By what the game keeps in its RAM; a maze leads back from x 2,500 to 1,476."""
    monkeypatch.setattr("mario_tui.game.nes_py_emulator._environment_class", lambda: FakeEnvironment)
    emulator = NesPyEmulator(stage)
    world, level = stage.split("-")
    emulator._environment.ram[[0x75F, 0x75C]] = int(world) - 1, int(level) - 1
    emulator._environment.shows(x=2_500, time=400)
    emulator.reset()
    emulator._environment.shows(x=x, time=400)
    for address, value in ram.items():
        emulator._environment.ram[address] = value
    emulator.frame(0)
    assert (emulator.led_back, emulator.left) == course
    emulator._environment.shows(x=x + 1, time=400)
    emulator._environment.ram[[0x6D9, 0x6DA]] = 0
    emulator.frame(0)
    assert (emulator.led_back, emulator.left) == course, "it stays known"


def test_a_closed_emulator_says_so_and_can_be_closed_again() -> None:
    emulator = NesPyEmulator("1-1")
    emulator.close()
    emulator.close()
    for use in (lambda: emulator.frame(0), emulator.reset, lambda: emulator.screen, lambda: emulator.ram):
        with pytest.raises(EmulatorError, match="closed"):
            use()


def test_a_stage_that_is_none_is_refused() -> None:
    with pytest.raises(InputError):
        NesPyEmulator("9-9")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_starts(stage: str) -> None:
    with NesPyEmulator(stage) as emulator:
        ram = emulator.ram
        assert f"{ram[0x75F] + 1}-{ram[0x75C] + 1}" == stage
        assert emulator.time in (300, 400)
        emulator.frame(RIGHT)
        assert not emulator.done


def test_generation_names_the_packages() -> None:
    assert emulator_generation() == (
        f"gym-super-mario-bros {metadata.version('gym-super-mario-bros')}, nes-py {metadata.version('nes-py')}"
    )


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(EmulatorError, match="gym-super-mario-bros is not installed"):
        emulator_generation()


def test_a_broken_package_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "gym_super_mario_bros.py").write_text("raise RuntimeError('built\\nfor another')")
    program = (
        "from mario_tui.errors import EmulatorError; from mario_tui.game.emulator import open_emulator\n"
        "try: open_emulator()\n"
        "except EmulatorError as error: print(error)\n"
    )
    path = [str(tmp_path), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {path!r}\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "the game cannot be loaded (built for another): run 'make setup' again\n"


@pytest.mark.parametrize("filters", ["default", "always"])
def test_nothing_is_written_to_the_terminal(filters: str) -> None:
    """Neither gym's banner, nor warnings, nor what a C library writes to descriptors 1 and 2."""
    program = (
        "from mario_tui.game.emulator import open_emulator\n"
        "for _ in range(2):\n"
        "    with open_emulator('1-1') as emulator:\n"
        "        for frame in range(60): emulator.frame(129)\n"
        "        emulator.reset(); emulator.screen; emulator.ram\n"
        "import warnings\n"
        "for module in ('gym.core', 'gym_super_mario_bros.smb_env', 'nes_py.nes_env'):\n"
        "    for kind in (DeprecationWarning, RuntimeWarning, UserWarning):\n"
        "        warnings.warn_explicit('noise', kind, 'file.py', 1, module=module)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", filters, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{program}"],
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_kept_state_goes_on_the_same_in_every_bit() -> None:
    def play(emulator: NesPyEmulator, frames: range) -> int:
        checksum = 0
        for frame in frames:
            emulator.frame(RIGHT | A if frame % 40 > 8 else RIGHT)
            checksum = zlib.crc32(emulator.ram.data, zlib.crc32(emulator.screen.data, checksum))
        return checksum

    with NesPyEmulator("1-1") as emulator:
        with pytest.raises(EmulatorError, match="no saved state"):
            emulator.load_state()
        from_start = play(emulator, range(60))
        emulator.save_state()
        x, time = emulator.x_position, emulator.time
        onwards = play(emulator, range(60, 120))
        assert emulator.x_position > x
        while not emulator.done:  # also back from death
            emulator.frame(RIGHT)
        emulator.load_state()
        assert (emulator.done, emulator.dead, emulator.x_position, emulator.time) == (False, False, x, time)
        assert play(emulator, range(60, 120)) == onwards
        emulator.reset()
        assert play(emulator, range(60)) == from_start
        with pytest.raises(EmulatorError, match="no saved state"):
            emulator.load_state()


def test_without_snapshots_one_is_refused(emulator: NesPyEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "has_snapshots", lambda: False)
    with pytest.raises(EmulatorError, match="nes-py 9 and Python"):
        emulator.snapshot()


def test_snapshots_come_with_the_newer_generation(emulator: NesPyEmulator) -> None:
    assert emulator.has_snapshots() == (int(metadata.version("nes-py").split(".")[0]) >= 9)
