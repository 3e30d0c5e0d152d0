"""How large a replay of real frames is on the disk, how long writing and reading take, and how long training waits.

    python benchmarks/replay_file.py [TRANSITIONS] [--agent CKPT] [--keep RUN]

Plays real episodes with the trainer's own loop, without learning: two games, the actions of an agent mixed with random
ones. Then saves while the games go on, and loads what was saved. With --keep the run stays in the checkpoints folder,
and a second call with the same name takes its replay and plays only a little more.

Prints one line of JSON: MB of the replay's files, seconds to write the whole checkpoint beside the running games and by
itself, seconds to read it, the longest tick (all games' steps) while it was being written, and the median tick before.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from mario_tui import paths
from mario_tui.agent.policy import load_policy
from mario_tui.presets import preset
from mario_tui.store.manifest import read_manifest
from mario_tui.store.run import find_resumable
from mario_tui.training.events import Saved, Stepped
from mario_tui.training.restore import open_trainer
from mario_tui.training.resume import resume_config
from mario_tui.training.trainer import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("transitions", nargs="?", type=int, default=100_000)
    parser.add_argument("--agent", default="world-1-1", help="who plays, of the preset fast (default world-1-1)")
    parser.add_argument("--keep", metavar="RUN", help="name of a run to keep, or to go on with")
    arguments = parser.parse_args()
    policy = load_policy(arguments.agent)
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.keep:
            os.environ["MARIO_TUI_HOME"] = folder
        name = arguments.keep or "replay"
        if arguments.keep and paths.run_dir(name).exists():
            saved = find_resumable(paths.run_dir(name))[0]
            trainer = open_trainer(resume_config(saved), resume=saved)
        else:
            config = preset("fast").replace(
                envs=2, burn_in=10**7, replay_size=arguments.transitions, eval_every=0, record=False, save_every=0,
                average_updates=0, exploration_rate=0.3, exploration_rate_min=0.1, sticky=0.25, noops=30,
            )  # fmt: skip
            trainer = open_trainer(config, run=name)
            trainer.agent.load_net(policy.net.state_dict())
        print(json.dumps(measure(trainer)))


def measure(trainer: Trainer) -> dict[str, float]:
    ticks: list[float] = []  # seconds from each to the next
    beside: list[float] = []  # those while the checkpoint was written
    running = trainer.run()
    full_at = 0
    began = last = 0.0
    for event in running:
        if isinstance(event, Stepped):
            now = time.perf_counter()
            (beside if began else ticks).append(now - last)
            last = now
            if not full_at and not trainer.agent.memory.missing_bytes:
                full_at = event.step
            if full_at and not began and event.step >= full_at + 200:
                began = time.perf_counter()
                trainer.control.save()
        elif isinstance(event, Saved):
            beside_seconds = time.perf_counter() - began
            path = event.path
            break
    began = time.perf_counter()
    alone = trainer.save()
    alone_seconds = time.perf_counter() - began
    running.close()
    began = time.perf_counter()
    resumed = open_trainer(resume_config(alone), resume=alone)
    read_seconds = time.perf_counter() - began
    transitions = resumed.agent.memory.transitions
    resumed.close()
    parts = read_manifest(alone).parts
    replay_bytes = sum(part.bytes for name, part in parts.items() if Path(name).stem == "replay")
    usual = sorted(ticks[-500:])
    assert path != alone
    return {
        "transitions": transitions,
        "replay_mb": round(replay_bytes / 1e6, 1),
        "write_beside_training_seconds": round(beside_seconds, 2),
        "write_seconds": round(alone_seconds, 2),
        "read_seconds": round(read_seconds, 2),
        "longest_tick_while_saving_ms": round(1000 * max(beside), 1),
        "median_tick_while_saving_ms": round(1000 * sorted(beside)[len(beside) // 2], 1),
        "median_tick_ms": round(1000 * usual[len(usual) // 2], 1),
    }


if __name__ == "__main__":
    main()
