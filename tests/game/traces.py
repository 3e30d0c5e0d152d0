"""Traces of play: what the game showed, frame by frame, while it was played by a script or an action log."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent / "golden"
LOGS = Path(__file__).parent / "logs"

SCRIPTED_STAGES = ("1-1", "1-2", "2-2", "4-2", "7-3", "8-4")
SCRIPTED_SEEDS = (1, 2, 3)
SCRIPTED_FRAMES = 300
CHECKPOINT_FRAMES = 60

# A 1, B 2, SELECT 4, UP 16, DOWN 32, LEFT 64, RIGHT 128; no START, which only pauses.
_COMBINATIONS = (128, 129, 130, 131, 131, 129, 128 | 32, 1, 2, 64, 65, 67, 32, 16, 4, 0)


def buttons_of(source: dict[str, Any]) -> Iterable[int]:
    """A button byte per frame: scripted play for {"seed": 1}, an action log for {"log": "1-1-clear.json"}."""
    if "seed" in source:
        return islice(_scripted_buttons(source["seed"]), SCRIPTED_FRAMES)
    log = json.loads((LOGS / source["log"]).read_text())
    return [byte for byte in log["buttons"] for _ in range(log["frame_skip"])]


def _scripted_buttons(seed: int) -> Iterator[int]:
    """Combinations held for up to 32 frames, from a random generator that no library's version changes."""
    state = seed
    while True:
        # A linear congruential generator with the constants of Numerical Recipes; the high bits are the good ones.
        state = (state * 1664525 + 1013904223) % 2**32
        buttons = _COMBINATIONS[state >> 28]
        for _ in range(1 + (state >> 23 & 31)):
            yield buttons


class Trace:
    """Takes in one episode, frame by frame, and sums it up in a small dict for a JSON file."""

    def __init__(self) -> None:
        self._frames = self._reward_crc32 = self._ram_crc32 = self._screen_crc32 = 0
        self._reward = 0.0
        self._checkpoints: list[list[int]] = []

    def add(self, reward: float, x: int, ram: np.ndarray, screen: np.ndarray) -> None:
        self._frames += 1
        self._reward += reward
        self._reward_crc32 = zlib.crc32(b"%g," % reward, self._reward_crc32)
        self._ram_crc32 = zlib.crc32(ram.tobytes(), self._ram_crc32)
        self._screen_crc32 = zlib.crc32(screen.tobytes(), self._screen_crc32)
        if self._frames % CHECKPOINT_FRAMES == 0:
            self._checkpoints.append([x, self._ram_crc32, self._screen_crc32])

    def summary(self, last: dict[str, Any], end: str | None) -> dict[str, Any]:
        """`last`: x, time, coins and so on after the last frame."""
        return {
            "frames": self._frames,
            "reward": self._reward,
            "reward_crc32": self._reward_crc32,
            "ram_crc32": self._ram_crc32,
            "screen_crc32": self._screen_crc32,
            **last,
            "end": end,
            "checkpoints": self._checkpoints,
        }
