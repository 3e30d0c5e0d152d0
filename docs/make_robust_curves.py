"""Draws how often disturbed play cleared the stage while agents were trained.

    python docs/make_robust_curves.py docs/images/robust-curves.png docs/curves/robust-r ...

After the picture's name come folders with the metrics.csv and config.toml of runs with two measuring games. Of each
run's robust game the share of clears in a window of episodes is drawn, with its 95 % interval (Wilson 1927).
"""

import csv
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mario_tui.config import load_toml
from mario_tui.store.intervals import wilson_interval

WINDOW = 30  # episodes


def main() -> int:
    if len(sys.argv) < 3 or not sys.argv[1].endswith(".png"):
        print(__doc__, file=sys.stderr)
        return 2
    out, *folders = map(Path, sys.argv[1:])
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
        config = load_toml(folder / "config.toml")
        axes.plot(steps, 100 * clears / WINDOW, color=f"C{number}", label=f"{folder.name} ({told(config)})")
        axes.fill_between(steps, 100 * low, 100 * high, color=f"C{number}", alpha=0.2, linewidth=0)
    axes.axhline(97, color="grey", linestyle=":", label="97 %")
    axes.set_ylim(0, 100)
    axes.set_xlabel("steps")
    axes.set_ylabel(f"clears of the robust game (%), last {WINDOW} episodes")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.suptitle("World 1-1, preset robust")
    figure.savefig(out, dpi=80)
    print(out)
    return 0


def told(config: dict[str, object]) -> str:
    return f"seed {config['seed']}" + (", from a log" if config["demonstrations"] else "")


if __name__ == "__main__":
    sys.exit(main())
