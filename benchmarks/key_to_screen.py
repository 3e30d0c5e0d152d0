"""How long a key takes to show on the screen while training runs at full speed, in a real pseudo-terminal.

    python benchmarks/key_to_screen.py [KEYS]

Makes a short run with the tutorial's settings but a burn-in of 200 steps, continues it in the app, and, once it learns,
opens and closes the help panel KEYS times and measures each time from the key to the panel's appearance
or disappearance. Prints one line of JSON: milliseconds, and steps/s meanwhile.
"""

import argparse
import contextlib
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fcntl import ioctl
from termios import TIOCSWINSZ

import pyte

WIDTH, HEIGHT = 120, 40


class Terminal:
    """The app in a pseudo-terminal, and the screen that a person would see."""

    def __init__(self, arguments: list[str], home: str) -> None:
        self.master, slave = pty.openpty()
        ioctl(self.master, TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mario_tui", *arguments],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "MARIO_TUI_HOME": home},
        )  # fmt: skip
        os.close(slave)
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self.stream = pyte.ByteStream(self.screen)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def drain(self) -> None:
        """Reads until the app has ended; it would wait for ever for a terminal that nobody reads."""
        with contextlib.suppress(OSError):
            while os.read(self.master, 1 << 16):
                pass
        self.process.wait()

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def wait(self, condition: Callable[[str], object], seconds: float = 60.0) -> float:
        """Reads until the screen meets the condition; returns the time when the bytes that did it came."""
        deadline = time.perf_counter() + seconds
        while True:
            if select.select([self.master], [], [], 0.5)[0]:
                data = os.read(self.master, 1 << 16)
                arrived = time.perf_counter()
                # Screen emulation knows neither kitty keys nor synchronised output; both are of no matter here.
                self.stream.feed(re.sub(rb"\x1b\[[<>=?][0-9;]*[a-z$]+", b"", data))
                if condition(self.text()):
                    return arrived
            elif condition(self.text()):
                return time.perf_counter()
            if time.perf_counter() > deadline:
                raise SystemExit(f"the screen did not change as expected:\n{self.text()}")


def figure(text: str, label: str) -> float:
    found = re.search(rf"{re.escape(label)} +([\d.,]+)", text)
    return float(found[1].replace(",", "")) if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keys", nargs="?", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train = [sys.executable, "-m", "mario_tui", "train", "--name", "bench", "--burn-in", "200", "--steps", "300"]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "MARIO_TUI_HOME": folder})
        terminal = Terminal([], folder)
        terminal.wait(lambda text: "bench" in text)
        terminal.press("c")
        terminal.wait(lambda text: "step-000000300" in text or "300" in text)
        terminal.press("c")
        terminal.wait(lambda text: figure(text, "updates") > 150, 120)
        times, speeds = [], []
        for number in range(arguments.keys):
            opens = number % 2 == 0
            speeds.append(figure(terminal.text(), "steps/s"))
            started = time.perf_counter()
            terminal.press("?")
            times.append(1000 * (terminal.wait(lambda text, opens=opens: ("esc closes" in text) == opens) - started))
        terminal.press("\x11")
        terminal.drain()
    times.sort()
    print(
        json.dumps(
            {
                "keys": len(times),
                "median_ms": round(times[len(times) // 2], 1),
                "p95_ms": round(times[int(len(times) * 0.95)], 1),
                "max_ms": round(times[-1], 1),
                "steps_per_second": max(speeds),
            }
        )
    )


if __name__ == "__main__":
    main()
