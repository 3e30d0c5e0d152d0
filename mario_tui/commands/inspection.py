"""`checkpoints`, `recordings`, `keys`, `verify`, `bench` and `doctor`."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mario_tui import paths
from mario_tui.errors import CheckpointError, InputError, TrainingError
from mario_tui.store import checkpoint


def keys(arguments: argparse.Namespace) -> int:
    from mario_tui.tui.app import all_bindings

    print(f"# {paths.settings_file()} can give other keys to these names, under [keys]:\n")
    for binding in all_bindings():
        print(f'"{binding.id}" = "{binding.key}"'.ljust(48) + f"# {binding.tooltip}")
    return 0


def recordings(arguments: argparse.Namespace) -> int:
    from mario_tui.video.library import list_recordings

    infos = list_recordings()
    if arguments.json:
        print(json.dumps([info.as_json() for info in infos]))
    elif not infos:
        print(f"No recordings in {paths.recordings_dir()} yet: 'mario-tui record' makes one, or r in the app.")
    else:
        print(f"{'recording':<60}{'stage':<6}{'length':>8}  outcome")
        for info in infos:
            length = "-" if info.seconds is None else f"{info.seconds:.1f} s"
            outcome = "clears" if info.cleared else "-" if info.max_x is None else f"x {info.max_x}"
            print(f"{info.path.name:<60}{info.stage:<6}{length:>8}  {outcome}")
    return 0


def checkpoints(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from mario_tui.training.metrics import with_mean_rewards

    with Console(stderr=True).status("Reading the checkpoints ..."):
        for info in checkpoint.list_checkpoints():
            checkpoint.is_whole(info.path)  # which the list remembers
    infos = with_mean_rewards(checkpoint.list_checkpoints())
    if arguments.json:
        print(json.dumps([info.as_json() for info in infos], indent=1))
        return 0
    if not infos:
        print(f"No checkpoints in {paths.checkpoints_dir()} yet: 'mario-tui train' makes some, or t in the app.")
        return 0
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for heading in ("", "Stage", "Checkpoint", "Greedy", "Robust", "Reward", "Size", "Saved"):
        table.add_column(heading, no_wrap=True)
    for info in infos:
        greedy = "" if info.greedy_clear is None else "clears" if info.greedy_clear else "no"
        table.add_row(
            "best" if info.best else "",
            info.stage,
            escape(f"{info.run}/{info.path.name}") + ("" if info.whole else " [red]damaged[/]"),
            greedy,
            "" if info.robust_clear_rate is None else f"{info.robust_clear_rate:.0%}",
            "" if info.mean_reward is None else f"{info.mean_reward:,.0f}",
            f"{info.size_bytes / 1e6:.1f} MB",
            info.created.replace("T", " ")[:16],
        )
    console = Console()
    console.width = max(console.width, Console(width=1000).measure(table).maximum)  # a name cut off is of no use
    console.print(table)
    return 0


def verify(arguments: argparse.Namespace) -> int:
    path = paths.find_checkpoint(arguments.path)
    try:
        if path.is_file():
            from mario_tui.agent.policy import load_policy

            load_policy(path)
        else:
            checkpoint.verify(path)
    except CheckpointError as error:
        print(f"mario-tui: {error}", file=sys.stderr)
        return 1
    print(f"{path} is whole")
    return 0


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
    import numpy as np

    from mario_tui.training.trainer import Paused, Stepped, Trainer

    trainer = Trainer(config)
    running = trainer.run()
    warm_up = config.burn_in + 100
    peak = 0.0
    started, step_started, updates_started = 0.0, 0, 0
    for event in running:
        if isinstance(event, Paused):  # for a reason of its own: what would be measured is no training
            running.close()
            raise TrainingError(event.reason)
        if not isinstance(event, Stepped):
            continue
        if not started and event.step >= warm_up:
            started, step_started, updates_started = time.perf_counter(), event.step, trainer.mario.updates
            trainer.clock.clear()
        if event.step % 100 < config.envs:
            peak = max(peak, _memory_mb())
        if started and event.step >= step_started + steps:
            break
    seconds = time.perf_counter() - started
    step_count, updates = trainer.step - step_started, trainer.mario.updates - updates_started
    phases = {name: round(spent / seconds, 4) for name, spent in trainer.clock.items()}
    assert trainer.fleet is not None
    fleet, last = trainer.fleet, np.zeros(config.envs, dtype=np.uint8)
    emulated, emulator_started = 0, time.perf_counter()
    while emulated < min(steps, 2000):
        fleet.send(last + trainer.buttons[0])
        emulated += int((~fleet.receive().first).sum())
    emulator_seconds = time.perf_counter() - emulator_started
    learn_seconds = trainer.clock.get("sample", 0.0) + trainer.clock.get("update", 0.0)
    bytes_per_transition = trainer.mario.memory.bytes_per_transition
    running.close()
    return {
        "steps_per_second": round(step_count / seconds, 2),
        "emulator_steps_per_second": round(emulated / emulator_seconds, 2),
        "update_ms": round(1000 * learn_seconds / max(updates, 1), 3),
        "replay_bytes_per_transition": round(bytes_per_transition, 1),
        "peak_rss_mb": round(peak, 1),
        "phases": phases,
    }


def _memory_mb() -> float:
    """Resident memory of this process and those it started, in MiB."""
    import psutil

    process = psutil.Process()
    return sum(float(one.memory_info().rss) for one in [process, *process.children(recursive=True)]) / 2**20


def doctor(arguments: argparse.Namespace) -> int:
    """Each check: name, whether all is well, what was found, and how to mend what is not."""
    checks = [_python(), _torch(), _emulator(), _display(), _ffmpeg(), _disk()]
    if arguments.json:
        print(json.dumps([dict(zip(("name", "ok", "found", "fix"), check, strict=True)) for check in checks], indent=1))
    else:
        for name, well, found, fix in checks:
            print(f"{'ok  ' if well else 'NOTE'} {name:<10} {found}{'' if well else f'; {fix}'}")
    required = {"python", "torch", "emulator", "disk"}
    return int(any(not well for name, well, _, _ in checks if name in required))


Check = tuple[str, bool, str, str]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return "python", (3, 10) <= sys.version_info[:2] < (3, 15), version, "use Python 3.10 to 3.14"


def _torch() -> Check:
    fix = "run 'make setup'; torch and torchvision must come from the same index"
    try:
        import torch
        import torchvision
    except (ImportError, RuntimeError, OSError) as error:
        return "torch", False, str(error).splitlines()[0], fix
    device = f"GPU {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "no GPU, trains on the CPU"
    return "torch", True, f"{torch.__version__}, torchvision {torchvision.__version__}: {device}", fix


def _emulator() -> Check:
    from mario_tui.errors import MarioTuiError
    from mario_tui.game.emulator import MarioEmulator, emulator_generation

    try:
        with MarioEmulator() as emulator:
            emulator.frame(0)
        return "emulator", True, emulator_generation(), ""
    except MarioTuiError as error:
        return "emulator", False, str(error), "run 'make setup'"


def _display() -> Check:
    from mario_tui.play.window import display_problem

    problem = display_problem()
    return "display", not problem, problem or "a window can be opened", "watching in the terminal needs none"


def _ffmpeg() -> Check:
    try:
        import imageio_ffmpeg

        found = f"{importlib.metadata.version('imageio-ffmpeg')}, {Path(imageio_ffmpeg.get_ffmpeg_exe()).name}"
        return "ffmpeg", True, f"imageio-ffmpeg {found}", ""
    except (ImportError, RuntimeError) as error:
        return "ffmpeg", False, str(error).splitlines()[0], "pip install imageio-ffmpeg: recordings need it"


def _disk() -> Check:
    folder = paths.home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return "disk", free > 2e9, f"{free / 1e9:.1f} GB free at {folder}", "a run needs about 1 GB: make room"
