"""Games without an emulator: their episodes end by chance, and their frames tell step and buttons."""

from typing import Any

import numpy as np

from mario_tui.game.episode import EndReason
from mario_tui.game.vector_env import VectorStep


class FakeFleet:
    """Takes the place of a VectorEnv whose games are not restored."""

    screen_shape = (240, 256, 3)
    end_chance = 1 / 40

    def __init__(self, stage: str, *, envs: int, seed: int = 0, **settings: Any) -> None:
        self.frames = np.zeros((envs, *self.screen_shape), dtype=np.uint8)
        self._steps = np.zeros(envs, dtype=np.int32)
        self._ended = np.ones(envs, dtype=bool)
        self._buttons = np.zeros(envs, dtype=np.uint8)
        self._rng = np.random.default_rng(seed)

    def start(self) -> VectorStep:
        return self.receive()

    def send(self, buttons: np.ndarray) -> None:
        self._buttons = buttons.copy()

    def receive(self) -> VectorStep:
        first = self._ended
        held = np.where(first, 0, self._buttons).astype(np.uint8)
        self._steps = np.where(first, 0, self._steps + 1).astype(np.int32)
        self._ended = ~first & (self._rng.random(len(first)) < self.end_chance)
        self.frames[:] = (self._steps % 200 + held // 5)[:, None, None, None]
        return VectorStep(
            reward=np.where(first, 0, held % 7).astype(np.float32),
            terminated=self._ended.copy(),
            last=self._ended.copy(),
            first=first.copy(),
            end=[EndReason.DEATH if ended else None for ended in self._ended],
            buttons=held,
            max_x=40 + 3 * self._steps,
            emulating_seconds=0.0,
            dropped=np.zeros_like(first),
        )

    def action_log(self, env: int) -> None:
        return None

    def state_dict(self) -> dict[str, Any]:
        return {"frame_logs": [[] for _ in self._steps]}

    def close(self) -> None:
        pass
