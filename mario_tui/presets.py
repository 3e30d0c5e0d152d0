"""Presets: named sets of values for the settings.

`tutorial` has the constants of the "Train a Mario-playing RL Agent" tutorial, with three games side by side, `fast` the
ones that experiments favoured for a first clear (docs/experiments.md), and `robust` those for play that chance does not
disturb.
"""

from __future__ import annotations

from typing import Any

from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError
from mario_tui.stage_settings import stage_settings

PRESETS = {
    "fast": "a first clear",
    "robust": "aims at 97 of 100 disturbed episodes",
    "tutorial": "as published; takes days",
}
"""What each preset is for; the first is the one to begin with."""

DEFAULT_PRESET = next(iter(PRESETS))

_BOTH: dict[str, Any] = {
    "action_set": "run",
    "stall_steps": 80,
    "show_buttons": True,
    "centered": True,
    "precision": "auto",
    "gamma": 0.97,
    "reward_scale": 150.0,
    "clear_bonus": 350.0,
    "n_steps": 10,
    "cut_at_exploration": True,
    "value_bins": 51,
    "layer_norm": True,
    "shift": 3,
    "learning_rate": 5e-4,
    "adam_epsilon": 1e-5,
    "priority_exponent": 0.5,
    "burn_in": 2_000,
    "sync_every": 2_000,
    "exploration_ladder": 3.0,
    "save_every": 50_000,
}
"""Of `fast` and `robust`."""

_PRESET_VALUES: dict[str, dict[str, Any]] = {
    # three games, so that each tick has one update, which the games play beside
    "tutorial": {"envs": 3, "precision": "auto"},
    "fast": {
        **_BOTH,
        "network": "small",
        "learn_every": 4,
        "envs": 6,
        "measuring_games": 1,
        "practice_games": 1,
        "exploration_schedule": "0:1 20000:0.1 60000:0.02",
        "average_updates": 1_000,
        "eval_every": 5_000,
        "robust_episodes": 20,
    },
    "robust": {
        **_BOTH,
        "learn_every": 2,
        "envs": 8,
        "sticky": 0.25,
        "noops": 30,
        "noisy_share": 0.67,
        "measuring_games": 2,
        "practice_games": 2,
        "n_steps_schedule": "60000:10 200000:3",
        "learning_rate_schedule": "100000:5e-4 450000:5e-5",
        "replay_size": 300_000,
        "priority_correction_schedule": "0:0.4 600000:1",
        "corrections": 0.25,
        "corrections_from": 60_000,
        "corrections_every": 1_500,
        "exploration_schedule": "0:1 30000:0.1 300000:0.02 600000:0.01",
        "average_updates": 4_000,
        "steps": 2_000_000,
        "until_robust": 0.97,
        "eval_every": 0,
        "robust_episodes": 0,
        "keep_every": 20,
    },
}

_BESIDE_LEARNING = frozenset(
    {
        "stage", "steps", "episodes", "until_clear", "until_robust", "save_every", "keep_every", "log_every", "record",
        "keep_episodes",
        "seed", "device", "threads", "workers", "actors", "actor_groups", "precision", "graph", "robust_episodes",
        "tensorboard",
    }
)  # fmt: skip
"""The settings that do not change how the agent learns: where a training runs, how fast and how long, and its chances.
`eval_every` is not among them, because it decides when a greedy clear is seen."""


ON_GPU: dict[str, dict[str, Any]] = {"fast": {"envs": 0}}
"""What a preset has otherwise where the networks are on a GPU, which a few games would leave idle."""


def preset(name: str) -> TrainingConfig:
    """The settings of a preset, e.g. `fast`; raises InputError for another name."""
    if name not in _PRESET_VALUES:
        raise InputError(f"no preset {name!r}: there are {', '.join(PRESETS)}")
    return TrainingConfig(**_PRESET_VALUES[name])


def learning_settings(config: TrainingConfig) -> dict[str, Any]:
    """The settings on which it depends how a training learns, without those that have the tutorial's value.

    Runs of a preset, with whatever seed, on whatever stage and machine, have those of the preset.
    """
    fields = TrainingConfig.model_fields
    values = {name: getattr(config, name) for name in fields if name not in _BESIDE_LEARNING}
    return {name: value for name, value in values.items() if value != fields[name].default}


def nearest_preset(config: TrainingConfig) -> tuple[str, dict[str, Any]]:
    """The preset that a training is most like, and the values of its settings of learning that are others there.

    What its stage needs besides the preset (stage_settings.py) is no difference.
    """
    found = {name: _differences(config, name) for name in PRESETS}
    name = min(found, key=lambda name: len(found[name]))
    return name, found[name]


def _differences(config: TrainingConfig, name: str) -> dict[str, Any]:
    usual = preset(name).replace(stage=config.stage, **stage_settings(config.stage))
    learning = learning_settings(usual).keys() | learning_settings(config).keys()
    return {
        setting: getattr(config, setting)
        for setting in TrainingConfig.model_fields
        if setting in learning and getattr(config, setting) != getattr(usual, setting)
    }


def preset_in_words(config: TrainingConfig) -> str:
    """The preset that a training is most like, and what it has otherwise, e.g. `fast, but n_steps 5, gamma 0.9`."""
    name, others = nearest_preset(config)
    words = ", ".join(f"{setting} {_in_words(value)}" for setting, value in others.items())
    return f"{name}, but {words}" if words else name


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"
