"""Curves of several runs side by side, and of runs that differ by their seed alone as one, with its spread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mario_tui.errors import InputError
from mario_tui.store.history import COMPARED, LEARNED, WINDOW, Curve, episode_values, mean_curve
from mario_tui.store.run import settings_of

COMPUTED_ON = ("device", "threads", "workers")
"""Settings of the machine, in which runs of one group may differ as well."""
_EVERY_EPISODE = 10**9


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison shows as one: a run, or several that differ by their seed alone.

    Attributes:
        runs: their folders.
        curves: under each name of COMPARED (step, mean over the episodes before it); of several runs the mean of
            theirs, at steps that all of them have reached.
        low, high: of several runs the lowest and the highest of these at each step; empty for one.
        missing: the names without a curve, and why there is none.
    """

    runs: tuple[Path, ...]
    curves: Mapping[str, Curve]
    low: Mapping[str, Curve] = field(default_factory=dict)
    high: Mapping[str, Curve] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def seed_groups(runs: Iterable[Path]) -> list[tuple[Path, ...]]:
    """The runs in groups whose settings differ by their seed alone, in the order of their first ones.

    A run of which the settings cannot be read is alone, and so is a second one of a seed.
    """
    groups: list[tuple[dict[str, Any], set[int], list[Path]]] = []
    for run in runs:
        settings = _settings(run)
        seed = settings.pop("seed", None)
        for theirs, seeds, members in groups:
            if seed is not None and settings == theirs and seed not in seeds:
                seeds.add(seed)
                members.append(run)
                break
        else:
            groups.append((settings, {seed}, [run]))
    return [tuple(members) for *_, members in groups]


def _settings(run: Path) -> dict[str, Any]:
    """What makes runs comparable, and the seed; empty where it cannot be read."""
    try:
        settings = settings_of(run).model_dump()
    except InputError:
        return {}
    return {name: value for name, value in settings.items() if name not in COMPUTED_ON}


def compare(groups: Sequence[Sequence[Path]], points: int, window: int = WINDOW) -> list[Compared]:
    """The curves of each group, means over `window` episodes, with so many points at most."""
    return [_of_one(group[0], points, window) if len(group) == 1 else _of_several(group, points, window)
            for group in groups]  # fmt: skip


def _of_one(run: Path, points: int, window: int) -> Compared:
    values = episode_values(run)
    curves = {name: mean_curve(*values[name], points, window) for name in COMPARED}
    return Compared((run,), curves, missing=_missing(values))


def _of_several(runs: Sequence[Path], points: int, window: int) -> Compared:
    of_runs = [episode_values(run) for run in runs]
    curves: dict[str, Curve] = {}
    low: dict[str, Curve] = {}
    high: dict[str, Curve] = {}
    missing: dict[str, str] = {}
    for name in COMPARED:
        reasons = list(dict.fromkeys(filter(None, (_missing(values).get(name) for values in of_runs))))
        each = [np.array(mean_curve(*values[name], _EVERY_EPISODE, window)).reshape(-1, 2) for values in of_runs]
        first = max((one[0, 0] for one in each if len(one)), default=0.0)
        last = min((one[-1, 0] for one in each if len(one)), default=-1.0)
        if reasons or first > last:
            missing[name] = ", ".join(reasons) or "no step that all of the runs have reached"
            curves[name] = []
            continue
        steps = np.unique(np.linspace(first, last, points))
        at_steps = np.array([np.interp(steps, one[:, 0], one[:, 1]) for one in each])
        for found, values in (
            (curves, at_steps.mean(axis=0)),
            (low, at_steps.min(axis=0)),
            (high, at_steps.max(axis=0)),
        ):
            found[name] = list(zip(steps.tolist(), values.tolist(), strict=True))
    return Compared(tuple(runs), curves, low, high, missing)


def _missing(values: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, str]:
    """Why a run has no curve, under the name of each that it lacks."""
    found = {}
    for name in COMPARED:
        if len(values[name][1]):
            continue
        if not len(values[COMPARED[0]][1]):
            found[name] = "no episodes yet"
        elif any(len(values[other][1]) for other in COMPARED if other.lower() in LEARNED):
            found[name] = f"{name} was not recorded"
        else:
            found[name] = "nothing learned yet"
    return found
