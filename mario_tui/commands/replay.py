"""`replay`: an action log played again."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from mario_tui import paths
from mario_tui.commands.checkpoint_argument import episode_name
from mario_tui.commands.recording_progress import recording_progress
from mario_tui.errors import MarioTuiError
from mario_tui.game.action_log import ActionLog, load_logs
from mario_tui.game.replaying import ReplayResult, replay_all
from mario_tui.printable import printable


def replay(arguments: argparse.Namespace) -> int:
    """Plays a log again; fails if the checksums in the log differ from those computed now."""
    logs = _logs(arguments)
    output = None if arguments.output is None else paths.expand(arguments.output)
    if output is not None:
        from mario_tui.video.ghosts_beside import ghosts_beside
        from mario_tui.video.log_beside import log_path_of
        from mario_tui.video.record import record_replay
        from mario_tui.video.writer import check_video

        check_video(output, scale=arguments.scale, fps=arguments.fps)
        log_path_of(output, logs)
        alone = arguments.no_ghosts or arguments.episode is not None
        ghosts = [] if alone else ghosts_beside(paths.expand(arguments.log))
        with recording_progress(arguments.json) as progress:
            recording = record_replay(
                logs,
                output,
                scale=arguments.scale,
                fps=arguments.fps,
                overlay=arguments.overlay,
                ghosts=ghosts,
                progress=progress,
            )
        results = [episode.result for episode in recording.episodes]
    else:
        results = replay_all(logs)
    episodes = [_replayed(log, result) for log, result in zip(logs, results, strict=True)]
    if arguments.ledger:
        for content, parts in zip(episodes, _ledgers(arguments, logs), strict=True):
            content["ledger"] = parts
    differing = [content["stage"] for content in episodes if not content.get("matches", True)]
    if arguments.json:
        print(json.dumps(_together(episodes)))
    else:
        for content in episodes:
            shown = {name: value for name, value in content.items() if len(logs) > 1 or name in _REPLAY_KEYS}
            print("\n".join(f"{name:<13}{value}" for name, value in shown.items() if name not in _APART))
            if arguments.ledger:
                print("\n".join(f"  {name:<11}{value:>+8,.0f}" for name, value in content["ledger"].items()))
        if output is not None:
            print(f"Wrote {printable(output)}")
    if differing:
        raise MarioTuiError(
            f"{arguments.log} played differently from when it was recorded: its checksums on {', '.join(differing)} "
            "are others; the log was changed, or this is another version of the game"
        )
    return 0


def _logs(arguments: argparse.Namespace) -> tuple[ActionLog, ...]:
    if arguments.episode is None:
        return load_logs(paths.expand(arguments.log))
    return (episode_name(arguments.log, arguments.episode).load().log,)


def _ledgers(arguments: argparse.Namespace, logs: Sequence[ActionLog]) -> list[dict[str, float]]:
    """What the reward of each log's episode is made of."""
    from mario_tui.play.ledger import learned_by, log_ledgers
    from mario_tui.rewards import LearnedReward

    name = None if arguments.episode is None else episode_name(arguments.log, arguments.episode)
    learned = LearnedReward() if name is None else learned_by(name.run)
    return [{**parts._asdict(), "total": parts.total} for parts in log_ledgers(logs, learned)]


_APART = ("matches", "ledger")
_REPLAY_KEYS = ("frames", "ram_crc32", "screen_crc32", "max_x", "reward", "cleared")


def _replayed(log: ActionLog, result: ReplayResult) -> dict[str, Any]:
    """What `replay` prints of an episode; `matches` only if the log has checksums."""
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
    if ledgers := [content["ledger"] for content in episodes if "ledger" in content]:
        content["ledger"] = {name: sum(ledger[name] for ledger in ledgers) for name in ledgers[0]}
    if len(episodes) > 1:
        content["episodes"] = list(episodes)
    return content
