"""Plays a rollout at the game's own speed, for whoever looks: a thread that holds the frame to show right now.

What was played can be gone back to: every step's picture is kept, compressed to a few KB.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from mario_tui.agent.policy import Policy
from mario_tui.errors import MarioTuiError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import SCREEN_SHAPE
from mario_tui.play.rollout import Chances, Moment, replay_moments, rollout

FRAMES_PER_SECOND = 60
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class RolloutPlayer:
    """A rollout in a thread, with pause, single step, speed, and the way back to what was played before.

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
        self._seek: int | None = None
        self._history: list[tuple[Moment, bytes]] = []
        self._speed = 1.0
        self.chances = Chances()
        """Epsilon and sticky buttons; a change holds from the next step that is played."""
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)
        self.policy: Policy | None = None
        self.stage = ""
        """The stage that is played, once it is known."""
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
        """Pauses, and plays one step more, or shows the next one of those that were played."""
        with self._wake:
            if self._paused:
                self._single_steps += 1
            self._paused = True
            self._wake.notify()

    @property
    def newest_step(self) -> int:
        """The last step that was played; `latest` may show an earlier one."""
        return self._first_step + max(0, len(self._history) - 1)

    def seek(self, step: int) -> None:
        """Pauses, and shows a step that was played before, or the nearest one to it."""
        with self._wake:
            self._paused = True
            self._seek = step
            self._wake.notify()

    def held(self, last_step: int) -> list[int]:
        """The button byte of every frame of the episode up to this step."""
        history = self._history[: last_step - self._first_step + 1]
        return [byte for moment, _ in history for byte in moment.held]

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
            self._open()
            while not self._closed:
                self._restart = False
                self._play(self._episode())
        except MarioTuiError as error:
            self.problem = str(error)
        except Exception as error:
            self.problem = f"the rollout failed: {type(error).__name__}: {error}"

    def _open(self) -> None:
        self.policy = self._load()

    def _episode(self) -> Iterator[Moment]:
        """A new episode, in the player's thread."""
        assert self.policy is not None
        self.stage = self._stage or self.policy.stage
        return rollout(self.policy, stage=self.stage, all_frames=True, chances=self.chances)

    def _play(self, moments: Iterator[Moment]) -> None:
        """Plays an episode, and shows of it what is asked for, until it is to be begun again."""
        self._history = []
        due = time.perf_counter()
        place: int | None = 0  # in the history
        while place is not None:
            if place < len(self._history):
                moment = self._remember(place)
                pictures = [moment.frame] * max(1, len(moment.held))
            else:
                moment = next(moments)
                pictures = list(moment.frames or (moment.frame,))
                self._keep(moment)
            for picture in pictures if self._seek is None else pictures[-1:]:
                self.latest_frame = picture
                due = self._wait_until(due + 1 / (FRAMES_PER_SECOND * self._speed))
                if self._closed or self._restart:
                    return
            self.latest = moment
            place = self._next_place(moment)

    @property
    def _first_step(self) -> int:
        return self._history[0][0].step if self._history else 0

    def _keep(self, moment: Moment) -> None:
        nothing = np.empty(0, np.uint8)
        picture = zlib.compress(moment.frame.data, 1)
        self._history.append((replace(moment, frame=nothing, frames=()), picture))

    def _remember(self, place: int) -> Moment:
        moment, picture = self._history[place]
        pixels = np.frombuffer(zlib.decompress(picture), np.uint8)
        return replace(moment, frame=pixels.reshape(SCREEN_SHAPE))

    def _next_place(self, shown: Moment) -> int | None:
        """Where in the history the step is to be shown after this one; None where the episode should be begun again."""
        last = shown.step == self.newest_step and (shown.end is not None or self._is_over(shown))

        def something_to_do() -> bool:
            goes_on = not last and (not self._paused or self._single_steps > 0)
            return self._closed or self._restart or self._seek is not None or goes_on

        with self._wake:
            if last:
                self._single_steps = 0
            self._wake.wait_for(something_to_do)
            if self._closed or self._restart:
                return None
            if self._seek is not None:
                sought, self._seek = self._seek, None
                self._single_steps = 0
                return min(max(sought, self._first_step), self.newest_step) - self._first_step
            if self._single_steps:
                self._single_steps -= 1
            return shown.step + 1 - self._first_step

    def _is_over(self, shown: Moment) -> bool:
        """Whether nothing comes after this moment although the game goes on."""
        return False

    def _wait_until(self, due: float) -> float:
        """Waits for a moment in time; one that is long past is given up, so that a late player does not race."""
        with self._wake:
            delay = due - time.perf_counter()
            if delay > 0:
                self._wake.wait_for(lambda: self._closed or self._restart or self._seek is not None, timeout=delay)
        return due if delay > -0.1 else time.perf_counter()


class LogPlayer(RolloutPlayer):
    """Plays the episode of an action log; it has no policy, and no chance.

    Args:
        load: gives the log and the emulator frame to begin with.
    """

    def __init__(self, load: Callable[[], tuple[ActionLog, int]]) -> None:
        super().__init__(_no_policy)
        self._load_log = load

    def _open(self) -> None:
        self._log, self._first_frame = self._load_log()
        self.stage = self._log.stage

    def _episode(self) -> Iterator[Moment]:
        return replay_moments(self._log, self._first_frame)

    def _is_over(self, shown: Moment) -> bool:
        return shown.step * len(shown.held) >= len(self._log.buttons) * self._log.frame_skip

    @property
    def finished(self) -> bool:
        latest = self.latest
        return latest is not None and (latest.end is not None or self._is_over(latest))


def _no_policy() -> Policy:
    raise AssertionError("an action log needs none")
