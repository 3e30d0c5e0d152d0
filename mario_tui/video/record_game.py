"""The whole game in one video: stage after stage, each by its best agent, or by a log that clears it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mario_tui.agent.policy import load_policy
from mario_tui.buttons import action_names
from mario_tui.game.action_log import ActionLog
from mario_tui.play.one_go import OneGo, agent_plays, log_plays
from mario_tui.play.stage_players import StagePlayer
from mario_tui.video.record import Clip, Recording, record_episodes
from mario_tui.video.writer import check_video


def record_game(
    playing: Sequence[StagePlayer], output: Path, *, stop_at_failure: bool = False, **settings: Any
) -> Recording:
    """Writes one video of all of them, and one action log; see `record_episodes`.

    A stage goes on from the clear of the one before it where that leads to its own clear, see `OneGo`; otherwise it is
    played from its start. `stop_at_failure`: where a stage is not cleared, the video ends; otherwise it goes on with
    the next one.
    """
    check_video(output, scale=settings.get("scale", 2), fps=settings.get("fps"))
    with OneGo() as game:
        clips = list(_clips(playing, game))
        return record_episodes(clips, output, stop_at_failure=stop_at_failure, **settings)


def _clips(playing: Sequence[StagePlayer], game: OneGo) -> Iterator[Clip]:
    for player in playing:
        if player.is_agent:
            policy = load_policy(player.path)
            names = tuple(action_names(policy.spec.action_set))
            steps = game.play(player.stage, agent_plays(policy))
            yield Clip(steps, player.stage, policy.spec.frame_skip, names)
        else:
            log = ActionLog.load(player.path)
            yield Clip(game.play(log.stage, log_plays(log)), log.stage, log.frame_skip)
