"""What the app costs: training speed under the app, with the Train screen open, beside that of `mario-tui train`.

    python benchmarks/app_cost.py [--preset fast] [--rounds 2] [--seconds 60] [--size 120x40]

Both continue the same short run, in turn, A B A B; speeds are read from the run's metrics.csv, from the first episode
after the tenth second on. Prints one line of JSON, with how often a second the app drew something new meanwhile: the
game, and now and then the figures with it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from pseudo_terminal import Terminal

WARM_UP_SECONDS = 10.0
KNOWS_SYNCHRONISED_OUTPUT = "\x1b[?2026;2$y"  # what a terminal answers that takes a screen's changes at one go
BEGINS_OUTPUT = b"\x1b[?2026h"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--size", default="120x40")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    headless, app, drawn = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder, "start")
        train = [sys.executable, "-m", "mario_tui", "train"]
        make = [*train, "--preset", arguments.preset, "--name", "bench", "--burn-in", "200", "--steps", "400"]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "MARIO_TUI_HOME": str(start)})
        for number in range(arguments.rounds):
            home = Path(shutil.copytree(start, Path(folder, f"headless-{number}"), symlinks=True))
            train_headless(home, [*train, "--resume", "bench"], arguments.seconds)
            headless.append(speed(home))
            home = Path(shutil.copytree(start, Path(folder, f"app-{number}"), symlinks=True))
            drawn.append(train_in_app(home, arguments.seconds, width, height))
            app.append(speed(home))
    share = statistics.median(app) / statistics.median(headless)
    result = {"headless_steps_per_second": headless, "app_steps_per_second": app, "app_share": round(share, 3)}
    print(json.dumps({"preset": arguments.preset, "size": arguments.size, **result, "drawn_per_second": drawn}))


def train_headless(home: Path, command: list[str], seconds: float) -> None:
    environment = {**os.environ, "MARIO_TUI_HOME": str(home)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.wait()


def train_in_app(home: Path, seconds: float, width: int, height: int) -> float:
    """Trains, and returns how often a second the screen was drawn in the second half of the time."""
    with Terminal([], home, width=width, height=height) as terminal:
        terminal.wait(lambda text: "bench" in text)
        terminal.press("c")
        terminal.wait(lambda text: "whole" in text)
        terminal.press("c")
        terminal.press(KNOWS_SYNCHRONISED_OUTPUT)
        terminal.skip(seconds / 2)
        drawn = terminal.skip(seconds / 2).count(BEGINS_OUTPUT) / (seconds / 2)
        terminal.press("\x11")
        terminal.drain()
    return round(drawn, 1)


def speed(home: Path) -> float:
    """Steps per second of training in a run's last sitting."""
    with (home / "checkpoints" / "bench" / "metrics.csv").open(newline="") as file:
        rows = [(float(row["seconds"]), int(row["step"])) for row in csv.DictReader(file)]
    began = next(seconds for seconds, step in rows if step > 400)
    rows = [(seconds, step) for seconds, step in rows if seconds >= began + WARM_UP_SECONDS]
    (first_seconds, first_step), (last_seconds, last_step) = rows[0], rows[-1]
    return round((last_step - first_step) / (last_seconds - first_seconds), 2)


if __name__ == "__main__":
    main()
