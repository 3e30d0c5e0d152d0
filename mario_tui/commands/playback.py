"""`eval`, `record`, `replay` and `watch`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mario_tui import checkpoint, paths
from mario_tui.errors import InputError, MarioTuiError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.action_log import replay as replay_log
from mario_tui.game.stages import check_stage


def evaluate(arguments: argparse.Namespace) -> int:
    path = _found(arguments)
    from mario_tui.agent.policy import load_policy
    from mario_tui.agent.processor import prepare_processor
    from mario_tui.play import evaluation

    prepare_processor(1)
    policy = load_policy(path)
    stage = arguments.stage or policy.stage

    def report(result: evaluation.EpisodeResult) -> None:
        if not arguments.json:
            print(
                f"seed {result.seed}: {result.end} at x {result.max_x}, "
                f"reward {result.reward:.0f}, {result.length} steps",
                flush=True,
            )

    result = evaluation.evaluate(
        policy,
        stage=stage,
        episodes=arguments.episodes,
        sticky=arguments.sticky,
        noops=arguments.noops,
        seed=arguments.seed,
        threads=os.cpu_count() or 1,
        on_episode=report,
    )
    evaluation.note(path, policy, result, stage=stage, sticky=arguments.sticky, noops=arguments.noops)
    if arguments.json:
        print(json.dumps(result.as_json()))
    else:
        print(
            f"{policy.source} on {stage}: {result.clears} of {result.episodes} episodes cleared "
            f"({result.clear_rate:.0%}), mean reward {result.mean_reward:.0f}, mean x {result.mean_x:.0f}, "
            f"farthest x {result.max_x}"
        )
    return 0


def export(arguments: argparse.Namespace) -> int:
    path = paths.find_checkpoint(arguments.checkpoint)
    if not path.is_dir():
        raise InputError(f"{path} is no checkpoint folder: only one of those can be exported")
    paths.check_run_name(arguments.name)
    from mario_tui.agent.policy import export_policy

    folder = export_policy(path, arguments.name)
    print(json.dumps({"checkpoint": str(folder)}) if arguments.json else f"Wrote {folder}")
    return 0


def record(arguments: argparse.Namespace) -> int:
    if arguments.stage is not None:
        check_stage(arguments.stage)
    found = [paths.find_checkpoint(text) for text in arguments.checkpoint]
    if arguments.grid is not None:
        if len(found) > 1:
            raise InputError("--grid takes checkpoints of one run: name one, or all checkpoints without --grid")
        found = _spread(found[0], arguments.grid)
    from mario_tui.play.recorder import check_video
    from mario_tui.play.recording import default_output, record_agent

    output = default_output(found[-1], ".mp4") if arguments.output is None else Path(arguments.output)
    check_video(output, scale=arguments.scale, fps=arguments.fps)
    if len(found) > 1 and (arguments.overlay or arguments.best_of > 1):
        raise InputError("--overlay and --best-of are for the video of one agent")
    with _counting(arguments.json) as progress:
        if len(found) > 1:
            from mario_tui.agent.policy import load_policy
            from mario_tui.play.grid import record_grid

            recording = record_grid(
                [load_policy(path) for path in found],
                output,
                stage=arguments.stage,
                scale=arguments.scale,
                fps=arguments.fps,
                progress=progress,
            )
        else:
            recording = record_agent(
                found[0],
                output,
                stage=arguments.stage,
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
        outcome = "cleared the stage" if recording.cleared else f"got to x {recording.max_x}"
        print(
            f"Wrote {recording.path} ({recording.frames:,} frames, {recording.seconds:.1f} s; {outcome}) "
            f"and its action log {recording.action_log}"
        )
    return 0


def _spread(path: Path, count: int) -> list[Path]:
    """So many checkpoints of the run that one belongs to, from its first to its newest, evenly over its steps."""
    steps = [folder for folder in paths.step_folders(path.parent) if path.is_dir()]
    if not 2 <= count <= len(steps):
        what = f"its run has {len(steps)}" if len(steps) > 1 else "it is the only one of its run"
        raise InputError(f"{count} checkpoints cannot be taken beside {path}: {what}")
    return checkpoint.spread(steps, count)


def replay(arguments: argparse.Namespace) -> int:
    log = ActionLog.load(Path(arguments.log))
    if arguments.output is not None:
        from mario_tui.play.recorder import check_video
        from mario_tui.play.recording import record_log

        output = Path(arguments.output)
        check_video(output, scale=arguments.scale, fps=arguments.fps)
        with _counting(arguments.json) as progress:
            record_log(
                log, output, scale=arguments.scale, fps=arguments.fps, overlay=arguments.overlay, progress=progress
            )
    result = replay_log(log)
    content = {
        "frames": result.frames,
        "ram_crc32": result.ram_crc32,
        "screen_crc32": result.screen_crc32,
        "max_x": result.max_x,
        "reward": result.reward,
        "cleared": result.cleared,
    }
    if arguments.json:
        print(json.dumps(content))
    else:
        print("\n".join(f"{name:<13}{value}" for name, value in content.items()))
        if arguments.output:
            print(f"Wrote {arguments.output}")
    return 0


def watch(arguments: argparse.Namespace) -> int:
    path = _found(arguments)
    if arguments.window:
        from mario_tui.play.live import watch_in_window

        last = watch_in_window(path, stage=arguments.stage)
        if last is not None and last.end is not None:
            print(f"The episode ended by {last.end.value} at x {last.max_x}, reward {last.total_reward:.0f}.")
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("watching needs a terminal: use 'mario-tui record' to write a video instead")
    from mario_tui.tui.app import run_app

    return run_app(watch=path, stage=arguments.stage)


def play(arguments: argparse.Namespace) -> int:
    stage = check_stage(arguments.stage)
    output = None if arguments.record is None else Path(arguments.record)
    if output is not None:
        from mario_tui.play.recorder import check_video

        check_video(output, scale=arguments.scale, fps=arguments.fps)
    from mario_tui.play.human import HOW_TO_LEARN_FROM, HumanPlayer

    player = HumanPlayer(stage)
    if arguments.window:
        from mario_tui.play.live import play_in_window

        play_in_window(player)
        code = 0
    else:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise InputError("playing needs a terminal, or a window: add --window")
        from mario_tui.tui.app import run_app
        from mario_tui.tui.services import Services

        code = run_app(play=stage, services=Services(open_game=lambda _: player))
        player.close()
    if player.problem:
        raise MarioTuiError(player.problem)
    if output is not None and player.best is None:
        print("Nothing was recorded: no game took a second or more.")
    elif output is not None and player.best is not None:
        from mario_tui.play.recording import record_log

        game = player.best
        with _counting(quiet=False) as progress:
            recording = record_log(
                game.log,
                output,
                scale=arguments.scale,
                fps=arguments.fps,
                overlay=arguments.overlay,
                progress=progress,
            )
        outcome = "cleared the stage" if game.cleared else f"got to x {game.max_x}"
        print(f"Wrote {recording.path} ({recording.seconds:.1f} s; {outcome}), the best of the games played")
    if player.logs:
        print(f"Kept as {player.logs[-1]}; {HOW_TO_LEARN_FROM}")
    return code


def _found(arguments: argparse.Namespace) -> Path:
    """The checkpoint named, with the arguments checked before anything slow is imported."""
    if arguments.stage is not None:
        check_stage(arguments.stage)
    return paths.find_checkpoint(arguments.checkpoint)


@contextmanager
def _counting(quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A counter of frames on a terminal's stderr; nothing where output is read by a program."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed} frames"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda frames: progress.update(task, completed=frames)
