from collections.abc import Iterator
from pathlib import Path

import pytest

from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason, Episode, StepResult
from mario_tui.game.replaying import play_log
from mario_tui.game.stages import MAZES, STAGES, check_stage, next_stage, stage_warning
from mario_tui.rewards import Reward
from traces import LOGS


def test_there_are_32_stages_in_the_order_of_the_game() -> None:
    assert len(set(STAGES)) == 32
    assert (STAGES[0], STAGES[3], STAGES[4], STAGES[-1]) == ("1-1", "1-4", "2-1", "8-4")


@pytest.mark.parametrize("text", ["9-9", "0-1", "1-5", "1-1 ", "", "11", "1-1-1", "\u0661-\u0661"])
def test_what_is_no_stage_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="1-1 to 8-4") as caught:
        check_stage(text)
    assert "\n" not in str(caught.value)


def test_next_stage() -> None:
    assert next_stage("1-1") == "1-2"
    assert next_stage("1-4") == "2-1"
    assert next_stage("8-4") is None
    with pytest.raises(InputError):
        next_stage("9-9")


def test_a_maze_leads_back_and_its_reward_counts_the_same_pixels_again() -> None:
    """What `stage_warning` says, in the real game: a walk in 7-4 that takes a wrong way once."""
    log = ActionLog.load(Path(__file__).parent / "7-4-led-back.json")
    steps = list(play_log(log, all_frames=False))
    (back,) = [n for n in range(1, len(steps)) if steps[n].x < steps[n - 1].x - 500]
    assert steps[back - 1].x - steps[back].x > 1_000
    assert steps[-1].max_x == steps[back].max_x, "the stall is counted from here, until Mario is farther than that"
    gained = steps[-1].total_reward - steps[back].total_reward
    assert gained > 100
    assert abs(gained - (steps[-1].x - steps[back].x)) < 10
    assert stage_warning(log.stage)


@pytest.mark.parametrize("skip", [1, 4])
def test_a_wrong_way_in_a_maze_ends_an_episode_in_the_frame_that_leads_back(skip: int) -> None:
    """The last part of the first question of 7-4, which the game counts, judges and forgets within a frame."""
    log = ActionLog.load(Path(__file__).parent / "7-4-led-back.json")
    buttons = [byte for byte in log.buttons for _ in range(log.frame_skip)]
    with open_emulator("7-4") as emulator:
        episode = Episode(emulator, frame_skip=skip, ends_off_course=True)
        for frame in range(0, len(buttons), skip):
            before = emulator.x_position
            result = episode.step(buttons[frame : frame + skip])
            if result.end is not None:
                break
        assert (result.end, result.terminated, result.truncated) == (EndReason.LOOP, True, False)
        assert before - emulator.x_position > 1_000
        assert 1_270 < episode.max_x < 1_300
        plain = Episode(emulator, frame_skip=4)
        for frame in range(0, len(buttons), 4):
            plain.step(buttons[frame : frame + 4])
        assert plain.end is None, "who plays by hand goes on"
        assert emulator.led_back
        assert not emulator.left
        emulator.reset()
        assert not emulator.led_back


def test_a_pipe_is_neither_a_loop_nor_another_stage() -> None:
    log = ActionLog.load(Path(__file__).parent / "logs" / "1-1-pipe.json")
    with open_emulator("1-1") as emulator:
        episode = Episode(emulator, frame_skip=log.frame_skip, ends_off_course=True)
        areas = set()
        for byte in log.buttons:
            assert episode.step(byte).end is None
            areas.add(int(emulator.ram[0x750]))
        assert len(areas) == 2, "it was in another area"
        assert not emulator.left
        assert not emulator.led_back


def test_a_warp_zone_leaves_the_stage_which_is_neither_a_clear_nor_a_death() -> None:
    """Over the ceiling at the end of 1-2, and down the pipe to world 2."""
    log = ActionLog.load(LOGS / "1-2-warp.json")
    with open_emulator("1-2") as emulator:
        episode = Episode(emulator, frame_skip=log.frame_skip, ends_off_course=True)
        results = [episode.step(byte) for byte in log.buttons if episode.end is None]
        assert (results[-1].end, results[-1].terminated, results[-1].truncated) == (EndReason.LEFT, True, False)
        assert [result.end for result in results[:-1]] == [None] * (len(log.buttons) - 1)
        assert (int(emulator.ram[0x75F]), int(emulator.ram[0x75C])) == (1, 0), "2-1"
        assert 0.9 < episode.progress < 1
        plain = Episode(emulator, frame_skip=log.frame_skip)
        for byte in log.buttons:
            plain.step(byte)
        assert plain.end is None, "who plays by hand goes on in 2-1"
        assert emulator.left
        assert not emulator.flag_get


def played_one_by_one(log: ActionLog, episode: Episode) -> Iterator[StepResult]:
    """The steps of a log, until it or the episode ends."""
    buttons = [byte for byte in log.buttons for _ in range(log.frame_skip)]
    for frame in range(0, len(buttons) // 4 * 4, 4):
        if episode.end is None:
            yield episode.step(buttons[frame : frame + 4])


def test_the_frontier_reward_pays_no_place_twice() -> None:
    """The wrong way of 7-4 again: after it, the way up to where it led back brings nothing but the clock's change."""
    log = ActionLog.load(Path(__file__).parent / "7-4-led-back.json")
    rewards = {}
    kinds: tuple[Reward, ...] = ("tutorial", "frontier")
    for kind in kinds:
        with open_emulator("7-4") as emulator:
            episode = Episode(emulator, frame_skip=4, reward=kind)
            x, results = [], []
            for result in played_one_by_one(log, episode):
                x.append(emulator.x_position)
                results.append(result.reward)
            (back,) = [n for n in range(1, len(x)) if x[n] < x[n - 1] - 500]
            assert x[-1] > x[back] + 100
            rewards[kind] = sum(results[:back]), sum(results[back + 1 :])
            assert episode.total_reward == sum(results)
            assert episode.frontiers == {(6, 3, 100): 1287}
    assert rewards["frontier"][0] == pytest.approx(rewards["tutorial"][0], abs=10)
    assert rewards["tutorial"][1] > 100
    assert -10 < rewards["frontier"][1] <= 0


@pytest.mark.parametrize("reward", ["tutorial", "frontier"])
def test_where_nothing_leads_back_both_rewards_are_nearly_the_same(reward: Reward) -> None:
    log = ActionLog.load(LOGS / "1-1-clear.json")
    with open_emulator("1-1") as emulator:
        episode = Episode(emulator, frame_skip=4, reward=reward)
        list(played_one_by_one(log, episode))
    assert episode.end is EndReason.CLEAR
    assert episode.total_reward == pytest.approx(3_056, abs=5)


def test_behind_a_pipe_new_ground_is_counted_anew() -> None:
    """Down a pipe of 1-1 at x 923, x is small: today's farthest x would not be reached again before the stall."""
    log = ActionLog.load(LOGS / "1-1-pipe.json")
    with open_emulator("1-1") as emulator:
        episode = Episode(emulator, frame_skip=4, stall_steps=30)
        ends = [result.end for result in played_one_by_one(log, episode)]
        assert not any(ends)
        assert episode.max_x == 923
        assert episode.frontiers == {(0, 0, 37): 921, (0, 0, 66): 145}, "not the frame in which the area changes"
        steps = episode.steps
        while episode.end is None:
            episode.step(0)
        assert episode.end is EndReason.STALL
        assert episode.steps < steps + 45, "after some steps in which he slides on"


def test_places_of_an_episode_bring_its_frontiers_back() -> None:
    log = ActionLog.load(LOGS / "1-1-pipe.json")
    with open_emulator("1-1") as emulator:
        episode = Episode(emulator, frame_skip=4, stall_steps=30, reward="frontier")
        steps = played_one_by_one(log, episode)
        for _ in range(130):
            next(steps)
        place, known = episode.snapshot(), dict(episode.frontiers)
        rest = [result.reward for result in steps]
        last = dict(episode.frontiers), episode.total_reward
        assert last[0] != known
        episode.restore(place)
        assert episode.frontiers == known
        buttons = [byte for byte in log.buttons for _ in range(log.frame_skip)]
        again = [episode.step(buttons[n : n + 4]).reward for n in range(130 * 4, len(buttons) // 4 * 4, 4)]
        assert (again, (dict(episode.frontiers), episode.total_reward)) == (rest, last)


def test_only_mazes_are_warned_of() -> None:
    assert [stage for stage in STAGES if stage_warning(stage)] == list(MAZES) == ["4-4", "7-4", "8-4"]
