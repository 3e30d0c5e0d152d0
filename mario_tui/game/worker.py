"""A fleet's worker: a process that plays some of its games, step by step as it is told.

Frames and results go through memory shared with the fleet; orders and the word "done" go through a pipe.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mario_tui.errors import MarioTuiError
from mario_tui.game.emulator import SCREEN_SHAPE, STATUSES, MarioEmulator
from mario_tui.game.episode import EndReason, Episode, StepResult

ENDS: tuple[EndReason | None, ...] = (None, *EndReason)
"""What the number in a result's field `end` stands for."""

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_FRAME_BYTES = math.prod(SCREEN_SHAPE)

RESULT = np.dtype(
    [
        ("reward", np.float32),
        ("terminated", np.bool_),
        ("truncated", np.bool_),
        ("first", np.bool_),
        ("end", np.uint8),
        ("status", np.uint8),
        ("x", np.int32),
        ("max_x", np.int32),
        ("time", np.int32),
        ("coins", np.int32),
        ("score", np.int32),
        ("life", np.int32),
        ("steps", np.int32),
        ("seconds", np.float32),
    ]
)


@dataclass(frozen=True, slots=True)
class Task:
    """The games that one worker plays: those numbered `first_env` to `last_env - 1` of the fleet's `envs`."""

    stage: str
    envs: int
    first_env: int
    last_env: int
    frame_skip: int
    stall_steps: int
    max_steps: int


class SharedGames:
    """The memory that fleet and workers share; it has no name, so nothing is left of it when they are gone.

    frames: (envs, 240, 256, 3) uint8.
    results: (envs,) RESULT.
    """

    def __init__(self, descriptor: int, envs: int) -> None:
        """Maps the memory behind a descriptor from `allocate`; the descriptor may be closed afterwards."""
        memory = mmap.mmap(descriptor, self.size_bytes(envs))
        frames_bytes = envs * _FRAME_BYTES
        self.frames = np.frombuffer(memory, np.uint8, frames_bytes).reshape(envs, *SCREEN_SHAPE)
        self.results = np.frombuffer(memory, RESULT, envs, offset=frames_bytes)

    @classmethod
    def allocate(cls, envs: int) -> int:
        """A new descriptor of memory for this many games; raises OSError if there is none left."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("mario-tui-fleet")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.truncate(descriptor, cls.size_bytes(envs))
        return descriptor

    @staticmethod
    def size_bytes(envs: int) -> int:
        return envs * (_FRAME_BYTES + RESULT.itemsize)


class Game:
    """One game of the fleet: its episode, and its places in the shared memory."""

    def __init__(self, task: Task, frame: NDArray[np.uint8], results: NDArray[np.void]) -> None:
        self._episode = Episode(
            MarioEmulator(task.stage),
            frame_skip=task.frame_skip,
            stall_steps=task.stall_steps,
            max_steps=task.max_steps,
        )
        self._frame = frame
        self._results = results
        self._began = time.perf_counter()  # the order being obeyed
        self._publish(None)

    def step(self, buttons: Sequence[int]) -> None:
        """Plays one step with these buttons, a byte for each of its frames."""
        self._publish(self._episode.step(buttons))

    def reset(self, noop_steps: int) -> None:
        """Begins an episode, whose first steps are played with no button held."""
        self._episode.reset()
        for _ in range(noop_steps):
            self._episode.step(0)
            if self._episode.end is not None:
                self._episode.reset()
        self._publish(None)

    def obey(self, order: int | Sequence[int]) -> None:
        """Begins an episode with that many steps of no button, or plays a step with those buttons."""
        self._began = time.perf_counter()
        if isinstance(order, int):
            self.reset(order)
        else:
            self.step(order)

    def restore(self, episode: tuple[int, bytes]) -> None:
        """Brings the game to where it was after that many steps of no button and then the frames of this log."""
        self._began = time.perf_counter()
        noop_steps, button_log = episode
        self.reset(noop_steps)
        result = None
        skip = self._episode.frame_skip
        for frame in range(0, len(button_log), skip):
            result = self._episode.step(button_log[frame : frame + skip])
        if result:
            self._publish(result)

    def _publish(self, result: StepResult | None) -> None:
        episode, emulator = self._episode, self._episode.emulator
        emulator.copy_screen(self._frame)
        self._results[0] = (
            result.reward if result else 0,
            result.terminated if result else False,
            result.truncated if result else False,
            result is None,
            ENDS.index(episode.end),
            STATUSES.index(emulator.status),
            emulator.x_position,
            episode.max_x,
            emulator.time,
            emulator.coins,
            emulator.score,
            emulator.life,
            episode.steps,
            time.perf_counter() - self._began,
        )


Order = tuple[Literal["step", "restore"], Sequence[Any]]
"""What to do, and for each game with what: see Game.obey and Game.restore."""

_ORDERS: dict[str, Callable[[Game, Any], None]] = {"step": Game.obey, "restore": Game.restore}


def serve(orders: Connection, descriptor: int) -> None:
    """Plays the games of the task that comes first through the pipe, until the fleet's end of it is closed.

    Answers the task, and every order, with "" when it is done. Where that fails, answers with one line that
    says why, and returns.
    """
    try:
        task: Task = orders.recv()
        shared = SharedGames(descriptor, task.envs)
        games = [
            Game(task, shared.frames[env], shared.results[env : env + 1])
            for env in range(task.first_env, task.last_env)
        ]
        while True:
            orders.send("")
            name, details = orders.recv()
            for game, detail in zip(games, details, strict=True):
                _ORDERS[name](game, detail)
    except (EOFError, ConnectionError):
        return
    except MarioTuiError as error:
        orders.send(str(error))
    except Exception as error:
        orders.send(" ".join(f"{type(error).__name__}: {error}".split()))


def _end_with_parent() -> None:
    """Has Linux kill this process when the thread that started it is gone, even while it is stopped (see prctl(2)).

    Elsewhere the closed pipe has to do, which a stopped process does not notice.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(orders_descriptor: int, memory_descriptor: int) -> None:
    """What the process runs; see fleet.py, which starts it."""
    # It is the fleet that Ctrl+C ends, and a worker ends with its fleet.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    with Connection(orders_descriptor) as orders:
        serve(orders, memory_descriptor)
