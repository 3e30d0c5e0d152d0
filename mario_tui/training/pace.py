"""How many steps a second this machine makes with some settings: as the last training had it, or a measurement."""

from __future__ import annotations

import json
from typing import Literal

from mario_tui.config import TrainingConfig
from mario_tui.presets import learning_settings
from mario_tui.training import machine

Source = Literal["training", "measurement"]


def in_words(seconds: float) -> str:
    """A duration as one says it, such as `4 min`."""
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _key(config: TrainingConfig) -> str:
    settings = json.dumps(learning_settings(config), sort_keys=True)
    return f"speed; {machine.machine_and_versions(config.device)}; {settings}"


def recall(config: TrainingConfig) -> float | None:
    """Steps/s of such a training on this machine; None where that is not known."""
    try:
        speed = float(machine.read()[_key(config)]["steps_per_second"])
    except (ValueError, LookupError, TypeError):
        return None
    return speed if 0 < speed < 1e9 else None


def remember(config: TrainingConfig, steps_per_second: float, source: Source) -> None:
    """Keeps a speed; a measurement of some seconds takes no training's place."""
    key = _key(config)
    entry = machine.read().get(key)
    if source == "measurement" and isinstance(entry, dict) and entry.get("source") == "training":
        return
    machine.keep({key: {"steps_per_second": round(steps_per_second, 1), "source": source}})
