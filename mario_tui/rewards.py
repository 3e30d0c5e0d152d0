"""The rewards that an agent can learn from.

Both are r = v + c + d for each frame, clipped to [-15, 15]: c is the clock's change if it fell, d is -25 for dying.
They differ in v, the way to the right:

- tutorial: the pixels walked, less those walked back, as in gym-super-mario-bros 7.4.0. In a maze it pays every round.
- frontier: the pixels beyond the farthest place so far in this area of the stage, so that no place pays twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Reward = Literal["tutorial", "frontier"]

REWARD_VERSIONS: dict[str, str] = {"tutorial": "7.4.0", "frontier": "frontier-1"}
"""What a checkpoint calls the reward that it learned from."""

FASTEST_PIXELS = 5
"""In a frame; a longer way is no walk but a change of area."""
_DEATH_PENALTY = 25
_LIMIT = 15


def frame_reward(pixels: int, clock: int, *, dead: bool) -> float:
    """The reward of a frame: the way to the right in pixels, the clock's change, and whether Mario died."""
    velocity = pixels if abs(pixels) <= FASTEST_PIXELS else 0
    death = -_DEATH_PENALTY if dead else 0
    return float(max(-_LIMIT, min(_LIMIT, velocity + min(clock, 0) + death)))


class FrameChange(NamedTuple):
    """What a frame changed, as far as one of the rewards counts it.

    pixels: the way to the right, below 0 to the left.
    new_pixels: how much of it is beyond the frontier of the area; 0 in a new area.
    clock: the change of the game's clock.
    dead: whether Mario died.
    """

    pixels: int
    new_pixels: int
    clock: int
    dead: bool


class RewardParts(NamedTuple):
    """What a reward is made of; the parts sum to it, in whole numbers and so exactly.

    forward: for pixels.
    clock: for the clock; never above 0.
    death: for dying; never above 0.
    clip: what the clip of single frames gave back (above 0) or took away (below 0).
    bonus: for the clear, which an agent may learn from and the game does not know.
    """

    forward: float = 0.0
    clock: float = 0.0
    death: float = 0.0
    clip: float = 0.0
    bonus: float = 0.0

    @property
    def game(self) -> float:
        """The reward without the bonus: what `frame_reward` gives, summed over the frames."""
        return self.forward + self.clock + self.death + self.clip

    @property
    def total(self) -> float:
        return self.game + self.bonus

    @classmethod
    def sum(cls, parts: Iterable[RewardParts]) -> RewardParts:
        """The parts of several rewards together."""
        return cls(*map(sum, zip(*parts, strict=True)))


def frame_parts(change: FrameChange, reward: Reward) -> RewardParts:
    """What the reward of a frame is made of; together it is what `frame_reward` gives."""
    pixels = change.new_pixels if reward == "frontier" else change.pixels
    forward = pixels if abs(pixels) <= FASTEST_PIXELS else 0
    clock, death = min(change.clock, 0), -_DEATH_PENALTY if change.dead else 0
    whole = forward + clock + death
    clip = max(-_LIMIT, min(_LIMIT, whole)) - whole
    return RewardParts(float(forward), float(clock), float(death), float(clip))


@dataclass(frozen=True, slots=True)
class LearnedReward:
    """What an agent learned to expect: the rewards of a kind, with a bonus for a clear, divided by `scale` and
    discounted by `gamma` a step. The values are those of the tutorial where nothing else is known."""

    reward: Reward = "tutorial"
    clear_bonus: float = 0.0
    scale: float = 1.0
    gamma: float = 0.9

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> LearnedReward:
        """Of the settings of a training, which were checked; those that are missing have the tutorial's value."""
        return cls(**{name: settings[setting] for name, setting in _SETTINGS.items() if setting in settings})


_SETTINGS = {"reward": "reward", "clear_bonus": "clear_bonus", "scale": "reward_scale", "gamma": "gamma"}
REWARD_SETTINGS = tuple(_SETTINGS.values())
"""The settings that `LearnedReward` is made of."""
