"""Which settings a run goes on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from mario_tui.config import TrainingConfig, make_config
from mario_tui.errors import CheckpointError, InputError
from mario_tui.store.manifest import MANIFEST, check_made_for, read_manifest
from mario_tui.store.untrusted import sanitize

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


DESCRIBED = ("stage", "action_set", "frame_skip", "frame_stack", "network", "dueling", "centered", "show_buttons")
"""Settings that a manifest says a second time, of the agent."""


def emulator_note(manifest: Mapping[str, Any]) -> str:
    """That a checkpoint was saved with another generation of the emulator, which does no harm; "" where it was not."""
    from mario_tui.game.emulator import emulator_generation

    versions = _dict(manifest.get("versions"))
    theirs, here = sanitize(versions.get("emulator", "")), emulator_generation()
    if theirs in ("", here):
        return ""
    return f"saved with {theirs}, goes on with {here}: the game is the same in every bit"


def resume_notes(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What is not as it was when a checkpoint was saved, and does no harm: one line each."""
    if note := emulator_note(manifest):
        yield note
    versions = _dict(manifest.get("versions"))
    known, here = sanitize(versions.get("torch", "")), metadata.version("torch")
    if known and known.partition("+")[0] != here.partition("+")[0]:
        yield f"saved with PyTorch {known}, goes on with {here}: figures may be rounded otherwise"


def resume_config(path: Path, changes: dict[str, Any] | None = None) -> TrainingConfig:
    """The settings to go on with from a checkpoint folder: its own, with the changes that a run can take.

    A limit that is already reached is lifted, unless `changes` names a new one: who continues a run wants it to go on.
    Demonstrations stay with a run, so that only more of them are to be named.

    Raises InputError for a setting that a run keeps, CheckpointError for a checkpoint that cannot be read.
    """
    changes = dict(changes or {})
    from mario_tui.agent.preprocess import PREPROCESSING_VERSION
    from mario_tui.game.emulator import REWARD_VERSION

    manifest = read_manifest(path)
    check_made_for(path, manifest, preprocessing=PREPROCESSING_VERSION, reward=REWARD_VERSION)
    try:
        saved = make_config(**_dict(manifest.get("config")))
    except InputError as error:
        raise CheckpointError(f"{path} cannot be continued by this version: {error}") from None
    described = {**manifest, **_dict(manifest.get("agent"))}
    for name in DESCRIBED:
        if name in described and described[name] != getattr(saved, name):
            raise CheckpointError(
                f"{path / MANIFEST} is damaged: {name} is {repr(described[name])[:80]} in it, and "
                f"{getattr(saved, name)!r} in its settings"
            )
    for name in FIXED:
        if name in changes and changes[name] != getattr(saved, name):
            raise InputError(
                f"{name} cannot change when a run goes on (it is {getattr(saved, name)!r}): start a new run for that"
            )
    changes.setdefault("demonstrations", "")
    if saved.steps and manifest["step"] >= saved.steps:
        changes.setdefault("steps", 0)
    episodes = manifest.get("episodes")
    if saved.episodes and isinstance(episodes, int) and episodes >= saved.episodes:
        changes.setdefault("episodes", 0)
    if manifest.get("greedy_clear"):
        changes.setdefault("until_clear", False)
    return saved.replace(**changes)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
