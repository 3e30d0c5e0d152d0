"""Labelled states of walks: what is said to be safe is, and the stacks are those that an agent would see."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from mario_tui.buttons import ACTION_SETS
from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.game.episode import Episode, EpisodeSnapshot
from mario_tui.game.survival import MARGIN_STEPS, Goal, SurvivalSearch, places_along
from mario_tui.grey_frames import grey_frame
from mario_tui.play.labels import DEPTH, LabelledStates, balanced, distinct, label_walk

RUN = ACTION_SETS["run"]


class AlwaysLowest:
    """Random numbers with which a walk runs on, straight ahead, and after a death from its fork."""

    def integers(self, low: int, high: int | None = None) -> int:
        return 0 if high is None else low


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with open_emulator("1-1") as emulator:
        if not emulator.has_snapshots():
            pytest.skip("this emulator cannot go back to places in an episode")
        yield emulator


@pytest.fixture(scope="module")
def labelled(emulator: Emulator) -> LabelledStates:
    """Of a run into the first enemy."""
    return next(label_walk(emulator, RUN, rng=AlwaysLowest()))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(emulator: Emulator) -> Episode:
    """Over."""
    episode = Episode(emulator)
    while episode.end is None:
        episode.step(RUN[0])
    return episode


def test_states_before_a_death_say_what_saves(emulator: Emulator, labelled: LabelledStates, run: Episode) -> None:
    assert labelled.safe.tolist() == [[False, True]] * len(labelled.safe), "to run on is not safe, and to jump is"
    assert len(labelled.safe) >= 1
    episode, end = Episode(emulator), run.steps
    frames: list[np.ndarray] = []
    for place in places_along(episode, run.buttons, range(end)):
        frames.append(grey_frame(emulator.screen))
        if emulator.x_position == labelled.x[0]:
            last = place
    assert np.array_equal(labelled.frames[0], frames[last.steps - DEPTH + 1 : last.steps + 1])
    assert np.all(labelled.pressed[0] == RUN[0])
    search = SurvivalSearch(episode, RUN, Goal(end + MARGIN_STEPS, 0))
    assert search.survives_step(last, [RUN[1]] * 4)
    assert search.survives_step(last, [RUN[0]] + [RUN[1]] * 3)
    assert search.survives_step(last, [RUN[0]] * 4) is False


def test_all_such_states_are_found(emulator: Emulator, labelled: LabelledStates, run: Episode) -> None:
    """Of a run into an enemy there is one step in which a jump comes early enough, and the next one too late."""
    episode = Episode(emulator)
    search = SurvivalSearch(episode, RUN, Goal(run.steps + MARGIN_STEPS, run.max_x + 1))

    def saves(place: EpisodeSnapshot, buttons: list[int]) -> bool | None:
        return search.survives_step(place, buttons)

    x_of: dict[int, int] = {}
    places = []
    for place in places_along(episode, run.buttons, range(run.steps - 10, run.steps)):
        places.append(place)
        x_of[place.steps] = emulator.x_position
    decisive = [
        x_of[place.steps]
        for place in places
        if saves(place, [RUN[1]] * 4) and saves(place, [RUN[0]] + [RUN[1]] * 3) and not saves(place, [RUN[0]] * 4)
    ]
    assert labelled.x.tolist() == decisive[::-1]


def test_walks_are_the_same_from_the_same_seed_and_go_on_after_a_death(emulator: Emulator) -> None:
    first, again, other = (
        list(islice(label_walk(emulator, RUN, rng=np.random.default_rng(seed), noops=30, sticky=0.25), deaths))
        for seed, deaths in ((1, 3), (1, 2), (2, 2))
    )
    for one, two in zip(first, again, strict=False):
        assert one.played == two.played
        assert np.array_equal(one.frames, two.frames)
        assert np.array_equal(one.safe, two.safe)
    assert [one.played for one in first[:2]] != [one.played for one in other]
    for one in first:
        assert (one.safe.sum(axis=1) == 1).all(), "one of the two actions is safe in each"


def states_at(x: list[int], safe: list[int], grey: list[int] | None = None) -> LabelledStates:
    shades = np.arange(len(x)) * 10 if grey is None else np.array(grey)
    return LabelledStates(
        np.broadcast_to(shades.astype(np.uint8)[:, None, None, None], (len(x), DEPTH, 84, 84)),
        np.full((len(x), DEPTH), RUN[0], np.uint8),
        np.eye(2, dtype=bool)[safe],
        np.array(x),
        0,
    )


def test_who_always_does_the_same_is_right_in_half() -> None:
    states = states_at([0, 1, 2, 63, 64, 65, 70, 80, 130], [0, 0, 0, 1, 1, 1, 0, 0, 1])
    assert balanced(states, 100) == [0, 1, 3, 4, 5, 6, 7, 8], "all of the action with fewer states"
    assert balanced(states, 4) == [0, 3, 4, 6], "the first ones of each place"
    assert balanced(states, 5) == balanced(states, 4)


def test_states_that_look_alike_are_taken_once() -> None:
    states = states_at([10, 13, 10, 15, 10], [0, 0, 0, 0, 0], [50, 52, 60, 50, 50])
    assert distinct(states) == [0, 2, 3], "farther off, or of another look, is another state"
    states.pressed[4] = RUN[1]
    assert distinct(states) == [0, 2, 3, 4], "and so is one with other buttons held"
