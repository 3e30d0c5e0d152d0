"""Sums up runs of a preset, for what `train` and the app say of how long one takes: training/preset_curves.json.

    python benchmarks/make_preset_curves.py fast docs/curves/fast-* --hardware "two threads of an AMD EPYC"

The runs are folders with metrics.csv, evaluations.csv and config.toml; all of the same stage and the same settings, but
for those that change nothing of how it learns. What the file had of that preset and stage is replaced. Give all runs
that were made, those that failed too.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

from mario_tui.config import TrainingConfig, load_toml, make_config
from mario_tui.presets import PRESETS, learning_settings, preset
from mario_tui.store.history import EvaluationRecord, read_evaluations, read_metrics
from mario_tui.store.intervals import wilson_interval
from mario_tui.training.measured import ROBUST_WINDOW
from mario_tui.training.preset_curves import FILE, PresetCurves, Reached, Spread

EDGES = (*range(2_500, 100_000, 5_000), *range(110_000, 400_000, 20_000), *range(425_000, 1_000_000, 50_000),
         *range(1_050_000, 10_000_000, 100_000))  # fmt: skip
"""Steps between which values are summed up; multiples of 5,000, at which evaluations are, do not lie on them."""
LEAST_EPISODES = 20
"""A running rate over fewer says nothing."""


class Run:
    """What is read of a run's folder."""

    def __init__(self, folder: Path) -> None:
        self.config = make_config(**load_toml(folder / "config.toml"))
        self.episodes = read_metrics(folder / "metrics.csv")
        self.evaluations = read_evaluations(folder / "evaluations.csv")
        self.last_step = max((one.step for one in self.episodes), default=0)

    def first(self, wanted: Callable[[EvaluationRecord], bool]) -> Reached | None:
        """The first evaluation of some kind."""
        return next((Reached(one.step, one.seconds) for one in self.evaluations if wanted(one)), None)

    def greedy_x(self, start: int, end: int) -> float | None:
        """How far greedy play got between two steps, on the average: in evaluations and in the game that measures."""
        found = [one.max_x for one in self.evaluations if one.protocol == "greedy" and start < one.step <= end]
        found += [one.max_x for one in self.episodes if one.kind == "greedy" and start < one.step <= end]
        return statistics.fmean(found) if found else None

    def robust_rate(self, _: int, end: int) -> float | None:
        """The running robust clear rate at the later of two steps."""
        if end > self.last_step:
            return None
        found = [one.cleared for one in self.episodes if one.kind == "robust" and one.step <= end][-ROBUST_WINDOW:]
        return statistics.fmean(found) if len(found) >= LEAST_EPISODES else None


def spreads(runs: Sequence[Run], value: Callable[[Run, int, int], float | None], digits: int) -> tuple[Spread, ...]:
    """The values of all runs that have one, between two edges each."""
    found = []
    for start, end in pairwise(EDGES):
        values = [one for run in runs if (one := value(run, start, end)) is not None]
        if values:
            low, median, high = (round(of(values), digits) for of in (min, statistics.median, max))
            found.append(Spread(end, low, median, high, len(values)))
    return tuple(found)


def summed_up(name: str, runs: Sequence[Run], hardware: str) -> PresetCurves:
    target = max(run.config.until_robust for run in runs)
    firsts = [run.first(lambda one: one.protocol == "greedy" and one.clears > 0) for run in runs]
    reached = [run.first(lambda one: _passes(one, target)) for run in runs] if target else []
    return PresetCurves(
        preset=name,
        stage=runs[0].config.stage,
        settings=learning_settings(runs[0].config),
        hardware=hardware,
        runs=len(runs),
        first_clears=tuple(sorted(filter(None, firsts))),
        target=target,
        targets=tuple(sorted(filter(None, reached))),
        greedy=spreads(runs, Run.greedy_x, 0),
        robust=spreads(runs, Run.robust_rate, 3),
    )


def _passes(one: EvaluationRecord, target: float) -> bool:
    """Whether a trial ends a run: the lower end of its rate's interval is the target, see `RobustGoal`."""
    return one.protocol == "robust" and wilson_interval(one.clears, one.episodes)[0] >= target


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--hardware", required=True, help="what they ran on, in words")
    parser.add_argument("--output", type=Path, default=FILE)
    arguments = parser.parse_args()
    runs = [Run(folder) for folder in arguments.runs]
    for run, folder in zip(runs, arguments.runs, strict=True):
        for other, of in ((runs[0].config, arguments.runs[0]), (preset(arguments.preset), "the preset")):
            if differing := different(run.config, other, with_stage=of != "the preset"):
                print(f"{folder} and {of} differ in {', '.join(differing)}", file=sys.stderr)
                return 2
    made = summed_up(arguments.preset, runs, arguments.hardware)
    known = json.loads(arguments.output.read_text()) if arguments.output.exists() else []
    kept = [one for one in known if (one["preset"], one["stage"]) != (made.preset, made.stage)]
    entries = sorted([*kept, asdict(made)], key=lambda one: (one["preset"], one["stage"]))
    arguments.output.write_text(json.dumps(entries, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{arguments.output}: {len(runs)} runs, {len(made.first_clears)} with a greedy clear")
    return 0


def different(one: TrainingConfig, other: TrainingConfig, *, with_stage: bool) -> list[str]:
    """The settings that would have to be equal, and are not."""
    mine, theirs = learning_settings(one), learning_settings(other)
    names = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
    return ["stage", *names] if with_stage and one.stage != other.stage else names


if __name__ == "__main__":
    sys.exit(main())
