"""What a player shows, in the emulator window, at the game's speed; and keys that are pressed there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mario_tui.errors import MarioTuiError
from mario_tui.play.moment import Moment
from mario_tui.play.paced import FRAMES_PER_SECOND, PacedPlayer
from mario_tui.play.window import GameWindow, WindowError, display_problem

if TYPE_CHECKING:
    from mario_tui.play.human import HumanPlayer

_LAST_FRAME_SECONDS = 2.0


class Mirror:
    """A window that shows what a player shows, by a thread of its own. Its keys are the player's, but q closes it.

    Args:
        player: what to show; it may be started later.
        name: what the window's title says first, before x and the Q values.
    """

    def __init__(self, player: PacedPlayer, name: str) -> None:
        self._player = player
        self._name = name
        self._keys = player.window_keys()
        self._window = GameWindow(name, on_key=self._on_key)
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

    def _on_key(self, name: str, pressed: bool) -> None:
        if name == "q" and pressed:
            self._window.close()
        elif name in self._keys:
            self._keys[name](pressed)

    def _follow(self) -> None:
        window, player = self._window, self._player
        shown, title = None, ""
        while not window.closed:
            with player.news:
                if player.latest_frame is shown:
                    player.news.wait(0.1)
                frame = player.latest_frame
            if frame is not None and frame is not shown:
                shown = frame
                window.show(frame)
            if (new := self._title()) != title:
                title = new
                window.set_title(title)

    def _title(self) -> str:
        player, moment = self._player, self._player.latest
        if moment is None:
            return self._name
        parts = [self._name, f"x {moment.x}"]
        if moment.q_values:
            parts.append("Q " + " ".join(f"{value:.1f}" for value in moment.q_values))
        if moment.end is not None:
            parts.append(moment.end.value)
        elif player.paused:
            parts.append("paused")
        if player.speed != 1:
            parts.append(f"{player.speed:g}x")
        return "  ".join(parts)


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
    over_at: float | None = None

    def over() -> bool:
        nonlocal over_at
        over_at = (over_at or time.monotonic()) if player.finished else None
        return over_at is not None and time.monotonic() - over_at > _LAST_FRAME_SECONDS

    return player.latest if _show_until(player, mirror, over) else None


def play_in_window(player: HumanPlayer) -> None:
    """Lets a person play in a window until it is closed; raises WindowError as `watch_in_window` does."""
    if problem := display_problem():
        raise WindowError(problem)
    _show_until(player, Mirror(player, f"{player.stage}  arrows, x jump, z run, a again"))


def _show_until(player: PacedPlayer, mirror: Mirror, over: Callable[[], bool] = lambda: False) -> bool:
    """Plays in a window until it is over (True) or the window was closed (False); closes both."""
    mirror.open()
    try:
        player.start()
        while not mirror.closed:
            if player.problem:
                raise MarioTuiError(player.problem)
            if over():
                return True
            time.sleep(1 / FRAMES_PER_SECOND)
        if mirror.problem:
            raise WindowError(mirror.problem)
        return False
    finally:
        player.close()
        mirror.close()
