"""Draws learning curves of runs, one colour each: docs/images/learning-curves.png.

    python docs/make_curves.py checkpoints/RUN checkpoints/RUN ...

Each argument is a folder with a run's metrics.csv, evaluations.csv and config.toml, such as those in docs/curves.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mario_tui.config import load_toml

OUT = Path(__file__).parent / "images" / "learning-curves.png"
WINDOW = 50  # episodes
FLAG_X = 3161


def main() -> int:
    folders = [Path(argument) for argument in sys.argv[1:]]
    if not folders:
        print(__doc__, file=sys.stderr)
        return 2
    figure = Figure(figsize=(9, 9), layout="constrained")
    axes = figure.subplots(4, sharex=True)
    for number, folder in enumerate(folders):
        seed = load_toml(folder / "config.toml")["seed"]
        colour = f"C{number}"
        episodes, evaluations = table(folder / "metrics.csv"), table(folder / "evaluations.csv")
        episodes = [row for row in episodes if row.get("kind", "training") == "training"]
        if len(episodes) < WINDOW:
            print(f"{folder}: fewer than {WINDOW} episodes", file=sys.stderr)
            return 2
        step = mean([float(row["step"]) for row in episodes])
        axes[0].plot(step, mean([float(row["max_x"]) for row in episodes]), color=colour, label=f"seed {seed}")
        greedy = [row for row in evaluations if row["protocol"] == "greedy"]
        axes[0].plot(
            [int(row["step"]) for row in greedy],
            [float(row["max_x"]) for row in greedy],
            "o",
            color=colour,
            markersize=4,
            alpha=0.6,
        )
        axes[1].plot(step, mean([100.0 * (row["end"] == "clear") for row in episodes]), color=colour)
        axes[2].plot(step, mean([float(row["q"]) for row in episodes]), color=colour)
        axes[3].plot(step, mean([float(row["loss"]) for row in episodes]), color=colour)
    axes[0].axhline(FLAG_X, color="grey", linestyle=":", label="the flag")
    axes[0].set_ylabel("farthest x\n(dots: greedy play)")
    axes[1].set_ylabel("episodes with the flag (%)")
    axes[2].set_ylabel("Q")
    axes[3].set_ylabel("loss")
    axes[3].set_xlabel("steps")
    axes[0].legend(loc="lower right")
    for one in axes:
        one.grid(alpha=0.3)
    figure.suptitle(f"World 1-1, preset fast; means over {WINDOW} training episodes")
    figure.savefig(OUT, dpi=80)
    print(OUT)
    return 0


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def mean(values: list[float]) -> np.ndarray:
    """The mean over a window of episodes, (N - WINDOW + 1,) float64."""
    return np.convolve(values, np.ones(WINDOW) / WINDOW, mode="valid")


if __name__ == "__main__":
    sys.exit(main())
