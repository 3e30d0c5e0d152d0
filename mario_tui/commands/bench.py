"""`bench`: how fast training is on this machine."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from contextlib import closing
from typing import Any

from mario_tui.errors import InputError, TrainingError


def bench(arguments: argparse.Namespace) -> int:
    """Trains for real, in a temporary folder: `--steps` steps after a warm-up in which the replay begins to fill."""
    if not 10 <= arguments.steps <= 10_000_000:
        raise InputError(f"--steps {arguments.steps} cannot be used: it should be 10 to 10,000,000")
    from mario_tui.config import preset

    given = {name: getattr(arguments, name) for name in ("device", "envs", "workers", "precision")}
    config = preset(arguments.preset).replace(
        burn_in=200,
        save_every=0,
        eval_every=0,
        record=False,
        replay_size=max(10_000, arguments.steps),
        graph=not arguments.no_graph,
        **{name: value for name, value in given.items() if value is not None},
    )
    with tempfile.TemporaryDirectory(prefix="mario-tui-bench-") as folder:
        os.environ["MARIO_TUI_HOME"] = folder
        result = _measure(config, arguments.steps)
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:<30}{value}")
    return 0


def _measure(config: Any, steps: int) -> dict[str, Any]:
    from mario_tui.training.events import Paused, Stepped
    from mario_tui.training.restore import open_trainer

    trainer = open_trainer(config)
    warm_up = config.burn_in + 100
    peak = 0.0
    started, step_started, updates_started = 0.0, 0, 0
    with closing(trainer.run()) as running:  # also by a signal: what it writes is gone before its folder is removed
        for event in running:
            if isinstance(event, Paused):  # for a reason of its own: what would be measured is no training
                raise TrainingError(event.reason)
            if not isinstance(event, Stepped):
                continue
            if not started and event.step >= warm_up:
                started, step_started, updates_started = time.perf_counter(), event.step, trainer.agent.updates
                trainer.ticks.phases.clear()
            if event.step % 100 < config.envs:
                peak = max(peak, _memory_mb())
            if started and event.step >= step_started + steps:
                break
        seconds = time.perf_counter() - started
        step_count, updates = trainer.step - step_started, trainer.agent.updates - updates_started
        phases = {name: round(spent / seconds, 4) for name, spent in trainer.ticks.phases.items()}
        learn_seconds = trainer.ticks.phases.get("sample", 0.0) + trainer.ticks.phases.get("update", 0.0)
        bytes_per_transition = trainer.agent.memory.bytes_per_transition
    emulated, emulator_seconds = _emulator_speed(config, min(steps, 2000))
    return {
        "steps_per_second": round(step_count / seconds, 2),
        "emulator_steps_per_second": round(emulated / emulator_seconds, 2),
        "update_ms": round(1000 * learn_seconds / max(updates, 1), 3),
        "replay_bytes_per_transition": round(bytes_per_transition, 1),
        "peak_rss_mb": round(peak, 1),
        "phases": phases,
    }


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


def _memory_mb() -> float:
    """Resident memory of this process and those it started, in MiB."""
    import psutil

    process = psutil.Process()
    return sum(float(one.memory_info().rss) for one in [process, *process.children(recursive=True)]) / 2**20
