"""A trained agent that only plays, from any kind of checkpoint: what watching, evaluation and recording use."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from mario_tui.agent.network import MarioNet, load_weights
from mario_tui.agent.spec import AgentSpec
from mario_tui.agent.tutorial_checkpoint import read_tutorial_checkpoint
from mario_tui.config import check_settings
from mario_tui.errors import CheckpointError
from mario_tui.printable import printable
from mario_tui.rewards import REWARD_SETTINGS, LearnedReward
from mario_tui.store import checkpoint, lookup, named, rescue
from mario_tui.store.untrusted import one_line_error


@dataclass(frozen=True)
class Policy:
    """The greedy policy of a checkpoint.

    Attributes:
        net: the network, in evaluation mode, on its device.
        stage: the stage it was trained on.
        step: training steps behind it; 0 if unknown.
        source: how to call it on a screen, e.g. `my-run, step 120,000`.
        learned: the reward that its values are of.
    """

    net: MarioNet
    stage: str
    step: int
    source: str
    learned: LearnedReward = field(default_factory=LearnedReward)

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", printable(self.source))

    @property
    def spec(self) -> AgentSpec:
        """What it sees and presses."""
        return self.net.spec

    @torch.no_grad()
    def q_values(self, stack: Tensor) -> tuple[float, ...]:
        """Q of every action for an observation, (depth, 84, 84) uint8 on any device."""
        device = next(self.net.parameters()).device
        return tuple(self.net.greedy(stack.to(device).unsqueeze(0))[0].tolist())


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Writes a safetensors file; raises OSError, as every writer does, if the disk is full."""
    try:
        save_file(dict(tensors), path)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in a safetensors file, on the CPU; its path need not be UTF-8, as safetensors itself wants it.

    Raises OSError, SafetensorError.
    """
    return load(path.read_bytes())


def load_policy(path: str | Path, device: torch.device | str = "cpu") -> Policy:
    """The policy in a checkpoint folder, a run (its newest checkpoint) or a file that the tutorial saved.

    Raises CheckpointError if there is none, or if it is damaged, foreign or of another format.
    """
    found = named.find_checkpoint(path)
    return _from_tutorial(found, device) if found.is_file() else _from_folder(found, device)


def _from_folder(folder: Path, device: torch.device | str) -> Policy:
    with rescue.advising(folder):
        manifest = checkpoint.verify(folder)
    try:
        net = MarioNet(AgentSpec.parse(manifest.agent))
        load_weights(net, load_tensors(folder / "agent.safetensors"))
        learned = {name: manifest.config[name] for name in REWARD_SETTINGS if name in manifest.config}
        check_settings({"stage": manifest.stage, **learned})
        number = lookup.place(folder)[1]
        source = f"{folder.parent.name}, step {manifest.step:,}{f' ({number})' * (number > 1)}"
        return Policy(net.on(device).eval(), manifest.stage, manifest.step, source, LearnedReward.of(learned))
    except Exception as error:  # untrusted content may raise anything on its way through three libraries
        checkpoint.check_sizes(folder)  # a training may have replaced it meanwhile
        raise CheckpointError(
            f"{folder} does not hold an agent that this version can load: {one_line_error(error)}"
        ) from None


def _from_tutorial(file: Path, device: torch.device | str) -> Policy:
    net = read_tutorial_checkpoint(file).net
    return Policy(net.on(device).eval(), "1-1", 0, file.name)
