"""Which actions could still survive before a death: labels of states, found by a search on the emulator's states.

No person and no network takes part: from places before the death the game is played on, in all ways, and what comes of
each action is seen. The game is the training's own, so the labels are what it does, within the bounds below.
"""

from __future__ import annotations

import itertools
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason, Episode, EpisodeSnapshot, sticky_actions
from mario_tui.game.step import StepPlayer
from mario_tui.game.survival import MARGIN_STEPS, Goal, SurvivalSearch
from mario_tui.grey_frames import FRAME_SHAPE
from mario_tui.play.evaluation import ROBUST_STICKY
from mario_tui.play.rollout import StateStacks

MOST_STEPS_BACK = 32
"""How far before a death states are looked at."""
STANDS_STEPS = 12
"""A way on has survived when Mario stands on something, past the place, so many steps after the death or later."""
MOST_STEPS = 2_000
"""What the searches of one death may play; what is not decided by then gets no label."""
MOST_STEPS_OF_ACTION = 600
"""... and what the search after one action may play."""
DELAYS = {
    frames: (1 - ROBUST_STICKY) * ROBUST_STICKY**frames if frames < 3 else ROBUST_STICKY**frames for frames in range(4)
}
"""Frames by which an action may be late in the step that is judged -> chance, with sticky actions; 3 are 3 or more."""
NEXT_DELAYS = {0: 1 - ROBUST_STICKY, 1: ROBUST_STICKY}
"""The same of the step after it, where one frame stands for all that are late."""
LEAST_DIFFERENCE = 0.02
"""Between chances to survive; where it is smaller, no action is called safe and none unsafe."""
VARIANTS = 6
"""Other ways to the danger that are looked at, too: one death alone brings one or two states."""
_LEAD_STEPS = 16  # before the first decisive state they begin
_MORE_STEPS = 16  # than the episode they may take
_CHANGED = 1 / 3  # of their steps have any of the actions
_SAFE_STATES = 2  # in a row, from the death backwards: those before are taken to be safe, too


@dataclass(frozen=True, slots=True)
class Death:
    """An episode that ended in a death.

    stage, frame_skip: of the episode; frame_buttons: the button byte of each frame, from the stage's start on; look:
    how often it was labelled before; lead: steps from the first decisive state to the death, as the first look found.
    """

    stage: str
    frame_skip: int
    frame_buttons: tuple[int, ...]
    look: int = 0
    lead: int = 0


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


@dataclass(frozen=True, slots=True)
class _Labelled:
    """A decisive place: which actions are safe there, (A,) bool, and the steps to the death."""

    place: _Place
    safe: NDArray[np.bool_]
    steps_before: int


def label_death(death: Death, eyes: Eyes, on_step: Callable[[], object] = lambda: None) -> DeathLabels:
    """The decisive states before a death, from the last one backwards; it depends on the first two arguments alone.

    From each state each action is played for a step, taken up at once and some frames late, then the best action for
    another, and from there the search looks for a way on with the agent's actions that survives. The actions that
    survive with the greatest chance are safe, and the others are not. States in which all actions do equally well are
    left out: before a death these are the ones in which it was too late, and the ones in which it was not decided yet.
    So are states in which the search has given up. `on_step` is called before each step of the search.

    Behind the states of the episode itself come those of VARIANTS of its last steps that end in a death, too. Some of
    their actions are others, and all may be late as sticky actions make them, so that they meet the danger otherwise.
    `steps_before` is then to the death of the variant. A later look is at such variants alone, others each time. No
    state comes twice.
    """
    found: list[_Labelled] = []
    with open_emulator(death.stage) as emulator:
        episode = Episode(emulator, frame_skip=death.frame_skip)
        player, stacks = StepPlayer(episode), StateStacks(eyes.depth, show_buttons=eyes.show_buttons)
        stacks.add(player.start())
        places = list(deque(_places(player, stacks, _steps(death)), MOST_STEPS_BACK + _LEAD_STEPS))
        end, played, lead = episode.steps, 0, death.lead
        if not death.look:
            found, played = _fork(episode, places[-MOST_STEPS_BACK:], eyes, on_step)
            lead = max((one.steps_before for one in found), default=0)
        if lead:
            first = end - min(lead, MOST_STEPS_BACK) - _LEAD_STEPS
            start = next(place for place in places if place.snapshot.steps >= first)
            rng = np.random.Generator(np.random.PCG64([zlib.crc32(bytes(death.frame_buttons)), death.look]))
            for _ in range(VARIANTS):
                if played > MOST_STEPS // 2:
                    break
                episode.restore(start.snapshot)
                stacks.go_back(start.state)
                way = list(_places(player, stacks, _variant(death, start.snapshot, eyes.actions, rng)))
                if episode.end is EndReason.DEATH:
                    more, taken = _fork(episode, way, eyes, on_step)
                    found, played = found + more, played + taken
    found = list({one.place.state.numpy().tobytes(): one for one in reversed(found)}.values())[::-1]
    return DeathLabels(
        states=np.array([one.place.state.numpy() for one in found], np.uint8).reshape(-1, eyes.depth, *FRAME_SHAPE),
        safe=np.array([one.safe for one in found], bool).reshape(-1, len(eyes.actions)),
        steps_before=np.array([one.steps_before for one in found], np.int64),
        played=played,
    )


def _fork(
    episode: Episode, places: Sequence[_Place], eyes: Eyes, on_step: Callable[[], object]
) -> tuple[list[_Labelled], int]:
    """The decisive ones of the places that led to a death, at which the episode is; and what the search played."""
    end = episode.steps
    goal = Goal(end + MARGIN_STEPS, episode.max_x + 1, stands_from=end + STANDS_STEPS)
    search = SurvivalSearch(episode, eyes.actions, goal, max_played=MOST_STEPS_OF_ACTION, on_step=on_step)
    found = [
        _Labelled(place, safe, end - place.snapshot.steps)
        for place, safe in _decisive(search, places[::-1], eyes.actions, episode.frame_skip)
    ]
    return found, search.played


def _variant(
    death: Death, start: EpisodeSnapshot, actions: Sequence[int], rng: np.random.Generator
) -> Iterator[Sequence[int]]:
    """The buttons of a variant's steps from a place of the episode on."""
    held = start.buttons[-1] if start.buttons else 0
    steps = [step[-1] for step in _steps(death)[start.steps :]]
    for byte in itertools.chain(steps, itertools.repeat(steps[-1], _MORE_STEPS)):
        action = actions[int(rng.integers(len(actions)))] if rng.random() < _CHANGED else byte
        late = sticky_actions(action, held, sticky=ROBUST_STICKY, frames=death.frame_skip, rng=rng)
        held = late[-1]
        yield late


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

    It ends when the search has played MOST_STEPS, or after _SAFE_STATES places in a row in which all actions survive.
    """
    safe_in_a_row = 0
    for place in places:
        chances = survival_chances(search, place.snapshot, actions, frame_skip)
        if search.played > MOST_STEPS:
            return
        if chances is None:
            continue
        lowest, highest = min(chances), max(chances)
        if highest - lowest >= LEAST_DIFFERENCE:
            yield place, np.array([chance > highest - LEAST_DIFFERENCE for chance in chances])
        safe_in_a_row = safe_in_a_row + 1 if lowest > 1 - LEAST_DIFFERENCE else 0
        if safe_in_a_row == _SAFE_STATES:
            return


def survival_chances(
    search: SurvivalSearch, place: EpisodeSnapshot, actions: Sequence[int], frame_skip: int
) -> list[float] | None:
    """The chance to survive after each action, a button byte; None where the search gives up.

    The action may be late, and so may the best one for the step after it; all that follows is without chance.
    """
    chances = [0.0] * len(actions)
    for number, action in enumerate(actions):
        for buttons, chance in _late(place, action, DELAYS, frame_skip):
            if (survival := _after(search, search.play(place, buttons), actions, frame_skip)) is None:
                return None
            chances[number] += chance * survival
    return chances


def _after(search: SurvivalSearch, place: EpisodeSnapshot, actions: Sequence[int], frame_skip: int) -> float | None:
    """The chance to survive from a place on with the action that is the best one there."""
    survives = search.survives(place)
    if not survives or place.end is not None:  # after a clear there is no next step
        return survives
    best = 0.0
    for action in actions:
        chance_of_action = 0.0
        for buttons, chance in _late(place, action, NEXT_DELAYS, frame_skip):
            if (survives := search.survives_step(place, buttons)) is None:
                return None
            chance_of_action += chance * survives
        best = max(best, chance_of_action)
        if best == 1:
            break
    return best


def _late(
    place: EpisodeSnapshot, action: int, delays: Mapping[int, float], frame_skip: int
) -> Iterator[tuple[list[int], float]]:
    """The buttons of a step's frames in which an action is late by some frames, and the chance of this."""
    held = place.buttons[-1] if place.buttons else 0
    if action == held:
        yield [action] * frame_skip, 1.0
        return
    for late, chance in delays.items():
        yield [held] * late + [action] * (frame_skip - late), chance
