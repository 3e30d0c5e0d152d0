"""`bench`: how fast training is on this machine."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from mario_tui.errors import InputError, TrainingError


def bench(arguments: argparse.Namespace) -> int:
    """Trains for real, in a temporary folder: `--steps` steps after a warm-up in which the replay begins to fill."""
    if arguments.tune:
        from mario_tui.commands.bench_tune import bench_tune

        return bench_tune(arguments)
    if not 10 <= arguments.steps <= 10_000_000:
        raise InputError(f"--steps {arguments.steps} cannot be used: it should be 10 to 10,000,000")
    from mario_tui.presets import preset
    from mario_tui.training.autotune import with_games

    given = {name: getattr(arguments, name) for name in ("device", "envs", "workers", "precision")}
    name = arguments.preset or "tutorial"
    whole = preset(name).replace(
        burn_in=200,
        record=False,
        replay_size=max(10_000, arguments.steps),
        graph=not arguments.no_graph,
        **{name: value for name, value in given.items() if value is not None},
    )
    whole = with_games(whole)
    config = whole.replace(save_every=0, eval_every=0)
    if arguments.evaluations and not whole.eval_every:
        raise InputError(f"--evaluations: the preset {name} has none: try --preset fast")
    with tempfile.TemporaryDirectory(prefix="mario-tui-bench-") as folder:
        os.environ["MARIO_TUI_HOME"] = folder
        result = _measure(config, arguments.steps)
        if arguments.evaluations:
            result |= _measure_with_evaluations(whole, arguments.steps)
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:<34}{value}")
    return 0


def _measure(config: Any, steps: int) -> dict[str, Any]:
    import torch

    from mario_tui.training.phases import DevicePhaseClock
    from mario_tui.training.restore import open_trainer

    trainer = open_trainer(config)
    on_cuda = trainer.agent.device.type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(trainer.agent.device)
        trainer.ticks.phases = DevicePhaseClock(lambda: torch.cuda.Event(enable_timing=True))
    with closing(trainer.run()) as running:  # also by a signal: what it writes is gone before its folder is removed
        step_before, peak = _step_until(running, config.burn_in + 100), _memory_mb()
        started, updates_before = time.perf_counter(), trainer.agent.updates
        trainer.ticks.phases.clear()
        for step in _steps(running):
            if step % 100 < trainer.config.envs:
                peak = max(peak, _memory_mb())
            if step >= step_before + steps:
                break
        phases = trainer.ticks.phases
        if isinstance(phases, DevicePhaseClock):
            phases.finish(torch.cuda.synchronize)
        seconds = time.perf_counter() - started
        step_count, updates = trainer.step - step_before, trainer.agent.updates - updates_before
        learn_seconds = phases.get("sample", 0.0) + phases.get("update", 0.0)
        bytes_per_transition = trainer.agent.memory.bytes_per_transition
        gpu = {"peak_gpu_mb": _gpu_mb(trainer.agent.device)} if on_cuda else {}
    emulated, emulator_seconds = _emulator_speed(trainer.config, min(steps, 2000))
    return {
        "envs": trainer.config.envs,
        "steps_per_second": round(step_count / seconds, 2),
        "emulator_steps_per_second": round(emulated / emulator_seconds, 2),
        "update_ms": round(1000 * learn_seconds / max(updates, 1), 3),
        "replay_bytes_per_transition": round(bytes_per_transition, 1),
        "peak_rss_mb": round(peak, 1),
        **gpu,
        "phases": {name: round(spent / seconds, 4) for name, spent in phases.items()},
    }


def _measure_with_evaluations(config: Any, steps: int) -> dict[str, Any]:
    """Speed with evaluations and saves as often as the preset has them.

    From the begin of one evaluation to that of another, so that each is in it as a whole, at least two of them.
    """
    from mario_tui.training.restore import open_trainer

    every = config.eval_every
    intervals = max(2, steps // every)
    trainer = open_trainer(config)
    with closing(trainer.run()) as running:
        step_before = _step_until(running, every)
        started = time.perf_counter()
        step_after = _step_until(running, every * (1 + intervals))
        speed = (step_after - step_before) / (time.perf_counter() - started)
    return {"steps_per_second_with_evaluations": round(speed, 2)}


def _steps(events: Iterator[Any]) -> Iterator[int]:
    """The steps of a training as it takes them; raises TrainingError when it pauses by itself."""
    from mario_tui.training.events import Paused, Stepped

    for event in events:
        if isinstance(event, Paused):  # what would be measured is no training
            raise TrainingError(event.reason)
        if isinstance(event, Stepped):
            yield event.step


def _step_until(events: Iterator[Any], step: int) -> int:
    """Trains until this step is reached; returns the one that was."""
    return next(taken for taken in _steps(events) if taken >= step)


def _emulator_speed(config: Any, steps: int) -> tuple[int, float]:
    """Steps that the games alone took, at least so many, and the seconds for it."""
    import numpy as np

    from mario_tui.buttons import ACTION_SETS
    from mario_tui.training.collector import open_local_games

    buttons = np.full(config.envs, ACTION_SETS[config.action_set][0], dtype=np.uint8)
    with open_local_games(config) as games:
        games.start()
        games.show(0)
        taken, began = 0, time.perf_counter()
        while taken < steps:
            games.send(buttons)
            taken += int((~games.receive().first).sum())
        return taken, time.perf_counter() - began


def _gpu_mb(device: Any) -> float:
    """The most that PyTorch took of a GPU's memory, in MiB: what it used, and what it kept for later."""
    import torch

    return round(torch.cuda.max_memory_reserved(device) / 2**20, 1)


def _memory_mb() -> float:
    """Resident memory of this process and those it started, in MiB."""
    import psutil

    process = psutil.Process()
    return sum(float(one.memory_info().rss) for one in [process, *process.children(recursive=True)]) / 2**20
