"""What a GPU machine does with this program: training speed beside its emulators alone, and the time of an update.

    python benchmarks/gpu.py [--envs 16 32 64] [--steps 20000] [--device cuda]

Runs `mario-tui bench --preset fast` for each number of games, with a CUDA graph of the update and without, and prints a
table. The time to the first greedy clear is measured by

    mario-tui train --preset fast --stage 1-1 --until-clear --seed 0 --envs 32 --json
"""

from __future__ import annotations

import argparse
import platform
import sys

import torch
from against_tutorial import processor, run

from mario_tui.system import processors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("PyTorch sees no GPU here: try --device cpu to see the table", file=sys.stderr)
        return 1
    gpu = torch.cuda.get_device_name() if arguments.device == "cuda" else "no GPU"
    print(
        f"{gpu}; {processor()}, {processors.described()}; Python {platform.python_version()}, torch {torch.__version__}"
    )
    print("| games | CUDA graph | steps/s | emulators alone | share of that | sample and update | peak memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for envs in arguments.envs:
        for graph in (True, False) if arguments.device == "cuda" else (False,):
            command = [sys.executable, "-m", "mario_tui", "bench", "--json", "--preset", "fast", "--envs", str(envs)]
            command += ["--steps", str(arguments.steps), "--device", arguments.device]
            result = run(command if graph else [*command, "--no-graph"])
            share = result["steps_per_second"] / result["emulator_steps_per_second"]
            print(
                f"| {envs} | {'yes' if graph else 'no'} | {result['steps_per_second']:.0f} "
                f"| {result['emulator_steps_per_second']:.0f} | {share:.0%} "
                f"| {result['update_ms']:.2f} ms | {result['peak_rss_mb']:.0f} MB |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
