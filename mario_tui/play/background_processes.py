"""Work beside a training in processes of their own, so that the training in this one keeps its core and its GIL.

A process asks now and then whether it should go on. So it stops when its work is cancelled, stands still while the
program is suspended, and ends with it, however that ends.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, Pipe
from typing import Any, Generic, TypeVar

from mario_tui.errors import EvaluationError
from mario_tui.store.untrusted import one_line_error
from mario_tui.system.processes import go_to_background, start_module

NICENESS = 10
"""Beside a training that keeps both cores of a machine busy, such a process still plays 300 steps while the training
takes some 1,000, and takes no more from it than a thread would.

Measured on two hardware threads of one core, in turns of 100 steps within one run; without it the training made 74
steps/s: beside a thread 43 (which played 40), a process of niceness 0 44 (40), 5 56 (23), 10 57 (19), 19 68 (9)."""
ATTEMPTS = 3
"""How often work is begun whose process dies or hangs."""
START_SECONDS, REPLY_SECONDS = 120, 120
"""How long a process may take to load PyTorch, and for ASK_STEPS steps, before it counts as hung."""
ASK_STEPS = 25
_LOOK_SECONDS = 1.0
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

GoOn = Callable[[], bool]
"""Whether work should go on; it is asked at each of its steps."""


class BackgroundProcess:
    """This program's end of one process, which runs a module that calls `run`.

    Raises OSError if it cannot be started.
    """

    def __init__(self, module: str) -> None:
        self._pipe, theirs = Pipe()
        self._be_patient(START_SECONDS)
        try:
            with theirs:
                self._process = start_module(
                    module,
                    str(theirs.fileno()),
                    environment=_ONE_THREAD,
                    in_background=True,
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
        except OSError:
            self._pipe.close()
            raise
        self.pid = self._process.pid

    def ask(self, request: Any, go_on: GoOn) -> Any:
        """What the process makes of a request; None if `go_on` says no.

        Raises EOFError or OSError if it dies or hangs, EvaluationError if its work fails.
        """
        self._pipe.send(request)
        while (answer := self._receive()) is None:
            goes_on = go_on()
            self._pipe.send(goes_on)
            if not goes_on:
                return None
        if isinstance(answer, str):
            raise EvaluationError(f"a process that plays it failed: {answer}")
        return answer

    def _receive(self) -> Any:
        for _ in range(self._patience_seconds):  # seconds in which this program is suspended are no part of them
            if self._pipe.poll(_LOOK_SECONDS):
                if self._patience_seconds != REPLY_SECONDS:  # its first answer
                    self._be_patient(REPLY_SECONDS)
                return self._pipe.recv()
        raise TimeoutError

    def _be_patient(self, seconds: int) -> None:
        """From now on it counts as hung when it neither answers nor takes what it is sent for so long."""
        self._patience_seconds = seconds
        _limit_sending(self._pipe, seconds)

    def how_it_ended(self, error: Exception) -> str:
        """For a message, after `ask` raised an error."""
        if isinstance(error, TimeoutError | BlockingIOError):
            return "does not answer"
        try:
            status = self._process.wait(_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            return "hung up"
        return f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"

    def kill(self) -> None:
        """Whatever it does, it ends now: it has nothing to lose."""
        self._process.kill()

    def end(self) -> None:
        self.kill()
        self._process.wait()
        self._pipe.close()


Process = TypeVar("Process", bound=BackgroundProcess)
Result = TypeVar("Result")


class BackgroundProcesses(Generic[Process]):
    """Processes for work in the order in which it is asked for; each has one thing to do at a time.

    They are started when they are first needed, and stay, as it takes seconds to load PyTorch.

    Args:
        most: how many there are at most.
        start: starts one.
    """

    def __init__(self, most: int, start: Callable[[], Process]) -> None:
        self._start = start
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="background-process")
        self._own = threading.local()  # the process of each thread
        self._lock = threading.Lock()
        self._processes: list[Process] = []
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Of those that are there now."""
        with self._lock:
            return [process.pid for process in self._processes]

    def submit(self, work: Callable[[Process], Result | None]) -> Future[Result | None]:
        """Does work with a process as soon as one is free; None after `close`.

        It is begun again where the process dies or hangs. The future raises EvaluationError if that happens each time.
        """
        return self._threads.submit(self._do, work)

    def _do(self, work: Callable[[Process], Result | None]) -> Result | None:
        problem = ""
        for _ in range(ATTEMPTS):
            process = self._process()
            if process is None:
                return None
            try:
                return work(process)
            except (EOFError, OSError) as error:
                problem = process.how_it_ended(error)
                self._discard(process)
        raise EvaluationError(f"a process that plays it {problem}")

    def _process(self) -> Process | None:
        """This thread's, which is started if need be; None after `close`."""
        with self._lock:
            if self._closed:
                return None
            process: Process | None = getattr(self._own, "process", None)
            if process is None:
                try:
                    process = self._own.process = self._start()
                except OSError as error:
                    raise EvaluationError(f"no process can be started to play it ({error.strerror})") from error
                self._processes.append(process)
            return process

    def _discard(self, process: Process) -> None:
        with self._lock:
            self._own.process = None
            self._processes = [one for one in self._processes if one is not process]
        process.end()

    def close(self) -> None:
        """Ends the processes; what they do is given up. Closing again does nothing."""
        with self._lock:
            self._closed = True
            processes, self._processes = self._processes, []
        for process in processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in processes:
            process.end()


def _limit_sending(pipe: Connection, seconds: int) -> None:
    """Makes `send` raise BlockingIOError after so long: a process that hangs does not read, and weights fill a pipe."""
    with socket.socket(fileno=os.dup(pipe.fileno())) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", seconds, 0))


def serve(pipe: Connection, work: Callable[[Any, GoOn], Any]) -> None:
    """Works until the other end of the pipe is closed.

    Receives requests. Sends None every ASK_STEPS steps of the work, and receives whether it should go on; at the end
    sends the result, unless that is None, or one line that says why there is none.
    """
    steps = 0

    def go_on() -> bool:
        nonlocal steps
        steps += 1
        if steps % ASK_STEPS:
            return True
        pipe.send(None)
        return bool(pipe.recv())

    try:
        while True:
            request = pipe.recv()
            try:
                answer = work(request, go_on)
            except (EOFError, ConnectionError):
                raise
            except Exception as error:
                pipe.send(one_line_error(error))
                continue
            if answer is not None:
                pipe.send(answer)
    except (EOFError, ConnectionError):
        return


def run(work: Callable[[Any, GoOn], Any]) -> None:
    """What such a process runs; its first argument is its end of the pipe."""
    import torch

    go_to_background(NICENESS)
    torch.set_num_threads(1)
    with Connection(int(sys.argv[1])) as pipe:
        serve(pipe, work)
