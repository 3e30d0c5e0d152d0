"""`search`: a way through a stage, found on the emulator's saved states, as an action log."""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario_tui import paths
from mario_tui.buttons import ACTION_SETS
from mario_tui.errors import InputError
from mario_tui.game.stages import check_stage
from mario_tui.printable import printable
from mario_tui.system import files, signals

if TYPE_CHECKING:
    from mario_tui.game.stage_search import StageSearch

FORMAT = 1
REPORT_SECONDS, SAVE_SECONDS = 10.0, 60.0
WATER = ("2-2", "7-2")
_MOST_BYTES = 200 << 20  # of a state that is read, unpacked


def search(arguments: argparse.Namespace) -> int:
    stage = check_stage(arguments.stage)
    actions = arguments.actions or ("right_only" if stage in WATER else "run5")
    if actions not in ACTION_SETS:
        raise InputError(f"there is no action set {actions!r}: it should be one of {', '.join(ACTION_SETS)}")
    if arguments.seed < 0 or arguments.transitions < 0:
        raise InputError("--seed and --transitions should be 0 or more")
    from mario_tui.game.emulator import open_emulator
    from mario_tui.game.stage_search import StageSearch

    file = paths.searches_dir() / f"{stage}_{actions}_{arguments.seed}.json.gz"
    with open_emulator(stage) as emulator:
        if not emulator.has_snapshots():
            print("mario-tui: with Python 3.13 or newer, a search takes minutes, not hours", file=sys.stderr)
        looking = StageSearch(emulator, actions, arguments.seed)
        seconds = 0.0 if arguments.new else _load(looking, file)
        if looking.transitions and not arguments.json:
            print(f"goes on after {looking.transitions:,} transitions; --new begins anew", flush=True)
        return _look(looking, file, seconds, arguments)


def _look(looking: StageSearch, file: Path, before: float, arguments: argparse.Namespace) -> int:
    """Searches until there is a way, the limit is reached or a signal comes; what was found is kept."""
    stage = looking.emulator.stage
    received: list[int] = []
    began = reported = saved = time.monotonic()
    with signals.taken(signals.ENDINGS, lambda number, _: received.append(number)):
        while looking.way is None and not received:
            if arguments.transitions and looking.transitions >= arguments.transitions:
                break
            looking.explore()
            now = time.monotonic()
            if now - reported >= REPORT_SECONDS:
                reported = now
                _report(looking, before + now - began, as_json=arguments.json)
            if now - saved >= SAVE_SECONDS:
                _save(looking, file, before + now - began)
                saved = time.monotonic()
        seconds = before + time.monotonic() - began
        if looking.way is None:
            _save(looking, file, seconds)
            _report(looking, seconds, as_json=arguments.json, event="stopped")
            if not arguments.json:
                print(f"{stage} is not cleared yet: the same command goes on", flush=True)
            return 128 + received[0] if received else 1
        path = _keep_log(looking, seconds, arguments.seed)
        file.unlink(missing_ok=True)
    found = {"steps": len(looking.way), "log": str(path)}
    _report(looking, seconds, as_json=arguments.json, event="cleared", **found)
    if not arguments.json:
        print(f"{stage} is cleared in {len(looking.way):,} steps: {printable(path)}")
    return 0


def _keep_log(looking: StageSearch, seconds: float, seed: int) -> Path:
    """Plays the way from the start of the stage once more, and writes it with its checksums."""
    from dataclasses import replace

    from mario_tui.errors import EmulatorError
    from mario_tui.game.replaying import replay

    result = replay(log := looking.log())
    if not result.cleared:
        raise EmulatorError("the way that was found does not clear the stage when it is played from its start")
    checked = replace(log, ram_crc32=result.ram_crc32, screen_crc32=result.screen_crc32)
    told = {"actions": looking.actions, "seed": seed, "transitions": looking.transitions, "seconds": round(seconds, 1)}
    with paths.new_play(looking.emulator.stage) as path:
        checked.save(path, searched=told)
    return path


def _report(looking: StageSearch, seconds: float, *, as_json: bool, event: str = "searching", **more: Any) -> None:
    areas, x = looking.farthest
    content = {
        "event": event,
        "stage": looking.emulator.stage,
        "transitions": looking.transitions,
        "seconds": round(seconds, 1),
        "places": len(looking.cells),
        "areas": areas,
        "x": x,
        **more,
    }
    if as_json:
        print(json.dumps(content), flush=True)
    else:
        print(
            f"{looking.transitions:>9,} transitions {seconds:>7,.0f} s {len(looking.cells):>6,} places; "
            f"farthest: area {areas}, x {x:,}",
            flush=True,
        )


def _save(looking: StageSearch, file: Path, seconds: float) -> None:
    content = {"format": FORMAT, "seconds": seconds, **looking.state_dict()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(file, gzip.compress(json.dumps(content).encode(), 1))
    except OSError as error:
        raise InputError(f"the search cannot be kept in {printable(file)}: {error.strerror}") from error


def _load(looking: StageSearch, file: Path) -> float:
    """Goes on with a search that was kept, if there is one; the seconds that it took so far."""
    try:
        with gzip.open(file) as packed:
            content = json.loads(packed.read(_MOST_BYTES))
        if content["format"] != FORMAT:
            raise ValueError("another format")
        looking.load_state_dict(content)
        return max(float(content["seconds"]), 0.0)
    except FileNotFoundError:
        return 0.0
    except (OSError, EOFError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{printable(file)} is no search that can go on ({type(error).__name__}): --new begins anew"
        ) from None
