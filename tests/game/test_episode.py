from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from mario_tui.buttons import LEFT, RIGHT, A, B
from mario_tui.errors import EmulatorError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.game.episode import EndReason, Episode, StepResult, noop_start_steps, sticky_actions
from mario_tui.game.nes_py_emulator import NesPyEmulator
from traces import LOGS


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with open_emulator("1-1") as emulator:
        yield emulator


def run_into_the_first_enemy(episode: Episode) -> StepResult:
    while True:
        result = episode.step(RIGHT | B)
        if result.end is not None:
            return result


def set_clock(emulator: Emulator, hundreds: int, tens: int, ones: int) -> None:
    assert isinstance(emulator, NesPyEmulator)
    emulator._environment.ram[0x7F8:0x7FB] = hundreds, tens, ones


def test_a_step_sums_its_frames(emulator: Emulator) -> None:
    emulator.reset()
    rewards, x = [], []
    for _ in range(40):
        rewards.append(emulator.frame(RIGHT))
        x.append(emulator.x_position)

    episode = Episode(emulator, frame_skip=4)
    results = [episode.step(RIGHT) for _ in range(10)]
    assert [result.reward for result in results] == [sum(rewards[i : i + 4]) for i in range(0, 40, 4)]
    assert all(result.frames == 4 and result.end is None for result in results)
    assert (episode.steps, episode.frames, episode.total_reward) == (10, 40, sum(rewards))
    assert episode.max_x == max(x)
    assert episode.buttons == [RIGHT] * 40


def test_the_farthest_x_may_lie_within_a_step(emulator: Emulator) -> None:
    episode = Episode(emulator, frame_skip=60)
    x: list[int] = []
    for buttons in (RIGHT | B, LEFT | B):
        episode.step(buttons, lambda emulator: x.append(emulator.x_position))
    assert x[-1] < max(x) > x[59], "he slides on before he turns, or this test shows nothing"
    assert episode.max_x == max(x)


def test_on_frame_sees_every_frame(emulator: Emulator) -> None:
    seen: list[int] = []
    episode = Episode(emulator, frame_skip=3)
    for _ in range(5):
        episode.step(RIGHT, lambda emulator: seen.append(emulator.x_position))
    assert len(seen) == 15
    assert seen[-1] == emulator.x_position


def test_death(emulator: Emulator) -> None:
    episode = Episode(emulator, frame_skip=4)
    result = run_into_the_first_enemy(episode)
    assert (result.end, result.terminated, result.truncated) == (EndReason.DEATH, True, False)
    assert episode.end is EndReason.DEATH
    assert result.reward < 0


def test_the_last_step_stops_at_the_end(emulator: Emulator) -> None:
    each_frame = Episode(emulator, frame_skip=1)
    run_into_the_first_enemy(each_frame)
    episode = Episode(emulator, frame_skip=7)
    result = run_into_the_first_enemy(episode)
    assert each_frame.frames % 7 != 0, "or this test shows nothing"
    assert episode.frames == each_frame.frames
    assert result.frames == each_frame.frames % 7
    assert episode.total_reward == each_frame.total_reward


def test_stepping_after_the_end_is_an_error(emulator: Emulator) -> None:
    episode = Episode(emulator)
    run_into_the_first_enemy(episode)
    steps = episode.steps
    with pytest.raises(EmulatorError, match="over"):
        episode.step(RIGHT)
    assert episode.steps == steps == len(episode.buttons) / 4
    episode.reset()
    assert episode.step(RIGHT).end is None


def test_reset_forgets_the_episode(emulator: Emulator) -> None:
    episode = Episode(emulator)
    run_into_the_first_enemy(episode)
    episode.reset()
    assert (episode.steps, episode.frames, episode.total_reward, episode.max_x) == (0, 0, 0.0, 40)
    assert episode.end is None
    assert episode.buttons == []


def test_clear() -> None:
    log = ActionLog.load(LOGS / "1-4-clear.json")
    with open_emulator(log.stage) as emulator:
        episode = Episode(emulator, frame_skip=log.frame_skip)
        for buttons in log.buttons:
            assert episode.end is None
            result = episode.step(buttons)
        assert (result.end, result.terminated, result.truncated) == (EndReason.CLEAR, True, False)
        assert emulator.flag_get
        assert not emulator.dead


def test_stall_counts_steps_without_new_ground(emulator: Emulator) -> None:
    episode = Episode(emulator, frame_skip=4, stall_steps=5)
    for _ in range(8):
        assert episode.step(RIGHT).end is None
    farthest = episode.max_x
    ends: list[EndReason | None] = []
    while not ends or ends[-1] is None:
        result = episode.step(LEFT)
        ends.append(result.end)
        if episode.max_x > farthest:  # he slides on for a moment
            farthest, ends = episode.max_x, []
    assert len(ends) == 5
    assert (result.end, result.terminated, result.truncated) == (EndReason.STALL, False, True)
    with pytest.raises(EmulatorError):
        episode.step(RIGHT)


def test_getting_on_slowly_is_no_stall(emulator: Emulator) -> None:
    episode = Episode(emulator, frame_skip=4, stall_steps=5)
    # One step in four to the right: Mario stops in between and gets on all the same.
    for step in range(40):
        assert episode.step(RIGHT if step % 4 == 0 else 0).end is None
    assert episode.max_x > 40


def test_the_step_limit(emulator: Emulator) -> None:
    episode = Episode(emulator, max_steps=3)
    assert [episode.step(A).end for _ in range(3)] == [None, None, EndReason.TIME]
    episode.reset()
    episode.step(A)
    episode.step(A)
    result = episode.step(A)
    assert (result.terminated, result.truncated) == (False, True)


def test_the_clock_running_out(emulator: Emulator) -> None:
    episode = Episode(emulator)
    set_clock(emulator, 0, 0, 2)
    result = episode.step(0)
    for _ in range(40):
        if result.end is not None:
            break
        result = episode.step(0)
    assert (result.end, result.terminated, result.truncated) == (EndReason.TIME, True, False)
    assert emulator.dead
    assert emulator.time == 0


def test_a_step_of_changing_buttons_is_its_frames(emulator: Emulator) -> None:
    x: list[int] = []
    steps: list[int | tuple[int, ...]] = [(RIGHT, RIGHT, 0), (A, RIGHT | A, RIGHT), RIGHT]
    episode = Episode(emulator, frame_skip=3)
    for buttons in steps:
        episode.step(buttons, lambda emulator: x.append(emulator.x_position))
    screen = emulator.screen
    assert episode.buttons == [RIGHT, RIGHT, 0, A, RIGHT | A, RIGHT, RIGHT, RIGHT, RIGHT]

    by_frame: list[int] = []
    episode = Episode(emulator, frame_skip=1)
    for byte in (RIGHT, RIGHT, 0, A, RIGHT | A, RIGHT, RIGHT, RIGHT, RIGHT):
        episode.step(byte, lambda emulator: by_frame.append(emulator.x_position))
    assert by_frame == x
    assert np.array_equal(emulator.screen, screen)


def test_a_step_has_a_byte_for_each_frame(emulator: Emulator) -> None:
    episode = Episode(emulator)
    with pytest.raises(ValueError, match="4 frames, and there are buttons for 3"):
        episode.step((0, 0, 0))


def test_sticky_actions_repeat_the_buttons_before_by_frame() -> None:
    rng = np.random.default_rng(0)
    steps = [sticky_actions(7, 3, sticky=0.25, frames=4, rng=rng) for _ in range(4000)]
    late = Counter(step.count(3) for step in steps)
    assert all(step == [3] * step.count(3) + [7] * step.count(7) and len(step) == 4 for step in steps)
    for frames in range(4):  # the chance of a first success after that many failures
        assert late[frames] / 4000 == pytest.approx(0.75 * 0.25**frames, abs=0.02)
    assert late[4] == pytest.approx(4000 * 0.25**4, abs=15)


def test_noop_starts_are_up_to_so_many_frames_in_whole_steps() -> None:
    rng = np.random.default_rng(0)
    for skip, most in ((4, 8), (1, 30), (7, 5)):
        steps = Counter(noop_start_steps(30, frame_skip=skip, rng=rng) for _ in range(3000))
        assert set(steps) == set(range(most + 1))
        assert steps[0] == pytest.approx(3000 / 31, abs=40)


def test_without_chance_no_random_number_is_drawn() -> None:
    rng = np.random.default_rng(0)
    assert sticky_actions(7, 3, sticky=0.0, frames=4, rng=rng) == [7] * 4
    assert noop_start_steps(0, frame_skip=4, rng=rng) == 0
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_a_noop_start_is_steps_of_no_button(emulator: Emulator) -> None:
    episode = Episode(emulator)
    for _ in range(3):
        episode.step(0)
    ram = emulator.ram
    episode.reset(3)
    assert np.array_equal(emulator.ram, ram)
    assert (episode.steps, episode.end) == (3, None)
    short = Episode(emulator, max_steps=2)
    short.reset(3)
    assert (short.steps, short.end) == (1, None), "an episode that ends in its no-op start begins again"


def test_end_reasons_are_written_as_words() -> None:
    assert [end.value for end in EndReason] == ["death", "clear", "stall", "loop", "left", "time"]
    assert EndReason("clear") is EndReason.CLEAR


@pytest.mark.parametrize("native", [True, False], ids=["native", "played again"])
def test_what_follows_a_snapshot_is_the_same_in_every_bit(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    if not native:
        monkeypatch.setattr(emulator, "has_snapshots", lambda: False)
    elif not emulator.has_snapshots():
        pytest.skip("this generation of nes-py has none")
    episode = Episode(emulator, stall_steps=60)

    def state() -> tuple[object, ...]:
        names = (
            "done",
            "dead",
            "flag_get",
            "led_back",
            "left",
            "x_position",
            "time",
            "life",
            "coins",
            "score",
            "status",
        )
        counted = episode.steps, episode.frames, episode.total_reward, episode.max_x, episode.end, episode.buttons[:]
        pictures = emulator.ram.tobytes(), emulator.screen.tobytes()
        return *counted, *(getattr(emulator, name) for name in names), *pictures

    def play_to_death() -> list[tuple[object, ...]]:
        states = [state()]
        while episode.end is None:
            episode.step(RIGHT | B)
            states.append(state())
        return states

    episode.reset(3)
    for _ in range(12):
        episode.step(RIGHT | B)
    early, first = episode.snapshot(), play_to_death()
    dead = episode.snapshot()
    assert episode.end is EndReason.DEATH
    assert len(first) > 5, "or this test shows little"

    episode.restore(early)
    for _ in range(4):
        episode.step(LEFT | B)
    late, other = episode.snapshot(), play_to_death()
    assert [one[3] for one in other] != [one[3] for one in first]

    for snapshot, expected in ((early, first), (late, other), (dead, first[-1:]), (early, first)):
        episode.restore(snapshot)
        assert play_to_death() == expected
    with pytest.raises(EmulatorError, match="over"):
        episode.step(RIGHT)
    with open_emulator("1-1") as another:
        Episode(another).restore(late)
        assert (another.ram.tobytes(), another.screen.tobytes()) == other[0][-2:]
