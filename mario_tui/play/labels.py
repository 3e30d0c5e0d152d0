"""Decisive states of a stage, with the actions that are safe in them, drawn without any agent.

Mario walks through the stage at random. Where he dies, a search goes back to the fork: the states in which some actions
had a way on and the others had none (`play/safe_actions.py`), and from before it he walks on. States from before an
agent's own deaths would be those in which this agent errs, and say nothing fair of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mario_tui.game.emulator import Emulator
from mario_tui.game.episode import EndReason, Episode, EpisodeSnapshot, noop_start_steps, sticky_actions
from mario_tui.game.survival import MARGIN_STEPS, Goal, SurvivalSearch
from mario_tui.grey_frames import FRAME_SHAPE, grey_frame
from mario_tui.play.safe_actions import DELAYS, STANDS_STEPS, survivals

DEPTH = 4
HOLD_STEPS = 7
KEPT_PLACES = 63
STEPS_BEFORE_FORK = 8
"""Fewer than this, where no action of the fork is better than another."""
STATES_OF_DEATH = 2
"""From the fork back, so many states of a walk are looked at."""
MAX_PLAYED = 400
"""What the search after one action may play; a state that is not decided by then is left out."""
BIN_PIXELS = 64
ALIKE_PIXELS = 4
ALIKE_GREY = 3.0
"""States whose x and grey levels (mean absolute difference) differ by no more are alike, with the same buttons held."""


@dataclass(frozen=True, slots=True)
class LabelledStates:
    """N states in which one action is safe, or some, and the others are not.

    Attributes:
        frames: (N, DEPTH, 84, 84) uint8, grey frames, the oldest first, with no buttons drawn on them.
        pressed: (N, DEPTH) uint8, the buttons of the last frame of the step that led to each of these frames.
        safe: (N, actions) bool.
        x: (N,) int, where Mario is, pixels.
        played: emulator steps that it took.
    """

    frames: NDArray[np.uint8]
    pressed: NDArray[np.uint8]
    safe: NDArray[np.bool_]
    x: NDArray[np.int_]
    played: int

    @classmethod
    def joined(cls, parts: Sequence[LabelledStates]) -> LabelledStates:
        """All states of several, in their order."""
        return cls(
            np.concatenate([part.frames for part in parts]),
            np.concatenate([part.pressed for part in parts]),
            np.concatenate([part.safe for part in parts]),
            np.concatenate([part.x for part in parts]),
            sum(part.played for part in parts),
        )

    def chosen(self, numbers: Sequence[int]) -> LabelledStates:
        """The states of these numbers, in this order."""
        at = np.array(numbers, int)
        return LabelledStates(self.frames[at], self.pressed[at], self.safe[at], self.x[at], self.played)


@dataclass(frozen=True, slots=True)
class _Place:
    snapshot: EpisodeSnapshot
    frame: NDArray[np.uint8]
    pressed: int
    x: int

    @classmethod
    def of(cls, episode: Episode) -> _Place:
        pressed = episode.buttons[-1] if episode.buttons else 0
        return cls(episode.snapshot(), grey_frame(episode.emulator.screen), pressed, episode.emulator.x_position)


def label_walk(
    emulator: Emulator,
    actions: Sequence[int],
    *,
    rng: np.random.Generator,
    frame_skip: int = 4,
    noops: int = 0,
    sticky: float = 0.0,
) -> Iterator[LabelledStates]:
    """The decisive states that a random walk through the stage comes by: for each death in turn those before it.

    Each action is held for 1 to HOLD_STEPS steps. After a death the walk returns to the last state in which one action
    survives and takes it, or returns some steps farther where no action is better. It ends when the stage is cleared or
    the clock runs out. A labelled state has one safe action, which survives both taken up at once and a frame late; the
    others survive in neither case. All other states are left out.

    Args:
        emulator: at the stage, with snapshots.
        actions: button bytes; what the agent chooses from.
        noops, sticky: see `noop_start_steps` and `sticky_actions`.
    """
    episode = Episode(emulator, frame_skip=frame_skip)
    episode.reset(noop_start_steps(noops, frame_skip=frame_skip, rng=rng))
    places = [_Place.of(episode)] * DEPTH
    walked = 0
    best: int | None = None
    while episode.end is None:
        action = actions[int(rng.integers(len(actions))) if best is None else best]
        best = None
        for _ in range(rng.integers(1, HOLD_STEPS + 1)):
            late = sticky_actions(action, places[-1].pressed, sticky=sticky, frames=frame_skip, rng=rng)
            episode.step(late)
            walked += 1
            if episode.end is not None:
                break
            places = [*places[-KEPT_PLACES:], _Place.of(episode)]
        if episode.end is EndReason.DEATH:
            goal = Goal(episode.steps + MARGIN_STEPS, episode.max_x + 1, stands_from=episode.steps + STANDS_STEPS)
            search = SurvivalSearch(episode, actions, goal, max_played=MAX_PLAYED)
            fork, best, found = _fork(search, places, actions, frame_skip)
            stacks = [places[number - DEPTH + 1 : number + 1] for number, _ in found]
            yield LabelledStates(
                np.array([[one.frame for one in stack] for stack in stacks], np.uint8).reshape(-1, DEPTH, *FRAME_SHAPE),
                np.array([[one.pressed for one in stack] for stack in stacks], np.uint8).reshape(-1, DEPTH),
                np.array([safe for _, safe in found], bool).reshape(-1, len(actions)),
                np.array([stack[-1].x for stack in stacks], int),
                walked + search.played,
            )
            walked = 0
            places = places[: fork + 1 if best is not None else max(fork - int(rng.integers(STEPS_BEFORE_FORK)), DEPTH)]
            episode.restore(places[-1].snapshot)


def _fork(
    search: SurvivalSearch, places: Sequence[_Place], actions: Sequence[int], frame_skip: int
) -> tuple[int, int | None, list[tuple[int, list[bool]]]]:
    """Where a death was decided.

    Returns the number of the last place that was not lost (or was not decided); the action that is best there, if there
    is one; and those places up to there that are decisive, with what is safe there.
    """
    fork = len(places) - 1
    while fork > DEPTH and search.survives(places[fork].snapshot) is False:
        fork -= 1
    best, states = None, []
    for number in range(fork, max(fork - STATES_OF_DEATH, DEPTH - 2), -1):
        counts = survivals(search, places[number].snapshot, actions, frame_skip)
        if counts is None or min(counts) == len(DELAYS):
            break
        if number == fork and counts.count(max(counts)) == 1:
            best = counts.index(max(counts))
        if sum(counts) == max(counts) == len(DELAYS):
            states.append((number, [count > 0 for count in counts]))
    return fork, best, states


def distinct(states: LabelledStates) -> list[int]:
    """The numbers of the states that are not like an earlier one (see ALIKE_GREY)."""
    kept: list[int] = []
    for number, x in enumerate(states.x):
        grey, held = states.frames[number].astype(int), states.pressed[number, -1]
        near = [one for one in kept if abs(states.x[one] - x) <= ALIKE_PIXELS and states.pressed[one, -1] == held]
        if all(np.abs(grey - states.frames[one]).mean() > ALIKE_GREY for one in near):
            kept.append(number)
    return kept


def balanced(states: LabelledStates, most: int) -> list[int]:
    """The numbers of at most `most` states: as many for each safe action, from all places as evenly as there are any.

    A place is BIN_PIXELS long. Who always does the same is then right in as many as who guesses.
    """
    of_places: dict[tuple[int, int], int] = {}
    of_actions: list[list[tuple[int, int]]] = [[] for _ in range(states.safe.shape[1])]
    for number, (x, action) in enumerate(zip(states.x, states.safe.argmax(axis=1), strict=True)):
        place = int(action), int(x) // BIN_PIXELS
        of_places[place] = of_places.get(place, -1) + 1
        of_actions[action].append((of_places[place], number))
    each = min(most // len(of_actions), *map(len, of_actions))
    return sorted(number for of_action in of_actions for _, number in sorted(of_action)[:each])
