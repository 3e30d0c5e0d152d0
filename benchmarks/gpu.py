"""What a GPU machine does with this program: training speed beside its emulators alone, and the time of an update.

    python benchmarks/gpu.py [--envs 6 0 16 32 64] [--steps 50000] [--device cuda] [--write FILE.md]

Runs `mario-tui bench --preset fast --evaluations` for each number of games (6 is the preset's, 0 is what the program
chooses), with a CUDA graph of the update and without, and prints a table, which `--write` appends to a file with
hardware and versions. With 50,000 steps the figure with evaluations holds one save, as often as the preset has it. The
time to the first greedy clear is measured by

    mario-tui train --preset fast --stage 1-1 --until-clear --seed 0 --envs 32 --json
"""

from __future__ import annotations

import argparse
import platform
import sys
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from against_tutorial import PACKAGES, processor, run

from mario_tui.system import processors

COLUMNS = (
    "games", "CUDA graph", "steps/s", "with evaluations and saves", "emulators alone", "share of that",
    "sample and update", "memory", "GPU memory", "where a step's time goes",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=int, nargs="+", default=[6, 0, 16, 32, 64], help="numbers of games")
    parser.add_argument("--steps", type=int, default=50_000, help="of each measurement")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--write", type=Path, help="also append the table to this file")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("PyTorch sees no GPU here: try --device cpu to see the table", file=sys.stderr)
        return 1
    results = []
    for envs in arguments.envs:
        for graph in (True, False) if arguments.device == "cuda" else (False,):
            command = [sys.executable, "-m", "mario_tui", "bench", "--json", "--preset", "fast", "--evaluations"]
            command += ["--envs", str(envs), "--steps", str(arguments.steps), "--device", arguments.device]
            results.append((graph, run(command if graph else [*command, "--no-graph"])))
            print(row(*results[-1]), file=sys.stderr, flush=True)
    report = make_report(results, arguments.device, arguments.steps)
    print(report)
    if arguments.write:
        with arguments.write.open("a") as file:
            file.write(report + "\n")
    return 0


def make_report(results: list[tuple[bool, dict[str, Any]]], device: str, steps: int) -> str:
    """Markdown: hardware and versions, and a line for each result: whether with a graph, and what bench said."""
    lines = [
        f"### Training on {hardware(device)}, {date.today()}",
        "",
        f"{processor()}, {processors.described()}, {platform.system()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
        + f"; `mario-tui bench --preset fast --evaluations --steps {steps}`.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + " --- |" * len(COLUMNS),
        *(row(graph, result) for graph, result in results),
    ]
    return "\n".join(lines)


def row(graph: bool, result: dict[str, Any]) -> str:
    speed, alone = result["steps_per_second"], result["emulator_steps_per_second"]
    gpu = f"{result['peak_gpu_mb']:.0f} MB" if "peak_gpu_mb" in result else ""
    values = (
        result["envs"],
        "yes" if graph else "no",
        f"{speed:.0f}",
        f"{result['steps_per_second_with_evaluations']:.0f}",
        f"{alone:.0f}",
        f"{speed / alone:.0%}",
        f"{result['update_ms']:.2f} ms",
        f"{result['peak_rss_mb']:.0f} MB",
        gpu,
        ", ".join(f"{phase} {share:.0%}" for phase, share in result["phases"].items()),
    )
    return f"| {' | '.join(map(str, values))} |"


def hardware(device: str) -> str:
    """The GPU, with its driver where that says itself, and the CUDA version of PyTorch."""
    if device == "cpu":
        return "the processor alone"
    driver = Path("/sys/module/nvidia/version")
    version = f", driver {driver.read_text().strip()}" if driver.exists() else ""
    return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}{version}"


if __name__ == "__main__":
    sys.exit(main())
