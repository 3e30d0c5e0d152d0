"""How fast training would be with other cores, GPUs and machines, from what each part of a step costs here.

    python benchmarks/scaling.py [--games 4 8 16] [--rounds 2] [--steps 1500] [--write FILE.md]
    python benchmarks/scaling.py --learner-update-ms 0.5 --learner-act-ms 0.4 --machine-ms 2

Runs `mario-tui bench` with each number of games, in turn, and keeps the fastest run of each, as other programs may
disturb the others. It takes the cost of each part from the runs with the fewest and the most games, and prints what the
model says beside what was measured, for all of them; then what it says for other machines. With the costs of a learner
that was measured elsewhere (`--learner-update-ms`, `--learner-act-ms`: `update_ms` of `mario-tui bench` on a GPU, and
the time to choose the actions of a group) it says what these emulators would do beside that one.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from dataclasses import dataclass, replace
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from against_tutorial import processor, run

from mario_tui.config import TrainingConfig
from mario_tui.presets import preset
from mario_tui.settings import MOST_ENVS
from mario_tui.system import processors


@dataclass(frozen=True)
class Costs:
    """What the parts of a step cost, in milliseconds.

    Attributes:
        emulate: one step of one game, on a core.
        send: from the order for a group of games to its answer, besides the play.
        act, store, collect: choosing actions and sending them, storing transitions, and taking in what a step brought,
            for a group; `act_game` etc.: for each game in it.
        update: sampling a batch and learning from it.
        machine: of a step of a group, for each further machine that plays.
    """

    emulate: float
    send: float
    act: float
    act_game: float
    store: float
    store_game: float
    collect: float
    collect_game: float
    update: float
    machine: float = 0.0


@dataclass(frozen=True)
class Expected:
    """Steps per second, and what limits them: `learner`, `cores` or `emulators`, see `expect`."""

    steps_per_second: float
    limit: str


def expect(
    costs: Costs, *, games: int, cores: int, machines: int = 1, groups: int = 2, learn_every: int = 4, workers: int = 0
) -> Expected:
    """Steps per second of one learner, with so many games on `machines` machines of `cores` cores each.

    A tick, one step of every game, takes as long as the longest of these:

    - learner: acting, storing, collecting and the games / learn_every updates of the tick follow one another;
    - cores: the work of learner and emulators, divided among the cores of all machines; what the learner's machine
      does not need for learning it emulates with;
    - emulators: a group's actions, its play by the processes of the group, and its results, one after the other. With
      two groups that take turns, one of them plays meanwhile. A single group waits for its emulators in each tick, and
      only storing and learning go on beside them.

    Args:
        workers: emulator processes of each group on each machine; 0 for what mario-tui takes, one for each core but
            the learner's, and at most one for each game.
    """
    groups = min(groups, games)
    in_group = games / groups
    processes = sum(min(in_group / machines, workers or max(1, cores - (machine == 0))) for machine in range(machines))
    far = costs.machine * (machines - 1)
    act = groups * (costs.act + far) + games * costs.act_game
    store = groups * costs.store + games * costs.store_game
    collect = groups * costs.collect + games * costs.collect_game
    learn = games / learn_every * costs.update
    played = costs.send + costs.emulate * max(1.0, in_group / processes)
    learner = act + store + collect + learn
    chain = act + collect + max(played, store + learn) if groups == 1 else (act + collect) / groups + played
    limits = {
        "learner": learner,
        "cores": (learner + games * costs.emulate) / (cores * machines),
        "emulators": chain,
    }
    limit = max(limits, key=lambda name: limits[name])
    return Expected(1000 * games / limits[limit], limit)


def best_games(costs: Costs, *, cores: int, machines: int = 1, **settings: Any) -> tuple[int, Expected]:
    """The fewest games, by powers of two from 4 on, that bring all but 3 % of the speed that any number brings."""
    tried = {}
    games = 4
    while games <= MOST_ENVS:
        tried[games] = expect(costs, games=games, cores=cores, machines=machines, **settings)
        games *= 2
    enough = 0.97 * max(one.steps_per_second for one in tried.values())
    return next((games, one) for games, one in tried.items() if one.steps_per_second >= enough)


def fit(few: dict[str, Any], many: dict[str, Any], *, send_ms: float, groups: int, cores: int) -> Costs:
    """The costs from two results of `mario-tui bench --json`, with few games and with many."""

    def tick_ms(result: dict[str, Any], phase: str) -> float:
        share: float = result["phases"][phase]
        return 1000 * share * result["envs"] / result["steps_per_second"]

    def line(phase: str) -> tuple[float, float]:
        """Cost of a group, and of each game in it."""
        span = many["envs"] - few["envs"]
        game = max(0.0, (tick_ms(many, phase) - tick_ms(few, phase)) / span)
        return max(0.0, tick_ms(few, phase) - few["envs"] * game) / groups, game

    def turns(result: dict[str, Any]) -> float:
        """How many steps the busiest process of each group plays in a tick, all groups together."""
        in_group = result["envs"] / groups
        return groups * max(1.0, in_group / max(1, min(in_group, cores - 1)))

    (act, act_game), (store, store_game), (collect, collect_game) = map(line, ("act", "cache", "preprocess"))
    return Costs(
        emulate=sum(tick_ms(one, "emulate") / turns(one) for one in (few, many)) / 2,
        send=send_ms,
        act=act,
        act_game=act_game,
        store=store,
        store_game=store_game,
        collect=collect,
        collect_game=collect_game,
        update=(few["update_ms"] + many["update_ms"]) / 2,
    )


def measure_send(config: TrainingConfig, ticks: int = 200) -> float:
    """Milliseconds from an order to its answer, besides the play of the busiest process."""
    from mario_tui.training.collector import open_local_games

    buttons = np.zeros(config.envs, dtype=np.uint8)
    with open_local_games(config) as games:
        games.start()
        seconds = 0.0
        for _ in range(ticks):
            began = time.perf_counter()
            games.send(buttons)
            played = games.receive().emulating_seconds
            seconds += time.perf_counter() - began - played
    return max(0.0, 1000 * seconds / ticks)


def report(measured: list[dict[str, Any]], costs: Costs, config: TrainingConfig, *, here: int, gpu: str) -> list[str]:
    """Markdown: the costs, the check against what was measured, and the table for other machines."""
    groups, learn_every = config.actor_groups, config.learn_every
    lines = [
        f"### What limits training, {date.today()}",
        "",
        f"{processor()}, {processors.described()}, {gpu}; Python {platform.python_version()}, "
        f"torch {metadata.version('torch')}; preset fast, games in {groups} groups.",
        "",
        "| part | ms | and for each game |",
        "| --- | --- | --- |",
        f"| emulate | | {costs.emulate:.2f} |",
        f"| send and answer, a group | {costs.send:.2f} | |",
        f"| act, a group | {costs.act:.2f} | {costs.act_game:.3f} |",
        f"| store, a group | {costs.store:.2f} | {costs.store_game:.3f} |",
        f"| collect, a group | {costs.collect:.2f} | {costs.collect_game:.3f} |",
        f"| sample and update, one in {learn_every} steps | {costs.update:.2f} | |",
        "",
        "| games | measured steps/s | by the model | ratio | limit |",
        "| --- | --- | --- | --- | --- |",
    ]
    for result in measured:
        said = expect(costs, games=result["envs"], cores=here, groups=groups, learn_every=learn_every)
        speed = result["steps_per_second"]
        ratio = said.steps_per_second / speed
        lines.append(f"| {result['envs']} | {speed:.0f} | {said.steps_per_second:.0f} | {ratio:.2f} | {said.limit} |")
    lines += ["", "By the model, not measured:", "", "| cores | machines | games | steps/s | limit |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for machines in (1, 2, 4):
        for cores in (2, 4, 8, 16, 32, 64):
            games, said = best_games(costs, cores=cores, machines=machines, groups=groups, learn_every=learn_every)
            lines.append(f"| {cores} | {machines} | {games} | {said.steps_per_second:.0f} | {said.limit} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, nargs="+", default=[4, 8, 16], help="to measure with (default 4 8 16)")
    parser.add_argument("--steps", type=int, default=1500, help="of each measurement (default 1500)")
    parser.add_argument("--rounds", type=int, default=2, help="of all of them in turn; the fastest counts (default 2)")
    parser.add_argument("--device", default="cpu", help="of the learner (default cpu)")
    parser.add_argument("--learner-update-ms", type=float, help="of a learner measured elsewhere")
    parser.add_argument("--learner-act-ms", type=float, help="of a learner measured elsewhere, for a group")
    parser.add_argument("--machine-ms", type=float, default=0.0, help="of a step, for each further machine (default 0)")
    parser.add_argument("--write", type=Path, help="also append the tables to this file")
    arguments = parser.parse_args()
    if len(set(arguments.games)) < 2:
        parser.error("--games needs at least two numbers")
    config, here = preset("fast"), processors.count()
    bench = [sys.executable, "-m", "mario_tui", "bench", "--json", "--preset", "fast", "--device", arguments.device]
    rounds = [
        [run([*bench, "--steps", str(arguments.steps), "--envs", str(one)]) for one in sorted(arguments.games)]
        for _ in range(arguments.rounds)
    ]
    measured = [max(results, key=lambda one: one["steps_per_second"]) for results in zip(*rounds, strict=True)]
    send_ms = measure_send(config)
    costs = fit(measured[0], measured[-1], send_ms=send_ms, groups=config.actor_groups, cores=here)
    lines = report(measured, costs, config, here=here, gpu="no GPU" if arguments.device == "cpu" else arguments.device)
    elsewhere = {
        "update": arguments.learner_update_ms,
        "act": arguments.learner_act_ms,
        "machine": arguments.machine_ms,
    }
    given = {name: value for name, value in elsewhere.items() if value}
    if given:
        others = report([], replace(costs, **given), config, here=here, gpu=f"with given costs (ms): {given}")
        lines += ["", *others]
    print("\n".join(lines))
    if arguments.write:
        with arguments.write.open("a") as file:
            file.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
