"""Presets: named sets of values for the settings.

`tutorial` has the constants of the "Train a Mario-playing RL Agent" tutorial, with three games side by side, and `fast`
the ones that experiments favoured (docs/experiments.md).
"""

from __future__ import annotations

from typing import Any

from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError

PRESETS = {
    "fast": "clears 1-1 near step 100,000",
    "tutorial": "as published; takes days",
}
"""What each preset is for; the first is the one to begin with."""

DEFAULT_PRESET = next(iter(PRESETS))

_PRESET_VALUES: dict[str, dict[str, Any]] = {
    # three games, so that each tick has one update, which the games play beside
    "tutorial": {"envs": 3, "precision": "auto"},
    "fast": {
        "action_set": "run",
        "stall_steps": 80,
        "show_buttons": True,
        "envs": 4,
        "network": "small",
        "centered": True,
        "precision": "auto",
        "gamma": 0.97,
        "n_steps": 10,
        "reward_scale": 150.0,
        "learning_rate": 5e-4,
        "priority_exponent": 0.5,
        "burn_in": 2_000,
        "learn_every": 4,
        "sync_every": 2_000,
        "exploration_rate_min": 0.1,
        "exploration_steps": 30_000,
        "exploration_ladder": 3.0,
        "average_updates": 2_000,
        "eval_every": 5_000,
        "robust_episodes": 20,
        "save_every": 50_000,
    },
}


ON_GPU: dict[str, dict[str, Any]] = {"fast": {"envs": 0}}
"""What a preset has otherwise where the networks are on a GPU, which a few games would leave idle."""


def preset(name: str) -> TrainingConfig:
    """The settings of a preset, `tutorial` or `fast`; raises InputError for another name."""
    if name not in _PRESET_VALUES:
        raise InputError(f"no preset {name!r}: there are {', '.join(PRESETS)}")
    return TrainingConfig(**_PRESET_VALUES[name])
