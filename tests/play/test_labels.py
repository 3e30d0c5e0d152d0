"""Labelled states of real deaths: what is said to be safe is, and the stacks are those that an agent saw."""

from collections.abc import Iterator

import numpy as np
import pytest

from mario_tui.buttons import ACTION_SETS, RIGHT, B
from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.game.episode import Episode
from mario_tui.game.survival import MARGIN_STEPS, Goal, SurvivalSearch, places_along
from mario_tui.grey_frames import grey_frame
from mario_tui.play.labels import DEPTH, LabelledStates, label_stretch

RUN = ACTION_SETS["run"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with open_emulator("1-1") as emulator:
        yield emulator


@pytest.fixture(scope="module")
def buttons(emulator: Emulator) -> list[int]:
    """Of a run into the first enemy."""
    episode = Episode(emulator)
    while episode.end is None:
        episode.step(RIGHT | B)
    return episode.buttons


@pytest.fixture(scope="module")
def labelled(emulator: Emulator, buttons: list[int]) -> LabelledStates:
    return label_stretch(emulator, buttons, RUN)


def test_states_before_a_death_say_what_saves(emulator: Emulator, buttons: list[int], labelled: LabelledStates) -> None:
    count = len(labelled.safe)
    assert count >= 1
    assert labelled.frames.shape == (count, DEPTH, 84, 84)
    assert not (labelled.safe.all(axis=1) | ~labelled.safe.any(axis=1)).any(), "all of them are decisive"
    assert not labelled.safe[-1, 0], "to run on is not safe"
    assert labelled.safe[-1, 1], "to jump is"

    episode, end = Episode(emulator), len(buttons) // 4
    frames: list[np.ndarray] = []
    for place in places_along(episode, buttons, range(end)):
        frames.append(grey_frame(emulator.screen))
        if emulator.x_position == labelled.x[-1]:
            last = place
    assert np.array_equal(labelled.frames[-1], frames[last.steps - DEPTH + 1 : last.steps + 1])
    assert np.all(labelled.pressed[-1] == (RIGHT | B))

    search = SurvivalSearch(episode, RUN, Goal(end + MARGIN_STEPS, 0))
    for late in (0, 1):
        pressed = [RIGHT | B] * late + [RUN[1]] * (4 - late)
        assert search.survives_step(last, pressed)
    assert search.survives_step(last, [RUN[0]] * 4) is False


def test_an_action_is_not_safe_that_saves_only_without_delay(
    emulator: Emulator, buttons: list[int], labelled: LabelledStates
) -> None:
    """Of all states in which a jump at once saves, the latest do not bear one frame of delay."""
    episode, end = Episode(emulator), len(buttons) // 4
    search = SurvivalSearch(episode, RUN, Goal(end + MARGIN_STEPS, episode.max_x + 1))
    saved: set[int] = set()
    fragile: set[int] = set()
    for place in list(places_along(episode, buttons, range(end - 10, end))):
        if search.survives_step(place, [RUN[1]] * 4):
            episode.restore(place)
            x = emulator.x_position
            (saved if search.survives_step(place, [RIGHT | B] + [RUN[1]] * 3) else fragile).add(x)
    assert set(labelled.x) <= saved
    assert not fragile & set(labelled.x)


def test_a_stretch_without_a_hazard_has_no_states(emulator: Emulator, buttons: list[int]) -> None:
    labelled = label_stretch(emulator, buttons, RUN, last_step=4)
    assert labelled.safe.shape == (0, 2)
    assert labelled.frames.shape == (0, DEPTH, 84, 84)


def test_what_is_not_found_out_is_left_out(emulator: Emulator, buttons: list[int]) -> None:
    labelled = label_stretch(emulator, buttons, RUN, max_played=20)
    assert len(labelled.safe) == 0
    assert labelled.played < 20 + 4 * 20
