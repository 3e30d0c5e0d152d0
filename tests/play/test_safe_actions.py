"""Labels of states before a death: what they say is what the game does."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mario_tui.buttons import ACTION_SETS
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason, Episode, EpisodeSnapshot
from mario_tui.grey_frames import grey_frame
from mario_tui.play import safe_actions
from mario_tui.play.labelling_process import LabellingProcesses
from mario_tui.play.safe_actions import Death, DeathLabels, Eyes, label_death

RUN = ACTION_SETS["run"]
EYES = Eyes(RUN, depth=4, show_buttons=False)
SKIP = 4


@pytest.fixture(autouse=True)
def has_snapshots() -> None:
    with open_emulator() as emulator:
        if not emulator.has_snapshots():
            pytest.skip("this emulator cannot go back to places in an episode")


def death_after(buttons: Sequence[int]) -> Death:
    """What is pressed in each step until Mario dies; the last one is held."""
    with open_emulator() as emulator:
        episode = Episode(emulator, frame_skip=SKIP)
        for byte in itertools.chain(buttons, itertools.repeat(buttons[-1])):
            episode.step(byte)
            if episode.end is not None:
                break
        assert emulator.dead
        return Death("1-1", SKIP, tuple(episode.buttons))


@pytest.fixture(scope="module")
def goomba() -> Death:
    """Mario runs into the first one."""
    return death_after([RUN[0]])


@pytest.fixture
def no_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_actions, "VARIANTS", 0)


@pytest.fixture(scope="module")
def labelled(goomba: Death) -> DeathLabels:
    """Without variants."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(safe_actions, "VARIANTS", 0)
        return label_death(goomba, EYES)


def ways_on(steps: int) -> Iterator[list[int]]:
    """What may be pressed in so many steps, where the button A changes at most twice."""
    for first in RUN:
        other = RUN[1 - RUN.index(first)]
        for one, two in itertools.combinations_with_replacement(range(steps + 1), 2):
            yield [first] * one + [other] * (two - one) + [first] * (steps - two)


def survives(death: Death, steps_before: int, action: int) -> bool:
    """Whether a way on survives after an action that is taken some steps before a death: plainly tried out."""
    steps = len(death.frame_buttons) // SKIP - steps_before
    with open_emulator() as emulator:
        episode = Episode(emulator, frame_skip=SKIP)
        for step in range(steps):
            episode.step(death.frame_buttons[step * SKIP : (step + 1) * SKIP])
        place = episode.snapshot()
        for way in ways_on(10):
            episode.restore(place)
            for byte in (action, *way, *[RUN[0]] * (steps_before + 10 - len(way))):
                episode.step(byte)
                if episode.end is not None:
                    break
            else:
                return True
    return False


def test_a_safe_action_survives_and_another_does_not(goomba: Death, labelled: DeathLabels) -> None:
    """Another search than the one that found the labels, with all ways on of few changes."""
    assert len(labelled) > 0
    for safe, before in zip(labelled.safe, labelled.steps_before.tolist(), strict=True):
        assert safe.any()
        assert not safe.all()
        assert any(survives(goomba, before, RUN[action]) for action in np.flatnonzero(safe))
    (last,) = np.flatnonzero(~labelled.safe[0])  # the last place at which he could be saved
    assert not survives(goomba, int(labelled.steps_before[0]), RUN[last])
    assert not any(survives(goomba, int(labelled.steps_before[0]) - 1, byte) for byte in RUN)


@pytest.mark.usefixtures("no_variants")
def test_states_are_what_the_network_would_have_seen(goomba: Death, labelled: DeathLabels) -> None:
    with open_emulator() as emulator:
        episode = Episode(emulator, frame_skip=SKIP)
        seen = [grey_frame(emulator.screen)]
        while episode.end is None:
            episode.step(RUN[0])
            seen.append(grey_frame(emulator.screen))
        death_step = episode.steps
    for state, before in zip(labelled.states, labelled.steps_before.tolist(), strict=True):
        newest = death_step - before
        assert (state == np.stack(seen[newest - 3 : newest + 1])).all()
    with_buttons = label_death(goomba, Eyes(RUN, depth=4, show_buttons=True))
    assert (with_buttons.safe == labelled.safe).all()
    assert (with_buttons.states[:, :, 12:] == labelled.states[:, :, 12:]).all()
    assert (with_buttons.states[:, :, :12] == 255).any()


def test_where_it_is_too_late_for_all_actions_nothing_is_labelled(goomba: Death) -> None:
    """An action that is no choice: Mario cannot jump."""
    found = label_death(goomba, Eyes((RUN[0], RUN[0]), depth=4, show_buttons=False))
    assert len(found) == 0
    assert found.states.shape == (0, 4, 84, 84)
    assert found.safe.shape == (0, 2)


@pytest.mark.usefixtures("no_variants")
def test_the_search_is_bounded_and_keeps_what_it_has_decided(
    goomba: Death, labelled: DeathLabels, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert labelled.played < safe_actions.MOST_STEPS
    monkeypatch.setattr(safe_actions, "MOST_STEPS", labelled.played // 2)
    found = label_death(goomba, EYES)
    assert labelled.played // 2 < found.played < labelled.played
    assert (found.safe == labelled.safe[: len(found)]).all()
    monkeypatch.setattr(safe_actions, "MOST_STEPS_OF_ACTION", 2)
    assert len(label_death(goomba, EYES)) == 0, "nothing is decided so soon, so nothing is labelled"


@pytest.mark.usefixtures("no_variants")
def test_each_step_of_the_search_is_told(goomba: Death, labelled: DeathLabels) -> None:
    """By which the process says that it is alive: its work may take longer than a process that hangs is waited for."""
    told: list[None] = []
    assert label_death(goomba, EYES, on_step=lambda: told.append(None)).played == labelled.played
    assert len(told) == labelled.played


def test_variants_meet_the_danger_otherwise(goomba: Death, labelled: DeathLabels) -> None:
    looks = [label_death(goomba, EYES)]
    own = len(labelled)
    assert (looks[0].states[:own] == labelled.states).all()
    assert (looks[0].safe[:own] == labelled.safe).all()
    lead = max(labelled.steps_before.tolist())
    looks += [label_death(replace(goomba, look=look, lead=lead), EYES) for look in (1, 2)]
    states = [{state.tobytes() for state in found.states} for found in looks]
    assert [len(each) for each in states] == [len(found) for found in looks], "no state comes twice"
    assert len(set.union(*states)) >= own + 2
    again = label_death(replace(goomba, look=2, lead=lead), EYES)
    assert (again.states == looks[2].states).all()
    assert (again.safe == looks[2].safe).all()


class _Known:
    """A search that knows what survives: of buttons of the last two steps."""

    def __init__(self, survives: Callable[[tuple[int, ...]], bool]) -> None:
        self._survives = survives

    def play(self, place: EpisodeSnapshot, frame_buttons: Sequence[int]) -> EpisodeSnapshot:
        return replace(place, buttons=(*place.buttons, *frame_buttons))

    def survives(self, place: EpisodeSnapshot) -> bool:
        steps = ([*place.buttons[-SKIP:], *[byte] * SKIP] for byte in RUN)
        return any(self._survives(tuple(step)) for step in steps)

    def survives_step(self, place: EpisodeSnapshot, frame_buttons: Sequence[int]) -> bool:
        return self._survives((*place.buttons[-SKIP:], *frame_buttons))


def test_after_a_clear_no_step_is_played() -> None:
    class Cleared(_Known):
        def play(self, place: EpisodeSnapshot, frame_buttons: Sequence[int]) -> EpisodeSnapshot:
            return replace(super().play(place, frame_buttons), end=EndReason.CLEAR)

        def survives_step(self, place: EpisodeSnapshot, frame_buttons: Sequence[int]) -> bool:
            raise AssertionError("the episode is over")

    with open_emulator() as emulator:
        place = Episode(emulator, frame_skip=SKIP).snapshot()
    assert safe_actions.survival_chances(Cleared(lambda buttons: True), place, RUN, SKIP) == [1, 1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("survives", "chances"),
    [
        (lambda buttons: True, (1, 1)),
        (lambda buttons: False, (0, 0)),
        (lambda buttons: buttons[1] == RUN[1], (0, 0.9375)),  # it may be late by one frame
        (lambda buttons: buttons[3] == RUN[0], (1, 0)),
        (lambda buttons: buttons[3] != buttons[4], (0.75, 0.75)),  # the next one may not be late
        (lambda buttons: buttons[3] != buttons[5], (1, 1)),  # ... and here it may by a frame
    ],
)
def test_chances_are_those_of_being_late(survives: Any, chances: tuple[float, float]) -> None:
    with open_emulator() as emulator:
        episode = Episode(emulator, frame_skip=SKIP)
        episode.step(RUN[0])
        place = episode.snapshot()
    found = safe_actions.survival_chances(_Known(survives), place, RUN, SKIP)  # type: ignore[arg-type]
    assert found is not None
    assert found == pytest.approx(chances)


@pytest.mark.slow
def test_a_process_finds_the_same(goomba: Death) -> None:
    process, labelled = LabellingProcesses(1), label_death(goomba, EYES)
    results = [process.submit(goomba, EYES) for _ in range(2)]
    for result in results:
        found = result.result(200)
        assert found is not None
        assert (found.states == labelled.states).all()
        assert (found.safe == labelled.safe).all()
        assert found.played == labelled.played
    result = process.submit(goomba, EYES)
    process.close()
    assert result.cancelled() or result.result(200) is None
    process.close()
