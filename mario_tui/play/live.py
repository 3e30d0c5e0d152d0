"""Greedy play in the emulator window, at the game's speed."""

from __future__ import annotations

import time
from pathlib import Path

from mario_tui.agent.policy import load_policy
from mario_tui.errors import MarioTuiError
from mario_tui.play.player import FRAMES_PER_SECOND, RolloutPlayer
from mario_tui.play.rollout import Moment
from mario_tui.play.window import GameWindow, WindowError, display_problem

_LAST_FRAME_SECONDS = 2.0


def watch_in_window(checkpoint: Path, *, stage: str | None = None) -> Moment | None:
    """Shows one greedy episode in a window; returns its last moment, None where the window was closed before.

    Raises WindowError where there is no display or the window is lost, CheckpointError for a bad checkpoint.
    """
    if problem := display_problem():
        raise WindowError(problem)
    policy = load_policy(checkpoint)
    window = GameWindow(f"{policy.source} on {stage or policy.stage}")
    player = RolloutPlayer(lambda: policy, stage=stage)
    window.open()
    try:
        if not window.wait_until_open():
            raise WindowError(window.problem or "no window can be opened: the display does not answer")
        player.start()
        over_at: float | None = None
        while not window.closed:
            if player.problem:
                raise MarioTuiError(player.problem)
            if player.latest_frame is not None:
                window.show(player.latest_frame)
            moment = player.latest
            if moment is not None:
                q_values = " ".join(f"{value:.1f}" for value in moment.q_values)
                window.set_title(f"{stage or policy.stage}  x {moment.x}  Q {q_values}  {policy.source}")
            if player.finished:
                over_at = over_at or time.monotonic()
                if time.monotonic() - over_at > _LAST_FRAME_SECONDS:
                    return moment
            time.sleep(1 / FRAMES_PER_SECOND)
        if window.problem:
            raise WindowError(window.problem)
        return None
    finally:
        player.close()
        window.close()
