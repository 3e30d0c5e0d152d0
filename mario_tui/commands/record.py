"""`record`: a video of a checkpoint's play."""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mario_tui import paths
from mario_tui.commands.recording_progress import outcome_of, recording_progress
from mario_tui.errors import InputError
from mario_tui.game.stages import check_stage
from mario_tui.printable import printable
from mario_tui.store import lookup, named
from mario_tui.store.catalog import evenly_spaced
from mario_tui.store.checkpoint import looks_whole
from mario_tui.system.output import print_table

if TYPE_CHECKING:
    from mario_tui.video.race import RaceRecording

RACERS = 6


def record(arguments: argparse.Namespace) -> int:
    if arguments.game:
        return _record_game(arguments)
    if not arguments.checkpoint:
        raise InputError("name a checkpoint or a run, or --game for the whole game: 'mario-tui record --help' explains")
    if arguments.stop:
        raise InputError("--stop is for --game: leave it out")
    if arguments.racers is not None and not arguments.race:
        raise InputError("--racers is for --race: leave it out")
    stages = [check_stage(stage) for stage in arguments.stage or ()]
    found = [named.find_checkpoint(text) for text in arguments.checkpoint]
    if arguments.grid is not None:
        if len(found) > 1:
            raise InputError("--grid takes checkpoints of one run: name one, or all checkpoints without --grid")
        found = _spread(found[0], arguments.grid)
    if arguments.race:
        found = _racers(found, arguments)
    if len(found) > 1 and len(stages) > 1:
        raise InputError("a video of agents side by side shows one stage: name one, or one agent for several stages")
    if len(found) > 1 and (arguments.overlay or arguments.best_of > 1):
        raise InputError("--overlay and --best-of are for the video of one agent")
    if len(found) > 1 and (arguments.sticky or arguments.noops or arguments.seed):
        raise InputError("agents side by side, and in a race, play greedily: leave out --sticky, --noops and --seed")
    from mario_tui.video.writer import check_video

    given = arguments.output
    if given is not None:  # before PyTorch is loaded, which takes seconds
        check_video(paths.expand(given), scale=arguments.scale, fps=arguments.fps)
    from mario_tui.video.record_agent import new_output, record_agent

    with (
        recording_progress(arguments.json) as progress,
        new_output(found[-1], ".mp4") if given is None else nullcontext(paths.expand(given)) as output,
    ):
        check_video(output, scale=arguments.scale, fps=arguments.fps)
        if len(found) > 1:
            from mario_tui.agent.policy import load_policy
            from mario_tui.video.grid import record_grid
            from mario_tui.video.race import record_race

            recording = (record_race if arguments.race else record_grid)(
                [load_policy(path) for path in found],
                output,
                stage=stages[0] if stages else None,
                scale=arguments.scale,
                fps=arguments.fps,
                progress=progress,
            )
        else:
            recording = record_agent(
                found[0],
                output,
                stages=stages,
                scale=arguments.scale,
                fps=arguments.fps,
                overlay=arguments.overlay,
                best_of=arguments.best_of,
                sticky=arguments.sticky,
                noops=arguments.noops,
                seed=arguments.seed,
                progress=progress,
            )
    if arguments.json:
        print(json.dumps(recording.as_json()))
    else:
        if arguments.race:
            _print_ranking(cast("RaceRecording", recording))
        if len(stages) > 1:
            outcome = ", ".join(f"{episode.log.stage} {outcome_of(episode.result)}" for episode in recording.episodes)
        else:
            outcome = outcome_of(recording)
        print(
            f"Wrote {printable(recording.path)} ({recording.frames:,} frames, {recording.seconds:.1f} s; {outcome}) "
            f"and its action log {printable(recording.action_log)}"
        )
    return 0


def _record_game(arguments: argparse.Namespace) -> int:
    others = ("checkpoint", "grid", "race", "stage", "sticky", "noops")
    if arguments.best_of > 1 or arguments.racers is not None or any(getattr(arguments, name) for name in others):
        raise InputError("--game plays the best agents greedily, each on its stage: leave out all but --stop and -o")
    from mario_tui.play.stage_players import players
    from mario_tui.video.record_game import record_game

    playing = players()
    with (
        recording_progress(arguments.json) as progress,
        paths.new_recording("game", ".mp4")
        if arguments.output is None
        else nullcontext(paths.expand(arguments.output)) as output,
    ):
        recording = record_game(
            playing,
            output,
            scale=arguments.scale,
            fps=arguments.fps,
            overlay=arguments.overlay,
            stop_at_failure=arguments.stop,
            progress=progress,
        )
    if arguments.json:
        print(json.dumps(recording.as_json()))
        return 0
    for number, (player, episode) in enumerate(zip(playing, recording.episodes, strict=False)):
        going_on = "" if episode.log.goes_on is None else f", going on from {playing[number - 1].stage}"
        print(f"{player.stage}  {printable(player.who)}{going_on}: {outcome_of(episode.result)}")
    print(f"Wrote {printable(recording.path)} ({recording.seconds:.1f} s) and {printable(recording.action_log)}")
    return 0


def _racers(found: list[Path], arguments: argparse.Namespace) -> list[Path]:
    """The checkpoints of a race: those that were named, or of the run of the only one, evenly over its steps."""
    if arguments.grid is not None:
        raise InputError("--grid and --race are two kinds of video: take one of them")
    if len(found) > 1:
        if arguments.racers is not None:
            raise InputError("--racers takes checkpoints of one run: name one, or all checkpoints without --racers")
        return found
    most = RACERS if arguments.racers is None else arguments.racers
    if most < 2:
        raise InputError(f"a race needs at least 2 checkpoints: --racers {most} is too few")
    return _spread(found[0], min(most, max(2, len(_checkpoints_beside(found[0])))))


def _print_ranking(recording: RaceRecording) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "agent", "how far", "in frames", "end", box=None, header_style="bold")
    for column in table.columns[:-1]:
        column.justify = "right"
    for rank, result in enumerate(recording.ranking, 1):
        who, how_far = escape(printable(result.label)), f"{result.progress:.0%}"
        table.add_row(str(rank), who, how_far, f"{result.frames:,}", result.end.value)
    print_table(table)


def _checkpoints_beside(path: Path) -> list[Path]:
    """The whole checkpoints of the run that one belongs to, from its first to its newest."""
    return [folder for folder in lookup.step_folders(path.parent) if path.is_dir() and looks_whole(folder)]


def _spread(path: Path, count: int) -> list[Path]:
    """So many checkpoints of the run that one belongs to, from its first to its newest, evenly over its steps."""
    steps = _checkpoints_beside(path)
    if not 2 <= count <= len(steps):
        what = f"its run has {len(steps)}" if len(steps) > 1 else "it is the only one of its run"
        raise InputError(f"{count} checkpoints cannot be taken beside {path}: {what}")
    return evenly_spaced(steps, count)
