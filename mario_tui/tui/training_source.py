"""A training, as a window of the desktop shows it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from mario_tui.play.clocked_player import Keys, when_pressed

if TYPE_CHECKING:
    from mario_tui.tui.services import Session


class TrainingSource:
    """The first game of a training; see `play.window_mirror.Source`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def wait_for_frame(self, shown: np.ndarray | None, timeout_seconds: float) -> np.ndarray | None:
        """The newest frame: waits for another one than `shown`, but no longer than that."""
        until = time.monotonic() + timeout_seconds
        while self._session.snapshot.frame is shown and time.monotonic() < until:
            time.sleep(1 / 60)
        return self._session.snapshot.frame

    def window_title(self) -> str:
        snapshot = self._session.snapshot
        paused = "  paused" if snapshot.status == "paused" else ""
        return f"step {snapshot.step:,}  epsilon {snapshot.epsilon:.3f}  clears {snapshot.clears:,}{paused}"

    def window_keys(self) -> Keys:
        """p or space pauses or resumes the training."""

        def toggle_pause() -> None:
            if self._session.snapshot.status == "paused":
                self._session.resume()
            else:
                self._session.pause()

        return {"p": when_pressed(toggle_pause), "space": when_pressed(toggle_pause)}
