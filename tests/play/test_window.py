"""The emulator window, on a virtual display: what is seen there, and that its end is nobody else's."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest
from PIL import ImageGrab
from tui.real_kitty import keyboard_layout

from mario_tui.play.window import GameWindow, WindowError, display_problem

WAIT_SECONDS = 30

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="virtual displays are X11's")


@pytest.fixture
def display(virtual_display: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DISPLAY", virtual_display)
    return virtual_display


@pytest.fixture
def game(display: str) -> Iterator[GameWindow]:
    game = GameWindow("mario 1-1")
    game.open()
    assert game.wait_until_open(WAIT_SECONDS), game.problem
    assert eventually(titles)
    yield game
    game.close()


def eventually(found: Callable[[], object]) -> bool:
    """Whether something comes true while the window's process has time to get there."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not found():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def picture(seed: int, height: int = 240) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, 256, 3), np.uint8)


def titles() -> dict[str, str]:
    """The number of each titled window on the display -> its title."""
    found = subprocess.run(["xdotool", "search", "--name", "."], capture_output=True, text=True, check=False)
    names = {}
    for number in found.stdout.split():
        name = subprocess.run(["xdotool", "getwindowname", number], capture_output=True, text=True, check=False)
        names[number] = name.stdout.strip()
    return names


def shows(display: str, frame: np.ndarray, scale: int = 2) -> bool:
    """Whether the frame, enlarged by a whole number, is on the display, pixel for pixel."""
    expected = frame.repeat(scale, axis=0).repeat(scale, axis=1)
    height, width = expected.shape[:2]
    screen = np.asarray(ImageGrab.grab(xdisplay=display).convert("RGB"))
    corners = (screen[: -height + 1, : -width + 1] == expected[0, 0]).all(axis=2)
    return any(
        np.array_equal(screen[top : top + height, left : left + width], expected) for top, left in np.argwhere(corners)
    )


def process_of(game: GameWindow) -> psutil.Process:
    assert game._process is not None
    return psutil.Process(game._process.pid)


def send_keys(number: str, *commands: str) -> None:
    """What xdotool does with the keyboard while the window has the focus; the window may be gone before it is done."""
    words = [word for command in commands for word in command.split()]
    subprocess.run(["xdotool", "windowfocus", "--sync", number, *words], check=False, timeout=WAIT_SECONDS)


def send_delete_request(number: str) -> None:
    """What a window manager does when the user clicks on the cross."""
    code = f"""
from ctypes import byref
from pyglet.libs.x11 import xlib
display = xlib.XOpenDisplay(None)
event = xlib.XEvent()
event.xclient.type = xlib.ClientMessage
event.xclient.window = {number}
event.xclient.message_type = xlib.XInternAtom(display, b"WM_PROTOCOLS", False)
event.xclient.format = 32
event.xclient.data.l[0] = xlib.XInternAtom(display, b"WM_DELETE_WINDOW", False)
xlib.XSendEvent(display, {number}, False, 0, byref(event))
xlib.XCloseDisplay(display)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_window_with_the_title_shows_the_emulators_pixels(game: GameWindow, display: str) -> None:
    frame = picture(0)
    game.show(frame)
    assert eventually(lambda: shows(display, frame))
    assert list(titles().values()) == ["mario 1-1"]
    game.set_title("mario 1-1  x 1594  ★")
    assert eventually(lambda: list(titles().values()) == ["mario 1-1  x 1594  ★"])
    assert (game.closed, game.problem) == (False, "")


def test_a_frame_of_another_size_resizes_the_window(game: GameWindow, display: str) -> None:
    game.show(picture(0))
    taller = picture(1, height=318)
    game.show(taller)
    assert eventually(lambda: shows(display, taller))


def test_the_picture_keeps_to_whole_numbers_when_the_window_is_resized(game: GameWindow, display: str) -> None:
    frame = picture(2)
    game.show(frame)
    assert eventually(lambda: shows(display, frame))
    (number,) = titles()
    subprocess.run(["xdotool", "windowsize", number, "900", "740"], check=True)
    assert eventually(lambda: shows(display, frame, scale=3))


def test_frames_that_come_late_are_dropped_and_nobody_waits(game: GameWindow, display: str) -> None:
    process = process_of(game)
    process.suspend()
    for number in range(300):
        game.show(picture(number % 7))
    last = picture(99)
    game.show(last)
    process.resume()
    assert eventually(lambda: shows(display, last))


@pytest.mark.parametrize("way", ["window manager", "destroyed", "escape"])
def test_it_knows_when_the_user_closed_it(game: GameWindow, way: str) -> None:
    (number,) = titles()
    if way == "window manager":
        send_delete_request(number)
    elif way == "destroyed":
        subprocess.run(["xdotool", "windowclose", number], check=True)
    else:
        send_keys(number, "keydown Escape", "keyup Escape")
    assert eventually(lambda: game.closed)
    assert game.problem == ""
    game.show(picture(0))
    game.set_title("too late")
    assert eventually(lambda: not titles())


def test_it_tells_of_keys_that_are_pressed_and_let_go(display: str) -> None:
    told: list[tuple[str, bool]] = []
    game = GameWindow("keys", on_key=lambda name, pressed: told.append((name, pressed)))
    game.open()
    assert game.wait_until_open(WAIT_SECONDS), game.problem
    assert eventually(titles)
    (number,) = titles()
    send_keys(number, "keydown Right", "keydown x", "keyup x", "keyup Right")
    assert eventually(lambda: len(told) == 4)
    assert told == [("right", True), ("x", True), ("x", False), ("right", False)]
    told.clear()
    for name in ("space", "period", "plus", "minus", "q", "Return"):
        send_keys(number, f"key {name}")
    assert eventually(lambda: len([key for key, pressed in told if pressed and "shift" not in key]) == 6)
    pressed = [key for key, down in told if down and "shift" not in key]
    assert pressed == ["space", "full_stop", "plus", "minus", "q", "enter"]
    send_keys(number, "keydown z")
    focus = "from pyglet.libs.x11 import xlib; d = xlib.XOpenDisplay(None); xlib.XSetInputFocus(d, 1, 1, 0); "
    subprocess.run([sys.executable, "-c", focus + "xlib.XSync(d, 0)"], check=True)
    assert eventually(lambda: ("", False) in told), "nothing is held in a window without the focus"
    subprocess.run(["xdotool", "keyup", "z"], check=True)
    game.close()


def test_on_a_russian_keyboard_keys_go_by_their_place(display: str) -> None:
    told: list[tuple[str, bool]] = []
    game = GameWindow("keys", on_key=lambda name, pressed: told.append((name, pressed)))
    with keyboard_layout(display, "ru"):
        game.open()
        assert game.wait_until_open(WAIT_SECONDS), game.problem
        assert eventually(titles)
        (number,) = titles()
        send_keys(number, "keydown 53", "key 52", "keyup 53", "key 24", "key 113")  # x, z, q, left
        assert eventually(lambda: len(told) == 8)
        assert [name for name, pressed in told if pressed] == ["x", "z", "q", "left"]
        assert told[-5] == ("x", False)
        game.close()


@pytest.mark.parametrize("way", ["killed", "thrown out by the display"])
def test_the_end_of_its_process_hurts_nobody(game: GameWindow, way: str) -> None:
    game.show(picture(0))
    if way == "killed":
        process_of(game).kill()
    else:
        (number,) = titles()
        subprocess.run(["xdotool", "windowkill", number], check=True)
    assert eventually(lambda: game.closed)
    assert "terminal" in game.problem
    assert "\n" not in game.problem
    game.show(picture(1))
    game.close()


@pytest.mark.parametrize("hangs", [False, True])
def test_close_ends_the_process_even_if_it_hangs(game: GameWindow, hangs: bool) -> None:
    process = process_of(game)
    if hangs:
        process.suspend()
    game.close()
    game.close()
    assert game.closed
    assert game.problem == ""
    assert not process.is_running()
    assert eventually(lambda: not titles())


def test_it_ends_with_a_parent_that_was_killed(display: str) -> None:
    code = """
import sys
from mario_tui.play.window import GameWindow
game = GameWindow("orphan")
game.open()
print(game._process.pid if game.wait_until_open(30) else game.problem, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdin is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    parent.stdin.close()
    parent.stdout.close()


def test_it_is_opened_once(game: GameWindow) -> None:
    with pytest.raises(WindowError, match="opened before"):
        game.open()


def test_a_window_never_opened_can_be_closed() -> None:
    game = GameWindow("mario")
    game.show(picture(0))
    game.close()
    assert game.closed


@pytest.mark.parametrize(("value", "reason"), [(None, "DISPLAY is not set"), (":7654", "no display answers")])
def test_without_a_display_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, value: str | None, reason: str
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    if value is not None:
        monkeypatch.setenv("DISPLAY", value)
    problem = display_problem()
    assert problem is not None
    assert reason in problem
    assert "terminal" in problem
    assert "\n" not in problem
    with pytest.raises(WindowError, match=reason):
        GameWindow("mario").open()


def test_with_a_display_there_is_no_problem(display: str) -> None:
    assert display_problem() is None


def test_without_pyglet_it_says_so(display: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pyglet" in (display_problem() or "")


def test_a_display_that_only_the_window_can_try_gives_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", "localhost:7654")  # over TCP: not tried from the caller's process
    game = GameWindow("mario")
    game.open()
    assert not game.wait_until_open(WAIT_SECONDS)
    assert game.closed
    assert "localhost:7654" in game.problem
    assert "\n" not in game.problem
    game.close()
