"""`watch`: a checkpoint's play in the terminal or in a window; a recording's in the terminal."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mario_tui.commands.checkpoint_argument import checkpoint_of, episode_name
from mario_tui.errors import InputError
from mario_tui.game.action_log import load_logs
from mario_tui.game.kept_episodes import EpisodeName
from mario_tui.paths import expand
from mario_tui.store.manifest import MANIFEST
from mario_tui.system import output

_WITHOUT_TERMINAL = "watching needs a terminal: use 'mario-tui record' to write a video instead"


def watch(arguments: argparse.Namespace) -> int:
    if arguments.game:
        return _watch_game(arguments)
    if arguments.checkpoint is None or arguments.stop:
        raise InputError("name a checkpoint or a run, or --game for the whole game; --stop is for --game")
    if arguments.episode is not None:
        if arguments.window or arguments.stage is not None:
            raise InputError(
                "an episode of a training is watched in the terminal, on its own stage: leave out the rest"
            )
        name = episode_name(arguments.checkpoint, arguments.episode)
        output.check_full_screen("watching needs a terminal: use 'mario-tui replay RUN --episode N -o FILE' instead")
        return _in_app(name, None)
    if (log := _log_of(expand(arguments.checkpoint))) is not None:
        return _watch_recording(log, arguments)
    if not arguments.window:
        output.check_full_screen(_WITHOUT_TERMINAL)
    path = checkpoint_of(arguments)
    if arguments.window:
        from mario_tui.play.window_mirror import watch_in_window

        last = watch_in_window(path, stage=arguments.stage)
        if last is not None and last.end is not None:
            print(f"The episode ended by {last.end.value} at x {last.max_x}, reward {last.total_reward:.0f}.")
        return 0
    return _in_app(path, arguments.stage)


def _watch_game(arguments: argparse.Namespace) -> int:
    others = (arguments.checkpoint, arguments.stage, arguments.episode)
    if any(other is not None for other in others) or arguments.window:
        raise InputError("--game plays the best agents, each on its stage, in the terminal: leave out all but --stop")
    from mario_tui.play.stage_players import players

    playing = players()
    output.check_full_screen(_WITHOUT_TERMINAL)
    from mario_tui.tui.run import run_app

    return run_app(game=playing, stop=arguments.stop)


def _log_of(path: Path) -> Path | None:
    """The action log that a user means, or that lies beside the video meant; None if it is something else.

    Checkpoints have a .json file, too, and runs may be named like one.
    """
    if path.suffix.lower() in (".mp4", ".gif") and os.path.isfile(path):
        return path.with_suffix(".json")
    if path.suffix != ".json" or not os.path.isfile(path):
        return None
    if path.name == MANIFEST:  # which an action log may be called, too
        try:
            load_logs(path)
        except InputError:
            return None
    return path


def _watch_recording(log: Path, arguments: argparse.Namespace) -> int:
    """Plays a recording again from its action log, as enter does in Recordings."""
    if arguments.window or arguments.stage is not None:
        raise InputError("a recording is watched in the terminal, on its own stage: leave out --window and --stage")
    load_logs(log)  # what is wrong with it is said without the app
    output.check_full_screen(_WITHOUT_TERMINAL)
    return _in_app(log.resolve(), None)


def _in_app(agent: Path | EpisodeName, stage: str | None) -> int:
    from mario_tui.tui.run import run_app

    return run_app(watch=agent, stage=stage)
