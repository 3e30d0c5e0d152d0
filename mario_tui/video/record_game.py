"""The whole game in one video: stage after stage, each by its best agent, or by a log that clears it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario_tui.agent.policy import load_policy
from mario_tui.buttons import action_names
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.replaying import play_log
from mario_tui.play.board import StageState, read_board
from mario_tui.play.rollout import rollout
from mario_tui.video.record import Clip, Recording, record_episodes
from mario_tui.video.writer import check_video


@dataclass(frozen=True, slots=True)
class StagePlayer:
    """Who plays a stage: a checkpoint, or an action log; `who` says so in words."""

    stage: str
    path: Path
    who: str
    is_agent: bool


def players() -> tuple[StagePlayer, ...]:
    """Who plays the stages from 1-1 on, to the first one that nobody can play.

    Raises InputError where that is 1-1.
    """
    found: list[StagePlayer] = []
    for state in read_board():
        player = _player(state)
        if player is None:
            break
        found.append(player)
    if not found:
        raise InputError("nobody plays 1-1 yet: train an agent ('mario-tui train --stage 1-1'), or search a way")
    return tuple(found)


def _player(state: StageState) -> StagePlayer | None:
    """The best agent if it clears the stage; otherwise a log that does; otherwise the best agent all the same."""
    best, way = state.best, state.way
    if best is not None and ("agent" in state.cleared_by or way is None):
        return StagePlayer(state.stage, best.path, f"{best.run}, step {best.step:,}", is_agent=True)
    if way is not None:
        return StagePlayer(state.stage, way.path, f"a log by {way.by}", is_agent=False)
    return None


def record_game(
    playing: Sequence[StagePlayer], output: Path, *, stop_at_failure: bool = False, **settings: Any
) -> Recording:
    """Writes one video of all of them, each stage from its start, and one action log; see `record_episodes`.

    `stop_at_failure`: where a stage is not cleared, the video ends; otherwise it goes on with the next one.
    """
    check_video(output, scale=settings.get("scale", 2), fps=settings.get("fps"))
    clips = list(_clips(playing))
    return record_episodes(clips, output, stop_at_failure=stop_at_failure, **settings)


def _clips(playing: Sequence[StagePlayer]) -> Iterator[Clip]:
    for player in playing:
        if player.is_agent:
            policy = load_policy(player.path)
            names = tuple(action_names(policy.spec.action_set))
            steps = rollout(policy, stage=player.stage, all_frames=True)
            yield Clip(steps, player.stage, policy.spec.frame_skip, names)
        else:
            log = ActionLog.load(player.path)
            yield Clip(play_log(log), log.stage, log.frame_skip)
