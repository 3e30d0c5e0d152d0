"""The parts of a reward, which sum to it whatever happens in a frame."""

from hypothesis import given
from hypothesis import strategies as st

from mario_tui.config import TrainingConfig
from mario_tui.rewards import FrameChange, LearnedReward, RewardParts, frame_parts, frame_reward

CHANGES = st.builds(FrameChange, st.integers(-300, 300), st.integers(0, 300), st.integers(-400, 400), st.booleans())


@given(CHANGES)
def test_parts_sum_to_the_reward_of_the_frame(change: FrameChange) -> None:
    for reward, pixels in (("tutorial", change.pixels), ("frontier", change.new_pixels)):
        parts = frame_parts(change, reward)  # type: ignore[arg-type]
        assert parts.total == parts.game == frame_reward(pixels, change.clock, dead=change.dead)
        assert parts.clock <= 0
        assert parts.death <= 0
        assert -15 <= parts.total <= 15


def test_a_death_is_clipped_and_the_clip_is_told() -> None:
    assert frame_parts(FrameChange(2, 0, -1, True), "tutorial") == RewardParts(2.0, -1.0, -25.0, 9.0)
    assert frame_parts(FrameChange(2, 0, 0, False), "frontier") == RewardParts(), "the ground was known"
    assert frame_parts(FrameChange(-1000, 0, 0, False), "tutorial") == RewardParts(), "another area is no walk"
    assert frame_parts(FrameChange(0, 0, 100, False), "tutorial") == RewardParts(), "a clock set anew pays nothing"


@given(st.lists(st.builds(RewardParts, *[st.integers(-100, 100).map(float)] * 5)))
def test_parts_are_added_each_to_its_own(parts: list[RewardParts]) -> None:
    together = [0.0] * 5
    for one in parts:
        together = [a + b for a, b in zip(together, one, strict=True)]
    assert RewardParts.sum(parts) == RewardParts(*together)
    assert RewardParts.sum(parts).total == sum(together)


def test_what_is_learned_follows_the_settings() -> None:
    assert LearnedReward.of(TrainingConfig().model_dump()) == LearnedReward(), "the same defaults"
    settings = {"reward": "frontier", "clear_bonus": 350.0, "reward_scale": 150.0, "gamma": 0.97, "stage": "1-1"}
    assert LearnedReward.of(settings) == LearnedReward("frontier", 350.0, 150.0, 0.97)
