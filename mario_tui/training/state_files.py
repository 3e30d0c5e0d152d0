"""A trainer's state as the parts of a checkpoint: safetensors for tensors, JSON for the rest, frames compressed.

agent.safetensors      online and target network, under the tutorial's names
optimizer.safetensors  Adam's moments
trainer.json           counters, epsilon, random states, the running episodes' buttons
metrics.csv            the finished episodes
actors.safetensors     the observation of each game
replay.safetensors     the replay's rows but their frames
replay.frames          the frames: zlib over the difference to the same game's row before
measuring.safetensors  the frozen networks of games that measure, if there are any
demonstrations.json    action logs of the games that it was shown, if there are any
demonstrations.safetensors  their priorities and the random state of their sampling
corrections.safetensors  labels of the labelled states, and the random state of their drawing
corrections.frames     their frames, compressed as those of the replay
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mario_tui.agent.mario import Mario
from mario_tui.agent.network import check_weights
from mario_tui.agent.policy import load_tensors, save_tensors
from mario_tui.agent.replay_snapshot import FrameSnapshot
from mario_tui.errors import CheckpointError, InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.grey_frames import FRAME_SHAPE
from mario_tui.printable import as_argument
from mario_tui.store import named
from mario_tui.store.manifest import Manifest
from mario_tui.store.untrusted import read_json
from mario_tui.training.demo_data import as_json, from_json

REPLAY_PARTS = (
    "replay.safetensors",
    "replay.frames",
    "demonstrations.safetensors",
    "corrections.safetensors",
    "corrections.frames",
)
_TICKS_AT_ONCE = 1024
MAX_EPISODE_FRAMES = 100_000  # some four times what the game's clock allows
MOST_NOOPS = 1000


def writers(
    mario: Mario,
    state: Mapping[str, Any],
    stacks: Tensor,
    history: str,
    *,
    demonstrations: Sequence[ActionLog] = (),
    replay: bool,
    weights: Mapping[str, Tensor] | None = None,
) -> dict[str, Callable[[Path], None]]:
    """File name -> function that writes it, for `checkpoint.write`.

    They write the state of now, in any thread and while training continues: all is copied but the replay's frames, of
    which there is a snapshot. With `weights` the agent's file has these instead of its own.
    """
    agent, optimizer = _copies(weights or mario.net.state_dict()), _copies(_optimizer_tensors(mario))
    actors, text = _copies({"stacks": stacks}), json.dumps(state) + "\n"
    parts: dict[str, Callable[[Path], None]] = {
        "agent.safetensors": lambda path: save_tensors(agent, path),
        "optimizer.safetensors": lambda path: save_tensors(optimizer, path),
        "actors.safetensors": lambda path: save_tensors(actors, path),
        "trainer.json": lambda path: _write_text(path, text),
        "metrics.csv": lambda path: _write_text(path, history),
    }
    if measuring := _copies(mario.measuring.state_dict()):
        parts["measuring.safetensors"] = lambda path: save_tensors(measuring, path)
    if demonstrations:
        logs = json.dumps(as_json(demonstrations), separators=(",", ":")) + "\n"
        parts["demonstrations.json"] = lambda path: _write_text(path, logs)
    if replay:
        rows, frames = mario.memory.snapshot()
        parts["replay.safetensors"] = lambda path: save_tensors(rows, path)
        parts["replay.frames"] = lambda path: _save_frames(frames, path)
        if mario.demonstrations is not None:
            sampling = _copies(mario.demonstrations.state_dict())
            parts["demonstrations.safetensors"] = lambda path: save_tensors(sampling, path)
        if mario.labelled is not None:
            labels, labelled_frames = mario.labelled.snapshot()
            parts["corrections.safetensors"] = lambda path: save_tensors(labels, path)
            parts["corrections.frames"] = lambda path: _save_frames(labelled_frames, path)
    return parts


def read_demonstrations(folder: Path, manifest: Manifest) -> tuple[ActionLog, ...]:
    """The action logs in a verified checkpoint; raises CheckpointError if they cannot be read."""
    if "demonstrations.json" not in manifest.parts:
        return ()
    try:
        return from_json(read_json(folder / "demonstrations.json"))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the demonstrations in {folder} cannot be read by this version: {error}") from None


def read(folder: Path, mario: Mario, manifest: Manifest, *, envs: int) -> tuple[dict[str, Any], Tensor]:
    """Brings `mario` to the state of a verified checkpoint; returns the trainer's own state and the stacks.

    The demonstrations are there already; with others added to the ones that were saved, their sampling begins anew. A
    checkpoint without a replay can be continued: learning then waits until the replay is filled anew.

    Args:
        envs: the number of games that it was saved with.
    """
    if "optimizer.safetensors" not in manifest.parts:
        raise CheckpointError(
            f"{folder} was exported to play only and cannot be resumed: begin a new run with its weights instead, "
            f"'mario-tui train --init-from {as_argument(named.shortest_name(folder))}'"
        )
    weights = load_tensors(folder / "agent.safetensors")
    check_weights(mario.net, weights)
    mario.load_net(weights)
    _load_optimizer(mario, load_tensors(folder / "optimizer.safetensors"))
    state = read_json(folder / "trainer.json")
    mario.load_state_dict(state["mario"])
    if "replay.frames" in manifest.parts:
        rows = load_tensors(folder / "replay.safetensors")
        if len(rows.get("action", ())) > mario.memory.ticks_of(envs) * envs:
            raise InputError("the saved replay is of another size: resume with the settings it was made with")
        if len(rows.get("action", ())) and rows["action"].max() >= mario.spec.actions:
            raise ValueError("the replay holds actions that the agent does not have")
        rows["frame"] = _load_frames(folder / "replay.frames", len(rows.get("action", ())), envs)
        mario.memory.load_state_dict(rows, envs=envs)
    else:
        mario.burn_in_until = mario.curr_step + mario.config.burn_in
    if envs == mario.config.envs and "measuring.safetensors" in manifest.parts:
        mario.measuring.load_state_dict(load_tensors(folder / "measuring.safetensors"))
    if mario.demonstrations is not None and "demonstrations.safetensors" in manifest.parts:
        sampling = load_tensors(folder / "demonstrations.safetensors")
        if int(sampling["tick"]) == mario.demonstrations.tick:
            mario.demonstrations.load_state_dict(sampling)
    if mario.labelled is not None and "corrections.frames" in manifest.parts:
        mario.labelled.load_state_dict(*read_labelled(folder, mario.spec.frame_stack))
    return state, load_tensors(folder / "actors.safetensors")["stacks"]


def read_labelled(folder: Path, depth: int) -> tuple[dict[str, Tensor], Tensor]:
    """The labelled states in a verified checkpoint that has some, as `LabelledStates.load_state_dict` takes them."""
    labels = load_tensors(folder / "corrections.safetensors")
    return labels, _load_frames(folder / "corrections.frames", len(labels["safe"]) * depth, depth)


def check_games(games: Any, envs: int) -> dict[str, Any] | None:
    """The state of the games, if it can be restored in reasonable time; raises KeyError, TypeError or ValueError."""
    if games is None:  # saved before they began
        return None
    logs, noops = games["frame_logs"], games.get("noop_steps", [])
    numbers = [*noops, *(byte for log in logs for byte in log)]
    if len(logs) != envs or not all(type(number) is int for number in numbers):
        raise ValueError("the games' buttons are not numbers of so many games")
    if max(map(len, logs)) > MAX_EPISODE_FRAMES or max(numbers, default=0) > MOST_NOOPS or min(numbers, default=0) < 0:
        raise ValueError("the games' buttons are out of range")
    return dict(games)


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


def _write_text(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


def _optimizer_tensors(mario: Mario) -> dict[str, Tensor]:
    state = mario.optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, entry in state.items() for name, value in entry.items()}


def _load_optimizer(mario: Mario, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    parameters = list(mario.net.online.parameters())
    moments = {f"{index}.{name}" for index in range(len(parameters)) for name in ("step", "exp_avg", "exp_avg_sq")}
    if tensors and tensors.keys() != moments:
        raise ValueError("the optimizer's moments are of another network")
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        parameter = parameters[int(index)]
        same_shape = value.shape == parameter.shape
        if not (same_shape or (name == "step" and value.shape == ())) or value.dtype != torch.float32:
            raise ValueError(f"the optimizer's {key} is {tuple(value.shape)} {value.dtype}")
        if not torch.isfinite(value).all() or (name != "exp_avg" and (value < 0).any()):
            raise ValueError("the optimizer's moments are not all finite")
        # the fused optimizer goes through both in the order they have in memory
        moment = torch.empty_like(parameter).copy_(value) if same_shape else value
        state.setdefault(int(index), {})[name] = moment
    groups = mario.optimizer.state_dict()["param_groups"]
    mario.optimizer.load_state_dict({"state": state, "param_groups": groups})


def _save_frames(frames: FrameSnapshot, path: Path) -> None:
    """Writes a replay's frames.

    A game's neighbouring frames differ in little, and what is equal becomes zeros, which compress to next to nothing.
    """
    compressor = zlib.compressobj(level=1)
    with path.open("wb") as file:
        for block in frames.read(_TICKS_AT_ONCE):
            differences = block.clone()
            differences[1:] ^= block[:-1]
            file.write(compressor.compress(differences.numpy().data))
        file.write(compressor.flush())


def _load_frames(path: Path, count: int, envs: int) -> Tensor:
    """Reads what `_save_frames` wrote, (count, 84, 84) uint8, and never more than that."""
    ticks = np.empty((count // envs, envs, *FRAME_SHAPE), dtype=np.uint8)
    decompressor = zlib.decompressobj()
    waiting = b""
    with path.open("rb") as file:
        for start in range(0, len(ticks), _TICKS_AT_ONCE):
            block = ticks[start : start + _TICKS_AT_ONCE]
            flat = block.reshape(-1)
            filled = 0
            while filled < len(flat):
                waiting = waiting or file.read(2**20)
                if not waiting:
                    raise CheckpointError(f"{path} is damaged: it ends too early")
                data = decompressor.decompress(waiting, max_length=len(flat) - filled)
                waiting = decompressor.unconsumed_tail
                flat[filled : filled + len(data)] = np.frombuffer(data, dtype=np.uint8)
                filled += len(data)
            np.bitwise_xor.accumulate(block, axis=0, out=block)
    return torch.from_numpy(ticks.reshape(-1, *FRAME_SHAPE))
