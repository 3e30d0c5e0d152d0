"""Searches of ways on, in the game itself."""

from collections.abc import Collection, Iterator
from itertools import product

import pytest

from mario_tui.buttons import ACTION_SETS, RIGHT, A, B
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.game.episode import Episode, EpisodeSnapshot
from mario_tui.game.survival import Goal, SurvivalSearch
from mario_tui.game.survival import places_along as yield_places
from traces import LOGS

RUN = ACTION_SETS["run"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with open_emulator("1-1") as emulator:
        yield emulator


@pytest.fixture(scope="module")
def death(emulator: Emulator) -> tuple[list[int], int]:
    """The buttons of a run into the first enemy, and its steps."""
    episode = Episode(emulator)
    while episode.end is None:
        episode.step(RIGHT | B)
    return episode.buttons, episode.steps


def places_along(episode: Episode, buttons: list[int], steps: Collection[int]) -> dict[int, EpisodeSnapshot]:
    return {place.steps: place for place in yield_places(episode, buttons, steps)}


def all_ways(episode: Episode, place: EpisodeSnapshot, goal: Goal) -> bool:
    """What the search finds, by trying all sequences of actions."""
    for actions in product(RUN, repeat=goal.step - place.steps):
        episode.restore(place)
        for action in actions:
            episode.step(action)
            if episode.end is not None:
                break
        else:
            if episode.max_x >= goal.x:
                return True
    return False


@pytest.mark.parametrize("native", [True, False], ids=["native", "played again"])
def test_it_finds_what_trying_all_ways_finds(
    emulator: Emulator, death: tuple[list[int], int], monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    buttons, end = death
    if not native:
        monkeypatch.setattr(emulator, "has_snapshots", lambda: False)
    episode = Episode(emulator)
    goal = Goal(end + 1, 0)
    steps = range(end - (5 if native else 1), end)
    places = places_along(episode, buttons, steps)
    expected = [all_ways(episode, places[step], goal) for step in steps]
    assert not expected[-1] or not native
    assert expected[0] or not native, "or this test shows little"
    together = SurvivalSearch(episode, RUN, goal)
    assert [together.survives(places[step]) for step in steps] == expected
    assert [SurvivalSearch(episode, RUN, goal).survives(places[step]) for step in reversed(steps)] == expected[::-1]
    for step in steps:
        ways = [together.survives_step(places[step], [action] * 4) for action in RUN]
        assert any(ways) == expected[step - steps[0]]


def test_a_step_can_change_its_buttons(emulator: Emulator, death: tuple[list[int], int]) -> None:
    buttons, end = death
    episode = Episode(emulator)
    last = max(
        step
        for step, place in places_along(episode, buttons, range(end - 6, end)).items()
        if SurvivalSearch(episode, RUN, Goal(end + 3, 0)).survives_step(place, [RIGHT | A | B] * 4)
    )
    place = places_along(episode, buttons, [last])[last]
    late = [[RIGHT | B] * frames + [RIGHT | A | B] * (4 - frames) for frames in range(5)]
    search = SurvivalSearch(episode, RUN, Goal(end + 3, 0))
    assert [search.survives_step(place, frames) for frames in late] in (
        [True] * kept + [False] * (5 - kept) for kept in range(1, 5)
    ), "a jump comes too late from some frame on"


def test_who_stands_still_has_not_survived(emulator: Emulator) -> None:
    episode = Episode(emulator)
    place = places_along(episode, [], [0])[0]
    assert SurvivalSearch(episode, [0], Goal(5, place.max_x)).survives(place)
    assert SurvivalSearch(episode, [0], Goal(5, place.max_x + 1)).survives(place) is False
    assert SurvivalSearch(episode, [0, RIGHT], Goal(5, place.max_x + 1)).survives(place)


def test_a_search_gives_up(emulator: Emulator, death: tuple[list[int], int]) -> None:
    buttons, end = death
    episode = Episode(emulator)
    place = places_along(episode, buttons, [end - 5])[end - 5]
    short = SurvivalSearch(episode, RUN, Goal(end + 40, 0), max_played=3)
    assert short.survives(place) is None
    assert short.played == 3


def test_a_clear_is_survival_whatever_the_goal() -> None:
    log = ActionLog.load(LOGS / "1-4-clear.json")
    with open_emulator(log.stage) as emulator:
        episode = Episode(emulator, frame_skip=log.frame_skip)
        start = len(log.buttons) - 3
        buttons = [byte for byte in log.buttons for _ in range(log.frame_skip)]
        place = places_along(episode, buttons, [start])[start]
        search = SurvivalSearch(episode, sorted(set(log.buttons[start:])), Goal(start + 100, 10**6))
        assert search.survives(place)
        assert search.played <= 2 * 3
