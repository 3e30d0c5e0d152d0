"""Plays a rollout at the game's own speed, for whoever looks: a thread that holds the frame to show right now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from mario_tui.agent.policy import Policy
from mario_tui.errors import MarioTuiError
from mario_tui.play.rollout import Moment, rollout

FRAMES_PER_SECOND = 60
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class RolloutPlayer:
    """A rollout in a thread, with pause, single step and speed.

    Attributes are read from another thread at any time; every frame and moment is published by assigning a reference
    and never changed afterwards.

    Args:
        load: gives the policy; it runs in the thread, since PyTorch takes seconds to import.
        stage: the stage to play; the policy's own by default.
    """

    def __init__(self, load: Callable[[], Policy], *, stage: str | None = None) -> None:
        self._load = load
        self._stage = stage
        self._wake = threading.Condition()
        self._paused = False
        self._single_steps = 0
        self._restart = False
        self._closed = False
        self._speed = 1.0
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)
        self.policy: Policy | None = None
        self.latest: Moment | None = None
        self.latest_frame: np.ndarray | None = None
        self.problem = ""

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
            self._wake.notify()

    def faster(self) -> None:
        self.speed = next((speed for speed in SPEEDS if speed > self._speed), SPEEDS[-1])

    def slower(self) -> None:
        self.speed = next((speed for speed in reversed(SPEEDS) if speed < self._speed), SPEEDS[0])

    def toggle_pause(self) -> None:
        with self._wake:
            self._paused = not self._paused
            self._wake.notify()

    def step_once(self) -> None:
        """Pauses, and plays one step more."""
        with self._wake:
            if self._paused:
                self._single_steps += 1
            self._paused = True
            self._wake.notify()

    def restart(self, stage: str | None = None) -> None:
        """Begins again, on another stage where one is given."""
        with self._wake:
            self._stage = stage or self._stage
            self._restart = True
            self._wake.notify()

    def close(self) -> None:
        """Ends the thread and waits for it."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self.policy = policy = self._load()
            while not self._closed:
                self._restart = False
                self._play(rollout(policy, stage=self._stage, all_frames=True))
                with self._wake:
                    self._wake.wait_for(lambda: self._closed or self._restart)
        except MarioTuiError as error:
            self.problem = str(error)
        except Exception as error:
            self.problem = f"the rollout failed: {type(error).__name__}: {error}"

    def _play(self, moments: Iterator[Moment]) -> None:
        due = time.perf_counter()
        for moment in moments:
            for frame in moment.frames or (moment.frame,):
                self.latest_frame = frame
                due = self._wait_until(due + 1 / (FRAMES_PER_SECOND * self._speed))
                if self._closed or self._restart:
                    return
            self.latest = moment
            if not self._wait_while_paused():
                return

    def _wait_until(self, due: float) -> float:
        """Waits for a moment in time; one that is long past is given up, so that a late player does not race."""
        with self._wake:
            delay = due - time.perf_counter()
            if delay > 0:
                self._wake.wait_for(lambda: self._closed or self._restart, timeout=delay)
        return due if delay > -0.1 else time.perf_counter()

    def _wait_while_paused(self) -> bool:
        """False where the episode should not go on."""
        with self._wake:
            self._wake.wait_for(lambda: not self._paused or self._single_steps or self._closed or self._restart)
            if self._single_steps:
                self._single_steps -= 1
            return not (self._closed or self._restart)
