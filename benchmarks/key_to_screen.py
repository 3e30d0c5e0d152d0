"""How long a key takes to show on the screen while training runs at full speed, in a real pseudo-terminal.

    python benchmarks/key_to_screen.py [KEYS]

Makes a short run with the tutorial's settings but a burn-in of 200 steps, continues it in the app, and, once it learns,
opens the help panel KEYS times and measures each time from the key to the first bytes that draw the panel. Prints one
line of JSON: milliseconds, and the steps/s that the app shows at the end.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

from pseudo_terminal import Terminal


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
        with Terminal([], folder) as terminal:
            terminal.wait(lambda text: "bench" in text)
            terminal.press("c")
            terminal.wait(lambda text: "whole" in text)
            terminal.press("c")
            terminal.wait(lambda text: figure(text, "updates") > 150, 120)
            times = []
            for number in range(arguments.keys):
                terminal.skip(0.2 + 0.007 * (number % 30))  # keys come at any time of a frame or an update
                started = time.perf_counter()
                terminal.press("?")
                times.append(1000 * (terminal.wait_for_bytes(b"esc closes") - started))
                terminal.skip(0.2)
                terminal.press("q")
            terminal.wait(lambda text: "esc closes" not in text)
            terminal.press("h")
            terminal.wait(lambda text: "Latest trainings" in text)
            speed = figure(terminal.text(), "steps/s")
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
                "steps_per_second": speed,
            }
        )
    )


if __name__ == "__main__":
    main()
