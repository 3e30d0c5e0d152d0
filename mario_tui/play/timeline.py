"""An episode as arrays: what the agent expected in each step, and what really came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mario_tui.buttons import A
from mario_tui.game.episode import EndReason
from mario_tui.game.step import EpisodeStep
from mario_tui.play.ledger import learned_rewards
from mario_tui.rewards import LearnedReward

SETTLED = 0.05
"""A return is taken for known once later rewards count this little in it."""

_CUT = (EndReason.STALL,)
"""Ends after which more would have come: the limit is ours, and training bootstraps there."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Timeline:
    """T steps of which each was decided, the first frame left out; all arrays have T entries, in the steps' order.

    Attributes:
        steps: (T,) int64, their numbers.
        q_values: (T, A) float64, Q of each action in the state that the step began in; NaN where the policy was not
            asked; (T, 0) without a policy.
        actions: (T,) int64, the action taken; -1 where none was chosen.
        rewards: (T,) float64, as the agent learns them, see `ledger.learned_rewards`.
        returns: (T,) float64, the discounted sum of the rewards from this step on; of those so far where the episode
            goes on.
        unknown: (T,) float64, what a reward after the last one would count in that sum: gamma to the power of the steps
            until then, and 0 where the episode is over.
        jumps: (T,) bool, where button A was pressed in a step that did not hold it from the frame before on.
        ends: number of a step that ended an episode -> why it ended.
        learned: the reward that the values are of.
    """

    steps: NDArray[np.int64]
    q_values: Numbers
    actions: NDArray[np.int64]
    rewards: Numbers
    returns: Numbers
    unknown: Numbers
    jumps: NDArray[np.bool_]
    ends: dict[int, EndReason]
    learned: LearnedReward

    @property
    def values(self) -> Numbers:
        """(T,) float64, V of the state that each step began in: the highest Q; NaN where it is not known."""
        if not self.q_values.shape[1]:
            return np.full(len(self.steps), np.nan)
        return self.q_values.max(axis=1)

    @property
    def too_much(self) -> Numbers:
        """(T,) float64, how much more the agent expected than came, below 0 where it expected less."""
        return self.values - self.returns

    def place(self, step: int) -> int | None:
        """The place of a step in the arrays; None where it is not among them."""
        place = int(np.searchsorted(self.steps, step))
        return place if place < len(self.steps) and self.steps[place] == step else None

    @property
    def settled(self) -> NDArray[np.bool_]:
        """(T,) bool, where later rewards can no longer change the return much."""
        return self.unknown < SETTLED

    @property
    def complete(self) -> bool:
        """Whether the last step ended its episode, so that every return is known."""
        return bool(len(self.steps)) and not self.unknown[-1]


def timeline(steps: Sequence[EpisodeStep], learned: LearnedReward) -> Timeline:
    """The timeline of steps in their order.

    The return of step t is G_t = R_t + gamma G_t+1, and R_t where the episode ends (Sutton and Barto 2018,
    Reinforcement Learning, equation 3.9; there the reward after step t has the number t + 1). V(s) is max over a of
    Q(s, a). Both belong to the state that the step began in, so that an agent whose values are right has V = G on
    average. Where an episode was cut for getting no farther, its returns lack what would have come.

    Values that are learned as histograms cannot lie outside them, returns can.
    """
    steps = [step for step in steps if step.frame_buttons]
    rewards = np.array(learned_rewards(steps, learned), np.float64)
    returns, unknown = np.empty_like(rewards), np.empty_like(rewards)
    coming, weight = 0.0, learned.gamma
    for place in range(len(steps) - 1, -1, -1):
        end = steps[place].end
        if end is not None:
            coming, weight = 0.0, learned.gamma if end in _CUT else 0.0
        coming = rewards[place] + learned.gamma * coming
        returns[place], unknown[place] = coming, weight
        weight *= learned.gamma
    actions = max((len(step.q_values) for step in steps), default=0)
    unasked = (np.nan,) * actions
    return Timeline(
        steps=np.array([step.step for step in steps], np.int64),
        q_values=np.array([step.q_values or unasked for step in steps], np.float64).reshape(len(steps), actions),
        actions=np.array([-1 if step.action is None else step.action for step in steps], np.int64),
        rewards=rewards,
        returns=returns,
        unknown=unknown,
        jumps=_jumps(steps),
        ends={step.step: step.end for step in steps if step.end is not None},
        learned=learned,
    )


def _jumps(steps: Sequence[EpisodeStep]) -> NDArray[np.bool_]:
    jumps, held = np.zeros(len(steps), np.bool_), False
    for place, step in enumerate(steps):
        for byte in step.frame_buttons:
            jumps[place] |= bool(byte & A) and not held
            held = bool(byte & A)
    return jumps
