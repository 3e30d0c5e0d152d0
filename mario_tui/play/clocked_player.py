"""A game at its own speed: a thread that publishes the frame to show now."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mario_tui.errors import MarioTuiError
from mario_tui.game.step import EpisodeStep
from mario_tui.game.view import View

if TYPE_CHECKING:
    from mario_tui.play.ghost_picture import GhostsInPicture
    from mario_tui.play.ghost_trail import GhostTrail

Keys = dict[str, Callable[[bool], object]]
"""Name of a key in a window -> what it does when pressed (True) and released (False); "" is all keys released."""

FRAMES_PER_SECOND = 60
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class ClockedPlayer:
    """A game in a thread, with pause, single step and speed; subclasses say what is played.

    Attributes are read from another thread at any time; every frame and step is published by assigning a reference
    and never changed afterwards.
    """

    def __init__(self, stage: str | None = None) -> None:
        self._stage = stage
        self._wake = threading.Condition()
        self._paused = False
        self._single_steps = 0
        self._restart = False
        self._closed = False
        self._speed = 1.0
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self.stage = ""
        """The stage that is played; "" until it is known."""
        self.latest: EpisodeStep | None = None
        self.latest_frame: np.ndarray | None = None
        self.problem = ""
        self._frame_times: deque[float] = deque(maxlen=60)  # without a pause or another speed between
        self._news = threading.Condition()  # a new frame was published, or the thread ended
        self._ghosts: GhostsInPicture | None = None
        self._plain: tuple[np.ndarray, View | None, int] | None = None  # the newest frame as the game shows it

    def start(self) -> None:
        self._thread.start()

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def finished(self) -> bool:
        """Whether the episode is over."""
        latest = self.latest
        return latest is not None and latest.end is not None

    @property
    def speed(self) -> float:
        """How many times the game's own speed, one of SPEEDS."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        with self._wake:
            self._speed = value
            self._frame_times.clear()
            self._wake.notify()

    @property
    def speed_reached(self) -> float | None:
        """The speed of the last second's frames; None as long as too few were shown."""
        times = list(self._frame_times)
        if len(times) < 20 or times[-1] <= times[0]:
            return None
        return (len(times) - 1) / (times[-1] - times[0]) / FRAMES_PER_SECOND

    def faster(self) -> None:
        self.speed = next((speed for speed in SPEEDS if speed > self._speed), SPEEDS[-1])

    def slower(self) -> None:
        self.speed = next((speed for speed in reversed(SPEEDS) if speed < self._speed), SPEEDS[0])

    def toggle_pause(self) -> None:
        with self._wake:
            self._paused = not self._paused
            self._frame_times.clear()
            self._wake.notify()

    def step_once(self) -> None:
        """Pauses, and plays one step more."""
        with self._wake:
            if self._paused:
                self._single_steps += 1
            self._paused = True
            self._wake.notify()

    def restart(self, stage: str | None = None) -> None:
        """Restarts, on another stage if one is given."""
        with self._wake:
            self._stage = stage or self._stage
            self._restart = True
            self._wake.notify()

    def wait_for_frame(self, shown: np.ndarray | None, timeout_seconds: float) -> np.ndarray | None:
        """The frame to show now: waits for another one than `shown`, but no longer than that."""
        with self._news:
            if self.latest_frame is shown:
                self._news.wait(timeout_seconds)
            return self.latest_frame

    def window_title(self) -> str:
        """What the title of a window shows of the game, after its name."""
        latest_step = self.latest
        if latest_step is None:
            return ""
        parts = [f"x {latest_step.x}"]
        if latest_step.q_values:
            parts.append("Q " + " ".join(f"{value:.1f}" for value in latest_step.q_values))
        if latest_step.end is not None:
            parts.append(latest_step.end.value)
        elif self.paused:
            parts.append("paused")
        if self.speed != 1:
            parts.append(f"{self.speed:g}x")
        return "  ".join(parts)

    def window_keys(self) -> Keys:
        """What keys do in a window that shows this game."""
        return {
            "p": when_pressed(self.toggle_pause),
            "space": when_pressed(self.toggle_pause),
            "full_stop": when_pressed(self.step_once),
            "plus": when_pressed(self.faster),
            "minus": when_pressed(self.slower),
            "a": when_pressed(self.restart),
        }

    def frame_buttons(self, last_step: int) -> list[int]:
        """The button byte of every frame of the episode up to this step."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends the thread and waits for it."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _play_until_closed(self) -> None:
        """Plays until the player is closed; in its thread."""
        raise NotImplementedError

    def _run(self) -> None:
        try:
            self._play_until_closed()
        except MarioTuiError as error:
            self.problem = str(error)
        except Exception as error:
            self.problem = f"the game failed: {type(error).__name__}: {error}"
        finally:
            with self._news:
                self._news.notify_all()

    def show_ghosts(self, trails: Sequence[GhostTrail], *, names: bool = True) -> None:
        """Shows these ghosts in the picture from now on, also in the one that is shown; none for no ghosts.

        Args:
            trails: the one to lie on top first; they may still grow.
            names: whether they are written over the ghosts.
        """
        from mario_tui.play.ghost_picture import GhostsInPicture

        with self._news:
            self._ghosts = GhostsInPicture(trails, names=names) if trails else None
            if self._plain is not None:
                self._publish_frame(*self._plain)

    @property
    def ghosts(self) -> tuple[GhostTrail, ...]:
        """Those in the picture whose episodes are over, so that all of them is known."""
        shown = self._ghosts
        return () if shown is None else tuple(trail for trail in shown.trails if trail.end is not None)

    def _show_frame(self, frame: np.ndarray, view: View | None, number: int) -> None:
        """Publishes a frame of the episode by its number, with the ghosts in it."""
        self._frame_times.append(time.perf_counter())
        with self._news:
            self._publish_frame(frame, view, number)

    def _publish_frame(self, frame: np.ndarray, view: View | None, number: int) -> None:
        self._plain = frame, view, number
        self.latest_frame = frame if self._ghosts is None else self._ghosts.draw(frame, view, number)
        self._news.notify_all()

    def _wait_until(self, due: float, interrupted: Callable[[], bool]) -> float:
        """Waits until a time; returns it, or the present if it is long past, so that a late player does not race."""
        with self._wake:
            delay = due - time.perf_counter()
            if delay > 0:
                self._wake.wait_for(interrupted, timeout=delay)
        return due if delay > -0.1 else time.perf_counter()


def when_pressed(action: Callable[[], object]) -> Callable[[bool], object]:
    """A key that does this when it is pressed, and nothing when it is released."""
    return lambda pressed: pressed and action()
