"""Shows a game in the emulator window, at the game's speed, and passes on the keys that are pressed there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mario_tui.errors import MarioTuiError
from mario_tui.game.step import EpisodeStep
from mario_tui.play.clocked_player import FRAMES_PER_SECOND, ClockedPlayer, Keys
from mario_tui.play.window import GameWindow, WindowError, display_problem

if TYPE_CHECKING:
    from mario_tui.play.human_player import HumanPlayer

_LAST_FRAME_SECONDS = 2.0


class Source(Protocol):
    """A game that a window can show."""

    def wait_for_frame(self, shown: np.ndarray | None, timeout_seconds: float) -> np.ndarray | None: ...

    def window_title(self) -> str: ...

    def window_keys(self) -> Keys: ...


class WindowMirror:
    """A window that shows a game, in a thread of its own; the game does not know it. Its keys are the game's, except q.

    Args:
        source: what to show; it may be started later.
        name: what the window's title says first.
    """

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._name = name
        self._keys = source.window_keys()
        self._window = GameWindow(name, on_key=self._on_key)
        self._thread = threading.Thread(target=self._show_frames, name="mirror", daemon=True)

    def open(self) -> None:
        """Opens the window; raises WindowError if that fails."""
        self._window.open()
        if not self._window.wait_until_open():
            self._window.close()
            raise WindowError(self._window.problem or "no window can be opened: the display does not answer")
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether the window is gone, for whatever reason."""
        return self._window.closed

    @property
    def problem(self) -> str:
        """Once it is closed: one line that says why, if it was not closed on purpose; else ""."""
        return self._window.problem

    def close(self) -> None:
        """Closes the window; may be called again."""
        self._window.close()

    def _on_key(self, name: str, pressed: bool) -> None:
        if name == "q" and pressed:
            self._window.close()
        elif name in self._keys:
            self._keys[name](pressed)

    def _show_frames(self) -> None:
        window, shown, title = self._window, None, ""
        while not window.closed:
            frame = self._source.wait_for_frame(shown, timeout_seconds=0.1)
            if frame is not None and frame is not shown:
                shown = frame
                window.show(frame)
            if (new := f"{self._name}  {self._source.window_title()}") != title:
                title = new
                window.set_title(title)


def watch_in_window(checkpoint: Path, *, stage: str | None = None) -> EpisodeStep | None:
    """Shows one greedy episode in a window; returns its last step, None if the window was closed before.

    Raises WindowError without a display or if the window is lost, CheckpointError for a bad checkpoint.
    """
    from mario_tui.agent.policy import load_policy  # a human's game in a window needs no torch
    from mario_tui.play.agent_player import AgentPlayer

    if problem := display_problem():
        raise WindowError(problem)
    policy = load_policy(checkpoint)
    player = AgentPlayer(lambda: policy, stage=stage)
    mirror = WindowMirror(player, f"{stage or policy.stage}  {policy.source}")
    over_at: float | None = None

    def over() -> bool:
        nonlocal over_at
        over_at = (over_at or time.monotonic()) if player.finished else None
        return over_at is not None and time.monotonic() - over_at > _LAST_FRAME_SECONDS

    return player.latest if _show_until(player, mirror, over) else None


def play_in_window(player: HumanPlayer) -> None:
    """Lets a human play in a window until it is closed; raises WindowError as `watch_in_window` does."""
    if problem := display_problem():
        raise WindowError(problem)
    _show_until(player, WindowMirror(player, f"{player.stage}  arrows, x jump, z run, a again"))


def _show_until(player: ClockedPlayer, mirror: WindowMirror, over: Callable[[], bool] = lambda: False) -> bool:
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
