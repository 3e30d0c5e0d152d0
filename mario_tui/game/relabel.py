"""A game that someone played, in the steps of an agent that is to learn from it.

A person changes buttons at any frame, and an agent only every `frame_skip` frames. To play the game again with the
agent's actions would be another game after the first step. So the game is played again as it was, and looked at every
`frame_skip` frames: screens, rewards and how it ends are the game's own. Only what is called the action is approximate.
It is the action that is like what was held (see `action_like`) in most frames of the step, the later one in a tie.
Where that is none of them, the step is left out: nobody learns from it, but its screen and its reward stay, since they
are part of what became of the steps before.

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
from mario_tui.game.emulator import MarioEmulator
from mario_tui.game.episode import EndReason, Episode


@dataclass(frozen=True, slots=True)
class DemonstratedStep:
    """What was seen, and what was done there.

    screen: (240, 256, 3) uint8 RGB, before the step.
    held: the button byte of the frame before, 0 at the start.
    action: the number of the action; None where no action is like what was held, and in the final screen.
    exact: whether every frame of the step had that action's buttons.
    reward: of the step, summed over its frames.
    end: why the game is over after it; None while it is not, and where the log ends.
    last: whether it is the final screen, in which nothing was done.
    """

    screen: NDArray[np.uint8]
    held: int
    action: int | None = None
    exact: bool = False
    reward: float = 0.0
    end: EndReason | None = None
    last: bool = False


def demonstrate(log: ActionLog, *, frame_skip: int, actions: Sequence[int]) -> Iterator[DemonstratedStep]:
    """Plays a log again in steps of `frame_skip` frames, to its end or the game's; then the final screen follows.

    A rest of the log that is no whole step is left off, unless the game ends in it. `actions` are the button bytes that
    the agent chooses from.
    """
    frames = len(log.buttons) * log.frame_skip
    with MarioEmulator(log.stage) as emulator:
        episode = Episode(emulator, frame_skip=frame_skip)
        screen, held = emulator.screen, 0
        for start in range(0, frames, frame_skip):
            step = [log.buttons[frame // log.frame_skip] for frame in range(start, min(start + frame_skip, frames))]
            result = episode.step(step + [step[-1]] * (frame_skip - len(step)))
            if result.frames > len(step):
                break
            action = _action(step[: result.frames], actions)
            exact = action is not None and set(step[: result.frames]) == {actions[action]}
            yield DemonstratedStep(screen, held, action, exact, result.reward, result.end)
            screen, held = emulator.screen, step[-1]
            if result.end is not None:
                break
        yield DemonstratedStep(screen, held, last=True)


def _action(step: Sequence[int], actions: Sequence[int]) -> int | None:
    """The action that stands for most of these frames, the later one in a tie."""
    like = [action_like(buttons, actions) for buttons in step]
    return max(reversed(like), key=like.count)
