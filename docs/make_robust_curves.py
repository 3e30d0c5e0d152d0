"""Draws how often disturbed play cleared the stage while agents were trained: docs/images/robust-curves.png.

    python docs/make_robust_curves.py docs/curves/robust-r ...

Each argument is a folder with the metrics.csv and config.toml of a run with two measuring games. Of its robust game the
share of clears in a window of episodes is drawn, with its 95 % interval (Wilson 1927).
"""

import csv
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mario_tui.config import load_toml
from mario_tui.store.intervals import wilson_interval

OUT = Path(__file__).parent / "images" / "robust-curves.png"
WINDOW = 30  # episodes


def main() -> int:
    folders = [Path(argument) for argument in sys.argv[1:]]
    if not folders:
        print(__doc__, file=sys.stderr)
        return 2
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, folder in enumerate(folders):
        with (folder / "metrics.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["kind"] == "robust"]
        if len(rows) < WINDOW:
            print(f"{folder}: fewer than {WINDOW} episodes of the robust game", file=sys.stderr)
            return 2
        steps = np.array([int(row["step"]) for row in rows])[WINDOW - 1 :]
        clears = np.convolve([row["end"] == "clear" for row in rows], np.ones(WINDOW), mode="valid")
        low, high = np.array([wilson_interval(float(one), WINDOW) for one in clears]).T
        seed = load_toml(folder / "config.toml")["seed"]
        axes.plot(steps, 100 * clears / WINDOW, color=f"C{number}", label=f"{folder.name} (seed {seed})")
        axes.fill_between(steps, 100 * low, 100 * high, color=f"C{number}", alpha=0.2, linewidth=0)
    axes.axhline(97, color="grey", linestyle=":", label="97 %")
    axes.set_ylim(0, 100)
    axes.set_xlabel("steps")
    axes.set_ylabel(f"clears of the robust game (%), last {WINDOW} episodes")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.suptitle("World 1-1, preset robust")
    figure.savefig(OUT, dpi=80)
    print(OUT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
