"""`search`: a way through a stage, found on the emulator's saved states, as an action log."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mario_tui.errors import InputError
from mario_tui.game.stages import check_stage
from mario_tui.printable import printable
from mario_tui.system import signals

if TYPE_CHECKING:
    from mario_tui.game.stage_search import StageSearch
    from mario_tui.play.searching import SearchProgress

REPORT_SECONDS = 10.0


def search(arguments: argparse.Namespace) -> int:
    from mario_tui.play.searching import find_way

    stage, as_json = check_stage(arguments.stage), arguments.json
    received: list[int] = []
    newest: list[SearchProgress] = []
    reported = time.monotonic()
    if arguments.minutes < 0:
        raise InputError("--minutes should be 0 or more")
    end = math.inf

    def start(search: StageSearch) -> None:
        nonlocal end
        if arguments.minutes:
            end = time.monotonic() + 60 * arguments.minutes
        if not search.emulator.has_snapshots():
            print("mario-tui: with Python 3.13 or newer, a search takes minutes, not hours", file=sys.stderr)
        if search.transitions and not as_json:
            print(f"goes on after {search.transitions:,} transitions; --new begins anew", flush=True)

    def progress(now: SearchProgress) -> None:
        nonlocal reported
        newest[:] = [now]
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            _report(stage, now, as_json=as_json)

    with signals.taken(signals.ENDINGS, lambda number, _: received.append(number)):
        found = find_way(
            stage,
            actions=arguments.actions or "",
            seed=arguments.seed,
            limit=arguments.transitions,
            anew=arguments.new,
            on_start=start,
            on_progress=progress,
            stopped=lambda: bool(received) or time.monotonic() >= end,
        )
    if found is None:
        _report(stage, newest[0], as_json=as_json, event="stopped", cleared=False, action_log=None)
        if not as_json:
            print(f"{stage} is not cleared yet: the same command goes on", flush=True)
        return 128 + received[0] if received else 1
    _report(
        stage, newest[0], as_json=as_json, event="cleared", cleared=True, steps=found.steps, action_log=str(found.path)
    )
    if not as_json:
        print(f"{stage} is cleared in {found.steps:,} steps: {printable(found.path)}")
    return 0


def _report(stage: str, now: SearchProgress, *, as_json: bool, event: str = "searching", **more: Any) -> None:
    if as_json:
        print(json.dumps({"event": event, "stage": stage, **asdict(now), **more}), flush=True)
    else:
        print(
            f"{now.transitions:>9,} transitions {now.seconds:>7,.0f} s {now.places:>6,} places; "
            f"farthest: area {now.areas}, x {now.x:,}",
            flush=True,
        )
