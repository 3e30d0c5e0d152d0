"""A new run that begins with the weights of another agent: its settings, and its networks."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario_tui.agent.spec import AgentSpec
from mario_tui.config import TrainingConfig, as_flag, make_config
from mario_tui.errors import CheckpointError, InputError
from mario_tui.store import named
from mario_tui.store.manifest import read_manifest

if TYPE_CHECKING:  # PyTorch takes seconds to import
    from mario_tui.agent.mario import Mario


def initial_config(config: TrainingConfig, given: Collection[str] = ()) -> TrainingConfig:
    """The settings of a new run that begins with the weights of `config.init_from`.

    What fixes the network and its input is taken from there; so is the averaging of the weights where there is an
    average and `config` would have none.

    Args:
        given: the settings that the user chose, which are not changed.

    Raises:
        InputError: one of them fits no network with these weights.
        CheckpointError: there is no such checkpoint, or it cannot be read.
    """
    path = named.find_checkpoint(config.init_from)
    spec, theirs = _described(path)
    changes = _unfit(spec, config, path)
    for name in changes:
        if name in given:
            raise InputError(
                f"{name} = {getattr(config, name)!r} does not fit the weights of {named.shortest_name(path)}, which "
                f"were trained with {changes[name]!r}: leave it out, or begin without init_from"
            )
    if spec.averaged and not config.average_updates and "average_updates" not in given:
        changes["average_updates"] = theirs.average_updates
    return config.replace(**changes)


def _described(path: Path) -> tuple[AgentSpec, TrainingConfig]:
    """What the network of a checkpoint is, and the settings that it was trained with, as far as they are known."""
    if path.is_file():
        from mario_tui.agent.policy import load_policy

        return load_policy(path).spec, TrainingConfig()
    manifest = read_manifest(path)
    try:
        spec = AgentSpec.parse(manifest.agent)
    except ValueError as error:
        raise CheckpointError(f"{path} does not hold an agent that this version can load: {error}") from None
    try:
        return spec, make_config(**manifest.config)
    except InputError:
        return spec, TrainingConfig()


def fits(spec: AgentSpec, config: TrainingConfig) -> bool:
    """Whether a run with these settings can begin with the weights of an agent, in a checkpoint or an export."""
    return not _changes(spec, config)


def _changes(spec: AgentSpec, config: TrainingConfig) -> dict[str, Any]:
    changes = spec.settings_to_change(config)
    changes.pop("average_updates", None)  # an average begins as a copy, or is left out
    return changes


def _unfit(spec: AgentSpec, config: TrainingConfig, path: Path) -> dict[str, Any]:
    """Name -> right value of the settings of `config` that the weights of an agent do not fit."""
    changes = _changes(spec, config)
    if path.is_file():
        changes.pop("frame_skip", None)  # which a tutorial checkpoint does not say
    return changes


def begin_with(agent: Mario, path: Path) -> list[str]:
    """Gives a new agent the weights of a checkpoint: online, target and averaged network.

    Where the checkpoint has no average, that of the agent begins as a copy of the online network. Returns what the user
    should know, one line each.

    Raises InputError if the agent has another network or input, CheckpointError if the checkpoint cannot be loaded.
    """
    from mario_tui.agent.policy import load_policy

    policy, config = load_policy(path), agent.config
    for name, value in _unfit(policy.spec, config, path).items():
        raise InputError(f"{path} was trained with other inputs or layers: add {as_flag(name, value)}")
    theirs = policy.net.state_dict()
    agent.load_net(
        {
            name: theirs[name] if name in theirs else theirs[name.replace("average.", "online.", 1)]
            for name in agent.net.state_dict()
        }
    )
    _, learned_with = _described(path)
    notes = []
    if learned_with.reward_scale != config.reward_scale:
        notes.append(
            f"the weights of {named.shortest_name(path)} estimate rewards divided by {learned_with.reward_scale:g}, "
            f"and this run divides them by {config.reward_scale:g}: Q begins far off, unless you set reward_scale alike"
        )
    return notes
