"""Which actions could still survive before a death: labels of states, found by a search on the emulator's states.

No person and no network takes part: from places before the death the game is played on, in all ways, and what comes of
each action is seen. The game is the training's own, so the labels are what it does, within the bounds below.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

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
class DeathLabels:
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


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in an episode, and what a network sees there, (depth, 84, 84) uint8."""

    snapshot: EpisodeSnapshot
    state: Tensor


def label_death(death: Death, eyes: Eyes, on_step: Callable[[], object] = lambda: None) -> DeathLabels:
    """The decisive states before a death, from the last one backwards; it depends on the first two arguments alone.

    From each state each action is played for a step, taken up at once and one frame late, and from there the search
    looks for a way on with the agent's actions that survives. An action that survives in more of these cases than
    another is safe, and the other is not. States in which all actions do equally well are left out: before a death
    these are the ones in which it was too late, and the ones in which it was not decided yet. So are states in which
    the search has given up. `on_step` is called before each step of the search.
    """
    with open_emulator(death.stage) as emulator:
        episode = Episode(emulator, frame_skip=death.frame_skip)
        player, stacks = StepPlayer(episode), StateStacks(eyes.depth, show_buttons=eyes.show_buttons)
        stacks.add(player.start())
        places = list(deque(_places(player, stacks, _steps(death)), MOST_STEPS_BACK))
        end = episode.steps
        goal = Goal(end + MARGIN_STEPS, episode.max_x + 1, stands_from=end + STANDS_STEPS)
        search = SurvivalSearch(episode, eyes.actions, goal, max_played=MOST_STEPS_OF_ACTION, on_step=on_step)
        found = list(_decisive(search, places[::-1], eyes.actions, death.frame_skip))
    return DeathLabels(
        states=np.array([place.state.numpy() for place, _ in found], np.uint8).reshape(-1, eyes.depth, *FRAME_SHAPE),
        safe=np.array([safe for _, safe in found], bool).reshape(-1, len(eyes.actions)),
        steps_before=np.array([end - place.snapshot.steps for place, _ in found], np.int64),
        played=search.played,
    )


def _steps(death: Death) -> list[tuple[int, ...]]:
    """The buttons of each of its whole steps, a byte for each frame."""
    frames, skip = death.frame_buttons, death.frame_skip
    return [frames[start : start + skip] for start in range(0, len(frames) - skip + 1, skip)]


def _places(player: StepPlayer, stacks: StateStacks, steps: Iterable[Sequence[int]]) -> Iterator[_Place]:
    """Plays steps until the episode ends; yields the place before each of them."""
    for buttons in steps:
        if player.episode.end is not None:
            return
        yield _Place(player.episode.snapshot(), stacks.state)
        stacks.add(player.play(buttons))


def _decisive(
    search: SurvivalSearch, places: Iterable[_Place], actions: Sequence[int], frame_skip: int
) -> Iterator[tuple[_Place, NDArray[np.bool_]]]:
    """Those of these places in which some actions are safe and some are not, and (A,) bool, which.

    It ends when the search has played MOST_STEPS, or after _SAFE_STATES places in a row in which all actions are safe.
    """
    safe_in_a_row = 0
    for place in places:
        counts = survivals(search, place.snapshot, actions, frame_skip)
        if search.played > MOST_STEPS:
            return
        if counts is None:
            continue
        fewest, most = min(counts), max(counts)
        if fewest < most:
            yield place, np.array([count == most for count in counts])
        safe_in_a_row = safe_in_a_row + 1 if fewest == len(DELAYS) else 0
        if safe_in_a_row == _SAFE_STATES:
            return


def survivals(
    search: SurvivalSearch, place: EpisodeSnapshot, actions: Sequence[int], frame_skip: int
) -> list[int] | None:
    """With how many of DELAYS each action, a button byte, survives; None where the search gives up."""
    held = place.buttons[-1] if place.buttons else 0
    survived = [0] * len(actions)
    for number, action in enumerate(actions):
        for late in DELAYS:
            survives = search.survives_step(place, [held] * late + [action] * (frame_skip - late))
            if survives is None:
                return None
            survived[number] += survives
    return survived
