"""The rewards that an agent can learn from.

Both are r = v + c + d for each frame, clipped to [-15, 15]: c is the clock's change if it fell, d is -25 for dying.
They differ in v, the way to the right:

- tutorial: the pixels walked, less those walked back, as in gym-super-mario-bros 7.4.0. In a maze it pays every round.
- frontier: the pixels beyond the farthest place so far in this area of the stage, so that no place pays twice.
"""

from typing import Literal

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
