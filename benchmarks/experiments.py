"""Compares settings by training: runs the runs of a plan, one after the other, and says what each setting changed.

    python benchmarks/experiments.py run PLAN.toml       what is not finished yet; a run that was stopped goes on
    python benchmarks/experiments.py effects PLAN.toml   what each setting changed, with its standard error
    python benchmarks/experiments.py table PLAN.toml     a line for each run, as docs/experiments/runs.csv has them

Runs lie where `mario-tui` keeps them (MARIO_TUI_HOME). A plan is a TOML file:

    name = "early"                # runs are named early-0, early-1, ...
    seeds = [0, 1]
    [settings]                    # of all runs; "preset" among them
    preset = "fast"
    steps = 60000
    [factors.shift]               # what is tried: the settings of each when it is on
    shift = 4
    [factors.norm]
    layer_norm = true

With `design = "screen"` every run has about half of the factors on, by a two-level design in which each factor is on
and off equally often together with every other (Plackett and Burman 1946, The Design of Optimum Multifactorial
Experiments): 12 runs, and all of them tell about each of up to 11 factors. Without it, each factor is tried alone, on
every seed, beside runs without any ("none"), and compared by pairs of the same seed.
"""

from __future__ import annotations

import argparse
import csv
import os
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomllib
from numpy.typing import NDArray

from mario_tui import paths
from mario_tui.config import as_flag, load_toml

PLACKETT_BURMAN = (1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0)
"""First row of the design for 12 runs; the next ones are its rotations, and the last has every factor off."""


@dataclass(frozen=True)
class Run:
    """One run of a plan: which factors are on, and the settings that this makes."""

    name: str
    on: tuple[str, ...]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What became of a run; None where it did not come to that.

    mean_x: mean of the farthest x of training episodes that ended between two steps; greedy_x: the same of the greedy
    measuring game; steps to the first clear in training and in greedy play; robust: clears of the last 100 episodes of
    the robust measuring game.
    """

    run: str
    on: str
    seed: int
    steps: int
    minutes: float
    mean_x: float | None
    greedy_x: float | None
    clears: int
    first_clear: int | None
    first_greedy_clear: int | None
    robust: int | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "effects", "table"))
    parser.add_argument("plan", type=Path)
    parser.add_argument("--steps", type=int, nargs=2, default=(30_000, 60_000), help="means are taken between these")
    arguments = parser.parse_args()
    plan = tomllib.loads(arguments.plan.read_text())
    runs = planned(plan)
    if arguments.what == "run":
        for run in runs:
            train(run)
        return 0
    results = [found for run in runs if (found := result(run, *arguments.steps))]
    if arguments.what == "table":
        writer = csv.DictWriter(sys.stdout, list(asdict(results[0])))
        writer.writeheader()
        writer.writerows(map(asdict, results))
        return 0
    for measure in ("mean_x", "greedy_x", "first_clear", "first_greedy_clear", "robust"):
        print_effects(measure, list(plan["factors"]), results, paired=plan.get("design") != "screen")
    return 0


def planned(plan: dict[str, Any]) -> list[Run]:
    """The runs of a plan, in order."""
    factors: dict[str, dict[str, Any]] = plan["factors"]
    seeds = plan["seeds"]
    runs = []
    if plan.get("design") == "screen":
        if len(factors) > len(PLACKETT_BURMAN):
            raise SystemExit(f"a screen has at most {len(PLACKETT_BURMAN)} factors, not {len(factors)}")
        rows = [np.roll(PLACKETT_BURMAN, turn) for turn in range(len(PLACKETT_BURMAN))]
        rows.append(np.zeros(len(PLACKETT_BURMAN), dtype=int))
        for number, row in enumerate(rows):
            on = tuple(name for name, level in zip(factors, row, strict=False) if level)
            runs.append(_run(plan, f"{plan['name']}-{number}", on, seeds[number % len(seeds)]))
        return runs
    for seed in seeds:
        for name in ("none", *factors):
            runs.append(_run(plan, f"{plan['name']}-{name}-{seed}", () if name == "none" else (name,), seed))
    return runs


def _run(plan: dict[str, Any], name: str, on: tuple[str, ...], seed: int) -> Run:
    settings = {**plan["settings"], "seed": seed}
    for factor in on:
        settings.update(plan["factors"][factor])
    return Run(name, on, settings)


def folder(run: Run) -> Path:
    """Where its run lies."""
    return paths.checkpoints_dir() / run.name


def train(run: Run) -> None:
    """Trains until the run's end; one that ended already is left alone."""
    output = folder(run).with_suffix(".json")
    if output.is_file() and '"event": "finished"' in output.read_text()[-1000:]:
        return
    settings = dict(run.settings)
    preset = settings.pop("preset", "fast")
    command = [sys.executable, "-m", "mario_tui", "train", "--json"]
    if folder(run).is_dir():
        command += ["--resume", run.name]
    else:
        flags = " ".join(as_flag(name, value) for name, value in settings.items())
        command += ["--preset", preset, "--name", run.name, *shlex.split(flags)]
    print(run.name, *run.on, flush=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("a") as file:
        subprocess.run(command, stdout=file, check=False)


def result(run: Run, start: int, end: int) -> Result | None:
    """What became of a run so far; None before its first episode."""
    metrics = folder(run) / "metrics.csv"
    if not metrics.is_file():
        return None
    with metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return None
    kinds: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        kinds.setdefault(row.get("kind") or "training", []).append(row)
    training, robust = kinds.get("training", []), kinds.get("robust", [])[-100:]
    return Result(
        run=run.name,
        on=" ".join(run.on) or "none",
        seed=load_toml(folder(run) / "config.toml")["seed"],
        steps=int(rows[-1]["step"]),
        minutes=round(float(rows[-1]["seconds"]) / 60, 1),
        mean_x=_mean_x(training, start, end),
        greedy_x=_mean_x(kinds.get("greedy", []), start, end),
        clears=sum(row["end"] == "clear" for row in training),
        first_clear=next((int(row["step"]) for row in training if row["end"] == "clear"), None),
        first_greedy_clear=_first_greedy_clear(run, kinds.get("greedy", [])),
        robust=sum(row["end"] == "clear" for row in robust) if len(robust) == 100 else None,
    )


def _mean_x(rows: list[dict[str, str]], start: int, end: int) -> float | None:
    values = [int(row["max_x"]) for row in rows if start <= int(row["step"]) < end]
    return round(float(np.mean(values)), 1) if values else None


def _first_greedy_clear(run: Run, greedy: list[dict[str, str]]) -> int | None:
    steps = [int(row["step"]) for row in greedy if row["end"] == "clear"]
    evaluations = folder(run) / "evaluations.csv"
    if evaluations.is_file():
        with evaluations.open(newline="") as file:
            steps += [int(row["step"]) for row in csv.DictReader(file) if int(row["clears"]) == int(row["episodes"])]
    return min(steps, default=None)


def print_effects(measure: str, factors: list[str], results: list[Result], *, paired: bool) -> None:
    """Prints what each factor changed in a measure: mean and standard error."""
    known = [one for one in results if getattr(one, measure) is not None]
    if len(known) < 3:
        return
    print(f"\n{measure}: {len(known)} runs, mean {np.mean([getattr(one, measure) for one in known]):.0f}")
    effects = _paired(measure, factors, known) if paired else _screened(measure, factors, known)
    for name, (effect, error, runs) in effects.items():
        print(f"  {name:12} {effect:+8.0f} ± {error:.0f}   ({runs})")


def _paired(measure: str, factors: list[str], results: list[Result]) -> dict[str, tuple[float, float, str]]:
    by = {(one.on, one.seed): getattr(one, measure) for one in results}
    effects = {}
    for name in factors:
        seeds = [seed for on, seed in by if on == name and ("none", seed) in by]
        if seeds:
            differences = np.array([by[name, seed] - by["none", seed] for seed in seeds])
            error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else np.nan
            effects[name] = (float(differences.mean()), float(error), f"{len(differences)} pairs")
    return effects


def _screened(measure: str, factors: list[str], results: list[Result]) -> dict[str, tuple[float, float, str]]:
    """Least squares of the measure on the factors, with the error that the runs left over give."""
    values = np.array([getattr(one, measure) for one in results], dtype=float)
    design: NDArray[np.float64] = np.array(
        [[1.0, *(0.5 if name in one.on.split() else -0.5 for name in factors)] for one in results]
    )
    solution, *_ = np.linalg.lstsq(design, values, rcond=None)
    left = len(values) - np.linalg.matrix_rank(design)
    variance = float(((values - design @ solution) ** 2).sum()) / left if left else np.nan
    errors = np.sqrt(np.diag(np.linalg.pinv(design.T @ design)) * variance)
    return {
        name: (float(solution[1 + at]), float(errors[1 + at]), f"{left} left over") for at, name in enumerate(factors)
    }


if __name__ == "__main__":
    os.environ.setdefault("MARIO_TUI_AUTOTUNE", "0")
    sys.exit(main())
