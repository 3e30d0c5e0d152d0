"""What Ray costs a step: games on a cluster beside the same games in worker processes of this machine.

    python benchmarks/ray_overhead.py [--games 4] [--collectors 1,2,4] [--ticks 300] [--rounds 4]

The cluster is one of several nodes on this machine, whose cores are numbers and no more: the emulators take the same
processor either way, so that what differs is Ray. Both take turns in one process, A B A B. Prints a table in Markdown:

- a tick of the games alone, in milliseconds, and what of the learner's core it takes (its process time);
- training by the preset `fast`, in steps/s.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import numpy as np

from mario_tui.config import TrainingConfig
from mario_tui.game.vector_env import VectorEnv
from mario_tui.presets import preset
from mario_tui.training.collector import open_local_games
from mario_tui.training.events import Stepped
from mario_tui.training.restore import open_trainer

RUN = 130  # the buttons of running to the right
WARM_UP_TICKS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=4)
    parser.add_argument("--collectors", default="1,2,4")
    parser.add_argument("--ticks", type=int, default=300, help="of each, in a round")
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    from ray.cluster_utils import Cluster

    temporary = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # names of sockets may not be long
    node: dict[str, Any] = {"num_cpus": 2, "object_store_memory": 80_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "temp_dir": temporary})
    for _ in range(2):
        cluster.add_node(**node)
    cluster.wait_for_nodes()
    print("| processes | | local | Ray | Ray - local | Ray / local, by round |")
    print("| --- | --- | --- | --- | --- | --- |")
    try:
        for collectors in map(int, arguments.collectors.split(",")):
            local = preset("fast").replace(
                envs=arguments.games,
                workers=collectors,
                actor_groups=min(2, collectors),  # each has processes of its own
                replay_size=20_000,
                threads=1,
            )
            both = {"local": local, "ray": local.replace(actors=f"ray:{cluster.address}")}
            measure_games(collectors, both, arguments.ticks, arguments.rounds)
            measure_training(collectors, both, arguments.ticks, arguments.rounds)
    finally:
        import ray

        ray.shutdown()
        cluster.shutdown()
        shutil.rmtree(temporary, ignore_errors=True)


def row(collectors: int, what: str, unit: str, local: list[float], ray: list[float]) -> None:
    ratios = " ".join(f"{there / here:.2f}" for here, there in zip(local, ray, strict=True))
    here, there = statistics.median(local), statistics.median(ray)
    print(
        f"| {collectors} | {what} | {here:.3g} {unit} | {there:.3g} {unit} | {there - here:+.2f} {unit} | {ratios} |",
        flush=True,
    )


def in_turn(play: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds, and process time in seconds, of each call: A B A B."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in play}
    for _ in range(rounds):
        for name, one in play.items():
            wall, own = time.perf_counter(), time.process_time()
            one()
            taken[name].append((time.perf_counter() - wall, time.process_time() - own))
    return taken


def measure_games(collectors: int, both: dict[str, TrainingConfig], ticks: int, rounds: int) -> None:
    with ExitStack() as stack:
        games = {name: stack.enter_context(open_local_games(config)) for name, config in both.items()}
        for env in games.values():
            env.start()
            env.show(0)
            play(env, WARM_UP_TICKS)
        taken = in_turn({name: partial(play, env, ticks) for name, env in games.items()}, rounds)
    ms = {name: [(1e3 * wall / ticks, 1e3 * own / ticks) for wall, own in times] for name, times in taken.items()}
    row(collectors, "a tick", "ms", [wall for wall, _ in ms["local"]], [wall for wall, _ in ms["ray"]])
    row(collectors, "of it the learner's core", "ms", [own for _, own in ms["local"]], [own for _, own in ms["ray"]])


def play(env: VectorEnv, ticks: int) -> None:
    buttons = np.full(len(env.frames), RUN, dtype=np.uint8)
    for _ in range(ticks):
        env.send(buttons)
        env.receive()


def measure_training(collectors: int, both: dict[str, TrainingConfig], ticks: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        os.environ["MARIO_TUI_HOME"] = home
        steps: dict[str, Iterator[Stepped]] = {}
        for name, config in both.items():
            trainer = open_trainer(config.replace(burn_in=200, save_every=0, eval_every=0, record=False), run=name)
            events = stack.enter_context(closing(trainer.run()))
            steps[name] = (event for event in events if isinstance(event, Stepped))
        games = both["local"].envs
        for one in steps.values():
            advance(one, 400)  # until it has begun to learn
        taken = in_turn({name: partial(advance, one, ticks * games) for name, one in steps.items()}, rounds)
    speed = {name: [ticks * games / wall for wall, _ in times] for name, times in taken.items()}
    row(collectors, "training", "steps/s", speed["local"], speed["ray"])


def advance(events: Iterator[Stepped], steps: int) -> None:
    """Trains for so many steps, or a tick more."""
    first = next(events).step
    for event in events:
        if event.step - first >= steps:
            return


if __name__ == "__main__":
    main()
