"""How fast recordings are made on one core, as a multiple of the game's own speed, and whether memory stays flat.

    python benchmarks/recording.py [--seconds 60] [--memory-seconds 600] [--overlay] [--core 0]

Plays the action log of an agent's episode, or another, over again until there are enough frames, at scale 2, with this
process and ffmpeg on the same core. `times_real` is by the clock, `times_real_by_processor` by the processor time that
both took: where other programs run beside it, only the latter means something, and it is still too low, as two programs
on one core's two threads slow each other down. `emulator_alone_times_real` is what the game alone would reach.
Memory is that of both processes, looked at every ten seconds of play. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from mario_tui.game.action_log import ActionLog
from mario_tui.game.replaying import play_log, replay
from mario_tui.game.step import EpisodeStep
from mario_tui.video.record import Clip, record_episodes
from mario_tui.video.writer import EMULATOR_FPS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of play, for the speed")
    parser.add_argument("--memory-seconds", type=float, default=600.0, help="of play, for the memory (0: not at all)")
    parser.add_argument("--agent", default="world-1-1", help="whose greedy episode is recorded, again and again")
    parser.add_argument("--log", type=Path, help="an action log instead")
    parser.add_argument("--overlay", action="store_true")
    parser.add_argument("--core", type=int, default=0)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {arguments.core})
    with tempfile.TemporaryDirectory() as folder:
        log = ActionLog.load(arguments.log) if arguments.log else of_agent(arguments.agent, Path(folder, "agent.mp4"))
        frames = replay(log).frames  # also loads what the first game loads
        record(log, frames, Path(folder, "warm-up.mp4"), 1.0, overlay=arguments.overlay)
        result: dict[str, object] = {"emulator_alone_times_real": emulator_alone(log, frames)}
        result |= speed(log, frames, Path(folder, "speed.mp4"), arguments.seconds, overlay=arguments.overlay)
        if arguments.memory_seconds:
            result |= memory(log, frames, Path(folder, "memory.mp4"), arguments.memory_seconds)
    result["load_average"] = os.getloadavg()[0]
    print(json.dumps({"stage": log.stage, "frames_of_log": frames, "overlay": arguments.overlay, **result}))


def of_agent(checkpoint: str, path: Path) -> ActionLog:
    """Of the agent's greedy episode, which a process of its own plays: PyTorch's memory is none of a recording's."""
    subprocess.run(
        [sys.executable, "-m", "mario_tui", "record", checkpoint, "-o", path], check=True, capture_output=True
    )
    return ActionLog.load(path.with_suffix(".json"))


def again_and_again(log: ActionLog, frames: int, seconds: float) -> Iterator[EpisodeStep]:
    """The log's steps, from the beginning whenever they are over, for so many seconds of play."""
    for _ in range(-(-round(seconds * EMULATOR_FPS) // frames)):
        yield from play_log(log)


def record(log: ActionLog, frames: int, path: Path, seconds: float, **settings: Any) -> float:
    """Seconds of play that were recorded."""
    clip = Clip(again_and_again(log, frames, seconds), log.stage, log.frame_skip)
    return record_episodes([clip], path, threads=1, **settings).seconds


def processor_seconds() -> float:
    """Of this process and its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def emulator_alone(log: ActionLog, frames: int) -> float:
    before = time.process_time()
    for _ in range(3):
        replay(log)
    return round(3 * frames / EMULATOR_FPS / (time.process_time() - before), 2)


def speed(log: ActionLog, frames: int, path: Path, seconds: float, *, overlay: bool) -> dict[str, float]:
    clock, processor = time.perf_counter(), processor_seconds()
    played = record(log, frames, path, seconds, overlay=overlay)
    clock, processor = time.perf_counter() - clock, processor_seconds() - processor
    return {
        "seconds": round(played, 1),
        "times_real": round(played / clock, 2),
        "times_real_by_processor": round(played / processor, 2),
        "megabytes_per_minute": round(path.stat().st_size / 1e6 * 60 / played, 2),
    }


def memory(log: ActionLog, frames: int, path: Path, seconds: float) -> dict[str, object]:
    """Resident megabytes after each tenth of the recording, and how much they grew after the first."""
    looked: list[float] = []
    process = psutil.Process()

    def progress(done: int, _: int | None) -> None:
        if done >= (len(looked) + 1) * seconds * EMULATOR_FPS / 10:
            both = [process, *process.children()]
            looked.append(round(sum(each.memory_info().rss for each in both) / 1e6, 1))

    played = record(log, frames, path, seconds, progress=progress)
    return {
        "memory_frames": round(played * EMULATOR_FPS),
        "memory_mb": looked,
        "memory_growth_mb": round(max(looked[1:]) - looked[0], 1),
    }


if __name__ == "__main__":
    main()
