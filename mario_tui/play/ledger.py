"""What the rewards of an episode are made of, as the reward that an agent learns from counts them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mario_tui.config import check_settings, read_toml
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import LogsInTurn
from mario_tui.game.step import EpisodeStep
from mario_tui.rewards import REWARD_SETTINGS, LearnedReward, RewardParts, frame_parts


def learned_by(run: Path) -> LearnedReward:
    """The reward that a run learns from, by its settings; raises InputError where they cannot be read."""
    content = read_toml(run / "config.toml")
    settings = {name: content[name] for name in REWARD_SETTINGS if name in content}
    check_settings(settings)
    return LearnedReward.of(settings)


def learned_or_tutorials(run: Path) -> LearnedReward:
    """As `learned_by`, and the tutorial's reward where the settings cannot be read: to be shown, not printed."""
    try:
        return learned_by(run)
    except InputError:
        return LearnedReward()


def step_parts(step: EpisodeStep, learned: LearnedReward) -> RewardParts:
    """The parts of a step's reward: of a step that has its `frame_changes`, or nothing but the first frame."""
    parts = RewardParts.sum(frame_parts(change, learned.reward) for change in step.frame_changes)
    if step.end is EndReason.CLEAR and learned.clear_bonus:
        parts = RewardParts.sum((parts, RewardParts(bonus=learned.clear_bonus)))
    return parts


def learned_rewards(steps: Sequence[EpisodeStep], learned: LearnedReward) -> list[float]:
    """The reward of each step as the agent learns it: with the bonus for a clear, divided by the scale."""
    return [step_parts(step, learned).total / learned.scale for step in steps]


def log_ledgers(logs: Sequence[ActionLog], learned: LearnedReward) -> list[RewardParts]:
    """What the rewards of the episodes of logs are made of, which are played again, one after the other."""
    with LogsInTurn() as game:
        return [RewardParts.sum(step_parts(step, learned) for step in game.play(log)) for log in logs]


class Ledger:
    """The parts of the rewards of an episode that grows: of each step, and of the episode up to it.

    Steps of logs that were played one after the other are several episodes.
    """

    def __init__(self, learned: LearnedReward) -> None:
        self.learned = learned
        self._entries: list[tuple[EpisodeStep, RewardParts, RewardParts]] = []

    def parts(self, steps: Sequence[EpisodeStep], step: int) -> tuple[RewardParts, RewardParts]:
        """Of the step of this number, and of its episode up to it; nothing where it is not among these steps.

        `steps` are all that were played, in their order and without a gap. Given again, only new ones cost something.
        """
        known = len(self._entries)
        if known and (known > len(steps) or self._entries[-1][0] is not steps[known - 1]):
            self._entries.clear()
        for one in steps[len(self._entries) :]:
            parts = step_parts(one, self.learned)
            before = self._entries[-1] if self._entries else None
            goes_on = before is not None and before[0].end is None
            so_far = RewardParts.sum((before[2], parts)) if before is not None and goes_on else parts
            self._entries.append((one, parts, so_far))
        place = step - steps[0].step if steps else -1
        if not 0 <= place < len(self._entries):
            return RewardParts(), RewardParts()
        return self._entries[place][1:]
