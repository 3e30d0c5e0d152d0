"""How steady the game is while somebody plays by hand, and how soon a key in the window shows.

    python benchmarks/play_pacing.py [--minutes 20] [--where terminal|window|both]

A script plays with seeded random keys: in the terminal in a real pseudo-terminal at 120x40 with latched keys, in the
window on a virtual display of its own (Xvfb, libXtst) with presses and releases. It reports the time between two frames
of a game as the player shows them, how far the whole was from 60 frames a second, and for the window the frames from
every fifth key press to the first pixel on the display of a frame that was played with it. Prints a line of JSON each.
"""

import argparse
import contextlib
import ctypes
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pseudo_terminal import Terminal

from mario_tui.game.step import EpisodeStep
from mario_tui.play.human_player import HumanPlayer
from mario_tui.play.window_mirror import WindowMirror

FRAME_MS = 1000 / 60
GAME_SECONDS = 20.0
"""How long the script plays before it begins the stage again."""


class Clock:
    """Notes when the frames of a player were shown; only those between two frames of one game count."""

    def __init__(self) -> None:
        self.intervals: list[float] = []
        self._last: tuple[int, float] | None = None
        show, clock = HumanPlayer._publish, self

        def timed_show(player: HumanPlayer, moment: EpisodeStep) -> EpisodeStep:
            shown = show(player, moment)
            now = time.perf_counter()
            if clock._last is not None and moment.step == clock._last[0] + 1 > 1:  # the first one waits for a key
                clock.intervals.append(now - clock._last[1])
            clock._last = moment.step, now
            return shown

        HumanPlayer._publish = timed_show  # type: ignore[method-assign, assignment]

    def report(self) -> dict[str, float]:
        """Milliseconds between two frames."""
        times = 1000 * np.array(self.intervals)
        return {
            "frames": len(times),
            "minutes": round(float(times.sum()) / 60_000, 2),
            "median_ms": round(float(np.median(times)), 2),
            "p95_ms": round(float(np.percentile(times, 95)), 2),
            "p99_ms": round(float(np.percentile(times, 99)), 2),
            "max_ms": round(float(times.max()), 1),
            "over_25_ms": int((times > 25).sum()),
            "drift_percent": round(100 * (float(times.mean()) / FRAME_MS - 1), 3),
        }


def app_with_clock(output: str) -> None:
    """In the pseudo-terminal: the app itself, which writes its frames' times when it is left."""
    clock = Clock()
    from mario_tui.tui.run import run_app

    code = run_app(play="1-1")
    Path(output).write_text(json.dumps(clock.report()))
    sys.exit(code)


def in_terminal(minutes: float) -> dict[str, float]:
    chance = random.Random(0)
    keys = {"\x1b[C": 6, "x": 5, "z": 1, "s": 2, "\x1b[D": 1, "\x1b[B": 1}
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "frames.json")
        command = (sys.executable, __file__, "--app", output)
        with Terminal([], folder, command=command) as terminal:
            terminal.wait(lambda text: "ready" in text)
            until = time.monotonic() + 60 * minutes
            begin_again = 0.0
            while time.monotonic() < until:
                if time.monotonic() > begin_again:
                    begin_again = time.monotonic() + GAME_SECONDS
                    terminal.press("a")
                    terminal.skip(1.5)
                terminal.press(chance.choices(list(keys), list(keys.values()))[0])
                terminal.skip(chance.uniform(0.1, 0.9))
            terminal.press("q")
            terminal.drain()
        return dict(json.loads(Path(output).read_text()))


class MarkedPlayer(HumanPlayer):
    """Its frames tell with their first pixels whether the button A was held in them."""

    def _publish(self, moment: EpisodeStep) -> EpisodeStep:
        moment.frame[:8, :8] = 255 if moment.frame_buttons and moment.frame_buttons[0] & 1 else 0
        return super()._publish(moment)


class Display:
    """Keys for, and pixels of, a virtual display."""

    def __init__(self, name: str) -> None:
        self._x11, self._test = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXtst.so.6")
        for function in ("XOpenDisplay", "XGetImage"):
            getattr(self._x11, function).restype = ctypes.c_void_p
        self._x11.XGetPixel.restype = ctypes.c_ulong
        self._x11.XDefaultRootWindow.restype = ctypes.c_ulong
        self._display = ctypes.c_void_p(self._x11.XOpenDisplay(name.encode()))
        if not self._display.value:
            raise SystemExit(f"no display at {name}")
        self._root = ctypes.c_ulong(self._x11.XDefaultRootWindow(self._display))

    def key(self, name: str, pressed: bool) -> None:
        code = self._x11.XKeysymToKeycode(self._display, ctypes.c_ulong(self._x11.XStringToKeysym(name.encode())))
        self._test.XTestFakeKeyEvent(self._display, code, pressed, ctypes.c_ulong(0))
        self._x11.XFlush(self._display)

    def pixel(self, x: int, y: int) -> int:
        every_plane, z_pixmap = ctypes.c_ulong(0xFFFFFFFF), 2
        image = ctypes.c_void_p(self._x11.XGetImage(self._display, self._root, x, y, 1, 1, every_plane, z_pixmap))
        value = int(self._x11.XGetPixel(image, 0, 0)) & 0xFFFFFF
        self._x11.XDestroyImage(image)
        return value


@contextlib.contextmanager
def virtual_display() -> Iterator[str]:
    """An Xvfb of its own, as large as the window, with nothing else on it."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "512x480x24", "-nolisten", "tcp"],
        pass_fds=(writer,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writer)
    with os.fdopen(reader) as pipe:
        name = f":{pipe.readline().strip()}"
    try:
        yield name
    finally:
        server.terminate()
        server.wait()


def in_window(minutes: float) -> dict[str, float]:
    chance = random.Random(0)
    keys = {"Right": 6, "x": 5, "z": 2, "Left": 1, "Down": 1}
    late: list[float] = []
    with tempfile.TemporaryDirectory() as folder, virtual_display() as name:
        os.environ["MARIO_TUI_HOME"], os.environ["DISPLAY"] = folder, name
        clock = Clock()
        player = MarkedPlayer("1-1")
        mirror = WindowMirror(player, "1-1")
        mirror.open()
        player.start()
        display = Display(name)
        until = time.monotonic() + 60 * minutes
        begin_again, presses = 0.0, 0
        while time.monotonic() < until:
            if mirror.closed:
                raise SystemExit(f"the window closed: {mirror.problem}")
            if time.monotonic() > begin_again:
                begin_again = time.monotonic() + GAME_SECONDS
                display.key("a", True)
                display.key("a", False)
                time.sleep(1.5)
                display.key("Right", True)
                display.key("Right", False)
                time.sleep(0.2)
            key = chance.choices(list(keys), list(keys.values()))[0]
            presses += 1
            if presses % 5 == 0 and not player.finished:
                time.sleep(chance.uniform(0, 0.05))
                pressed = time.perf_counter()
                display.key("x", True)
                while display.pixel(4, 4) != 0xFFFFFF and time.perf_counter() - pressed < 1:
                    time.sleep(0.0005)
                if not player.finished:
                    late.append(1000 * (time.perf_counter() - pressed) / FRAME_MS)
                display.key("x", False)
                time.sleep(0.1)
                continue
            display.key(key, True)
            time.sleep(chance.uniform(0.05, 0.7))
            display.key(key, False)
            time.sleep(0.05)
        player.close()
        mirror.close()
    return {
        **clock.report(),
        "keys_timed": len(late),
        "key_to_pixel_median_frames": round(float(np.median(late)), 2),
        "key_to_pixel_p95_frames": round(float(np.percentile(late, 95)), 2),
        "key_to_pixel_max_frames": round(max(late), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--where", choices=("terminal", "window", "both"), default="both")
    parser.add_argument("--app", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.app:
        app_with_clock(arguments.app)
    if arguments.where in ("terminal", "both"):
        print(json.dumps({"where": "terminal", **in_terminal(arguments.minutes)}), flush=True)
    if arguments.where in ("window", "both"):
        print(json.dumps({"where": "window", **in_window(arguments.minutes)}), flush=True)


if __name__ == "__main__":
    main()
