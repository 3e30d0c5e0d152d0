"""Which settings a run goes on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mario_tui import checkpoint
from mario_tui.config import TrainingConfig, make_config
from mario_tui.errors import InputError

FIXED = (
    "stage",
    "action_set",
    "frame_skip",
    "frame_stack",
    "stall_steps",
    "show_buttons",
    "network",
    "dueling",
    "centered",
    "average_updates",
    "n_steps",
    "priority_exponent",
    "max_episode_steps",
    "envs",
    "replay_size",
    "seed",
    "burn_in",
    "exploration_rate",
    "exploration_steps",
)
"""Settings that a run keeps: its replay, its games and its random states are made for them."""


def resume_config(path: Path, changes: dict[str, Any] | None = None) -> TrainingConfig:
    """The settings to go on with from a checkpoint folder: its own, with the changes that a run can take.

    A limit that is already reached is lifted, unless `changes` names a new one: who continues a run wants it to go on.
    Demonstrations stay with a run, so that only more of them are to be named.

    Raises InputError for a setting that a run keeps, CheckpointError for a checkpoint that cannot be read.
    """
    changes = dict(changes or {})
    manifest = checkpoint.read_manifest(path)
    saved = make_config(**_dict(manifest.get("config")))
    for name in FIXED:
        if name in changes and changes[name] != getattr(saved, name):
            raise InputError(
                f"{name} cannot change when a run goes on (it is {getattr(saved, name)!r}): start a new run for that"
            )
    changes.setdefault("demonstrations", "")
    if saved.steps and manifest["step"] >= saved.steps:
        changes.setdefault("steps", 0)
    if saved.episodes and manifest.get("episodes", 0) >= saved.episodes:
        changes.setdefault("episodes", 0)
    if manifest.get("greedy_clear"):
        changes.setdefault("until_clear", False)
    return saved.replace(**changes)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
