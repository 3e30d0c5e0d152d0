"""Games on the machines of a Ray cluster: workers of a VectorEnv that are Ray actors.

All that is drawn at random is drawn by the VectorEnv, which waits for all of its workers: a run is the same bit by bit
wherever its games are played. An actor makes the grey frame of a picture itself, so that 7 KB go over the network for
a step of a game and not 184.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_tui import __version__
from mario_tui.errors import EmulatorError, MarioTuiError
from mario_tui.game.starts import Snapshots
from mario_tui.game.worker import Command, Game, SharedGames, Task
from mario_tui.game.worker_handle import OpenWorker, Patience
from mario_tui.store.untrusted import one_line_error
from mario_tui.training import ray_cluster


@dataclass(frozen=True, slots=True)
class Answer:
    """What the commands brought in the N games of an actor.

    results: (N,) RESULT.
    observations: (N, 84, 84) uint8.
    frames: (240, 256, 3) uint8 each, of the games that are shown.
    """

    results: NDArray[np.void]
    observations: NDArray[np.uint8]
    frames: Sequence[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an actor runs: the program's version there, and the machine's name."""

    version: str
    host: str


class NodeGames:
    """The actor: some of the games of a training, on a machine of the cluster."""

    def begin(self, task: Task, shown: Sequence[int]) -> tuple[Place, Answer]:
        """Starts the games; those in `shown` send their pictures, too."""
        memory = SharedGames.allocate(task.envs)
        self._shared = SharedGames(memory, task.envs)
        os.close(memory)
        self._shared.shown[:] = True
        snapshots = Snapshots(task.snapshots)
        self._games = [Game(task, self._shared, env, snapshots) for env in range(task.envs)]
        return Place(__version__, socket.gethostname()), self._answer(shown)

    def run(self, commands: Sequence[Command], shown: Sequence[int]) -> Answer:
        """Executes a command in each game; those in `shown` send their pictures, too."""
        self._shared.shown[:] = False
        self._shared.shown[list(shown)] = True
        for game, command in zip(self._games, commands, strict=True):
            game.run(command)
        return self._answer(shown)

    def _answer(self, shown: Sequence[int]) -> Answer:
        shared = self._shared
        return Answer(shared.results, shared.observations, [shared.frames[env] for env in shown])


class RayWorker:
    """A worker that is an actor of a cluster; see `Worker`.

    Args:
        where: the cluster, as the setting `actors` has it.
        name, task, memory, restarts: as for `OpenWorker`.
    """

    def __init__(self, where: str, name: str, task: Task, memory: int, *, restarts: int = 0) -> None:
        self.name, self.task = name, task
        self.envs = slice(task.first_env, task.last_env)
        self.restarts = restarts
        self.answers = self.pid = 0
        self._memory = SharedGames(memory, task.envs)
        self._ray = ray_cluster.connect(where)
        games = task.last_env - task.first_env
        actor = self._ray.remote(NodeGames).options(
            # One that takes the place of another finds a place on the machines that are left, also where no core is.
            num_cpus=0 if restarts else 1,
            scheduling_strategy="SPREAD",
        )
        self._actor = actor.remote()
        self._place: Place | None = None
        self._answer: Any = None
        self._shown = self._to_show()
        self._reply = self._actor.begin.remote(replace(task, envs=games, first_env=0, last_env=games), self._shown)

    def _to_show(self) -> list[int]:
        """Which of its games have their pictures looked at."""
        shown: list[int] = np.flatnonzero(self._memory.shown[self.envs]).tolist()
        return shown

    def send(self, commands: list[Command]) -> None:
        self._shown = self._to_show()
        self._reply = self._actor.run.remote(commands, self._shown)

    def wait(self, patience: Patience) -> None:
        errors = self._ray.exceptions
        try:
            if not patience.wait_for(self._poll):
                why = "does not answer" if self._place else "finds no free core in the Ray cluster, or does not start"
                raise EmulatorError(f"{self._named} {why}")
        except errors.RayTaskError as error:
            cause = error.cause
            why = str(cause) if isinstance(cause, MarioTuiError) else one_line_error(cause)
            raise EmulatorError(f"{self._named} failed: {why}") from None
        except errors.RayError as error:
            why = "is gone: it, or its machine, died" if self._place else f"did not start: {one_line_error(error)}"
            raise EmulatorError(f"{self._named} {why}") from None
        reply = self._answer
        if self._place is None:
            self._place, reply = reply
            if self._place.version != __version__:
                raise EmulatorError(
                    f"{self._place.host} has mario-tui {self._place.version}, and this machine {__version__}: "
                    "install the same on all machines of the cluster"
                )
        self._memory.results[self.envs] = reply.results
        self._memory.observations[self.envs] = reply.observations
        for env, frame in zip(self._shown, reply.frames, strict=True):
            self._memory.frames[self.envs][env] = frame
        self.answers += 1

    def _poll(self, seconds: float) -> bool:
        """Whether the reply comes in this time."""
        try:
            self._answer = self._ray.get(self._reply, timeout=seconds)
        except self._ray.exceptions.GetTimeoutError:
            return False
        return True

    @property
    def _named(self) -> str:
        return f"emulator process {self.name}" + (f" on {self._place.host}" if self._place else "")

    def close(self) -> None:
        with contextlib.suppress(Exception):  # e.g. of a cluster that is gone: then the actor is, too
            self._ray.kill(self._actor)

    def end(self, deadline: float) -> None:
        """Ray ends it."""

    def kill(self) -> None:
        self.close()


def ray_workers(where: str) -> OpenWorker:
    """What starts workers on the cluster that `where`, as the setting `actors` has it, names."""
    return partial(RayWorker, where)
