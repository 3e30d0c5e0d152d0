"""What the rewards of an episode are made of, as the reward that an agent learns from counts them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mario_tui.config import check_settings, read_toml
from mario_tui.errors import InputError
from mario_tui.game.episode import EndReason
from mario_tui.game.step import EpisodeStep
from mario_tui.rewards import REWARD_SETTINGS, LearnedReward, RewardParts, frame_parts


def learned_by(run: Path) -> LearnedReward:
    """The reward that a run learns from, by its settings; the tutorial's where they cannot be read."""
    try:
        content = read_toml(run / "config.toml")
        settings = {name: content[name] for name in REWARD_SETTINGS if name in content}
        check_settings(settings)
    except InputError:
        return LearnedReward()
    return LearnedReward.of(settings)


def step_parts(step: EpisodeStep, learned: LearnedReward) -> RewardParts:
    """The parts of a step's reward: of a step that has its `frame_changes`, or nothing but the first frame."""
    parts = RewardParts.sum(frame_parts(change, learned.reward) for change in step.frame_changes)
    if step.end is EndReason.CLEAR and learned.clear_bonus:
        parts = RewardParts.sum((parts, RewardParts(bonus=learned.clear_bonus)))
    return parts


def episode_so_far(steps: Sequence[EpisodeStep], step: int) -> list[EpisodeStep]:
    """Of steps in their order, those of the episode that this one belongs to, up to it. Steps of logs that were played
    one after the other are several episodes."""
    before = [one for one in steps if one.step <= step]
    ends = [place for place, one in enumerate(before[:-1]) if one.end is not None]
    return before[ends[-1] + 1 :] if ends else before


def learned_rewards(steps: Sequence[EpisodeStep], learned: LearnedReward) -> list[float]:
    """The reward of each step as the agent learns it: with the bonus for a clear, divided by the scale."""
    return [step_parts(step, learned).total / learned.scale for step in steps]
