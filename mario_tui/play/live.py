"""What a player shows, in the emulator window, at the game's speed."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from mario_tui.errors import MarioTuiError
from mario_tui.play.moment import Moment
from mario_tui.play.paced import FRAMES_PER_SECOND, PacedPlayer
from mario_tui.play.window import GameWindow, WindowError, display_problem

_LAST_FRAME_SECONDS = 2.0


class Mirror:
    """A window that shows what a player shows, by a thread of its own; the player does not know of it.

    Args:
        player: what to show; it may be started later.
        name: what the window's title says first, before x and the Q values.
    """

    def __init__(self, player: PacedPlayer, name: str) -> None:
        self._player = player
        self._name = name
        self._window = GameWindow(name)
        self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)

    def open(self) -> None:
        """Opens the window; raises WindowError where there can be none."""
        self._window.open()
        if not self._window.wait_until_open():
            self._window.close()
            raise WindowError(self._window.problem or "no window can be opened: the display does not answer")
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether the window is no more, for whatever reason."""
        return self._window.closed

    @property
    def problem(self) -> str:
        """Once it is closed: one line that says why, where nobody closed it; else ""."""
        return self._window.problem

    def close(self) -> None:
        """Closes the window; may be called again."""
        self._window.close()

    def _follow(self) -> None:
        window, player = self._window, self._player
        frame, moment = None, None
        while not window.closed:
            if player.latest_frame is not None and player.latest_frame is not frame:
                frame = player.latest_frame
                window.show(frame)
            if player.latest is not None and player.latest is not moment:
                moment = player.latest
                q_values = " ".join(f"{value:.1f}" for value in moment.q_values)
                window.set_title(f"{self._name}  x {moment.x}  Q {q_values}")
            time.sleep(1 / FRAMES_PER_SECOND)


def watch_in_window(checkpoint: Path, *, stage: str | None = None) -> Moment | None:
    """Shows one greedy episode in a window; returns its last moment, None where the window was closed before.

    Raises WindowError where there is no display or the window is lost, CheckpointError for a bad checkpoint.
    """
    from mario_tui.agent.policy import load_policy  # a person's game in a window needs no torch
    from mario_tui.play.player import RolloutPlayer

    if problem := display_problem():
        raise WindowError(problem)
    policy = load_policy(checkpoint)
    player = RolloutPlayer(lambda: policy, stage=stage)
    mirror = Mirror(player, f"{stage or policy.stage}  {policy.source}")
    mirror.open()
    try:
        player.start()
        over_at: float | None = None
        while not mirror.closed:
            if player.problem:
                raise MarioTuiError(player.problem)
            if player.finished:
                over_at = over_at or time.monotonic()
                if time.monotonic() - over_at > _LAST_FRAME_SECONDS:
                    return player.latest
            time.sleep(1 / FRAMES_PER_SECOND)
        if mirror.problem:
            raise WindowError(mirror.problem)
        return None
    finally:
        player.close()
        mirror.close()
