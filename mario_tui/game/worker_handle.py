"""The environment's end of a worker: what it can be told, and how long it is waited for."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable
from multiprocessing.connection import Pipe
from typing import Protocol

from mario_tui.errors import EmulatorError
from mario_tui.game.worker import Command, Task, command_line
from mario_tui.system.processes import start_module

CLOSE_SECONDS = 2.0
_LOOK_SECONDS = 1.0
"""A stop of this process may end one wait of this length early, and no more."""


class Patience:
    """For how long workers are waited for, all of them together.

    Time in which this process was itself stopped is no part of it: after `fg`, say, or after a batch system had
    suspended the job, workers that were stopped, too, get their time to answer.
    """

    def __init__(self, seconds: float) -> None:
        self._left_seconds = seconds

    def wait_for(self, poll: Callable[[float], bool]) -> bool:
        """Whether `poll`, which is told how many seconds it may wait, finds something to read in time."""
        while not poll(min(_LOOK_SECONDS, self._left_seconds)):
            if self._left_seconds <= 0:
                return False
            self._left_seconds = max(self._left_seconds - _LOOK_SECONDS, 0.0)
        return True


class Worker(Protocol):
    """The environment's end of what plays some of its games: here a process of this machine.

    Attributes:
        name: as messages tell it, e.g. "2 of 4".
        task: which games, and how they are played.
        envs: the same games, as a slice.
        restarts: how often in a row it was started again.
        answers: how often it did what it was told.
        pid: of its process; 0 where that is on another machine.
    """

    name: str
    task: Task
    envs: slice
    restarts: int
    answers: int
    pid: int

    def send(self, commands: list[Command]) -> None:
        """Has it execute a command in each of its games, and returns at once."""

    def wait(self, patience: Patience) -> None:
        """Returns when it has, and frames and results are in the shared memory; at first, when its games stand at
        their start. Raises EmulatorError when it will not."""

    def close(self) -> None:
        """Makes it end, without waiting."""

    def end(self, deadline: float) -> None:
        """Waits for its end until then by time.monotonic(), and kills it if it takes longer."""

    def kill(self) -> None:
        """Ends it without waiting for what it does."""


class OpenWorker(Protocol):
    """Starts a worker for the games of a task, with the memory of `SharedGames`, without waiting for it.

    Raises OSError if it cannot be started.
    """

    def __call__(self, name: str, task: Task, memory: int, *, restarts: int = 0) -> Worker: ...


class LocalWorker:
    """A worker process of this machine."""

    def __init__(self, name: str, task: Task, memory: int, *, restarts: int = 0) -> None:
        self.name, self.task = name, task
        self.envs = slice(task.first_env, task.last_env)
        self.restarts = restarts
        self.answers = 0
        self._pipe, theirs = Pipe()
        with theirs:
            descriptors = (theirs.fileno(), memory)
            self._process = start_module(
                "mario_tui.game.worker",
                command_line(*descriptors, task),
                # numpy would start a thread per core in every worker.
                environment={"OPENBLAS_NUM_THREADS": "1"},
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # The terminal's Ctrl+C and Ctrl+Z are for the program, which then closes its environment. Where the
                # scheduler shares the processor between sessions, two workers with sessions of their own would get
                # twice as much of it as the learner, which both then wait for.
                in_background=True,
            )
        self.pid = self._process.pid

    def wait(self, patience: Patience) -> None:
        """Returns when the worker has executed its commands; raises EmulatorError when it will not."""
        try:
            if not patience.wait_for(self._pipe.poll):
                raise EmulatorError(f"emulator process {self.name} does not answer")
            problem = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise EmulatorError(f"emulator process {self.name} {self._how_it_ended()}") from error
        if problem:
            raise EmulatorError(f"emulator process {self.name} failed: {problem}")
        self.answers += 1

    def close(self) -> None:
        """Closes the pipe, which makes the worker end."""
        self._pipe.close()

    def end(self, deadline: float) -> None:
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """Ends the process without waiting for what it does."""
        self.close()
        self._process.kill()
        self._process.wait()

    def send(self, commands: list[Command]) -> None:
        """Has the worker execute a command in each of its games."""
        with contextlib.suppress(OSError):  # it died: wait() raises the error
            self._pipe.send(commands)

    def _how_it_ended(self) -> str:
        try:
            status = self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            return "hung up"
        return f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
