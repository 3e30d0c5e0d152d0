"""What each game of a training is for: to learn from, with noise or without, or to measure the agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mario_tui.config import TrainingConfig, as_flag
from mario_tui.errors import InputError

Kind = Literal["training", "greedy", "robust"]
MEASURING: tuple[Kind, ...] = ("greedy", "robust")
"""The kinds of games that measure, in the order in which `measuring_games` adds them."""
MOST_ROBUST = 0.987
"""300 episodes without a failure show that a clear rate is at least this (training/robust_goal.py)."""


@dataclass(frozen=True, slots=True)
class GameRole:
    """What one game is for.

    Attributes:
        kind: `training`: it explores; `greedy`: it plays greedily without noise; `robust`: greedily with the noise of
            the robust protocol. The last two play each episode with the weights of its beginning.
        noisy: of a training game, it has the sticky actions and no-op starts of the settings.
    """

    kind: Kind
    noisy: bool


def game_roles(config: TrainingConfig) -> tuple[GameRole, ...]:
    """The roles of all games, in their order: without noise, with noise, measuring.

    Games of one role are neighbours, so that groups, to which games are dealt like cards, have their share of each.

    Raises InputError where all games would measure, or a setting needs a game that measures.
    """
    measuring = MEASURING[: config.measuring_games]
    training = config.envs - len(measuring)
    if measuring and training < 1:
        instead = "" if config.until_robust else f", or {as_flag('measuring_games', 0)}"
        raise InputError(
            f"measuring_games = {len(measuring)} leaves no game to train with: "
            f"at least {as_flag('envs', len(measuring) + 1)} is needed{instead}"
        )
    if config.until_robust and len(measuring) < len(MEASURING):
        raise InputError(
            f"until_robust = {config.until_robust:g} needs the game that measures it: add --measuring-games 2"
        )
    if config.until_robust > MOST_ROBUST:
        raise InputError(
            f"until_robust = {config.until_robust:g} is more than 300 episodes can show: at most {MOST_ROBUST:g}"
        )
    noisy = int(config.noisy_share * training + 0.5)
    return (
        *(GameRole("training", noisy=False) for _ in range(training - noisy)),
        *(GameRole("training", noisy=True) for _ in range(noisy)),
        *(GameRole(kind, noisy=False) for kind in measuring),
    )
