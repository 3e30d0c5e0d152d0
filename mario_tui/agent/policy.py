"""A trained agent that only plays: what watching, evaluation and recording need of it, from any kind of checkpoint."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mario_tui import paths
from mario_tui.agent.network import MarioNet
from mario_tui.agent.preprocess import PREPROCESSING_VERSION
from mario_tui.config import TrainingConfig, check_settings, make_config
from mario_tui.errors import CheckpointError, InputError
from mario_tui.store import checkpoint, evaluations, lookup
from mario_tui.store.manifest import check_made_for, read_manifest
from mario_tui.store.untrusted import one_line_error
from mario_tui.system import files

ACTION_COUNTS = {"tutorial": 2, "run": 2, "right_only": 5, "simple": 7, "complex": 12}
"""How many actions a set has."""

MAX_TUTORIAL_BYTES = 256 * 2**20
"""Of a tutorial checkpoint, unpacked; one takes 13 MB."""


@dataclass(frozen=True)
class Policy:
    """The greedy policy of a checkpoint.

    Attributes:
        net: the network, in evaluation mode, on its device.
        action_set: name of the button combinations that its outputs stand for.
        frame_skip: frames for which it holds an action.
        frame_stack: frames in a state.
        show_buttons: whether its frames show the pressed buttons.
        stage: the stage it was trained on.
        step: training steps behind it; 0 where unknown.
        source: how to call it on a screen, e.g. `my-run, step 120,000`.
    """

    net: MarioNet
    action_set: str
    frame_skip: int
    frame_stack: int
    stage: str
    step: int
    source: str
    show_buttons: bool = False

    @torch.no_grad()
    def q_values(self, stack: Tensor) -> tuple[float, ...]:
        """Q of every action in a state, (depth, 84, 84) uint8 on any device."""
        device = next(self.net.parameters()).device
        return tuple(self.net.greedy(stack.to(device).unsqueeze(0))[0].tolist())


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Writes a safetensors file; raises OSError, as all that writes does, where there is no room for it."""
    try:
        save_file(dict(tensors), path)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def load_policy(path: str | Path, device: torch.device | str = "cpu") -> Policy:
    """The policy in a checkpoint folder, a run (its newest checkpoint) or a tutorial `.chkpt` file.

    Raises CheckpointError where there is none or it is damaged, foreign or of another format.
    """
    found = lookup.find_checkpoint(path)
    return _from_tutorial(found, device) if found.is_file() else _from_folder(found, device)


def export_policy(source: Path, name: str) -> Path:
    """Copies what plays of a checkpoint folder into a new run: its greedy network, manifest, log and curves.

    Such a checkpoint takes a few MB; it can be watched, evaluated and recorded, but not be trained on.

    Args:
        source: the checkpoint folder.
        name: of the new run.

    Returns:
        The new checkpoint folder.

    Raises:
        InputError: the name cannot be used, or a run has it already.
        CheckpointError: the checkpoint cannot be used.
    """
    policy, manifest = load_policy(source), read_manifest(source)
    final = paths.run_dir(name)
    if final.exists():
        raise InputError(f"a run named {name!r} exists: choose another name")
    run = files.hidden_name(final)
    net = policy.net.average or policy.net.online
    weights = {f"online.{key}": value.contiguous() for key, value in net.state_dict().items()}
    dropped = ("format", "program", "python", "created", "step", "parts", "rotates")
    header = {key: value for key, value in manifest.items() if key not in dropped}
    header |= {"agent": {**manifest["agent"], "averaged": False}, "full": False}
    files.sweep(final.parent)  # exports that were killed
    try:
        parts = {"agent.safetensors": lambda path: save_tensors(weights, path)}
        folder = checkpoint.write(run, policy.step, parts, header)
        for pattern in ("config.toml", "metrics.csv", "evaluations.csv", "log", "*_plot.png"):
            for file in source.parent.glob(pattern) if lookup.is_run(source.parent) else ():
                if file.is_file() and not file.is_symlink():  # a stranger's may lead to what is not to be passed on
                    shutil.copy2(file, run / file.name)
                    files.fsync(run / file.name)
        if not (run / "config.toml").exists():  # which makes it a run
            files.write_atomically(run / "config.toml", _config_of(manifest).to_toml())
        measured = evaluations.read(source.parent).get(source.name)
        if measured:
            evaluations.record(folder, **{"robust_protocol": None, **measured})
        files.fsync(run)
        os.rename(run, final)
    except BaseException:
        shutil.rmtree(run, ignore_errors=True)
        raise
    files.fsync(final.parent)
    return final / folder.name


def _config_of(manifest: Mapping[str, Any]) -> TrainingConfig:
    """The settings that a manifest tells of, as far as they can be read."""
    try:
        return make_config(**manifest["config"])
    except (InputError, KeyError, TypeError):
        return make_config(stage=manifest["stage"])


def _from_folder(folder: Path, device: torch.device | str) -> Policy:
    manifest = checkpoint.verify(folder)
    check_made_for(folder, manifest, preprocessing=PREPROCESSING_VERSION)
    try:
        state = load_file(folder / "agent.safetensors", device="cpu")
        agent = manifest["agent"]
        names = ("frame_stack", "network", "dueling", "centered", "show_buttons")
        header = {name: manifest[name] for name in ("stage", "action_set", "frame_skip")}
        check_settings({**header, **{name: agent[name] for name in names if name in agent}})
        if agent["actions"] != ACTION_COUNTS[manifest["action_set"]]:
            raise ValueError(f"it chooses from {agent['actions']} actions, which the set does not have")
        net = MarioNet(
            (agent["frame_stack"], 84, 84),
            agent["actions"],
            network=agent.get("network", "nature"),
            dueling=agent.get("dueling", False),
            centered=agent.get("centered", False),
            averaged=agent.get("averaged", False) is True,
        )
        _load(net, state)
        return Policy(
            net=net.to(device).eval(),
            action_set=manifest["action_set"],
            frame_skip=manifest["frame_skip"],
            frame_stack=agent["frame_stack"],
            stage=manifest["stage"],
            step=manifest["step"],
            source=f"{folder.parent.name}, step {manifest['step']:,}",
            show_buttons=agent.get("show_buttons", False),
        )
    except Exception as error:  # what a stranger's file raises on its way through three libraries is not for us to list
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
        action_set = {2: "tutorial", 5: "right_only", 7: "simple", 12: "complex"}.get(actions)
        if action_set is None:
            raise CheckpointError(f"{file} chooses from {actions} actions, and no action set here has as many")
        check_settings({"frame_stack": frame_stack})
        net = MarioNet((frame_stack, 84, 84), actions)
        _load(net, state)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{file} is not a tutorial checkpoint: it should hold 'model', a MarioNet's state dict "
            f"({one_line_error(error)})"
        ) from None
    return Policy(net.to(device).eval(), action_set, 4, frame_stack, "1-1", 0, file.name)


def _check_unpacked_size(file: Path) -> None:
    """Raises ValueError where a small file would take a lot of memory."""
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
    """Raises ValueError where tensors are not a network's weights: names, shapes, kinds and values."""
    expected = net.state_dict()
    if state.keys() != expected.keys():
        raise ValueError(f"its layers are others: {', '.join(sorted(state.keys() ^ expected.keys()))[:100]}")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape or not tensor.is_floating_point():
            raise ValueError(f"{name} is {tuple(tensor.shape)} {tensor.dtype}")
        if not torch.isfinite(tensor).all():
            raise ValueError("its weights are not all finite")
