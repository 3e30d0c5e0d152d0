"""A search for a way through a stage, with the file from which it goes on, and the action log that it ends with."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mario_tui import paths
from mario_tui.buttons import ACTION_SETS
from mario_tui.errors import EmulatorError, InputError
from mario_tui.game.emulator import open_emulator
from mario_tui.game.replaying import replay
from mario_tui.game.stage_search import StageSearch
from mario_tui.game.stages import check_stage
from mario_tui.printable import printable
from mario_tui.stage_settings import usual_actions
from mario_tui.system import files

FORMAT = 2
SAVE_SECONDS = 60.0
_MOST_BYTES = 200 << 20  # of a state that is read, unpacked


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """How far a search is: transitions and seconds since it began, also before it was taken up again; places found;
    areas seen, and the farthest x in the last of them, pixels."""

    transitions: int
    seconds: float
    places: int
    areas: int
    x: int


@dataclass(frozen=True, slots=True)
class FoundWay:
    """The action log that clears the stage, and its steps."""

    path: Path
    steps: int


def find_way(
    stage: str,
    *,
    actions: str = "",
    seed: int = 0,
    limit: int = 0,
    anew: bool = False,
    on_start: Callable[[StageSearch], object] = lambda search: None,
    on_progress: Callable[[SearchProgress], object] = lambda progress: None,
    stopped: Callable[[], bool] = lambda: False,
) -> FoundWay | None:
    """Searches until there is a way, which is kept in `plays/`; None where `limit` transitions or `stopped` end it
    before. What was found so far is kept as well, and the next search of the stage goes on with it.

    Args:
        actions: the name of an action set; "" for the usual one.
        limit: of transitions; 0 for none.
        anew: whether to begin anew where a search was kept.
        on_start: is called once, before the first transition.
        on_progress: is called about every 48 transitions, and at the end.

    Raises:
        InputError: for a stage, set or number that cannot be; and where what was kept cannot be read or written.
        EmulatorError: if the game cannot be loaded.
    """
    check_stage(stage)
    actions = actions or usual_actions(stage)
    if actions not in ACTION_SETS:
        raise InputError(f"there is no action set {actions!r}: it should be one of {', '.join(ACTION_SETS)}")
    if seed < 0 or limit < 0:
        raise InputError("--seed and --transitions should be 0 or more")
    file = paths.searches_dir() / f"{stage}_{actions}_{seed}.json.gz"
    with open_emulator(stage) as emulator:
        search = StageSearch(emulator, actions, seed)
        before = 0.0 if anew else _load(search, file)
        on_start(search)
        began = saved = time.monotonic()

        def seconds() -> float:
            return before + time.monotonic() - began

        while search.way is None and not stopped() and not (limit and search.transitions >= limit):
            search.explore()
            on_progress(_progress(search, seconds()))
            if time.monotonic() - saved >= SAVE_SECONDS:
                _save(search, file, seconds())
                saved = time.monotonic()
        on_progress(_progress(search, seconds()))
        if search.way is None:
            _save(search, file, seconds())
            return None
        path = _keep_log(search, seconds(), seed)
        file.unlink(missing_ok=True)
        return FoundWay(path, len(search.way))


def _progress(search: StageSearch, seconds: float) -> SearchProgress:
    areas, x = search.farthest
    return SearchProgress(search.transitions, round(seconds, 1), len(search.cells), areas, x)


def _keep_log(search: StageSearch, seconds: float, seed: int) -> Path:
    """Plays the way from the start of the stage once more, and writes it with its checksums."""
    result = replay(log := search.log())
    if not result.cleared:
        raise EmulatorError("the way that was found does not clear the stage when it is played from its start")
    checked = replace(log, ram_crc32=result.ram_crc32, screen_crc32=result.screen_crc32)
    told = {"actions": search.actions, "seed": seed, "transitions": search.transitions, "seconds": round(seconds, 1)}
    with paths.new_play(search.emulator.stage) as path:
        checked.save(path, searched=told)
    return path


def _save(search: StageSearch, file: Path, seconds: float) -> None:
    content = {"format": FORMAT, "seconds": seconds, **search.state_dict()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(file, gzip.compress(json.dumps(content).encode(), 1))
    except OSError as error:
        raise InputError(f"the search cannot be kept in {printable(file)}: {error.strerror}") from error


def _load(search: StageSearch, file: Path) -> float:
    """Goes on with a search that was kept, if there is one; the seconds that it took so far."""
    try:
        with gzip.open(file) as packed:
            content = json.loads(packed.read(_MOST_BYTES))
        if content["format"] != FORMAT:
            raise ValueError("another format")
        search.load_state_dict(content)
        return max(float(content["seconds"]), 0.0)
    except FileNotFoundError:
        return 0.0
    except (OSError, EOFError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{printable(file)} is no search that can go on ({type(error).__name__}): --new begins anew"
        ) from None
