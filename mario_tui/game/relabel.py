"""A human's game in the steps of an agent that is to learn from it.

A human changes buttons at any frame, an agent only every `frame_skip` frames. Played with the agent's actions, it
would be another game after the first step. So the game is played again exactly as it was, and observed every
`frame_skip` frames: screens, rewards and the end are the game's own. Only the action is approximate: the one that is
like the pressed buttons (see `action_like`) in most frames of the step, the later one in a tie. Where no action is, the
step is left out: it becomes no transition to learn from, but its screen and its reward stay, as part of the returns of
the steps before.

An agent's limits on its episodes (a stall, a number of steps) are not applied: they save time and say nothing about
the game.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mario_tui.buttons import action_like
from mario_tui.game.action_log import ActionLog
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import play_log


@dataclass(frozen=True, slots=True)
class DemonstratedStep:
    """An observation, and the action that was taken there.

    screen: (240, 256, 3) uint8 RGB, before the step.
    previous_buttons: the button byte of the frame before, 0 at the start.
    action: the number of the action; None where no action is like what was pressed, and in the final screen.
    exact: whether every frame of the step had that action's buttons.
    reward: of the step, summed over its frames.
    end: why the game is over after it; None while it is not, and where the log ends.
    last: whether it is the final screen, after which nothing was done.
    """

    screen: NDArray[np.uint8]
    previous_buttons: int
    action: int | None = None
    exact: bool = False
    reward: float = 0.0
    end: EndReason | None = None
    last: bool = False


def demonstrate(log: ActionLog, *, frame_skip: int, actions: Sequence[int]) -> Iterator[DemonstratedStep]:
    """Plays a log again in steps of `frame_skip` frames, to its end or the game's; then the final screen follows.

    Frames at the end of the log that make no whole step are left out, unless the game ends in them. `actions` are the
    button bytes that the agent chooses from.
    """
    steps = play_log(log, frame_skip=frame_skip, all_frames=False)
    before = next(steps)
    for step in steps:
        pressed = step.frame_buttons[: step.frame_count - before.frame_count]
        action = _action(pressed, actions)
        exact = action is not None and set(pressed) == {actions[action]}
        yield DemonstratedStep(before.frame, before.buttons, action, exact, step.reward, step.end)
        before = step
    yield DemonstratedStep(before.frame, before.buttons, last=True)


def _action(step: Sequence[int], actions: Sequence[int]) -> int | None:
    """The action that stands for most of these frames, the later one in a tie."""
    like = [action_like(buttons, actions) for buttons in step]
    return max(reversed(like), key=like.count)
