"""A human plays: frame by frame, at the game's own speed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mario_tui import paths
from mario_tui.buttons import DOWN, LEFT, RIGHT, UP, A, B
from mario_tui.errors import MarioTuiError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.game.episode import EndReason, Episode
from mario_tui.game.step import EpisodeStep, StepPlayer
from mario_tui.play.clocked_player import FRAMES_PER_SECOND, ClockedPlayer, Keys, when_pressed
from mario_tui.play.pad import Controls

PAD_KEYS = {"left": LEFT, "right": RIGHT, "up": UP, "down": DOWN, "x": A, "space": A, "z": B}
"""Key in a window -> button."""

_INTERVALS = 600


SHORTEST_GAME_FRAMES = 60
"""The shortest game whose action log is saved."""


@dataclass(frozen=True)
class Game:
    """A finished game: its log, and how far it got."""

    log: ActionLog
    max_x: int
    cleared: bool


class HumanPlayer(ClockedPlayer):
    """A game played by hand; a step is one frame.

    A stage waits for `begin`, so that the player has time. The action log of every game of a second or more is saved in
    the folder of plays when the game is left: restarted, on another stage, or closed.

    Args:
        stage: where to begin.

    Attributes:
        controls: what is pressed; any thread may change it at any time.
    """

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage
        self.controls = Controls()
        self._episode: Episode | None = None
        self._kept: EpisodeStep | None = None
        self._keeps = self._goes_back = False
        self._waits = True
        self._shown_at = 0.0
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self.best: Game | None = None
        """Of the games that were left: one that cleared its stage, or the one that got farthest."""
        self.logs: list[Path] = []
        """The action logs of the games that were left."""

    @property
    def has_kept(self) -> bool:
        """Whether there is a place to go back to."""
        return self._kept is not None

    @property
    def kept_step(self) -> int | None:
        """The step of that place."""
        return None if self._kept is None else self._kept.step

    @property
    def waits(self) -> bool:
        """Whether the game stands until `begin`: before the stage, and after a return to the kept place."""
        return self._waits

    def begin(self) -> None:
        """Starts the game if it waits."""
        with self._wake:
            self._waits = False
            self._wake.notify()

    def toggle_pause(self) -> None:
        if self._waits:
            self.begin()
        else:
            super().toggle_pause()

    def restart(self, stage: str | None = None) -> None:
        """Restarts, on another stage if one is given, and waits for `begin`."""
        with self._wake:
            self._waits, self._paused = True, False
        super().restart(stage)

    def keep(self) -> None:
        """Keeps this place of the game, instead of the one kept before."""
        with self._wake:
            self._keeps = True
            self._wake.notify()

    def go_back(self) -> None:
        """Goes back to the kept place, and waits for `begin`; what came after it is undone."""
        with self._wake:
            self._goes_back = True
            self._waits, self._paused = self._kept is not None or self._waits, False
            self._wake.notify()

    def window_keys(self) -> Keys:
        """The common ones, and the pad: arrows, x or space is A, z is B; s hops, k keeps this place, l goes back."""
        keys: Keys = {
            "s": when_pressed(self.hop),
            "k": when_pressed(self.keep),
            "l": when_pressed(self.go_back),
            "": lambda _: self.controls.release_all(),
        }
        return super().window_keys() | keys | {name: self._pad_key(button) for name, button in PAD_KEYS.items()}

    def _pad_key(self, button: int) -> Callable[[bool], None]:
        def hold(pressed: bool) -> None:
            if pressed:
                self.begin()
                self.controls.press(button)
            else:
                self.controls.release(button)

        return hold

    def hop(self) -> None:
        """A low jump; it starts a waiting stage, as every button does."""
        self.begin()
        self.controls.hop()

    def frame_buttons(self, last_step: int) -> list[int]:
        return [] if self._episode is None else self._episode.buttons[:last_step]

    def pace(self) -> tuple[float, float] | None:
        """Median and 95th percentile of the milliseconds between two of the last 600 frames; None before the first.

        Frames after a pause, and those at another speed, do not count.
        """
        intervals = list(self._intervals)
        if not intervals:
            return None
        median, late = np.percentile(np.array(intervals) * 1000, (50, 95))
        return float(median), float(late)

    def _play_until_closed(self) -> None:
        while not self._closed:
            with self._wake:
                self._restart = False
                self.stage = self._stage or self.stage
            self._kept = None
            self.controls.release_all()
            with open_emulator(self.stage) as emulator:
                self._play(emulator)
            self._save_game()

    def _save_game(self) -> None:
        episode = self._episode
        if episode is None or episode.frames < SHORTEST_GAME_FRAMES:
            return
        game = Game(ActionLog.of_frames(self.stage, 1, episode.buttons), episode.max_x, episode.end is EndReason.CLEAR)
        best = self.best
        if best is None or (game.cleared, game.max_x) > (best.cleared, best.max_x):
            self.best = game
        try:
            with paths.new_play(self.stage) as path:
                path.parent.mkdir(parents=True, exist_ok=True)
                game.log.save(path, played_by="hand", max_x=game.max_x, cleared=game.cleared)
            self.logs.append(path)
        except (OSError, MarioTuiError) as error:
            self.problem = f"the game's log cannot be kept: {error}"

    def _play(self, emulator: Emulator) -> None:
        """Plays one stage until a restart."""
        episode = self._episode = Episode(emulator, frame_skip=1)
        steps = StepPlayer(episode, views=True)
        step = self._publish(steps.start())
        due = time.perf_counter()
        while not (self._closed or self._restart):
            due = self._wait_until(due + 1 / (FRAMES_PER_SECOND * self._speed), self._interrupted)
            due = self._wait_for_turn(due)
            if self._closed or self._restart:
                return
            if self._keeps:
                self._keeps = False
                if episode.end is None:
                    episode.save_state()
                    self._kept = step
            if self._goes_back:
                self._goes_back = False
                if self._kept is not None:
                    episode.load_state()
                    self.controls.release_all()
                    step = self._publish(self._kept)
                    continue
            if self._plays:
                self._single_steps = max(0, self._single_steps - 1)
                step = self._publish(steps.play((self.controls.next_frame(),)))

    def _publish(self, step: EpisodeStep) -> EpisodeStep:
        self.latest = step
        self._show_frame(step.frame, step.views[-1] if step.views else None, step.frame_count)
        now = time.perf_counter()
        if self._shown_at and not self._paused and self._speed == 1:
            self._intervals.append(now - self._shown_at)
        self._shown_at = now
        return step

    @property
    def _plays(self) -> bool:
        return not self.finished and not self._waits and (not self._paused or self._single_steps > 0)

    def _interrupted(self) -> bool:
        return self._closed or self._restart

    def _wait_for_turn(self, due: float) -> float:
        """Waits while the game is paused or over; returns when the next frame is due."""

        def is_due() -> bool:
            over = self.finished
            requested = self._closed or self._restart or self._keeps or self._goes_back
            return requested or (not over and (not self._paused or self._single_steps > 0))

        with self._wake:
            if is_due():
                return due
            self._wake.wait_for(is_due)
        self._shown_at = 0.0  # no frame was late
        return time.perf_counter()
