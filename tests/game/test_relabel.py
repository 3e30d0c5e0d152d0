"""A game that was played by hand, in an agent's steps: what the game showed and gave, frame by frame."""

import numpy as np
import pytest

from mario_tui.buttons import ACTION_SETS, DOWN, LEFT, RIGHT, A, B
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason, Episode
from mario_tui.game.relabel import DemonstratedStep, demonstrate
from traces import LOGS, buttons_of

SKIP = 4


def by_hand(frames: int, seed: int = 1) -> ActionLog:
    """Scripted play that changes its buttons at any frame."""
    source = buttons_of({"seed": seed})
    return ActionLog("1-1", 1, tuple(byte for byte, _ in zip(source, range(frames), strict=False)))


def steps_of(log: ActionLog, set_name: str = "tutorial", skip: int = SKIP) -> list[DemonstratedStep]:
    return list(demonstrate(log, frame_skip=skip, actions=ACTION_SETS[set_name]))


@pytest.mark.parametrize("skip", [1, 4, 5])
def test_screens_and_rewards_are_those_of_the_game_played_frame_by_frame(skip: int) -> None:
    log = by_hand(200)
    assert any(len(set(log.buttons[start : start + 4])) > 1 for start in range(0, 200, 4)), (
        "buttons change within steps"
    )
    with open_emulator("1-1") as emulator:
        screens, rewards = [emulator.screen], []
        for byte in log.buttons:
            rewards.append(emulator.frame(byte))
            screens.append(emulator.screen)
        assert not emulator.done
    steps = steps_of(log, skip=skip)
    assert len(steps) == 200 // skip + 1
    for number, step in enumerate(steps):
        np.testing.assert_array_equal(step.screen, screens[number * skip])
        assert step.previous_buttons == (log.buttons[number * skip - 1] if number else 0)
        assert step.reward == sum(rewards[number * skip : (number + 1) * skip])
    assert [step.last for step in steps] == [False] * (200 // skip) + [True]
    assert {step.end for step in steps} == {None}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["1-1-clear.json", "1-1-death"])
def test_steps_are_those_of_an_episode_to_its_end(name: str) -> None:
    if name == "1-1-death":
        log, end = ActionLog("1-1", 4, (RIGHT | B,) * 200), EndReason.DEATH
    else:
        log, end = ActionLog.load(LOGS / name), EndReason.CLEAR
    by_frame = ActionLog("1-1", 1, tuple(byte for byte in log.buttons for _ in range(log.frame_skip)))
    with open_emulator("1-1") as emulator:
        episode = Episode(emulator, frame_skip=SKIP)
        results = []
        for start in range(0, len(by_frame.buttons), SKIP):
            results.append(episode.step(by_frame.buttons[start : start + SKIP]))
            if episode.end:
                break
        final = emulator.screen
    assert episode.end is end
    for one in (log, by_frame):
        steps = steps_of(one, "complex")
        assert [step.reward for step in steps[:-1]] == [result.reward for result in results]
        assert [step.end for step in steps[:-1]] == [result.end for result in results]
        assert steps[-1].last
        np.testing.assert_array_equal(steps[-1].screen, final)


def test_a_rest_of_the_log_is_left_off_unless_the_game_ends_in_it() -> None:
    to_death = (RIGHT | B,) * 400
    with open_emulator("1-1") as emulator:
        frames = 0
        while not emulator.done:
            emulator.frame(to_death[frames])
            frames += 1
    whole = frames // SKIP * SKIP
    assert frames < 400
    for length in range(whole - 1, frames + 1):
        steps = steps_of(ActionLog("1-1", 1, to_death[:length]))
        ends = steps[-2].end is EndReason.DEATH
        assert ends == (length == frames)
        assert len(steps) == -(-frames // SKIP) + 1 if ends else length // SKIP + 1
    assert len(steps_of(ActionLog("1-1", 1, (RIGHT,) * 3))) == 1


@pytest.mark.parametrize(
    ("held", "action", "exact"),
    [
        ((RIGHT, RIGHT, RIGHT, RIGHT), 0, True),
        ((RIGHT, RIGHT, RIGHT, RIGHT | A), 0, False),
        ((RIGHT, RIGHT, RIGHT | A, RIGHT | A), 1, False),
        ((RIGHT | A, RIGHT | A, RIGHT, RIGHT), 0, False),
        ((RIGHT | B,) * 4, 0, False),
        ((RIGHT | B, RIGHT, RIGHT | A, RIGHT), 0, False),
        ((LEFT, LEFT, RIGHT | A, RIGHT | A), 1, False),
        ((RIGHT, LEFT, LEFT, LEFT), None, False),
        ((0, 0, 0, 0), None, False),
        ((LEFT, DOWN, 0, RIGHT), None, False),
    ],
)
def test_the_action_is_the_one_of_most_frames(held: tuple[int, ...], action: int | None, exact: bool) -> None:
    step = steps_of(ActionLog("1-1", 1, held))[0]
    assert (step.action, step.exact) == (action, exact)
