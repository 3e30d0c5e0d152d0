"""The settings of a resumed run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from mario_tui.agent.spec import AgentSpec
from mario_tui.config import TrainingConfig, as_flag, fixed_settings, make_config
from mario_tui.errors import CheckpointError, InputError
from mario_tui.printable import as_argument
from mario_tui.settings import SCHEDULES
from mario_tui.store import named, rescue
from mario_tui.store.manifest import MANIFEST, Manifest, check_made_for, read_manifest
from mario_tui.store.untrusted import sanitize


def emulator_note(manifest: Manifest) -> str:
    """One line if a checkpoint was saved with another generation of the emulator, which does no harm; "" if not."""
    from mario_tui.game.emulator import emulator_generation

    theirs, here = manifest.versions.get("emulator", ""), emulator_generation()
    if theirs in ("", here):
        return ""
    return f"saved with {theirs}, goes on with {here}: the game is the same in every bit"


def resume_notes(manifest: Manifest, config: TrainingConfig, device: str) -> Iterator[str]:
    """What has changed since a checkpoint was saved, and does no harm: one line each.

    Args:
        config: the settings of now.
        device: where the networks are.
    """
    if (games := manifest.config["envs"]) != config.envs:
        replay = " and replay" if "replay.frames" in manifest.parts else ""
        yield (
            f"saved with {games} game{'s' * (games != 1)}, goes on with {config.envs}: these begin anew, and weights, "
            f"optimizer, counters, epsilon{replay} go on"
        )
    if (actors := manifest.config.get("actors", "local")) != config.actors:
        here = "this machine" if config.actors == "local" else config.actors
        yield f"its games ran on {sanitize(actors)}, and now run on {here}: --actors says where"
    if config.device == "auto" and (there := manifest.config.get("device", "auto")) != "auto":
        yield f"saved on {there}, goes on with {device}"
    if note := emulator_note(manifest):
        yield note
    known, here = manifest.versions.get("torch", ""), metadata.version("torch")
    if known and known.partition("+")[0] != here.partition("+")[0]:
        yield f"saved with PyTorch {known}, goes on with {here}: figures may be rounded otherwise"


def resume_config(path: Path, changes: dict[str, Any] | None = None) -> TrainingConfig:
    """The settings with which to resume from a checkpoint folder: its own, with `changes` to those that are not fixed.

    A limit that is already reached is lifted, unless `changes` has a new one. Games are played on this machine, unless
    `changes` has another place. Demonstrations stay with a run: the
    setting names only further ones.

    Raises InputError for a change of a fixed setting, CheckpointError for a checkpoint that cannot be read.
    """
    changes = dict(changes or {})
    with rescue.advising(path):
        manifest = read_manifest(path)
    check_made_for(path, manifest)
    try:
        saved = make_config(**manifest.config)
        spec = AgentSpec.parse(manifest.agent)
    except (InputError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be continued by this version: {error}") from None
    described = {"stage": manifest.stage, **spec.model_dump()}
    for name, value in {"stage": saved.stage, **AgentSpec.from_config(saved).model_dump()}.items():
        if described[name] != value and name != "averaged":  # an export has only the average: it is refused later
            raise CheckpointError(
                f"{path / MANIFEST} is damaged: {name} is {repr(described[name])[:80]} in it, and "
                f"{value!r} in its settings"
            )
    for name in fixed_settings():
        if name in changes and changes[name] != getattr(saved, name):
            raise InputError(_refusal(path, saved, name, changes[name]))
    for schedule, (_, settings) in SCHEDULES.items():
        overruled = [name for name in settings if name in changes and changes[name] != getattr(saved, name)]
        if overruled and changes.get(schedule, getattr(saved, schedule)):
            raise InputError(
                f"{overruled[0]} follows {schedule} in this run: change that, or end it with {as_flag(schedule, '')}"
            )
    changes.setdefault("demonstrations", "")
    changes.setdefault("actors", "local")  # nobody else's file has this machine connect to others
    if saved.steps and manifest.step >= saved.steps:
        changes.setdefault("steps", 0)
    if saved.episodes and (manifest.episodes or 0) >= saved.episodes:
        changes.setdefault("episodes", 0)
    if manifest.greedy_clear:
        changes.setdefault("until_clear", False)
    if manifest.robust_trial is not None and manifest.robust_trial >= saved.until_robust:
        changes.setdefault("until_robust", 0.0)
    if "device" not in changes and saved.device not in ("auto", "cpu"):
        from mario_tui.agent.devices import problem_of  # takes seconds, as it needs PyTorch

        if problem_of(saved.device):  # of another machine
            changes["device"] = "auto"
    return saved.replace(**changes)


def _refusal(path: Path, saved: TrainingConfig, name: str, value: Any) -> str:
    """Why a setting cannot change, and how one gets what was meant."""
    if name == "init_from":
        return "a resumed run goes on with its own weights: leave out --init-from, or --resume to begin a new run"
    kept = f"{name} cannot change when a run is resumed (it is {getattr(saved, name)!r})"
    if AgentSpec.from_config(saved) != AgentSpec.from_config(saved.replace(**{name: value})):
        return f"{kept}, as its weights fit no other: start a new run for that, without --resume"
    source = as_argument(named.shortest_name(path))
    return (
        f"{kept}: begin a new run with its weights instead, "
        f"'mario-tui train --init-from {source} {as_flag(name, value)}'"
    )
