"""Training speed beside the tutorial's own code: this program and the other run in turn, A B A B, on the same machine.

    python benchmarks/against_tutorial.py PATH/TO/tutorial_baseline.py [--rounds 2] [--steps 1500] [--out FILE.md]

The other script runs the code of the "Train a Mario-playing RL Agent" tutorial for a number of steps and prints a line
of JSON with `steps_per_second` and `peak_rss_mb`. Each round runs it once, and `mario-tui bench` once for each preset.
Speeds on a shared machine differ from minute to minute, so what counts is the ratio within this run.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

from mario_tui.system import processors

PACKAGES = ("torch", "torchrl", "numpy", "gym-super-mario-bros", "nes-py")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("baseline", type=Path, help="the script that runs the tutorial's code")
    parser.add_argument(
        "--baseline-python", default=sys.executable, help="the Python that runs it, below 3.13 (default: this one)"
    )
    parser.add_argument("--rounds", type=int, default=2, help="times that each is run (default 2)")
    parser.add_argument("--steps", type=int, default=1500, help="steps of each run of ours (default 1500)")
    parser.add_argument("--baseline-steps", type=int, default=900, help="steps of each run of theirs (default 900)")
    parser.add_argument("--presets", nargs="+", default=["tutorial", "fast"])
    parser.add_argument("--out", type=Path, help="also append the result to this file")
    arguments = parser.parse_args()

    theirs: list[dict[str, Any]] = []
    ours: dict[str, list[dict[str, Any]]] = {name: [] for name in arguments.presets}
    for number in range(arguments.rounds):
        theirs.append(run([arguments.baseline_python, str(arguments.baseline), str(arguments.baseline_steps)]))
        say(number, "the tutorial's code", theirs[-1])
        for name in arguments.presets:
            command = [sys.executable, "-m", "mario_tui", "bench", "--json", "--preset", name]
            ours[name].append(run([*command, "--steps", str(arguments.steps)]))
            say(number, f"preset {name}", ours[name][-1])
    report = make_report(theirs, ours)
    print(report)
    if arguments.out:
        with arguments.out.open("a") as file:
            file.write(report + "\n")
    return 0


def run(command: list[str]) -> dict[str, Any]:
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def say(number: int, what: str, result: dict[str, Any]) -> None:
    print(f"round {number + 1}: {what}: {result['steps_per_second']:.1f} steps/s", file=sys.stderr, flush=True)


def median(results: list[dict[str, Any]], key: str) -> float:
    return statistics.median(float(result[key]) for result in results)


def make_report(theirs: list[dict[str, Any]], ours: dict[str, list[dict[str, Any]]]) -> str:
    base = median(theirs, "steps_per_second")
    lines = [
        f"### Beside the tutorial's code, {date.today()}",
        "",
        f"{processor()}, {processors.described()}, {platform.system()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
        + f"; medians of {len(theirs)} rounds, run in turn.",
        "",
        "| what | steps/s | ratio | emulators alone | share of that | update | peak memory | replay a transition |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| the tutorial's code | {base:.1f} | 1 | | | | {median(theirs, 'peak_rss_mb'):.0f} MB | |",
    ]
    for name, results in ours.items():
        speed, alone = median(results, "steps_per_second"), median(results, "emulator_steps_per_second")
        lines.append(
            f"| preset {name} | {speed:.1f} | {speed / base:.2f} | {alone:.1f} | {speed / alone:.0%} "
            f"| {median(results, 'update_ms'):.1f} ms | {median(results, 'peak_rss_mb'):.0f} MB "
            f"| {median(results, 'replay_bytes_per_transition'):.0f} bytes |"
        )
    lines.append("")
    for name, results in ours.items():
        shares = ", ".join(f"{phase} {share:.0%}" for phase, share in results[-1]["phases"].items())
        lines.append(f"Where a step's time goes, preset {name}: {shares}.")
    return "\n".join(lines)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
