"""How long Home takes to be on the screen, from the start of the process, in a real pseudo-terminal.

    python benchmarks/first_paint.py [STARTS]

Prints one line of JSON: milliseconds until Home's first box was drawn, with the agent that comes with the program as
the only run, of that many starts after a first one that is not counted.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from pseudo_terminal import Terminal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("starts", nargs="?", type=int, default=10)
    arguments = parser.parse_args()
    times = []
    with tempfile.TemporaryDirectory() as folder:
        shipped = Path(__file__).parents[1] / "checkpoints" / "world-1-1"
        shutil.copytree(shipped, Path(folder) / "checkpoints" / shipped.name, symlinks=True)
        for _ in range(1 + arguments.starts):
            started = time.perf_counter()
            with Terminal([], folder) as terminal:
                times.append(1000 * (terminal.wait_for_bytes(b"Latest trainings") - started))
                terminal.skip(0.5)
                terminal.press("q")
                terminal.drain()
    counted = sorted(times[1:])
    print(
        json.dumps(
            {
                "starts": len(counted),
                "median_ms": round(counted[len(counted) // 2]),
                "max_ms": round(counted[-1]),
            }
        )
    )


if __name__ == "__main__":
    main()
