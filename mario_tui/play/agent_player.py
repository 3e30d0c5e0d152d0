"""Plays a rollout at the game's own speed.

Earlier steps can be shown again: the picture of every step is kept, compressed to a few KB.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from mario_tui.agent.policy import Policy
from mario_tui.game.emulator import SCREEN_SHAPE
from mario_tui.game.step import EpisodeStep, without_pictures
from mario_tui.game.view import View
from mario_tui.play.clocked_player import FRAMES_PER_SECOND, ClockedPlayer, Keys, when_pressed
from mario_tui.play.one_go import OneGo, agent_plays
from mario_tui.play.pad import Controls
from mario_tui.play.rollout import Chances, rollout
from mario_tui.rewards import LearnedReward


class AgentPlayer(ClockedPlayer):
    """A rollout at the game's own speed, whose earlier steps can be shown again.

    Args:
        load: gives the policy; it runs in the thread, since PyTorch takes seconds to import.
        stage: the stage to play; the policy's own by default.
        game: the whole game in one emulator, see `OneGo`: the episode follows the clear of the previous stage without a
            reset, where that leads to a clear. When it is begun again, it starts with a reset.
    """

    def __init__(self, load: Callable[[], Policy], *, stage: str | None = None, game: OneGo | None = None) -> None:
        super().__init__(stage)
        self._load = load
        self._game = game
        self._seek: int | None = None
        self._target = 0
        """The step to show next or on show now, from which `move` counts; `latest` follows it."""
        self._history: list[tuple[EpisodeStep, bytes]] = []
        self.chances = Chances()
        """Epsilon and sticky actions; a change holds from the next step that is played."""
        self.policy: Policy | None = None
        self.controls = Controls()
        self._by_hand = False

    @property
    def by_hand(self) -> bool:
        """Whether a human plays, with `controls`, instead of the policy."""
        return self._by_hand

    def change_hands(self) -> None:
        """A human takes over from the policy at the next step that is played, or hands back."""
        self.controls.release_all()
        self._by_hand = not self._by_hand

    def _hand(self) -> int | None:
        return self.controls.next_frame() if self._by_hand else None

    @property
    def newest_step(self) -> int:
        """The last step that was played; `latest` may show an earlier one."""
        return self._first_step + max(0, len(self._history) - 1)

    @property
    def played(self) -> list[EpisodeStep]:
        """The steps that were played, in their order and without their pictures; as of now."""
        return [step for step, _ in self._history]

    @property
    def learned(self) -> LearnedReward:
        """The reward that the agent's values are of; the tutorial's where no agent plays."""
        return LearnedReward() if self.policy is None else self.policy.learned

    def seek(self, step: int) -> None:
        """Pauses, and shows a step that was played before, or the nearest one to it."""
        with self._wake:
            self._paused = True
            self._seek = self._target = min(max(step, self._first_step), self.newest_step)
            self._single_steps = 0
            self._wake.notify()

    def move(self, steps: int) -> None:
        """Pauses, and moves by so many steps within what was played; one step forward from its end plays a new one.

        It counts from what was asked for last, shown yet or not, so that many calls at once lead as far as one by one.
        """
        with self._wake:
            if self.latest is None:
                return
            step = self._target + self._single_steps
            if steps == 1 and step >= self.newest_step:
                if not self._is_over(self._history[-1][0]):
                    self.step_once()
            else:
                self.seek(step + steps)

    def window_keys(self) -> Keys:
        """The common ones; left and right move by a step."""
        moves = {"left": when_pressed(lambda: self.move(-1)), "right": when_pressed(lambda: self.move(1))}
        return super().window_keys() | moves

    def frame_buttons(self, last_step: int) -> list[int]:
        """The button byte of every frame of the episode up to this step."""
        history = self._history[: last_step - self._first_step + 1]
        return [byte for step, _ in history for byte in step.frame_buttons]

    def _play_until_closed(self) -> None:
        self._open()
        while not self._closed:
            with self._wake:
                if self._restart:
                    self._restart, self._seek, self._single_steps = False, None, 0
            self._play(self._episode())

    def _open(self) -> None:
        self.policy = self._load()

    def _episode(self) -> Iterator[EpisodeStep]:
        """A new episode, in the player's thread."""
        assert self.policy is not None
        self.stage = self._stage or self.policy.stage
        if self._game is None:
            return rollout(self.policy, stage=self.stage, all_frames=True, chances=self.chances, hand=self._hand)
        plays = agent_plays(self.policy, chances=self.chances, hand=self._hand)
        return self._game.play(self.stage, plays, rehearsal=agent_plays(self.policy), stopped=self._interrupted)

    def _play(self, steps: Iterator[EpisodeStep]) -> None:
        """Plays an episode, and shows the requested steps of it, until it is restarted."""
        self._history = []
        due = time.perf_counter()
        place: int | None = 0  # in the history
        while place is not None:
            known = place < len(self._history)
            if known:
                step = self._step_at(place)
                view = step.views[-1] if step.views else None
                shown = [(step.frame, view, step.frame_count)] * max(1, len(step.frame_buttons))
            else:
                step = next(steps)
                shown = _frames_of(step)
                self._add_to_history(step)
            with self._wake:
                if self._seek is None:
                    self._target = step.step
            at_once = known and self._paused
            for picture, view, number in shown if self._seek is None and not at_once else shown[-1:]:
                self._show_frame(picture, view, number)
                if at_once:
                    break
                due = self._wait_until(due + 1 / (FRAMES_PER_SECOND * self._speed), self._interrupted)
                if self._closed or self._restart:
                    return
            self.latest = step
            place = self._next_place(step)

    @property
    def _first_step(self) -> int:
        return self._history[0][0].step if self._history else 0

    def _add_to_history(self, step: EpisodeStep) -> None:
        picture = zlib.compress(step.frame.data, 1)
        self._history.append((without_pictures(step), picture))

    def _step_at(self, place: int) -> EpisodeStep:
        step, picture = self._history[place]
        pixels = np.frombuffer(zlib.decompress(picture), np.uint8)
        return replace(step, frame=pixels.reshape(SCREEN_SHAPE))

    def _next_place(self, shown: EpisodeStep) -> int | None:
        """The place in the history of the step to show after this one; None if the episode is to be restarted."""
        last = shown.step == self.newest_step and self._is_over(shown)

        def is_next_known() -> bool:
            plays = not last and (not self._paused or self._single_steps > 0)
            return self._closed or self._restart or self._seek is not None or plays

        with self._wake:
            if last:
                self._single_steps = 0
            self._wake.wait_for(is_next_known)
            if self._closed or self._restart:
                return None
            if self._seek is not None:
                target, self._seek = self._seek, None
                return min(max(target, self._first_step), self.newest_step) - self._first_step
            if self._single_steps:
                self._single_steps -= 1
            self._target = shown.step + 1
            return shown.step + 1 - self._first_step

    def _is_over(self, shown: EpisodeStep) -> bool:
        """Whether nothing comes after this step."""
        return shown.end is not None

    def _interrupted(self) -> bool:
        return self._closed or self._restart or self._seek is not None


def _frames_of(step: EpisodeStep) -> list[tuple[np.ndarray, View | None, int]]:
    """Every frame of a step, with its view and its number in the episode."""
    frames = step.frames or (step.frame,)
    views = step.views or (None,) * len(frames)
    first = step.frame_count - len(frames) + 1
    return [(frame, view, first + number) for number, (frame, view) in enumerate(zip(frames, views, strict=True))]
