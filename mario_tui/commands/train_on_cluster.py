"""`train --on ray`: several runs, one for each seed, spread over the machines of a cluster."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from mario_tui import paths
from mario_tui.commands.stopping import stop_on_signals
from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError, TrainingError
from mario_tui.printable import as_argument, printable
from mario_tui.store.lookup import step_folders
from mario_tui.store.run import find_resumable
from mario_tui.system import output, signals
from mario_tui.training.resume import resume_config

RAY = re.compile(r"ray(:[^\s/]+:[0-9]{1,5})?")
DEFAULT_CORES = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("several runs on a cluster (docs/cluster.md)")
    group.add_argument(
        "--on",
        metavar="CLUSTER",
        help="train whole runs on the machines of a Ray cluster: ray (the cluster that this machine is part of) or "
        "ray:HOST:PORT (extra 'cluster')",
    )
    group.add_argument(
        "--seeds",
        metavar="S,S",
        help="with --on: a run for each of these seeds, as in 0,1,2 (default: that of --seed)",
    )
    group.add_argument(
        "--run-cores",
        type=int,
        metavar="N",
        help=f"with --on: cores of a machine that a run takes (default {DEFAULT_CORES})",
    )
    group.add_argument(
        "--run-gpus",
        type=float,
        metavar="N",
        help="with --on: GPUs that a run takes, as in 0.25 (default 1 where the cluster has some, or 0 with "
        "'--device cpu')",
    )


def is_meant(arguments: argparse.Namespace) -> bool:
    """Whether runs should be spread; raises InputError for flags that make no sense without."""
    if arguments.on is not None:
        return True
    for flag in ("seeds", "run_cores", "run_gpus"):
        if getattr(arguments, flag) is not None:
            raise InputError(f"--{flag.replace('_', '-')} is for runs on a cluster: add --on ray (see docs/cluster.md)")
    return False


def train(arguments: argparse.Namespace, config: TrainingConfig, given: dict[str, Any]) -> int:
    """Trains one run for each seed; `config` is that of a new run, `given` the settings that were asked for."""
    if not RAY.fullmatch(arguments.on):
        raise InputError(f"--on {arguments.on!r} cannot be used: it takes ray or ray:HOST:PORT")
    if arguments.seeds is not None and "seed" in given:
        raise InputError("--seed and --seeds cannot be used together: name all of them with --seeds")
    _refuse_what_stays_here(config)
    cores = DEFAULT_CORES if arguments.run_cores is None else arguments.run_cores
    if cores < 1:
        raise InputError(f"--run-cores {cores} cannot be used: it takes 1 and more")
    asked = arguments.run_gpus
    if asked is not None and not (0 <= asked < 1 or asked in range(1, 1025)):
        raise InputError(
            f"--run-gpus {asked:g} cannot be used: it takes a part of one, such as 0.25, or a whole number"
        )
    base = paths.check_run_name(arguments.name) if arguments.name is not None else paths.new_run_name(config.stage)
    runs = [
        (f"{base}-seed-{seed}", _settings(f"{base}-seed-{seed}", config.replace(seed=seed), given, cores))
        for seed in _seeds(arguments.seeds, config.seed)
    ]

    from mario_tui.training.control import TrainingControl
    from mario_tui.training.ray_runs import ClusterRuns, Share, check_room

    share = Share(cores, _gpus_of_a_run(arguments.on, config.device) if asked is None else asked)
    check_room(arguments.on, share)
    control = TrainingControl()
    reporter: RunsReporter
    if arguments.json:
        reporter = RunsAsJson()
    elif output.is_live(sys.stdout):
        reporter = RunsTable([name for name, _ in runs])
    else:
        reporter = RunsAsLines()
    failed: dict[str, str] = {}
    with stop_on_signals(control) as received:
        try:
            with reporter, closing(ClusterRuns(arguments.on, runs, share, control).run()) as events:
                for event in events:
                    if event["event"] == "failed":
                        failed[event["run"]] = event["problem"]
                    reporter.report(event)
        except KeyboardInterrupt:
            signals.ignore([signal.SIGINT])
            print("mario-tui: stopped; what was copied here of the runs is kept", file=sys.stderr)
            return 128 + signal.SIGINT
    if received:
        if not arguments.json:
            seeds = arguments.seeds or config.seed
            print(
                f"mario-tui: the same command with --name {as_argument(base)} --seeds {seeds} goes on", file=sys.stderr
            )
        return 128 + received[0]
    if failed:
        raise TrainingError("; ".join(f"{name} failed: {problem}" for name, problem in failed.items()))
    return 0


def _refuse_what_stays_here(config: TrainingConfig) -> None:
    """Raises InputError for what another machine could not see."""
    if config.init_from or config.demonstrations:
        flag = "init-from" if config.init_from else "demonstrations"
        raise InputError(f"--{flag} names files of this machine, which others do not have: leave it out with --on")
    if config.actors != "local":
        raise InputError("with --on each run plays its games on its own machine: leave out --actors")


def _gpus_of_a_run(where: str, device: str) -> float:
    from mario_tui.training import ray_cluster

    there = ray_cluster.connect(where).cluster_resources().get("GPU", 0) > 0
    return 1.0 if device.startswith("cuda") or (device == "auto" and there) else 0.0


def _seeds(written: str | None, seed: int) -> list[int]:
    if written is None:
        return [seed]
    if not re.fullmatch(r"[0-9]{1,18}(,[0-9]{1,18})*", written):
        raise InputError(f"--seeds {written!r} cannot be used: it takes numbers with commas between, as in 0,1,2")
    return list(dict.fromkeys(int(one) for one in written.split(",")))


def _settings(name: str, config: TrainingConfig, given: dict[str, Any], cores: int) -> TrainingConfig:
    """Those of a run: of its checkpoint where it has one. What depends on the processor is made to fit its share."""
    run = paths.run_dir(name)
    if step_folders(run):
        config = resume_config(find_resumable(run)[0], {**given, "seed": config.seed})
    elif (run / "metrics.csv").exists():
        raise InputError(
            f"the run {name} has no checkpoint to go on from: 'mario-tui runs delete {as_argument(name)}', "
            "or choose another --name"
        )
    return config.replace(
        # Which of several is the cluster's matter.
        device="cuda" if config.device.startswith("cuda") else config.device,
        workers=config.workers or max(1, min(config.envs or cores, cores - 1)),
        threads=config.threads or max(1, min(4, cores // 2)),
    )


class RunsReporter(Protocol):
    def report(self, event: dict[str, Any]) -> None: ...

    def __enter__(self) -> RunsReporter: ...

    def __exit__(self, *details: object) -> None: ...


class RunsAsJson:
    """One JSON object a line: the events of `train --json`, each with its run."""

    def __enter__(self) -> RunsAsJson:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def report(self, event: dict[str, Any]) -> None:
        print(json.dumps(event), flush=True)


class RunsAsLines(RunsAsJson):
    """Plain lines for a log file: what is rare."""

    def report(self, event: dict[str, Any]) -> None:
        if text := describe(event):
            print(printable(f"{event['run']}: {text}"), flush=True)


def describe(event: dict[str, Any]) -> str:
    """An event of a run in one line; "" for one that is not worth one."""
    match event["event"]:
        case "placed":
            return f"trains on {event['machine']}, {_from(event['checkpoint'])}"
        case "lost":
            return f"{event['problem']}; it goes on elsewhere, {_from(event['checkpoint'])}"
        case "failed":
            return f"failed: {event['problem']}"
        case "saved":
            return f"saved {event['path']}"
        case "warning":
            return f"warning: {event['text']}"
        case "restarted" | "not_recorded":
            return str(event["problem"])
        case "paused":
            return f"paused: {event['reason']}"
        case "evaluated" if event["robust"]:
            return f"step {event['step']:,} clears {event['clears']} of {event['episodes']} robust episodes"
        case "evaluated":
            outcome = "clears the stage" if event["clears"] else f"gets to x {event['max_x']:,}"
            return f"greedy play at step {event['step']:,} {outcome}"
        case "finished":
            return f"done: {event['steps']:,} steps, {event['episodes']:,} episodes, {event['clears']:,} clears"
    return ""


def _from(checkpoint: str) -> str:
    return f"from {checkpoint}" if checkpoint else "from the beginning"


@dataclass
class _Row:
    state: str = "waits for a machine"
    machine: str = ""
    step: int = 0
    episodes: int = 0
    best_x: int = 0
    clears: int = 0
    began: tuple[float, int] | None = None  # when it was placed, and the first step that was told afterwards
    speed: float = 0.0


class RunsTable:
    """A table of all runs, and what is rare as lines above it, for a terminal."""

    def __init__(self, runs: Sequence[str]) -> None:
        from rich.live import Live

        self._rows = {run: _Row() for run in runs}
        self._live = Live(get_renderable=self._draw, refresh_per_second=2)

    def __enter__(self) -> RunsTable:
        self._live.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._live.stop()

    def report(self, event: dict[str, Any]) -> None:
        row = self._rows[event["run"]]
        match event["event"]:
            case "placed":
                row.state, row.machine, row.began = "starts", event["machine"], None
            case "started":
                row.state, row.step, row.began = "trains", event["step"], (time.monotonic(), event["step"])
            case "episode":
                row.step, row.episodes = event["step"], event["episode"]
                row.best_x = max(row.best_x, event["max_x"])
                row.clears += event["end"] == "clear"
                if row.began:
                    seconds, first = time.monotonic() - row.began[0], row.began[1]
                    row.speed = (row.step - first) / max(seconds, 1e-9)
            case "lost":
                row.state, row.machine = "lost, waits for a machine", ""
            case "failed":
                row.state = "failed"
            case "finished":
                row.state, row.step, row.clears = "done", event["steps"], event["clears"]
        if text := describe(event):
            self._live.console.print(
                printable(f"{event['run']}: {text}"), highlight=False, markup=False, soft_wrap=True
            )

    def _draw(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None)
        for column in ("run", "state", "machine"):
            table.add_column(column, overflow="fold")
        for column in ("steps", "steps/s", "episodes", "best x", "clears"):
            table.add_column(column, justify="right")
        for run, row in self._rows.items():
            figures = (f"{row.step:,}", f"{row.speed:.0f}", f"{row.episodes:,}", f"{row.best_x:,}", f"{row.clears:,}")
            table.add_row(*(Text(printable(cell)) for cell in (run, row.state, row.machine, *figures)))
        return table
