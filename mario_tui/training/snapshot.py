"""What screens show of a training: frozen snapshots, and how they are taken."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mario_tui.config import TrainingConfig
from mario_tui.system import free_memory
from mario_tui.training.advice import warnings
from mario_tui.training.forecast import forecast

if TYPE_CHECKING:  # PyTorch takes seconds to import
    from mario_tui.game.kept_episodes import Place
    from mario_tui.store.history import EpisodeRecord
    from mario_tui.training.curves import Ends
    from mario_tui.training.trainer import Trainer

Status = Literal["starting", "running", "paused", "stopping", "finished", "failed"]
Points = tuple[tuple[float, float], ...]

_SPEED_WINDOW_SECONDS = 10.0
_CHECK_SECONDS = 2.0
MOST_GAMES = 16
"""How many games `frames` shows at most."""


@dataclass(frozen=True, slots=True)
class TrainingSnapshot:
    """All that a screen shows of a training run; never changed after it was published.

    Attributes:
        episode: episodes that have ended.
        clears: of all episodes in training; `best_x`, `best_progress`: the farthest any of them got, in pixels and as a
            share of the stage, 0 to 1; `clear_rate`: of the last 100.
        learning_rate, epsilon: as they are now.
        demonstrations: transitions of games that the agent is shown, besides those of its replay.
        floor_seconds: until epsilon is at its floor; None where it is there, or never will be.
        ends: where on the stage episodes ended.
        measured: what the games that measure have shown, a line for each; "" without any.
        forecast: what is to be expected, from how others of its preset went; "" where that is not known.
        warnings: what needs attention, one line each.
        pause_reason: why the training paused by itself, one line; "" if the user paused it.
        seconds: trained since the start or resume, without pauses.
        eta_seconds: until the limit of steps or episodes; None where there is no limit or no speed yet.
        mean_reward, mean_length: over the last 100 episodes; `mean_loss`, `mean_q`: over those of them in which
            something was learned, None where that is none.
        learns_from: the step at which learning begins.
        frame: (240, 256, 3) uint8, the game of the first actor; `frames`: those of all, from the step on that follows
            when they were asked for.
        place: where Mario is in that game: x, y and the number of the area, see `stage_map.on_map`; None where that is
            not known.
        curves: by episode: `reward`, `length`, `loss`, `q`, `epsilon`, and `reward_mean` etc., means over 100, and
            those over other numbers of episodes, see `mean_name`; `loss` and `q` of episodes in which something was
            learned.
        phases: where the time of a step goes, as shares of it, see PhaseClock.
        problem: one line, where the status is `failed`.
    """

    status: Status
    run: str
    config: TrainingConfig
    device: str = ""
    step: int = 0
    episode: int = 0
    epsilon: float = 1.0
    updates: int = 0
    clears: int = 0
    best_x: int = 0
    best_progress: float = 0.0
    steps_per_second: float = 0.0
    seconds: float = 0.0
    eta_seconds: float | None = None
    mean_reward: float = 0.0
    mean_length: float = 0.0
    mean_loss: float | None = None
    mean_q: float | None = None
    learns_from: int = 0
    replay_transitions: int = 0
    replay_capacity: int = 0
    demonstrations: int = 0
    clear_rate: float = 0.0
    learning_rate: float = 0.0
    floor_seconds: float | None = None
    ends: Ends | None = None
    measured: str = ""
    forecast: str = ""
    warnings: tuple[str, ...] = ()
    pause_reason: str = ""
    frame: np.ndarray | None = None
    frames: tuple[np.ndarray, ...] = ()
    place: Place | None = None
    curves: Mapping[str, Points] = field(default_factory=dict)
    last_episode: EpisodeRecord | None = None
    last_checkpoint: Path | None = None
    phases: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""

    @property
    def outlook(self) -> str:
        """What was measured and what is to be expected, a line each."""
        return "\n".join(filter(None, (self.measured, self.forecast)))


class SnapshotCamera:
    """Takes snapshots of a trainer, in its own thread and between steps.

    Numbers and frames are taken anew each time, curves and means when an episode ended, warnings and the forecast
    every two seconds.

    Attributes:
        last_episode: the newest one, for the snapshots.
    """

    def __init__(self) -> None:
        self.last_episode: EpisodeRecord | None = None
        self._speed: deque[tuple[float, int]] = deque()
        self._episode_count = -1
        self._curves: Mapping[str, Points] = {}
        self._ends: Ends | None = None
        self._means: dict[str, Any] = {}
        self._warnings: tuple[str, ...] = ()
        self._forecast = ""
        self._checked_at = 0.0

    def check_soon(self) -> None:
        """Has the next snapshot take warnings and forecast anew."""
        self._checked_at = -_CHECK_SECONDS

    def restart_speed(self) -> None:
        """Steps per second are counted anew, e.g. after a pause."""
        self._speed.clear()

    def take(self, trainer: Trainer, status: Status, pause_reason: str, *, all_games: bool) -> TrainingSnapshot:
        """The trainer as it is now; with `all_games` the frames of all games, and not of the first one alone."""
        speed = self._steps_per_second(trainer.step)
        self._update_curves(trainer)
        self._update_warnings(trainer, speed)
        agent, logger, config = trainer.agent, trainer.logger, trainer.config
        frames = trainer.collector.frames(MOST_GAMES if all_games else 1)
        steps_to_floor = agent.steps_to_final_exploration
        return TrainingSnapshot(
            status=status,
            run=trainer.run_dir.name,
            config=config,
            device=str(agent.device),
            step=trainer.step,
            episode=logger.episode,
            epsilon=trainer.epsilon,
            updates=agent.updates,
            clears=logger.clears,
            best_x=logger.best_x,
            best_progress=logger.best_progress,
            steps_per_second=speed,
            seconds=trainer.seconds,
            eta_seconds=_eta(trainer, speed),
            **self._means,
            learns_from=agent.burn_in_until,
            replay_transitions=agent.memory.transitions,
            replay_capacity=config.replay_size,
            demonstrations=trainer.demonstrations.transitions if trainer.demonstrations else 0,
            learning_rate=config.at("learning_rate", trainer.step),
            floor_seconds=steps_to_floor / speed if 0 < steps_to_floor < math.inf and speed > 0 else None,
            ends=self._ends,
            measured="\n".join(logger.measured.lines),
            forecast=self._forecast,
            warnings=self._warnings,
            pause_reason=pause_reason,
            frame=frames[0] if frames else None,
            frames=frames if all_games else (),
            place=trainer.collector.place,
            curves=self._curves,
            last_episode=self.last_episode,
            last_checkpoint=trainer.last_checkpoint,
            phases=trainer.ticks.phases.shares(),
        )

    def _steps_per_second(self, step: int) -> float:
        now = time.monotonic()
        self._speed.append((now, step))
        while len(self._speed) > 2 and now - self._speed[0][0] > _SPEED_WINDOW_SECONDS:
            self._speed.popleft()
        then, step_then = self._speed[0]
        return (step - step_then) / (now - then) if now > then else 0.0

    def _update_curves(self, trainer: Trainer) -> None:
        logger = trainer.logger
        if logger.episode != self._episode_count:
            self._episode_count = logger.episode
            self._curves = {name: curve.points() for name, curve in logger.curves.items()}
            self._ends = logger.end_map.ends()
            self._means = {
                "mean_reward": logger.mean("reward"),
                "mean_length": logger.mean("length"),
                "mean_loss": logger.learned_mean("loss"),
                "mean_q": logger.learned_mean("q"),
                "clear_rate": logger.clear_rate,
            }

    def _update_warnings(self, trainer: Trainer, speed: float) -> None:
        now = time.monotonic()
        if now - self._checked_at < _CHECK_SECONDS:
            return
        self._checked_at = now
        replay, labelled, health = trainer.agent.memory, trainer.agent.labelled, trainer.health
        missing = replay.missing_bytes + (labelled.missing_bytes if labelled else 0)
        about_training = warnings(
            trainer.config,
            trainer.logger.recent,
            free_bytes=free_memory.free_bytes(),
            missing_bytes=missing if replay.device.type != "cuda" else 0,
            dropped_episodes=health.dropped_episodes,
            skipped_updates=health.skipped_updates,
        )
        self._warnings = (*trainer.checkpointer.problems(), *about_training)
        cleared = trainer.first_greedy_clear is not None
        expected = forecast(trainer.config, trainer.step, cleared=cleared, steps_per_second=speed)
        self._forecast = str(expected or "")


def _eta(trainer: Trainer, speed: float) -> float | None:
    """Seconds to the nearer of the limits, as far as they can be foreseen."""
    if speed <= 0:
        return None
    config, logger = trainer.config, trainer.logger
    steps_left: list[float] = []
    if config.steps:
        steps_left.append(config.steps - trainer.step)
    if config.episodes and logger.episode:
        steps_left.append((config.episodes - logger.episode) * logger.mean("length"))
    return max(0.0, min(steps_left)) / speed if steps_left else None
