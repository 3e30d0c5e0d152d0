"""Whether a device computes what the processor does: tried once before a run is entrusted to it, and by `doctor`.

The parts that only a GPU has are tried by themselves: frames that are moved and gathered there, updates in its own
kernels, and updates that are recorded once and started with one call. Each does what a training does, on a few frames,
and is compared with the same on the processor.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mario_tui import __version__, paths
from mario_tui.agent.cuda_graph import CudaGraphs, Recorder
from mario_tui.agent.mario import Mario
from mario_tui.agent.preprocess import draw_buttons
from mario_tui.config import TrainingConfig
from mario_tui.grey_frames import FRAME_SHAPE
from mario_tui.store.untrusted import one_line_error
from mario_tui.system import files

LOSS_TOLERANCE = 0.01
"""How much the losses of the first updates may differ, as a share of them."""
MOVED_TOLERANCE = 0.5
"""How far apart the weights may be after the first updates on the device and on the processor, as a share of how far
they moved: Adam takes steps of one size, also where rounding alone gives a gradient its sign."""
RECORDED_TOLERANCE = 0.1
"""The same of recorded updates and plain ones on one device, where only the order of sums may differ."""

RECORDED = "recorded updates"

_ENVS, _UPDATES = 2, 8
_CONFIG = TrainingConfig(
    envs=_ENVS, replay_size=100, batch_size=16, n_steps=3, priority_exponent=0.5, average_updates=20, reward_scale=15.0,
    learning_rate=2.0**-12,  # the same as a float and as a tensor
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One comparison: its name, the figures that it gave, and what is wrong, "" if all is well."""

    name: str
    found: str
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """What was found on a device.

    name: of the device in the settings; what: its own name; torch: the version of PyTorch; path: the file that this is
    kept in, "" if it could not be written.
    """

    name: str
    what: str
    torch: str
    checks: tuple[Check, ...]
    seconds: float = 0.0
    path: str = ""

    @property
    def problem(self) -> str:
        """What is wrong, one line; "" if all is well."""
        wrong = [f"{check.name}: {check.problem}" for check in self.checks if check.problem]
        if not wrong:
            return ""
        kept = f"; the report {self.path} helps to mend it" if self.path else ""
        advice = "" if self.computes else "; --device cpu is the safe choice"
        return f"{self.name} does not do what the processor does ({'; '.join(wrong)}){kept}{advice}"

    @property
    def computes(self) -> bool:
        """Whether all is well but for recorded updates, which a training need not make."""
        return not any(check.problem for check in self.checks if check.name != RECORDED)


def at_first_start(name: str) -> Report:
    """The report on a device: of the first time, unless PyTorch or this program is another one now.

    What was wrong is tried again: it may have been the moment, in which another program had filled its memory.
    """
    kept = _kept(name)
    return kept if kept and not kept.problem else run(name)


def run(name: str, recorder: Callable[[torch.device], Recorder] | None = None) -> Report:
    """Tries a device, which takes seconds, and keeps the report. It raises nothing.

    Args:
        name: of the device, as the settings name it.
        recorder: how updates are recorded there, by default as CUDA graphs where the device has them.
    """
    device = torch.device(name)
    if recorder is None and device.type == "cuda":
        recorder = CudaGraphs
    began = time.monotonic()
    checks = tuple(_checks(device, recorder))
    report = Report(name, _what(device), torch.__version__, checks, round(time.monotonic() - began, 2))
    return _keep(report)


def _checks(device: torch.device, recorder: Callable[[torch.device], Recorder] | None) -> Iterator[Check]:
    parts: list[tuple[str, Callable[[], Check]]] = [
        ("frames", lambda: _check_frames(device)),
        ("replay", lambda: _check_replay(device)),
        ("small network", lambda: _check_updates(device, "small")),
        ("nature network", lambda: _check_updates(device, "nature")),
    ]
    if recorder is not None:
        parts.append((RECORDED, lambda: _check_recording(device, recorder)))
    for name, part in parts:
        try:
            yield replace(part(), name=name)
        except Exception as error:  # of whatever kind: the report has to say it
            yield Check(name, "", one_line_error(error))


def _check_frames(device: torch.device) -> Check:
    frames = _frames(0, 8)
    buttons = np.array([0, 1, 2, 4, 129, 130, 64, 255], dtype=np.uint8)
    wrong = int((draw_buttons(frames.to(device), buttons).cpu() != draw_buttons(frames, buttons)).sum())
    return Check("", f"{frames.numel():,} pixels", f"{wrong:,} pixels differ" if wrong else "")


def _check_replay(device: torch.device) -> Check:
    theirs, ours = _agent(device, _CONFIG), _agent(torch.device("cpu"), _CONFIG)
    drawn = [agent.memory.transitions_at(agent.memory.draw(1, 64).index[0]) for agent in (theirs, ours)]
    wrong = [name for name, a, b in zip(drawn[0]._fields, *drawn, strict=True) if not torch.equal(a.cpu(), b)]
    return Check("", "64 transitions", f"{', '.join(wrong)} differ" if wrong else "")


def _check_updates(device: torch.device, network: str) -> Check:
    config = _CONFIG.replace(network=network)
    theirs, ours = _agent(device, config.replace(precision="auto")), _agent(torch.device("cpu"), config)
    before = _weights(ours)
    losses = [_losses(agent) for agent in (theirs, ours)]
    loss = float((losses[0] - losses[1]).abs().max() / losses[1].abs().max())
    moved = _apart(_weights(theirs), _weights(ours), before)
    return _compared(loss, moved, MOVED_TOLERANCE)


def _check_recording(device: torch.device, recorder: Callable[[torch.device], Recorder]) -> Check:
    config = _CONFIG.replace(network="small", graph=False)
    recorded, plain = _agent(device, config, recorder(device)), _agent(device, config)
    before = _weights(plain)
    losses = [_losses(agent) for agent in (recorded, plain)]
    for agent in (recorded, plain):  # with what a recording has to take in
        agent.set_learning_rate(config.learning_rate / 2)
        agent.sync_q_target()
        _play(agent, seed=2)
    losses = [torch.cat((some, _losses(agent))) for some, agent in zip(losses, (recorded, plain), strict=True)]
    if recorded.notices:
        return Check("", "", recorded.notices[0])
    loss = float((losses[0] - losses[1]).abs().max() / losses[1].abs().max())
    check = _compared(loss, _apart(_weights(recorded), _weights(plain), before), RECORDED_TOLERANCE)
    return check if check.problem else replace(check, problem=_spoiled(recorded))


def _spoiled(agent: Mario) -> str:
    """What a reward that is not a number did to the weights: nothing, it should be."""
    before = _weights(agent)
    _play(agent, seed=3, reward=np.nan)
    skipped = all(bool(update.skipped) for update in agent.update(2))
    return "" if skipped and torch.equal(_weights(agent), before) else "a loss that is not a number changed the weights"


def _compared(loss: float, moved: float, tolerance: float) -> Check:
    found = f"losses differ by {loss:.2g} (up to {LOSS_TOLERANCE}), weights by {moved:.2g} (up to {tolerance})"
    return Check("", found, "" if loss <= LOSS_TOLERANCE and moved <= tolerance else found)


def _agent(device: torch.device, config: TrainingConfig, recorder: Recorder | None = None) -> Mario:
    """An agent that has seen some steps, the same for the same settings."""
    agent = Mario(config.replace(graph=False), device, recorder=recorder)
    _play(agent, seed=1)
    return agent


def _play(agent: Mario, seed: int, reward: float = 15.0) -> None:
    """Random steps, which fill the replay; rewards are normal and of that scale."""
    rng = np.random.default_rng(seed)
    for tick in range(agent.memory.ticks):
        first, last = np.full(_ENVS, tick % 20 == 0), np.full(_ENVS, tick % 20 == 19)
        action, rewards = rng.integers(0, agent.spec.actions, _ENVS), reward * rng.normal(size=_ENVS)
        agent.cache(
            _frames(tick, _ENVS).to(agent.device), action, rewards, np.full(_ENVS, tick % 20 == 18), first, last
        )


def _frames(seed: int, count: int) -> Tensor:
    """Some frames, (count, 84, 84) uint8."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, *FRAME_SHAPE), dtype=np.uint8))


def _losses(agent: Mario) -> Tensor:
    """Those of the next updates, (updates,) float32."""
    return torch.stack([update.loss for update in agent.update(_UPDATES)]).cpu()


def _weights(agent: Mario) -> Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in agent.net.online.parameters()]).cpu()


def _apart(one: Tensor, other: Tensor, before: Tensor) -> float:
    """How far apart weights are, as a share of how far they have moved."""
    return float((one - other).norm() / (other - before).norm())


def _what(device: torch.device) -> str:
    try:
        return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    except (RuntimeError, AssertionError):  # the checks say why
        return device.type


# the file


def _path(what: str) -> Path:
    name = re.sub(r"[^A-Za-z0-9.+]+", "-", f"{what} torch-{torch.__version__}")
    return paths.logs_dir() / f"self-test_{name}.json"


def _keep(report: Report) -> Report:
    path = _path(report.what)
    kept = replace(report, path=str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, json.dumps({"mario_tui": __version__, **asdict(kept)}, indent=1) + "\n")
    except OSError:
        return report
    return kept


def _kept(name: str) -> Report | None:
    try:
        path = _path(_what(torch.device(name)))
        kept: dict[str, Any] = json.loads(path.read_text())
        if kept.pop("mario_tui") != __version__:
            return None
        checks = tuple(Check(**check) for check in kept.pop("checks"))
        return replace(Report(checks=checks, **kept), name=name, path=str(path))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError):
        return None
