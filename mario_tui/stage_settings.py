"""What a training on each stage needs besides its preset: the buttons above all, as most stages take more than running.

The kinds of stages, and where a stage's weights may begin: stages of a family have the same ground, enemies or physics.
"""

from __future__ import annotations

from typing import Any, Literal

STEPS_OF_A_STAGE = 400_000
"""That each stage of a campaign gets, if nobody says otherwise."""

Kind = Literal["ground", "underground", "athletic", "bridge", "water", "castle", "maze"]

KINDS: dict[Kind, tuple[str, ...]] = {
    "ground": ("1-1", "2-1", "3-1", "4-1", "5-1", "6-1", "7-1", "3-2", "5-2", "6-2", "8-1", "8-2", "8-3"),
    "underground": ("1-2", "4-2"),
    "athletic": ("1-3", "3-3", "4-3", "6-3", "5-3"),
    "bridge": ("2-3", "7-3"),
    "water": ("2-2", "7-2"),
    "castle": ("1-4", "6-4", "2-4", "5-4", "3-4"),
    "maze": ("4-4", "7-4", "8-4"),
}
"""The stages of each kind, the easiest first; one begins with the weights of an earlier one of its kind."""

_RUNS = ("1-1", "3-1", "4-1", "5-1", "6-1", "7-1", "5-2", "2-3", "7-3", "1-4")
"""Where the two actions of the preset, running right with and without a jump, get through: searches found such ways."""

_BY_KIND: dict[Kind, dict[str, Any]] = {
    "ground": {"action_set": "run3"},
    "underground": {"action_set": "run3"},
    "athletic": {"action_set": "run3", "gamma": 0.98},
    "bridge": {"action_set": "run3"},
    "water": {"action_set": "right_only", "stall_steps": 160, "gamma": 0.98},
    "castle": {"action_set": "run3"},
    "maze": {"action_set": "run3", "stall_steps": 160},
}


_PIPES_DOWN = ("8-4",)
"""Where no way leads on but down into pipes."""


def kind_of(stage: str) -> Kind:
    """Of what kind a stage is."""
    return next(kind for kind, stages in KINDS.items() if stage in stages)


def stage_settings(stage: str) -> dict[str, Any]:
    """Setting -> value, of those that a training on the stage has otherwise than its preset; none for 1-1."""
    if stage == "1-1":
        return {}
    settings = {} if stage in _RUNS else _BY_KIND[kind_of(stage)]
    if stage in _PIPES_DOWN:
        settings = {**settings, "action_set": "run5"}
    return {"reward": "frontier", **settings}


def usual_actions(stage: str) -> str:
    """The action set that a stage is trained and searched with, if nobody says otherwise."""
    return str(stage_settings(stage).get("action_set", "run"))
