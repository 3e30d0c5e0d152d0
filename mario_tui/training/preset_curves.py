"""How earlier runs of the presets went, from preset_curves.json, which benchmarks/make_preset_curves.py makes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mario_tui.config import TrainingConfig
from mario_tui.presets import learning_settings

FILE = Path(__file__).with_name("preset_curves.json")


class Reached(NamedTuple):
    """When a run had come to something, in steps and in seconds of training."""

    step: int
    seconds: float


class Spread(NamedTuple):
    """What several runs had up to a step, from that of the spread before: the lowest, the median and the highest value,
    and how many runs it is of."""

    step: int
    low: float
    median: float
    high: float
    runs: int


@dataclass(frozen=True, slots=True)
class PresetCurves:
    """What some runs of a preset on a stage did.

    Attributes:
        settings: the `learning_settings` of all of them.
        hardware: what they ran on, in words.
        runs: how many there are.
        first_clears: of the runs in which greedy play cleared the stage, the first time, the soonest first.
        target: the robust clear rate, 0 to 1, that `targets` is about; 0 for none.
        targets: of the runs in which an agent cleared that share of 100 robust episodes, the first time.
        greedy: how far greedy play got, by step; `robust`: the running robust clear rate, 0 to 1.
    """

    preset: str
    stage: str
    settings: dict[str, Any]
    hardware: str
    runs: int
    first_clears: tuple[Reached, ...]
    target: float
    targets: tuple[Reached, ...]
    greedy: tuple[Spread, ...]
    robust: tuple[Spread, ...]

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> PresetCurves:
        """An entry of the file."""
        reached = {name: tuple(Reached(*one) for one in entry[name]) for name in ("first_clears", "targets")}
        spreads = {name: tuple(Spread(*one) for one in entry[name]) for name in ("greedy", "robust")}
        return cls(**{**entry, **reached, **spreads})


@cache
def _all() -> tuple[PresetCurves, ...]:
    return tuple(map(PresetCurves.parse, json.loads(FILE.read_text(encoding="utf-8"))))


def curves_of(config: TrainingConfig) -> PresetCurves | None:
    """The earlier runs that learned as a run with these settings does, on the same stage; None if there are none."""
    settings = learning_settings(config)
    return next((one for one in _all() if one.stage == config.stage and one.settings == settings), None)
