"""Which actions could still survive before a death: labels of states, found by a search on the emulator's states.

No person and no network takes part: from places before the death the game is played on, in all ways, and what comes of
each action is seen. The game is the training's own, so the labels are what it does, within the bounds below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import Episode, EpisodeSnapshot
from mario_tui.game.step import StepPlayer
from mario_tui.game.survival import MARGIN_STEPS, Goal, SurvivalSearch
from mario_tui.grey_frames import FRAME_SHAPE
from mario_tui.play.rollout import StateStacks

MOST_STEPS_BACK = 32
"""How far before a death states are looked at."""
STANDS_STEPS = 12
"""A way on has survived when Mario stands on something, past the place, so many steps after the death or later."""
MOST_STEPS = 3_000
"""What the searches of one death may play; what is not decided by then gets no label."""
MOST_STEPS_OF_ACTION = 600
"""... and what the search after one action may play."""
DELAYS = (0, 1)
"""Frames by which an action may be late in the step that is judged, as sticky actions make it late."""
_SAFE_STATES = 2  # in a row, from the death backwards: those before are taken to be safe, too


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
    each to the death. played: what the search played, in steps of the game.
    """

    states: NDArray[np.uint8]
    safe: NDArray[np.bool_]
    steps_before: NDArray[np.int64]
    played: int

    def __len__(self) -> int:
        return len(self.states)


def label_death(death: Death, eyes: Eyes) -> LabelledStates:
    """The decisive states before a death, from the last one backwards; it depends on the arguments alone.

    From each state each action is played for a step, taken up at once and one frame late, and from there the search
    looks for a way on with the agent's actions that survives. An action that survives in more of these cases than
    another is safe, and the other is not. States in which all actions do equally well are left out: before a death
    these are the ones in which it was too late, and the ones in which it was not decided yet. So are states in which
    the search has given up.
    """
    with open_emulator(death.stage) as emulator:
        episode = Episode(emulator, frame_skip=death.frame_skip)
        places = _places_before(episode, death, eyes)
        death_step = episode.steps
        goal = Goal(death_step + MARGIN_STEPS, episode.max_x + 1, stands_from=death_step + STANDS_STEPS)
        search = SurvivalSearch(episode, eyes.actions, goal, max_played=MOST_STEPS_OF_ACTION)
        found: list[tuple[NDArray[np.uint8], NDArray[np.bool_], int]] = []
        safe_in_a_row = 0
        for place, state in places:
            survived = _survived(search, place, eyes.actions, death.frame_skip)
            if search.played > MOST_STEPS or safe_in_a_row == _SAFE_STATES:
                break
            if survived is None:
                continue
            if survived.min() < survived.max():
                found.append((state, survived == survived.max(), death_step - place.steps))
            safe_in_a_row = safe_in_a_row + 1 if survived.min() == len(DELAYS) else 0
    return LabelledStates(
        states=np.array([state for state, _, _ in found], np.uint8).reshape(-1, eyes.depth, *FRAME_SHAPE),
        safe=np.array([safe for _, safe, _ in found], bool).reshape(-1, len(eyes.actions)),
        steps_before=np.array([before for _, _, before in found], np.int64),
        played=search.played,
    )


def _places_before(episode: Episode, death: Death, eyes: Eyes) -> list[tuple[EpisodeSnapshot, NDArray[np.uint8]]]:
    """Plays the episode to its death; returns the last places before it, each with its state, the last one first."""
    frames, skip = death.frame_buttons, death.frame_skip
    player, stacks = StepPlayer(episode), StateStacks(eyes.depth, show_buttons=eyes.show_buttons)
    stacks.add(player.start())
    places: list[tuple[EpisodeSnapshot, NDArray[np.uint8]]] = []
    for start in range(0, len(frames) - skip + 1, skip):
        if episode.end is not None:
            break
        if start >= len(frames) - skip * MOST_STEPS_BACK:
            places.append((episode.snapshot(), stacks.state.numpy()))
        stacks.add(player.play(frames[start : start + skip]))
    return places[::-1]


def _survived(
    search: SurvivalSearch, place: EpisodeSnapshot, actions: Sequence[int], skip: int
) -> NDArray[np.int64] | None:
    """With how many of DELAYS each action survives, (A,) int64; None where the search gives up."""
    held = place.buttons[-1] if place.buttons else 0
    survived = np.zeros(len(actions), np.int64)
    for number, action in enumerate(actions):
        for late in DELAYS:
            survives = search.survives_step(place, [held] * late + [action] * (skip - late))
            if survives is None:
                return None
            survived[number] += survives
    return survived
