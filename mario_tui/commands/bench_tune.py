"""`bench --tune`: what threads, processes and games are fastest on this machine, and what trainings will take."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import asdict

from mario_tui.errors import InputError, TrainingError
from mario_tui.presets import preset
from mario_tui.training import autotune, pace

MEASURED_SECONDS = 20.0


def bench_tune(arguments: argparse.Namespace) -> int:
    """Measures longer than a training does at its start, shows all that was tried, and remembers the choice."""
    from mario_tui.agent.devices import resolve_device
    from mario_tui.training.autotune_process import measured

    if arguments.evaluations:
        raise InputError("--tune and --evaluations cannot be used together: measure one after the other")
    name = arguments.preset or "fast"
    given = {one: getattr(arguments, one) for one in ("device", "envs", "workers", "precision")}
    config = preset(name).replace(
        graph=not arguments.no_graph, **{one: value for one, value in given.items() if value is not None}
    )
    if arguments.envs is None:
        config = autotune.for_device(config, name)
    device = resolve_device(config.device)
    setups = autotune.candidates(config, on_gpu=device.type != "cpu")
    if not arguments.json:
        print(f"Measuring {len(setups)} combinations for preset {name} on {device} ...", file=sys.stderr)
    speeds = measured(config, setups, seconds=MEASURED_SECONDS)
    if not speeds:
        raise TrainingError("nothing could be measured: see whether 'mario-tui bench' runs")
    choice = autotune.choose(speeds)
    autotune.remember(config, str(device), choice)
    pace.remember(config, statistics.median(speeds[choice.setup]), "measurement")
    rows = [
        {**asdict(setup), "steps_per_second": round(statistics.median(own), 1), "rounds": len(own)}
        for setup, own in speeds.items()
    ]
    if arguments.json:
        print(json.dumps({"tried": rows, "chosen": asdict(choice.setup), "why": choice.why}))
        return 0
    columns = ("games", "processes", "threads", "steps_per_second", "rounds")
    print("".join(f"{column.replace('_per_second', '/s'):>11}" for column in columns))
    for row in rows:
        print("".join(f"{row[column]:>11}" for column in columns))
    print(f"Chosen: {choice.setup}{f' ({choice.why})' if choice.why else ''}.")
    return 0
