"""Which actions could still survive before a death: labels of states, found by a search on the emulator's states.

No person and no network takes part: from places before the death the game is played on, in many ways, and what comes of
each action is seen. The game is the training's own, so the labels are what the game does, within the bounds below.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason, Episode, EpisodeSnapshot
from mario_tui.game.step import StepPlayer
from mario_tui.grey_frames import FRAME_SHAPE
from mario_tui.play.rollout import StateStacks

MOST_STEPS_BACK = 32
"""How far before a death states are looked at."""
STEPS_BEYOND = 12
"""A way on has survived when Mario stands on something, this many steps after the death or later."""
LATEST_STEPS_BEYOND = 40
"""... or when he is alive after so many, wherever he is."""
MOST_STEPS = 3_000
"""What the search of one death may play; what it has not decided by then gets no label."""
DELAYS = (0, 1)
"""Frames by which an action may be late in the step that is judged, as sticky actions make it late."""
_SAFE_STATES = 2  # in a row, from the death backwards: those before are taken to be safe, too

_FLOAT_STATE = 0x001D  # in the NES's RAM; 0: Mario stands
_INPUTS = slice(0x06FC, 0x06FE)  # the pads as they were read last, which are read anew before they are used


@dataclass(frozen=True, slots=True)
class Death:
    """An episode that ended in a death.

    stage, frame_skip: of the episode; frame_buttons: the button byte of each frame, from the stage's start on.
    """

    stage: str
    frame_skip: int
    frame_buttons: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Eyes:
    """What an agent sees and may do: its actions' button bytes, frames in a state, whether these show the buttons."""

    actions: tuple[int, ...]
    depth: int
    show_buttons: bool


@dataclass(frozen=True, slots=True)
class LabelledStates:
    """Decisive states: some of the actions are safe there, and some are not.

    states: (N, depth, 84, 84) uint8, as a network sees them; safe: (N, A) bool; steps_before: (N,) int64, steps from
    each to the death. steps: what the search played, in steps of the game.
    """

    states: NDArray[np.uint8]
    safe: NDArray[np.bool_]
    steps_before: NDArray[np.int64]
    steps: int

    def __len__(self) -> int:
        return len(self.states)


class _GivenUpError(Exception):
    """The search has played as much as it may."""


class _CancelledError(Exception):
    """Nobody wants the result any more."""


class _Search:
    """Plays on from places of an episode, and remembers what became of every state of the game that it saw."""

    def __init__(self, episode: Episode, actions: Sequence[int], death_step: int, go_on: Callable[[], bool]) -> None:
        self._episode, self._actions, self._death_step, self._go_on = episode, actions, death_step, go_on
        self._survived: dict[tuple[int, int], bool] = {}
        self.steps = 0

    def survives(self, place: EpisodeSnapshot, frame_buttons: Sequence[int]) -> bool:
        """Whether there is a way on that survives after a step with these buttons, a byte for each frame.

        Raises _GivenUpError if that is not found out in time.
        """
        self._episode.restore(place)
        return self._step(frame_buttons) and self._goes_on(frame_buttons[-1])

    def _step(self, frame_buttons: Sequence[int]) -> bool:
        """Plays a step; returns whether Mario is alive after it, or has cleared the stage."""
        if not self._go_on():
            raise _CancelledError
        if self.steps >= MOST_STEPS:
            raise _GivenUpError
        self.steps += 1
        self._episode.step(frame_buttons)
        return self._episode.end in (None, EndReason.CLEAR)

    def _goes_on(self, held: int) -> bool:
        """Whether there is a way on from where the episode is: depth first, and first with the buttons held."""
        episode = self._episode
        if episode.end is EndReason.CLEAR:
            return True
        ram = episode.emulator.ram
        beyond = episode.steps - self._death_step
        if beyond >= LATEST_STEPS_BEYOND or (beyond >= STEPS_BEYOND and ram[_FLOAT_STATE] == 0):
            return True
        ram[_INPUTS] = 0
        state = episode.steps, zlib.crc32(ram.data)
        if (known := self._survived.get(state)) is not None:
            return known
        place = episode.snapshot()
        for number, action in enumerate(sorted(self._actions, key=lambda byte: byte != held)):
            if number:
                episode.restore(place)
            if self._step([action] * episode.frame_skip) and self._goes_on(action):
                self._survived[state] = True
                return True
        self._survived[state] = False
        return False


def label_death(death: Death, eyes: Eyes, *, go_on: Callable[[], bool] = lambda: True) -> LabelledStates | None:
    """The decisive states before a death, from the last one backwards.

    From each state each action is played for a step, taken up at once and one frame late, and from there the search
    looks for a way on with the agent's actions that survives. An action that survives in more of these cases than
    another is safe, and the other is not. States in which all actions do equally well are left out: before a death
    these are the ones in which it was too late, and the ones in which it was not decided yet.

    It depends on the arguments alone. None if `go_on`, which is asked at each step of the search, says no.
    """
    frames, actions, skip = death.frame_buttons, eyes.actions, death.frame_skip
    steps = [frames[start : start + skip] for start in range(0, len(frames) - skip + 1, skip)]
    with open_emulator(death.stage) as emulator:
        episode = Episode(emulator, frame_skip=skip)
        player, stacks = StepPlayer(episode), StateStacks(eyes.depth, show_buttons=eyes.show_buttons)
        stacks.add(player.start())
        places: list[tuple[EpisodeSnapshot, NDArray[np.uint8]]] = []
        for number, buttons in enumerate(steps):
            if episode.end is not None:
                break
            if number >= len(steps) - MOST_STEPS_BACK:
                places.append((episode.snapshot(), stacks.state.numpy()))
            stacks.add(player.play(buttons))
        death_step = episode.steps
        search = _Search(episode, actions, death_step, go_on)
        found: list[tuple[NDArray[np.uint8], NDArray[np.bool_], int]] = []
        safe_in_a_row = 0
        try:
            for place, state in reversed(places):
                held = place.buttons[-1] if place.buttons else 0
                survived = np.array(
                    [
                        sum(search.survives(place, [held] * late + [action] * (skip - late)) for late in DELAYS)
                        for action in actions
                    ]
                )
                if survived.min() < survived.max():
                    found.append((state, survived == survived.max(), death_step - place.steps))
                safe_in_a_row = safe_in_a_row + 1 if survived.min() == len(DELAYS) else 0
                if safe_in_a_row == _SAFE_STATES:
                    break
        except _CancelledError:
            return None
        except _GivenUpError:
            pass
    return LabelledStates(
        states=np.array([state for state, _, _ in found], np.uint8).reshape(-1, eyes.depth, *FRAME_SHAPE),
        safe=np.array([safe for _, safe, _ in found], bool).reshape(-1, len(actions)),
        steps_before=np.array([before for _, _, before in found], np.int64),
        steps=search.steps,
    )
