"""States of an episode with the actions that are safe in them, found by search: no person and no agent is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mario_tui.game.emulator import Emulator
from mario_tui.game.episode import Episode, EpisodeSnapshot
from mario_tui.game.survival import MARGIN_STEPS, Goal, SurvivalSearch, places_along
from mario_tui.grey_frames import FRAME_SHAPE, grey_frame

DEPTH = 4
STEPS_BACK = 32
"""From the end of a stretch back, so many steps are looked at."""
ALL_SAFE_STEPS = 6
"""After so many states in a row, going back, in which every action is safe, the hazard is passed."""
MAX_PLAYED = 6_000
"""Steps that are played for one stretch; what was not found out by then is left out."""


@dataclass(frozen=True, slots=True)
class LabelledStates:
    """N states in which some actions are safe and some are not.

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


def label_stretch(
    emulator: Emulator,
    buttons: Sequence[int],
    actions: Sequence[int],
    *,
    frame_skip: int = 4,
    last_step: int | None = None,
    max_played: int = MAX_PLAYED,
) -> LabelledStates:
    """The decisive states of the last steps of an episode, or of its first `last_step` steps.

    An action is safe if there is a way on (see `Goal`) that is alive `MARGIN_STEPS` after the stretch and past its
    farthest x, both where the action is pressed at once and where the buttons before are held for one frame more: what
    a sticky action does most often. What follows the action is chosen freely and without chance.

    Args:
        emulator: at the stage of the episode.
        buttons: the episode's, a byte for each frame, in whole steps from the start of the stage.
        actions: button bytes; what the agent chooses from.
    """
    episode = Episode(emulator, frame_skip=frame_skip)
    end = len(buttons) // frame_skip if last_step is None else last_step
    first = max(end - STEPS_BACK, 0)
    places, frames, x = {}, {}, {}
    for place in places_along(episode, buttons, range(max(first - DEPTH + 1, 0), end + 1)):
        places[place.steps], frames[place.steps] = place, grey_frame(emulator.screen)
        x[place.steps] = emulator.x_position
    goal = Goal(end + MARGIN_STEPS, episode.max_x + 1)

    search = SurvivalSearch(episode, actions, goal, max_played=max_played)
    decisive: dict[int, list[bool]] = {}
    all_safe = 0
    for step in reversed(range(first, end)):
        if search.played >= max_played or all_safe == ALL_SAFE_STEPS:
            break
        before = places[step].buttons[-1] if step else 0
        safe = [_is_safe(search, places[step], action, before, frame_skip) for action in actions]
        all_safe = all_safe + 1 if all(safe) else 0
        if True in safe and False in safe and None not in safe:
            decisive[step] = [bool(one) for one in safe]

    steps = sorted(decisive)
    stacks = [[max(step - back, 0) for back in reversed(range(DEPTH))] for step in steps]
    pressed = [[int(places[one].buttons[-1]) if one else 0 for one in stack] for stack in stacks]
    return LabelledStates(
        np.array([[frames[one] for one in stack] for stack in stacks], np.uint8).reshape(-1, DEPTH, *FRAME_SHAPE),
        np.array(pressed, np.uint8).reshape(-1, DEPTH),
        np.array([decisive[step] for step in steps], bool).reshape(-1, len(actions)),
        np.array([x[step] for step in steps], int),
        search.played,
    )


def _is_safe(search: SurvivalSearch, place: EpisodeSnapshot, action: int, before: int, frame_skip: int) -> bool | None:
    """None where it was not found out."""
    safe = search.survives_step(place, [action] * frame_skip)
    if not safe or action == before:
        return safe
    return search.survives_step(place, [before] + [action] * (frame_skip - 1))
