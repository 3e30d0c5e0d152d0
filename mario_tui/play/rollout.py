"""One episode of a policy, as a generator of moments; screens, recordings and evaluations watch it from outside."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from mario_tui.agent.policy import Policy
from mario_tui.agent.preprocess import FrameStacks, preprocess
from mario_tui.buttons import ACTION_SETS
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import MarioEmulator
from mario_tui.game.episode import Episode, stick
from mario_tui.play.step import EpisodeStep

STALL_STEPS = 300
"""Steps without getting farther after which a played-back episode is cut: 20 seconds at frame skip 4."""


@dataclass
class Chances:
    """What chance there is in an episode; a change holds from the next step on.

    Attributes:
        epsilon: chance of a random action at each step.
        sticky: chance at each frame that the buttons before stay held, whatever the policy chose; see `stick`.
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
) -> Iterator[EpisodeStep]:
    """Plays one episode and yields its moments, the first frame's included.

    The game is deterministic: with `epsilon`, `sticky` and `noops` at 0 every rollout of a policy is the same.

    Args:
        policy: who plays.
        stage: where; the policy's own stage by default.
        epsilon, sticky: see Chances.
        noops: the episode starts with up to this many frames of no button, rounded up to whole steps.
        seed: of these random choices.
        stall_steps: end the episode after this many steps without getting farther; 0 for never.
        all_frames: keep every emulator frame in `EpisodeStep.frames`, not only the last of each step.
        chances: instead of `epsilon` and `sticky`; may be changed while the episode goes on.
        hand: asked for the button byte of each frame; where it gives None, the policy plays. It is asked for a whole
            step at a time, as the policy is. After a step by hand nobody is hurried by `stall_steps`.
    """
    chances = chances or Chances(epsilon, sticky)
    rng = np.random.Generator(np.random.PCG64(seed))
    buttons = ACTION_SETS[policy.spec.action_set]
    with MarioEmulator(stage or policy.stage) as emulator:
        episode = Episode(emulator, frame_skip=policy.spec.frame_skip, stall_steps=stall_steps)
        episode.reset()
        scene = _Scene(episode, policy.spec.frame_stack, show_buttons=policy.spec.show_buttons, all_frames=all_frames)
        yield scene.begin()
        noop_steps = -(-int(rng.integers(noops + 1)) // policy.spec.frame_skip)
        byte = 0
        while episode.end is None:
            q_values: tuple[float, ...] = ()
            action: int | None = None
            if episode.steps >= noop_steps:
                q_values = policy.q_values(scene.stack)
                action = int(np.argmax(q_values))
                if chances.epsilon and rng.random() < chances.epsilon:
                    action = int(rng.integers(len(buttons)))
            held = [0 if action is None else buttons[action]] * policy.spec.frame_skip
            by_hand = [] if hand is None else [pressed for _ in held if (pressed := hand()) is not None]
            if len(by_hand) == len(held):
                held, action = by_hand, None
                episode.stall_steps = 0
            elif chances.sticky and action is not None:
                held = stick(held[-1], byte, sticky=chances.sticky, frames=policy.spec.frame_skip, rng=rng)
            byte = held[-1]
            yield scene.play(held, action, q_values)


def replay_moments(log: ActionLog, first_frame: int = 0) -> Iterator[EpisodeStep]:
    """The moments of an action log's episode, with all their frames, from the start of its stage on.

    The steps before the emulator frame `first_frame` are played, and not yielded but for the last one of them.
    """
    frame_skip = log.frame_skip if log.frame_skip > 1 or len(log.buttons) % 4 else 4
    held = [byte for byte in log.buttons for _ in range(log.frame_skip)]
    with MarioEmulator(log.stage) as emulator:
        episode = Episode(emulator, frame_skip=frame_skip)
        scene = _Scene(episode, 4, show_buttons=False, all_frames=True)
        moment = scene.begin()
        for frame in range(0, len(held), frame_skip):
            if episode.end is not None:
                break
            if frame >= first_frame:
                yield moment
            moment = scene.play(held[frame : frame + frame_skip], None, ())
        yield moment


def replay_all(logs: Sequence[ActionLog], first_frame: int = 0) -> Iterator[tuple[str, EpisodeStep]]:
    """Stage and moment of several logs, one after the other, with steps that go on counting; see `replay_moments`."""
    before = 0
    for number, log in enumerate(logs):
        step = before
        for moment in replay_moments(log, 0 if number else first_frame):
            step = before + moment.step
            if not number or moment.step:  # of the others the first frame, which nobody played, is left out
                yield log.stage, replace(moment, step=step)
        before = step


class _Scene:
    """An episode as it is played, moment by moment."""

    def __init__(self, episode: Episode, depth: int, *, show_buttons: bool, all_frames: bool) -> None:
        self._episode = episode
        self._stacks = FrameStacks(1, depth)
        self._show_buttons = show_buttons
        self._all_frames = all_frames
        self._frames: list[np.ndarray] = []
        self._ram_crc32 = 0

    @property
    def stack(self) -> Tensor:
        """What the network sees now: (depth, 84, 84) uint8."""
        return self._stacks.stacks[0]

    def begin(self) -> EpisodeStep:
        return self._moment(None, (), (), 0.0)

    def play(self, held: Sequence[int], action: int | None, q_values: tuple[float, ...]) -> EpisodeStep:
        """Plays a step with these buttons, a byte for each frame."""
        self._frames.clear()
        result = self._episode.step(held, self._keep if self._all_frames else None)
        return self._moment(action, tuple(held), q_values, result.reward)

    def _keep(self, emulator: MarioEmulator) -> None:
        self._frames.append(emulator.screen)
        self._ram_crc32 = zlib.crc32(emulator.ram.data, self._ram_crc32)

    def _moment(
        self, action: int | None, held: tuple[int, ...], q_values: tuple[float, ...], reward: float
    ) -> EpisodeStep:
        episode = self._episode
        screen = episode.emulator.screen
        first = np.array([episode.steps == 0])
        pressed = np.array([held[-1] if held else 0], dtype=np.uint8) if self._show_buttons else None
        stack = self._stacks.push(preprocess(screen[None], buttons=pressed), first)[0]
        return EpisodeStep.of(
            episode,
            frame=screen,
            frames=tuple(self._frames),
            action=action,
            held=held,
            q_values=q_values,
            reward=reward,
            stack=stack.numpy(),
            ram_crc32=self._ram_crc32,
        )
