"""A ghost: where the Mario of an episode is in each of its frames, and how he looks there."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from operator import itemgetter

from mario_tui.game.episode import EndReason
from mario_tui.game.step import EpisodeStep
from mario_tui.play.sprites import Sight, SpriteFinder

STAYS_FRAMES = 90
"""How long a ghost is still to be seen where its episode ended."""


def short_step(step: int) -> str:
    """A checkpoint's step in a few letters, e.g. 5k, 120k or 1.25M."""
    if step < 1000:
        return str(step)
    return f"{step / 1000:.3g}k" if step < 999_500 else f"{step / 1e6:.3g}M"


class GhostTrail:
    """One episode's ghost. It grows while the episode is played; what is known does not change.

    Attributes:
        name: whose ghost it is, in a few letters.
        tint: the number of its colour; None for its place among the ghosts.
        frames: of the episode so far.
        max_x: the farthest x so far, pixels.
        progress: how far through the stage, 0 to 1.
        best_frame: the frame after which it got no farther.
        pressed: the button byte of each frame.
        frame_skip: frames in a step.
        end: why the episode is over; None until it is.
    """

    def __init__(self, name: str, *, tint: int | None = None) -> None:
        self.name, self.tint = name, tint
        self.frames = self.max_x = self.best_frame = 0
        self.progress = 0.0
        self.end: EndReason | None = None
        self.pressed = bytearray()
        self.frame_skip = 1
        self._sights: list[Sight | None] = []
        self._steps: list[tuple[int, int]] = []  # frames, and x then
        self._last: Sight | None = None
        self._finder = SpriteFinder()

    @property
    def merit(self) -> tuple[bool, float, int]:
        """Orders ghosts, the better ones higher: cleared, farther, and that in fewer frames."""
        return self.end is EndReason.CLEAR, self.progress, -self.best_frame

    def add(self, step: EpisodeStep) -> None:
        """Takes in the next step, from the first frame (step 0) on; it has all its frames."""
        for frame, view in zip(step.frames, step.views, strict=True):
            sight = self._finder.find(frame, view)
            self._last = sight or self._last
            self._sights.append(sight)
        self.pressed += bytes(step.frame_buttons)
        self.frame_skip = max(self.frame_skip, len(step.frame_buttons))
        if step.progress > self.progress or step.end is EndReason.CLEAR:
            self.best_frame = step.frame_count
        self._steps.append((step.frame_count, step.x))
        self.frames, self.max_x, self.progress, self.end = step.frame_count, step.max_x, step.progress, step.end

    def x_at(self, frame: int) -> int | None:
        """Its x, pixels, so many frames into the episode, or where that ended; None while it is not known."""
        if not self._steps or (frame > self.frames and self.end is None):
            return None
        return self._steps[bisect.bisect_right(self._steps, frame, key=itemgetter(0)) - 1][1]

    def at(self, frame: int) -> Sight | None:
        """Mario so many frames into the episode, and for a moment after its end; None where he is not to be seen."""
        if 0 < frame <= len(self._sights):
            return self._sights[frame - 1]
        return self._last if self.end is not None and self.frames < frame <= self.frames + STAYS_FRAMES else None


def follow(trail: GhostTrail, steps: Iterable[EpisodeStep], stopped: Callable[[], bool] = lambda: False) -> bool:
    """Lets a ghost take in an episode's steps; returns whether it was the whole episode."""
    for step in steps:
        trail.add(step)
        if stopped():
            return False
    return True
