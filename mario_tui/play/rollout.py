"""One episode of a policy, as a generator of steps; screens, recordings and evaluations watch it from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from mario_tui.agent.policy import Policy
from mario_tui.agent.preprocess import FrameStacks, preprocess
from mario_tui.buttons import ACTION_SETS
from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.game.episode import Episode, noop_start_steps, sticky_actions
from mario_tui.game.step import EpisodeStep, StepPlayer

STALL_STEPS = 300
"""Steps without getting farther after which a played-back episode is cut: 20 seconds at frame skip 4."""


@dataclass
class Chances:
    """The randomness of an episode; a change holds from the next step on.

    Attributes:
        epsilon: probability of a random action at each step.
        sticky: probability at each frame that the buttons before are repeated; see `sticky_actions`.
    """

    epsilon: float = 0.0
    sticky: float = 0.0


def rollout(
    policy: Policy,
    *,
    stage: str | None = None,
    epsilon: float = 0.0,
    sticky: float = 0.0,
    noops: int = 0,
    seed: int = 0,
    stall_steps: int = STALL_STEPS,
    all_frames: bool = False,
    chances: Chances | None = None,
    hand: Callable[[], int | None] | None = None,
    emulator: Emulator | None = None,
    goes_on: int | None = None,
) -> Iterator[EpisodeStep]:
    """Plays one episode and yields its steps, from the first frame (step 0) on.

    The game is deterministic: with `epsilon`, `sticky` and `noops` at 0 every rollout of a policy is the same.

    Args:
        policy: who plays.
        stage: where; the policy's own stage by default.
        epsilon, sticky: see Chances.
        noops: the episode starts with up to this many frames of no button, rounded up to whole steps.
        seed: of these random choices.
        stall_steps: end the episode after this many steps without getting farther, on a wrong way in a maze, and where
            the game goes on in another stage; 0 for none of these.
        all_frames: keep every emulator frame in `EpisodeStep.frames`, not only the last of each step.
        chances: instead of `epsilon` and `sticky`; may be changed while the episode goes on.
        hand: gives the button byte of each frame, or None where the policy plays. It is called for a whole step at a
            time, as the policy is. After a step by hand `stall_steps` no longer applies.
        emulator: where it is played, instead of in one of its own on `stage`; it stays open.
        goes_on: it goes on from the clear of the stage before, see `Episode`.
    """
    chances = chances or Chances(epsilon, sticky)
    rng = np.random.Generator(np.random.PCG64(seed))
    buttons = ACTION_SETS[policy.spec.action_set]
    with nullcontext(emulator) if emulator is not None else open_emulator(stage or policy.stage) as game:
        episode = Episode(
            game,
            frame_skip=policy.spec.frame_skip,
            stall_steps=stall_steps,
            ends_off_course=bool(stall_steps),
            goes_on=goes_on,
        )
        player = StepPlayer(episode, all_frames=all_frames)
        stacks = StateStacks(policy.spec.frame_stack, show_buttons=policy.spec.show_buttons)
        step = stacks.add(player.start())
        yield step
        noop_steps = noop_start_steps(noops, frame_skip=policy.spec.frame_skip, rng=rng)
        while episode.end is None:
            q_values: tuple[float, ...] = ()
            action: int | None = None
            if episode.steps >= noop_steps:
                q_values = policy.q_values(stacks.state)
                action = int(np.argmax(q_values))
                if chances.epsilon and rng.random() < chances.epsilon:
                    action = int(rng.integers(len(buttons)))
            pressed = [0 if action is None else buttons[action]] * policy.spec.frame_skip
            by_hand = [] if hand is None else [byte for _ in pressed if (byte := hand()) is not None]
            if len(by_hand) == len(pressed):
                pressed, action = by_hand, None
                episode.stall_steps, episode.ends_off_course = 0, False
            elif action is not None:
                pressed = sticky_actions(
                    pressed[-1], step.buttons, sticky=chances.sticky, frames=policy.spec.frame_skip, rng=rng
                )
            step = replace(stacks.add(player.play(pressed)), action=action, q_values=q_values)
            yield step


class StateStacks:
    """The states of one episode as a network sees them: the newest frames, preprocessed.

    Args:
        depth: frames in a state.
        show_buttons: whether its frames show the pressed buttons.
    """

    def __init__(self, depth: int, *, show_buttons: bool = False) -> None:
        self._stacks = FrameStacks(1, depth)
        self._show_buttons = show_buttons

    @property
    def state(self) -> Tensor:
        """The newest one: (depth, 84, 84) uint8."""
        return self._stacks.stacks[0]

    def go_back(self, state: Tensor) -> None:
        """Makes an earlier state, (depth, 84, 84) uint8, the newest one again; the next frame is stacked on it."""
        self._stacks.stacks = state[None].clone()

    def add(self, step: EpisodeStep) -> EpisodeStep:
        """Takes in the screen after a step; returns the step with the state."""
        pressed = np.array([step.buttons], dtype=np.uint8) if self._show_buttons else None
        frame = preprocess(step.frame[None], buttons=pressed)
        return replace(step, stack=self._stacks.push(frame, np.array([step.step == 0]))[0].numpy())
