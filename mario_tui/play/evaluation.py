"""How good a policy is: greedy play, which is one deterministic episode, or its clear rate over many seeded ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mario_tui.agent.policy import Policy
from mario_tui.errors import CheckpointError, InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.episode import EndReason
from mario_tui.game.step import EpisodeStep
from mario_tui.play.rollout import rollout
from mario_tui.store import evaluations

ROBUST_STICKY = 0.25
ROBUST_NOOPS = 30
"""The protocol of the robust clear rate: sticky actions and up to 30 no-op frames at the start."""


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """How one episode went; `length` in steps, `max_x` in pixels from the left edge of an area, `progress` the share
    of the stage that it came through, 0 to 1; `log` replays it."""

    seed: int
    reward: float
    length: int
    max_x: int
    end: str
    cleared: bool
    log: ActionLog | None = field(default=None, compare=False, repr=False)
    progress: float = 0.0

    def as_json(self) -> dict[str, Any]:
        names = ("seed", "reward", "length", "max_x", "progress", "end", "cleared")
        return {name: getattr(self, name) for name in names}

    @property
    def merit(self) -> tuple[bool, int]:
        return merit(cleared=self.cleared, length=self.length, max_x=self.max_x)


def merit(*, cleared: bool, length: int, max_x: int) -> tuple[bool, int]:
    """What makes an episode better than another: a clear, in the fewest steps; without one, how far it got."""
    return cleared, -length if cleared else max_x


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a number of episodes went."""

    per_episode: tuple[EpisodeResult, ...]

    @property
    def episodes(self) -> int:
        return len(self.per_episode)

    @property
    def clears(self) -> int:
        return sum(result.cleared for result in self.per_episode)

    @property
    def clear_rate(self) -> float:
        return self.clears / max(self.episodes, 1)

    @property
    def mean_reward(self) -> float:
        return float(np.mean([result.reward for result in self.per_episode])) if self.per_episode else 0.0

    @property
    def mean_x(self) -> float:
        return float(np.mean([result.max_x for result in self.per_episode])) if self.per_episode else 0.0

    @property
    def max_x(self) -> int:
        return max((result.max_x for result in self.per_episode), default=0)

    @property
    def progress(self) -> float:
        """Of the episode that came farthest."""
        return max((result.progress for result in self.per_episode), default=0.0)

    def as_json(self) -> dict[str, Any]:
        """The keys that `mario-tui eval --json` promises."""
        return {
            "episodes": self.episodes,
            "clears": self.clears,
            "clear_rate": self.clear_rate,
            "mean_reward": self.mean_reward,
            "mean_x": self.mean_x,
            "max_x": self.max_x,
            "per_episode": [result.as_json() for result in self.per_episode],
        }


def check_protocol(episodes: int, sticky: float, noops: int, seed: int) -> None:
    """Raises InputError for what no episodes can be played with; see `evaluate`."""
    if not 1 <= episodes <= 100_000:
        raise InputError(f"episodes = {episodes} cannot be used: it should be 1 to 100,000")
    if not 0 <= sticky < 1:
        raise InputError(f"sticky = {sticky:g} cannot be used: it is a probability, 0 to less than 1")
    if not 0 <= noops <= 1000:
        raise InputError(f"noops = {noops} cannot be used: it should be 0 to 1,000 frames")
    if seed < 0:
        raise InputError(f"seed = {seed} cannot be used: it should be 0 or more")


def play_episode(
    policy: Policy,
    *,
    stage: str | None = None,
    sticky: float = 0.0,
    noops: int = 0,
    seed: int = 0,
    go_on: Callable[[], bool] = lambda: True,
    on_step: Callable[[EpisodeStep], None] | None = None,
) -> EpisodeResult | None:
    """Plays one episode; see `rollout` for the arguments. None if `go_on`, which is asked at each step, says no.
    `on_step` is called with each step, which then has all of its frames."""
    last = None
    pressed: list[int] = []
    for step in rollout(policy, stage=stage, sticky=sticky, noops=noops, seed=seed, all_frames=on_step is not None):
        last = step
        if on_step is not None:
            on_step(step)
        pressed += step.frame_buttons
        if not go_on():
            return None
    assert last is not None
    assert last.end is not None
    return EpisodeResult(
        seed=seed,
        reward=last.total_reward,
        length=last.step,
        max_x=last.max_x,
        progress=last.progress,
        end=last.end.value,
        cleared=last.end is EndReason.CLEAR,
        log=ActionLog.of_frames(stage or policy.stage, policy.spec.frame_skip, pressed),
    )


def evaluate(
    policy: Policy,
    *,
    stage: str | None = None,
    episodes: int = 1,
    sticky: float = 0.0,
    noops: int = 0,
    seed: int = 0,
    threads: int = 1,
    most_failures: int | None = None,
    on_episode: Callable[[EpisodeResult], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    play: Callable[..., EpisodeResult | None] = play_episode,
) -> Evaluation:
    """Plays `episodes` episodes, seeded `seed`, `seed` + 1, ...; see `rollout` for the other arguments.

    Greedy play without sticky actions and no-op starts is the same every time, so it is played once only and the result
    stands for all. With `threads` as many episodes are played at the same time (the emulator lets other threads run);
    the result is the same. With `most_failures` it ends with the first episode that makes it more failures than that.
    `on_episode` is called with each, in their order. `play` plays one, as `play_episode` does.

    Raises:
        InputError: an argument is out of range.
    """
    check_protocol(episodes, sticky, noops, seed)
    played = 1 if sticky == 0 and noops == 0 else episodes
    results: list[EpisodeResult] = []
    ended = threading.Event()

    def go_on() -> bool:
        return not ended.is_set() and not (cancelled and cancelled())

    def play_seed(episode_seed: int) -> EpisodeResult | None:
        if not go_on():
            return None
        return play(policy, stage=stage, sticky=sticky, noops=noops, seed=episode_seed, go_on=go_on)

    with ThreadPoolExecutor(threads, thread_name_prefix="evaluation") as pool:
        try:
            for result in pool.map(play_seed, range(seed, seed + played)):
                if result is None:
                    break
                for repetition in range(episodes // played):
                    results.append(replace(result, seed=result.seed + repetition))
                    if on_episode:
                        on_episode(results[-1])
                if most_failures is not None and sum(not one.cleared for one in results) > most_failures:
                    break
        finally:
            ended.set()  # by a signal, perhaps: no episode that is played is waited for
    return Evaluation(tuple(results))


def greedy_result(evaluation: Evaluation) -> dict[str, Any]:
    """What is kept of greedy play with a checkpoint."""
    return {
        "greedy_clear": evaluation.clears > 0,
        "greedy_x": evaluation.max_x,
        "greedy_progress": evaluation.progress,
    }


def note(path: Path, policy: Policy, evaluation: Evaluation, *, stage: str, sticky: float, noops: int) -> str:
    """Stores a result with its checkpoint if it is one that the list of checkpoints shows.

    That is greedy play on the stage trained on, and the robust clear rate over at least ten episodes of its protocol.

    Returns why it could not be stored, in a few words; otherwise an empty string.
    """
    if not path.is_dir() or stage != policy.stage or not evaluation.episodes:
        return ""
    least = evaluations.LEAST_ROBUST_EPISODES
    try:
        if sticky == 0 and noops == 0:
            evaluations.record(path, **greedy_result(evaluation))
        elif (sticky, noops) == (ROBUST_STICKY, ROBUST_NOOPS) and evaluation.episodes >= least:
            evaluations.record(path, robust_clear_rate=evaluation.clear_rate, robust_episodes=evaluation.episodes)
    except OSError as error:
        return error.strerror or str(error)
    except CheckpointError as error:
        return str(error)
    return ""
