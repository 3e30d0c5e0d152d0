"""`campaign`: trainings on several stages, with one table of progress."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from mario_tui.errors import InputError
from mario_tui.presets import DEFAULT_PRESET, PRESETS
from mario_tui.printable import printable
from mario_tui.store.intervals import in_percent
from mario_tui.system import output, signals

if TYPE_CHECKING:
    from rich.table import Table

    from mario_tui.training.campaign import Campaign, StageRun

REPORT_SECONDS = 30.0


def campaign(arguments: argparse.Namespace) -> int:
    from mario_tui.stage_settings import STEPS_OF_A_STAGE
    from mario_tui.training.campaign import Campaign, parse_stages
    from mario_tui.training.demo_data import find_logs

    preset_name = arguments.preset or DEFAULT_PRESET
    if preset_name not in PRESETS:
        raise InputError(f"there is no preset {preset_name!r}: choose one of {', '.join(PRESETS)}")
    if arguments.steps < 0 or arguments.seed < 0 or not 1 <= arguments.at_once <= 64:
        raise InputError("--steps and --seed should be 0 or more, and --at-once 1 to 64")
    stages = parse_stages(arguments.stages)
    if arguments.demonstrations:
        for stage in stages:
            find_logs(arguments.demonstrations, stage)  # each has one, or one line says which has none
    plan = Campaign(
        arguments.name,
        stages,
        budget=arguments.steps or STEPS_OF_A_STAGE,
        preset_name=preset_name,
        at_once=arguments.at_once,
        warm=not arguments.cold,
        demonstrations=arguments.demonstrations,
        seed=arguments.seed,
    )
    received: list[int] = []
    with signals.taken(signals.ENDINGS, lambda number, _: received.append(number)):
        if not arguments.json and output.is_live(sys.stdout):
            _show_live(plan, received)
        else:
            _print_lines(plan, received, as_json=arguments.json)
    cleared = sum(run.state == "cleared" for run in plan.runs)
    if arguments.json:
        print(json.dumps({"event": "finished", "cleared": cleared, "stages": len(plan.runs)}), flush=True)
    else:
        print(f"{cleared} of {len(plan.runs)} stages are cleared by greedy play.")
        if received:
            print("All trainings are saved: the same command goes on.")
    return 128 + received[0] if received else 0


def _print_lines(plan: Campaign, received: list[int], *, as_json: bool) -> None:
    """A line whenever a training begins or ends, and of those that run one every REPORT_SECONDS."""
    told: dict[str, tuple[str, float]] = {}

    def tell(run: StageRun) -> None:
        now = time.monotonic()
        state, when = told.get(run.stage, ("", 0.0))
        if run.state == state and now - when < REPORT_SECONDS:
            return
        told[run.stage] = run.state, now
        if as_json:
            print(json.dumps({"event": "stage", **run.as_json(), "seconds_left": _rounded(plan)}), flush=True)
        else:
            print("  ".join(part for part in _cells(run) if part), flush=True)

    for run in plan.runs:
        if run.state != "waiting" or run.step:
            tell(run)
    for run in plan.run(lambda: bool(received)):
        tell(run)
    for run in plan.runs:
        tell(run)


def _show_live(plan: Campaign, received: list[int]) -> None:
    from rich.live import Live

    with Live(_table(plan), refresh_per_second=2) as live:
        for _ in plan.run(lambda: bool(received)):
            live.update(_table(plan))
        live.update(_table(plan))


def _rounded(plan: Campaign) -> int | None:
    left = plan.seconds_left
    return None if left is None else round(left)


def _cells(run: StageRun) -> tuple[str, ...]:
    """Stage, state, steps, speed, how far, and what else is to be said."""
    what = printable(run.problem) or (f"began with {printable(run.begins_with)}" if run.begins_with else "")
    return (
        run.stage,
        run.state,
        f"{run.step:,} steps" if run.step else "",
        f"{run.steps_per_second:,.0f}/s" if run.state == "training" and run.steps_per_second else "",
        f"{in_percent(run.best_progress)} %" if run.best_progress else "",
        what,
    )


def _table(plan: Campaign) -> Table:
    from rich.markup import escape
    from rich.table import Table

    left = plan.seconds_left
    at_most = "" if left is None else f"; at most {left / 3600:,.1f} h to go"
    cleared = sum(run.state == "cleared" for run in plan.runs)
    table = Table(box=None, header_style="bold", caption=f"{cleared} of {len(plan.runs)} cleared{at_most}")
    for heading, justify in _COLUMNS:
        table.add_column(heading, justify=justify, no_wrap=heading != "")
    styles = {"cleared": "green", "training": "bold", "failed": "red", "waiting": "dim"}
    for run in plan.runs:
        table.add_row(*map(escape, _cells(run)), style=styles.get(run.state, ""))
    return table


_COLUMNS: tuple[tuple[str, Any], ...] = (
    ("Stage", "left"),
    ("State", "left"),
    ("Steps", "right"),
    ("Speed", "right"),
    ("Greedy", "right"),
    ("", "left"),
)
