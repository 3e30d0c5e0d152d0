"""Memory of the app and all of its processes while a run with a full replay is trained and saved.

    MARIO_TUI_HOME=FOLDER python benchmarks/app_memory.py RUN [--seconds 120]

RUN is a run in FOLDER/checkpoints; work on a copy, as it is continued. Prints one line of JSON, in MB: the proportional
set size (shared pages counted once), of the whole tree and of the app's own process, at the end and at most.
"""

import argparse
import json
import os
import time

import psutil
from pseudo_terminal import Terminal


def megabytes(process: psutil.Process) -> float:
    try:
        return process.memory_full_info().pss / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    with Terminal([], os.environ["MARIO_TUI_HOME"]) as terminal:
        terminal.wait(lambda text: "Latest trainings" in text)
        terminal.press("c")
        terminal.wait(lambda text: "whole" in text)
        terminal.press("/")
        terminal.wait(lambda text: "Filter" in text)
        terminal.press(arguments.run + "\r")
        terminal.wait(lambda text: "only with" in text)
        terminal.press("c")
        terminal.wait(lambda text: "emulate" in text, 180)
        app = psutil.Process(terminal.process.pid)
        until = time.monotonic() + arguments.seconds
        own, tree = [], []
        while time.monotonic() < until:
            terminal.skip(2.0)
            own.append(megabytes(app))
            tree.append(own[-1] + sum(megabytes(child) for child in app.children(recursive=True)))
            if len(own) == int(arguments.seconds / 4):
                terminal.press("s")
        terminal.press("\x11")
        terminal.drain()
    print(
        json.dumps(
            {
                "tree_mb": round(tree[-1]), "tree_peak_mb": round(max(tree)),
                "app_mb": round(own[-1]), "app_peak_mb": round(max(own)),
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
