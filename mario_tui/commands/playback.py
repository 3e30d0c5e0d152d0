"""`eval`, `record`, `replay` and `watch`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario_tui import paths
from mario_tui.errors import CheckpointError, InputError, MarioTuiError
from mario_tui.game.action_log import ActionLog, ReplayResult, load_logs
from mario_tui.game.action_log import replay as replay_log
from mario_tui.game.stages import check_stage
from mario_tui.store import checkpoint
from mario_tui.training.resume import emulator_note

if TYPE_CHECKING:
    from rich.console import Console

    from mario_tui.video.recorder import Progress, Recording


def evaluate(arguments: argparse.Namespace) -> int:
    path = _found(arguments)
    from mario_tui.agent.policy import load_policy
    from mario_tui.agent.runtime import prepare_processor
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
    try:
        evaluation.note(path, policy, result, stage=stage, sticky=arguments.sticky, noops=arguments.noops)
    except (OSError, CheckpointError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"mario-tui: the result is not kept with the checkpoint: {reason}", file=sys.stderr)
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
    stages = [check_stage(stage) for stage in arguments.stage or ()]
    found = [paths.find_checkpoint(text) for text in arguments.checkpoint]
    if arguments.grid is not None:
        if len(found) > 1:
            raise InputError("--grid takes checkpoints of one run: name one, or all checkpoints without --grid")
        found = _spread(found[0], arguments.grid)
    if len(found) > 1 and len(stages) > 1:
        raise InputError("a video of agents side by side shows one stage: name one, or one agent for several stages")
    from mario_tui.video.recorder import check_video
    from mario_tui.video.recording import default_output, record_agent

    output = default_output(found[-1], ".mp4") if arguments.output is None else Path(arguments.output)
    check_video(output, scale=arguments.scale, fps=arguments.fps)
    if len(found) > 1 and (arguments.overlay or arguments.best_of > 1):
        raise InputError("--overlay and --best-of are for the video of one agent")
    with _recording(arguments.json) as progress:
        if len(found) > 1:
            from mario_tui.agent.policy import load_policy
            from mario_tui.video.grid import record_grid

            recording = record_grid(
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
        if len(stages) > 1:
            outcome = ", ".join(f"{episode.log.stage} {_outcome(episode.result)}" for episode in recording.episodes)
        else:
            outcome = _outcome(recording)
        print(
            f"Wrote {recording.path} ({recording.frames:,} frames, {recording.seconds:.1f} s; {outcome}) "
            f"and its action log {recording.action_log}"
        )
    return 0


def _outcome(played: Recording | ReplayResult) -> str:
    return "cleared the stage" if played.cleared else f"got to x {played.max_x}"


def _spread(path: Path, count: int) -> list[Path]:
    """So many checkpoints of the run that one belongs to, from its first to its newest, evenly over its steps."""
    steps = [folder for folder in paths.step_folders(path.parent) if path.is_dir()]
    if not 2 <= count <= len(steps):
        what = f"its run has {len(steps)}" if len(steps) > 1 else "it is the only one of its run"
        raise InputError(f"{count} checkpoints cannot be taken beside {path}: {what}")
    return checkpoint.spread(steps, count)


def replay(arguments: argparse.Namespace) -> int:
    """Plays a log again; where it has checksums and they are other ones than now, that is a failure."""
    logs = load_logs(Path(arguments.log))
    output = None if arguments.output is None else Path(arguments.output)
    if output is not None:
        from mario_tui.video.recorder import check_video, record_replay

        check_video(output, scale=arguments.scale, fps=arguments.fps)
        with _recording(arguments.json) as progress:
            recording = record_replay(
                logs, output, scale=arguments.scale, fps=arguments.fps, overlay=arguments.overlay, progress=progress
            )
        results = [episode.result for episode in recording.episodes]
    else:
        results = [replay_log(log) for log in logs]
    episodes = [_replayed(log, result) for log, result in zip(logs, results, strict=True)]
    differing = [content["stage"] for content in episodes if not content.get("matches", True)]
    if arguments.json:
        print(json.dumps(_together(episodes)))
    else:
        for content in episodes:
            shown = {name: value for name, value in content.items() if len(logs) > 1 or name in _REPLAY_KEYS}
            print("\n".join(f"{name:<13}{value}" for name, value in shown.items() if name != "matches"))
        if output is not None:
            print(f"Wrote {output}")
    if differing:
        raise MarioTuiError(
            f"{arguments.log} played differently from when it was recorded: its checksums on {', '.join(differing)} "
            "are others; the log was changed, or this is another version of the game"
        )
    return 0


_REPLAY_KEYS = ("frames", "ram_crc32", "screen_crc32", "max_x", "reward", "cleared")


def _replayed(log: ActionLog, result: ReplayResult) -> dict[str, Any]:
    """What `replay` tells of an episode; `matches` where the log has checksums."""
    content = {"stage": log.stage} | {name: getattr(result, name) for name in _REPLAY_KEYS}
    if log.ram_crc32 is not None or log.screen_crc32 is not None:
        content["matches"] = not result.differs_from(log)
    return content


def _together(episodes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What `replay --json` promises: of one episode its own, of several their sums, with each of them under `episodes`.

    The checksums of several are those of their last one; `matches` is for all that have any.
    """
    content = {
        "frames": sum(content["frames"] for content in episodes),
        "ram_crc32": episodes[-1]["ram_crc32"],
        "screen_crc32": episodes[-1]["screen_crc32"],
        "max_x": max(content["max_x"] for content in episodes),
        "reward": sum(content["reward"] for content in episodes),
        "cleared": all(content["cleared"] for content in episodes),
    }
    if checked := [content["matches"] for content in episodes if "matches" in content]:
        content["matches"] = all(checked)
    if len(episodes) > 1:
        content["episodes"] = list(episodes)
    return content


def watch(arguments: argparse.Namespace) -> int:
    path = _found(arguments)
    if arguments.window:
        from mario_tui.play.window_mirror import watch_in_window

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
        from mario_tui.video.recorder import check_video

        check_video(output, scale=arguments.scale, fps=arguments.fps)
    from mario_tui.play.human_player import HOW_TO_LEARN_FROM, HumanPlayer

    player = HumanPlayer(stage)
    if arguments.window:
        from mario_tui.play.window_mirror import play_in_window

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
        from mario_tui.video.recorder import record_replay

        game = player.best
        with _recording(quiet=False) as progress:
            recording = record_replay(
                game.log,
                output,
                scale=arguments.scale,
                fps=arguments.fps,
                overlay=arguments.overlay,
                progress=progress,
            )
        print(
            f"Wrote {recording.path} ({recording.seconds:.1f} s; {_outcome(recording)}), the best of the games played"
        )
    if player.logs:
        print(f"Kept as {player.logs[-1]}; {HOW_TO_LEARN_FROM}")
    return code


def _found(arguments: argparse.Namespace) -> Path:
    """The checkpoint named, with the arguments checked before anything slow is imported.

    Where it was made with another generation of the emulator, that is said.
    """
    if arguments.stage is not None:
        check_stage(arguments.stage)
    path = paths.find_checkpoint(arguments.checkpoint)
    with contextlib.suppress(CheckpointError):  # which is said when it is loaded
        if path.is_dir() and (note := emulator_note(checkpoint.read_manifest(path))):
            print(f"{path.name} was {note}", file=sys.stderr)
    return path


@contextmanager
def _recording(quiet: bool) -> Iterator[Progress | None]:
    """While a video is written: a bar on a terminal's stderr, nothing where output is read by a program.

    A signal to end is obeyed by leaving, so that nothing half-written stays; Ctrl+C does so by itself.
    """

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        if quiet or not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console

        with _bar(Console(stderr=True)) as show:
            yield show
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    """A bar where the number of frames is known; otherwise the frames so far."""
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, figures="starting")

        def show(frames: int, total: int | None) -> None:
            of = "" if total is None else f" of {total:,}"
            bar.update(
                task, completed=frames, total=total, figures=f"{frames:,}{of} frames, {frames / 60:.0f} s of play"
            )

        yield show
