"""The timeline and the ledger of an episode, against slow sums and the game's own rewards."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason, Episode
from mario_tui.game.replaying import play_log
from mario_tui.game.step import EpisodeStep, StepPlayer
from mario_tui.play.ledger import Ledger, learned_by, learned_or_tutorials, learned_rewards, step_parts
from mario_tui.play.timeline import SETTLED, timeline
from mario_tui.rewards import FrameChange, LearnedReward, RewardParts

LOGS = Path(__file__).parents[1] / "game" / "logs"
NOTHING = np.empty(0, np.uint8)


def step(number: int, **changes: Any) -> EpisodeStep:
    facts: dict[str, Any] = dict.fromkeys(("x", "max_x", "time", "coins", "score", "life", "frame_count"), 0)
    facts |= {"reward": 0.0, "total_reward": 0.0, "progress": 0.0, "status": "small", "end": None, "buttons": 128}
    facts |= {"frame": NOTHING, "frames": (), "frame_buttons": (128,) * 4 if number else ()}
    return EpisodeStep(**{**facts, "step": number, **changes})


def gains(*pixels: int, end: EndReason | None = None) -> list[EpisodeStep]:
    """An episode whose steps bring these rewards."""
    steps = [step(n, frame_changes=(FrameChange(gain, gain, 0, False),)) for n, gain in enumerate(pixels, start=1)]
    return [step(0), *steps[:-1], replace(steps[-1], end=end)]


def slow_returns(rewards: Sequence[float], gamma: float) -> list[float]:
    return [sum(gamma**k * reward for k, reward in enumerate(rewards[t:])) for t in range(len(rewards))]


@settings(deadline=None)
@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=80),
    st.sampled_from([0.0, 0.5, 0.9, 0.97]),
    st.sampled_from([None, *EndReason]),
    st.sampled_from([1.0, 150.0]),
)
def test_returns_are_the_discounted_sums_of_a_slow_loop(
    pixels: list[int], gamma: float, end: EndReason | None, scale: float
) -> None:
    learned = LearnedReward(clear_bonus=35.0, scale=scale, gamma=gamma)
    rewards = [float(gain) for gain in pixels]
    rewards[-1] += 35.0 * (end is EndReason.CLEAR)
    line = timeline(gains(*pixels, end=end), learned)
    assert line.rewards.tolist() == [reward / scale for reward in rewards]
    np.testing.assert_allclose(line.returns, slow_returns(line.rewards.tolist(), gamma), rtol=1e-12, atol=1e-12)
    goes_on = end in (None, EndReason.STALL)
    steps_left = [gamma ** (len(pixels) - place) if goes_on else 0.0 for place in range(len(pixels))]
    np.testing.assert_allclose(line.unknown, steps_left, rtol=1e-12)
    assert line.settled.tolist() == [weight < SETTLED for weight in line.unknown]
    assert line.complete == (not goes_on or gamma == 0)
    assert line.ends == ({} if end is None else {len(pixels): end})


def test_values_are_the_highest_q_and_unasked_steps_have_none() -> None:
    episode = [
        step(0),
        step(1),
        step(2, q_values=(1.0, 3.0), action=1),
        step(3, q_values=(2.0, -1.0), action=1, frame_buttons=(129,) * 4),
    ]
    line = timeline(episode, LearnedReward())
    assert line.steps.tolist() == [1, 2, 3]
    assert line.actions.tolist() == [-1, 1, 1]
    assert np.array_equal(line.values, [np.nan, 3.0, 2.0], equal_nan=True)
    assert np.array_equal(line.too_much, [np.nan, 3.0, 2.0], equal_nan=True), "nothing came"
    assert [line.place(number) for number in (0, 1, 3, 4)] == [None, 0, 2, None]
    nothing = timeline([step(0), step(1)], LearnedReward())
    assert nothing.q_values.shape == (1, 0)
    assert np.isnan(nothing.values).all()
    empty = timeline([], LearnedReward())
    assert (len(empty.steps), empty.complete, len(empty.values)) == (0, False, 0)


def test_a_jump_is_where_a_is_pressed_and_not_where_it_is_held() -> None:
    pressed = [(128,) * 4, (128, 129, 129, 129), (129,) * 4, (129, 128, 129, 129), (128,) * 4, (129,) * 4]
    episode = [step(0), *(step(n, frame_buttons=buttons) for n, buttons in enumerate(pressed, start=1))]
    assert timeline(episode, LearnedReward()).jumps.tolist() == [False, True, False, True, False, True]


def test_logs_in_turn_are_episodes_of_their_own() -> None:
    first, second = gains(1, 2, end=EndReason.CLEAR), gains(5, 4, end=EndReason.DEATH)[1:]
    both = first + [replace(one, step=one.step + 2) for one in second]
    line = timeline(both, LearnedReward(gamma=0.5))
    assert line.returns.tolist() == [2.0, 2.0, 7.0, 4.0]
    assert line.ends == {2: EndReason.CLEAR, 4: EndReason.DEATH}
    ledger = Ledger(LearnedReward())
    assert [ledger.parts(both, one)[1].total for one in (0, 1, 2, 3, 4, 5)] == [0, 1, 3, 5, 9, 0]


@pytest.mark.parametrize("name", sorted(path.name for path in LOGS.glob("*.json")))
def test_the_parts_sum_to_the_games_reward_in_every_step(name: str) -> None:
    """Of episodes with clears, a pipe, a warp and a bonus that only the agent knows."""
    learned = LearnedReward(clear_bonus=350.0)
    steps = list(play_log(ActionLog.load(LOGS / name)))
    for one in steps:
        parts = step_parts(one, learned)
        assert parts.game == one.reward
        assert parts.bonus == 350.0 * (one.end is EndReason.CLEAR)
        assert len(one.frame_changes) == len(one.frames)
    of_last, together = Ledger(learned).parts(steps, steps[-1].step)
    assert of_last == step_parts(steps[-1], learned)
    assert together.game == steps[-1].total_reward
    assert together.forward > 1000
    assert together.clock < 0


def test_a_ledger_grows_with_its_episode_and_begins_anew_with_another() -> None:
    ledger, episode = Ledger(LearnedReward()), gains(1, 2, 3, 4)
    assert ledger.parts([], 0) == (RewardParts(), RewardParts())
    assert ledger.parts(episode[:3], 2) == (RewardParts(2.0), RewardParts(3.0))
    assert ledger.parts(episode, 4) == (RewardParts(4.0), RewardParts(10.0))
    assert ledger.parts(episode, 1) == (RewardParts(1.0), RewardParts(1.0)), "looked back"
    assert ledger.parts(gains(5, 5), 2)[1].total == 10
    assert ledger.parts(gains(5, 4, 1, 1, 1), 5)[1].total == 12
    assert ledger.parts(episode[2:], 3)[1].total == 5, "a log that begins in the middle"


def test_a_death_shows_what_the_clip_gave_back() -> None:
    steps = list(play_log(ActionLog("1-1", 4, (128,) * 200)))
    parts = step_parts(steps[-1], LearnedReward())
    assert steps[-1].end is EndReason.DEATH
    assert parts.death == -25
    last = steps[-1].frame_changes[-1]
    assert parts.clip == 25 - 15 - last.pixels - last.clock, "a frame takes 15 at most"
    assert parts.game == steps[-1].reward


def test_the_parts_of_the_frontier_reward_sum_to_it() -> None:
    """Going right, left over known ground, and right again."""
    pressed = [128] * 20 + [64] * 10 + [128] * 15
    learned = LearnedReward("frontier")
    with open_emulator("1-1") as emulator:
        player = StepPlayer(Episode(emulator, reward="frontier"), all_frames=True)
        steps = [player.start(), *(player.play((byte,) * 4) for byte in pressed)]
    for one in steps:
        assert step_parts(one, learned).game == one.reward
    assert learned_rewards(steps, learned)[21:31] != [one.reward for one in play_log(ActionLog("1-1", 4, (128,) * 31))]
    assert any(step_parts(one, LearnedReward()).game < 0 <= one.reward for one in steps), "the rewards differ"


def test_parts_do_not_depend_on_where_the_episode_was_taken_up_again() -> None:
    with open_emulator("1-1") as emulator:
        episode = Episode(emulator)
        player = StepPlayer(episode, all_frames=True)
        player.play((128,) * 4)
        episode.save_state()
        for _ in range(3):
            player.play((128,) * 4)
        episode.load_state()
        again = player.play((128,) * 4)
    assert step_parts(again, LearnedReward()).game == again.reward


def test_frames_that_nobody_asked_for_are_not_described() -> None:
    log = ActionLog("1-1", 4, (128,) * 5)
    assert not any(one.frame_changes for one in play_log(log, all_frames=False))


def test_what_a_run_learns_from_is_read_from_its_settings(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        learned_by(tmp_path)
    config = TrainingConfig(reward="frontier", gamma=0.97, reward_scale=150.0, clear_bonus=350.0)
    (tmp_path / "config.toml").write_text(config.to_toml())
    assert learned_by(tmp_path) == LearnedReward("frontier", 350.0, 150.0, 0.97)
    (tmp_path / "config.toml").write_text("gamma = 7\n")
    with pytest.raises(InputError, match="gamma"):
        learned_by(tmp_path)
    assert learned_or_tutorials(tmp_path) == LearnedReward()
