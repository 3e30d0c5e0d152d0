"""A trained agent that only plays, from any kind of checkpoint: what watching, evaluation and recording use."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mario_tui.agent.network import MarioNet
from mario_tui.agent.spec import TUTORIAL, AgentSpec
from mario_tui.buttons import ACTION_SETS, ActionSet
from mario_tui.config import check_settings
from mario_tui.errors import CheckpointError
from mario_tui.printable import printable
from mario_tui.store import checkpoint, named
from mario_tui.store.untrusted import one_line_error

_TUTORIAL_SETS: tuple[ActionSet, ...] = ("tutorial", "right_only", "simple", "complex")
"""The action sets that a tutorial checkpoint may have been trained with: told by their numbers of actions."""

MAX_TUTORIAL_BYTES = 256 * 2**20
"""Of a tutorial checkpoint, unpacked; one takes 13 MB."""


@dataclass(frozen=True)
class Policy:
    """The greedy policy of a checkpoint.

    Attributes:
        net: the network, in evaluation mode, on its device.
        stage: the stage it was trained on.
        step: training steps behind it; 0 if unknown.
        source: how to call it on a screen, e.g. `my-run, step 120,000`.
    """

    net: MarioNet
    stage: str
    step: int
    source: str

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


def load_policy(path: str | Path, device: torch.device | str = "cpu") -> Policy:
    """The policy in a checkpoint folder, a run (its newest checkpoint) or a tutorial `.chkpt` file.

    Raises CheckpointError if there is none, or if it is damaged, foreign or of another format.
    """
    found = named.find_checkpoint(path)
    return _from_tutorial(found, device) if found.is_file() else _from_folder(found, device)


def _from_folder(folder: Path, device: torch.device | str) -> Policy:
    manifest = checkpoint.verify(folder)
    try:
        net = MarioNet(AgentSpec.parse(manifest.agent))
        _load(net, load_file(folder / "agent.safetensors", device="cpu"))
        check_settings({"stage": manifest.stage})
        source = f"{folder.parent.name}, step {manifest.step:,}"
        return Policy(net.to(device).eval(), manifest.stage, manifest.step, source)
    except Exception as error:  # untrusted content may raise anything on its way through three libraries
        checkpoint.check_sizes(folder)  # a training may have replaced it meanwhile
        raise CheckpointError(
            f"{folder} does not hold an agent that this version can load: {one_line_error(error)}"
        ) from None


def _from_tutorial(file: Path, device: torch.device | str) -> Policy:
    """Reads what the tutorial's `Mario.save` wrote, tensors only: a pickle that would run code is refused."""
    try:
        _check_unpacked_size(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a file that is no checkpoint
        reason = one_line_error(error)
        raise CheckpointError(f"{file} is not a tutorial checkpoint, or not a safe one ({reason})") from None
    try:
        state = content["model"]
        actions, frame_stack = state["online.9.weight"].shape[0], state["online.0.weight"].shape[1]
        action_set = next((name for name in _TUTORIAL_SETS if len(ACTION_SETS[name]) == actions), None)
        if action_set is None:
            raise CheckpointError(f"{file} chooses from {actions} actions, and no action set here has as many")
        check_settings({"frame_stack": frame_stack})
        net = MarioNet(TUTORIAL.model_copy(update={"action_set": action_set, "frame_stack": frame_stack}))
        _load(net, state)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{file} is not a tutorial checkpoint: it should hold 'model', a MarioNet's state dict "
            f"({one_line_error(error)})"
        ) from None
    return Policy(net.to(device).eval(), "1-1", 0, file.name)


def _check_unpacked_size(file: Path) -> None:
    """Raises ValueError for a small file that would take a lot of memory."""
    if zipfile.is_zipfile(file):  # as PyTorch has written them since 1.6
        with zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_TUTORIAL_BYTES:
            raise ValueError(f"it would take {size / 1e6:,.0f} MB of memory")


def _load(net: MarioNet, state: dict[str, Tensor]) -> None:
    if not any(name.startswith("target.") for name in state):  # exported to play only
        online = {name: tensor for name, tensor in state.items() if name.startswith("online.")}
        state = state | {name.replace("online.", "target.", 1): tensor for name, tensor in online.items()}
    check_weights(net, state)
    net.load_state_dict(state)


def check_weights(net: MarioNet, state: Mapping[str, Tensor]) -> None:
    """Raises ValueError for tensors that are not this network's weights: names, shapes, kinds and values."""
    expected = net.state_dict()
    if state.keys() != expected.keys():
        raise ValueError(f"its layers are others: {', '.join(sorted(state.keys() ^ expected.keys()))[:100]}")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape or not tensor.is_floating_point():
            raise ValueError(f"{name} is {tuple(tensor.shape)} {tensor.dtype}")
        if not torch.isfinite(tensor).all():
            raise ValueError("its weights are not all finite")
