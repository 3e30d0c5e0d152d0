from pathlib import Path

import pytest

from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason, Episode
from mario_tui.game.replaying import play_log
from mario_tui.game.stages import MAZES, STAGES, check_stage, next_stage, stage_warning


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


def test_only_mazes_are_warned_of() -> None:
    assert [stage for stage in STAGES if stage_warning(stage)] == list(MAZES) == ["4-4", "7-4", "8-4"]
