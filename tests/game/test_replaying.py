"""An action log's episode, played again: every frame, its checksums, and its result."""

import json
import zlib

import numpy as np
import pytest

from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason, Episode
from mario_tui.game.replaying import ReplayResult, play_log, replay, summary
from traces import GOLDEN, LOGS

LOG = ActionLog("1-1", 3, tuple(130 if step % 5 else 131 for step in range(200)))


def test_a_replay_is_the_episode_again() -> None:
    """In every frame and number, with checksums that are chained over what the emulator showed."""
    count = ram_crc32 = screen_crc32 = 0
    with open_emulator("1-1") as emulator:
        episode = Episode(emulator, frame_skip=3)
        first = emulator.screen
        steps = play_log(LOG)
        start = next(steps)
        assert (start.step, start.frame_count, start.frames, start.buttons, start.frame_buttons) == (0, 0, (), 0, ())
        assert np.array_equal(start.frame, first)
        for step in steps:
            shown: list[np.ndarray] = []
            buttons = LOG.buttons[step.step - 1]
            result = episode.step(buttons, lambda emulator, shown=shown: shown.append(emulator.screen))  # type: ignore[misc]
            for frame in shown:
                screen_crc32 = zlib.crc32(frame.data, screen_crc32)
            count += len(shown)
            assert len(step.frames) == len(shown) == result.frames
            assert all(map(np.array_equal, step.frames, shown))
            assert np.array_equal(step.frame, shown[-1])
            assert (step.frame_buttons, step.buttons) == ((buttons,) * 3, buttons)
            assert (step.step, step.frame_count, step.end) == (episode.steps, episode.frames, result.end)
            assert (step.reward, step.total_reward) == (result.reward, episode.total_reward)
            assert (step.x, step.max_x) == (emulator.x_position, episode.max_x)
            assert (step.time, step.score, step.life) == (emulator.time, emulator.score, emulator.life)
            assert step.screen_crc32 == screen_crc32
    assert step.end is EndReason.DEATH
    with open_emulator("1-1") as emulator:
        for frame_number in range(count):
            emulator.frame(LOG.buttons[frame_number // 3])
            ram_crc32 = zlib.crc32(emulator.ram.data, ram_crc32)
    assert replay(LOG) == ReplayResult(
        frames=count,
        ram_crc32=ram_crc32,
        screen_crc32=screen_crc32,
        max_x=episode.max_x,
        reward=episode.total_reward,
        cleared=False,
        end=EndReason.DEATH,
    )


@pytest.mark.parametrize("skip", [1, 2, 5])
def test_steps_of_another_length_are_the_same_play(skip: int) -> None:
    log = ActionLog("1-1", 3, LOG.buttons[:20])
    steps = list(play_log(log, frame_skip=skip))
    assert len(steps) == 60 // skip + 1
    assert [byte for step in steps for byte in step.frame_buttons] == [byte for byte in log.buttons for _ in range(3)]
    assert summary(steps) == replay(log)


def test_frames_that_make_no_whole_step_are_left_out_unless_the_episode_ends_in_them() -> None:
    whole = replay(LOG)
    assert whole.end is EndReason.DEATH
    buttons = tuple(byte for byte in LOG.buttons for _ in range(3))
    for length in range(whole.frames - 4, whole.frames + 1):
        last = list(play_log(ActionLog("1-1", 1, buttons[:length]), frame_skip=7))[-1]
        assert (last.end is EndReason.DEATH) == (length == whole.frames)
        assert last.frame_count == (length if last.end else length // 7 * 7)


def test_without_all_frames_the_play_is_the_same() -> None:
    log = ActionLog("1-1", 4, LOG.buttons[:10])
    for whole, part in zip(play_log(log), play_log(log, all_frames=False), strict=True):
        assert (part.frames, part.ram_crc32, part.screen_crc32) == ((), 0, 0)
        assert np.array_equal(part.frame, whole.frame)
        assert (part.step, part.frame_count, part.total_reward) == (whole.step, whole.frame_count, whole.total_reward)


def test_no_steps_have_no_result() -> None:
    with pytest.raises(ValueError, match="without steps"):
        summary([])


def test_a_replay_shows_what_7_4_0_showed() -> None:
    expected = json.loads((GOLDEN / "1-1-pipe.json").read_text())["episodes"][0]
    result = replay(ActionLog.load(LOGS / "1-1-pipe.json"))
    assert result.end is None
    for name in ("frames", "reward", "ram_crc32", "screen_crc32"):
        assert getattr(result, name) == expected[name], name


def test_a_replay_stops_at_the_episodes_end() -> None:
    log = ActionLog("1-1", 4, (130,) * 200)
    result = replay(log)
    assert result.end is EndReason.DEATH
    steps = -(-result.frames // 4)
    assert steps < 200
    assert replay(ActionLog("1-1", 4, (130,) * steps)) == result
    assert replay(ActionLog("1-1", 4, (130,) * (steps - 1))).end is None


def test_replaying_nothing() -> None:
    assert replay(ActionLog("1-1", 4, ())) == ReplayResult(0, 0, 0, 40, 0.0, False, None)


def test_a_replay_knows_whether_it_is_the_one_that_was_noted() -> None:
    log = ActionLog("1-1", 4, (130,) * 3)
    result = replay(log)
    ram, screen = result.ram_crc32, result.screen_crc32
    assert not result.differs_from(log), "nothing was noted"
    for noted, differs in (((ram, screen), False), ((ram, None), False), ((ram, 5), True), ((5, screen), True)):
        assert result.differs_from(ActionLog("1-1", 4, (130,) * 3, *noted)) is differs
