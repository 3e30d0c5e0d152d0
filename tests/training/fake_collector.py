"""Trainings without an emulator: episodes end by chance, and frames tell step and buttons."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from mario_tui.config import TrainingConfig
from mario_tui.game.episode import EndReason
from mario_tui.game.vector_env import VectorStep
from mario_tui.play.evaluation import Evaluation
from mario_tui.training.actor_groups import ActorGroups
from mario_tui.training.evaluator import Evaluator
from mario_tui.training.restore import Factories, open_trainer
from mario_tui.training.trainer import Trainer


class FakeVectorEnv:
    """Takes the place of a VectorEnv."""

    screen_shape = (240, 256, 3)
    end_chance = 1 / 40

    def __init__(self, config: TrainingConfig) -> None:
        envs = config.envs
        self.frames = np.zeros((envs, *self.screen_shape), dtype=np.uint8)
        self.observations = np.zeros((envs, 84, 84), dtype=np.uint8)
        self.shown = self._to_show = envs
        self._under_way = False
        self._steps = np.zeros(envs, dtype=np.int32)
        self._ended = np.ones(envs, dtype=bool)
        self._buttons = np.zeros(envs, dtype=np.uint8)
        self._rng = np.random.default_rng(config.seed)

    def start(self) -> VectorStep:
        return self.receive()

    def restore(self, state: Any) -> VectorStep:
        """Begins new episodes instead."""
        return self.receive()

    def show(self, most: int) -> None:
        self._to_show = most

    def set_noise(self, sticky: Any, noops: Any) -> None:
        self.noise = sticky, noops

    def set_practice(self, practice: Any) -> None:
        """All episodes begin where the stage does."""

    def send(self, buttons: np.ndarray) -> None:
        if self._under_way:
            raise RuntimeError("a step is under way: receive() its results first")
        self._under_way = True
        self._buttons = buttons.copy()
        self.shown = self._to_show

    def receive(self) -> VectorStep:
        self._under_way = False
        first = self._ended
        held = np.where(first, 0, self._buttons).astype(np.uint8)
        self._steps = np.where(first, 0, self._steps + 1).astype(np.int32)
        self._ended = ~first & (self._rng.random(len(first)) < self.end_chance)
        grey = (self._steps % 200 + held // 5)[:, None, None]
        self.frames[:] = grey[..., None]
        self.observations[:] = grey
        return VectorStep(
            reward=np.where(first, 0, held % 7).astype(np.float32),
            terminated=self._ended.copy(),
            last=self._ended.copy(),
            first=first.copy(),
            lead_in=np.zeros_like(first),
            practice=np.zeros_like(first),
            end=[EndReason.DEATH if ended else None for ended in self._ended],
            buttons=held,
            max_x=40 + 3 * self._steps,
            place=np.stack([40 + 3 * self._steps, 176 + 0 * held, 37 + 0 * held], axis=1).astype(np.int16),
            progress=np.full(len(first), 0.1, np.float32),
            emulating_seconds=0.0,
            dropped=np.zeros_like(first),
        )

    def action_log(self, env: int) -> None:
        return None

    def state_dict(self) -> dict[str, Any]:
        return {"frame_logs": [[] for _ in self._steps]}

    def close(self) -> None:
        pass


def fake_factories(
    games: Callable[[TrainingConfig], Any] = FakeVectorEnv, evaluate: Callable[..., Evaluation] | None = None
) -> Factories:
    """Parts with fake games; with `evaluate`, evaluations are faked as well, and their results taken after 20 steps."""
    collector = partial(ActorGroups, open_games=games)
    if evaluate is None:
        return Factories(collector=collector)
    return Factories(collector=collector, evaluator=partial(Evaluator, evaluate=evaluate, greedy_wait_steps=20))


def fake_trainer(
    config: TrainingConfig,
    *,
    games: Callable[[TrainingConfig], Any] = FakeVectorEnv,
    evaluate: Callable[..., Evaluation] | None = None,
    **arguments: Any,
) -> Trainer:
    """A trainer with fake games; for the other arguments see `open_trainer`."""
    return open_trainer(config, factories=fake_factories(games, evaluate), **arguments)
