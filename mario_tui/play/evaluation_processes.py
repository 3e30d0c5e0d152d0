"""Episodes of evaluations, played by processes of their own: a training in this one keeps its core and its GIL.

A process asks every few steps whether it should go on. So it stops when an evaluation is cancelled, stands still while
the program is suspended, and ends with it, however that ends.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, Pipe
from typing import Any

import torch

from mario_tui.agent.network import MarioNet, load_weights
from mario_tui.agent.policy import Policy
from mario_tui.agent.spec import AgentSpec
from mario_tui.errors import EvaluationError
from mario_tui.play.evaluation import EpisodeResult, Evaluation, evaluate, play_episode
from mario_tui.store.untrusted import one_line_error
from mario_tui.system.processes import go_to_background, start_module

NICENESS = 10
"""Beside a training that keeps both cores of a machine busy, such a process still plays 300 steps while the training
takes some 1,000, and takes no more from it than a thread would.

Measured on two hardware threads of one core, in turns of 100 steps within one run; without it the training made 74
steps/s: beside a thread 43 (which played 40), a process of niceness 0 44 (40), 5 56 (23), 10 57 (19), 19 68 (9)."""
ATTEMPTS = 3
"""How often an episode is begun whose process dies or hangs."""
START_SECONDS, REPLY_SECONDS = 120, 120
"""How long a process may take to load PyTorch, and to play ASK_STEPS steps, before it counts as hung."""
ASK_STEPS = 25
_LOOK_SECONDS = 1.0
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class EvaluationProcesses:
    """Plays episodes in processes, each with the weights that it is given; the results are those of `play_episode`.

    They are started when they are first needed, and stay, as it takes seconds to load PyTorch. Episodes are begun in
    the order in which they are asked for, so that greedy play waits for one episode of the robust protocol, not all.

    Args:
        most: how many there are at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="evaluation-process")
        self._own = threading.local()  # the process of each thread
        self._lock = threading.Lock()
        self._processes: list[_Process] = []
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Of those that are there now."""
        with self._lock:
            return [process.pid for process in self._processes]

    def evaluate(self, policy: Policy, **settings: Any) -> Evaluation:
        """As play.evaluation.evaluate, without `threads`.

        Raises EvaluationError if an episode cannot be played, also not by another process.
        """
        return evaluate(policy, threads=self._most, play=self.play, **settings)

    def play(self, policy: Policy, *, go_on: Callable[[], bool], **settings: Any) -> EpisodeResult | None:
        """As `play_episode`, for a policy on the CPU, when a process is free."""
        return self._threads.submit(self._play, policy, go_on, settings).result()

    def _play(self, policy: Policy, go_on: Callable[[], bool], settings: dict[str, Any]) -> EpisodeResult | None:
        problem = ""
        for _ in range(ATTEMPTS):
            process = self._process()
            if process is None:
                return None
            try:
                return process.play(policy, go_on, settings)
            except (EOFError, OSError) as error:
                problem = process.how_it_ended(error)
                self._discard(process)
        raise EvaluationError(f"a process that plays it {problem}")

    def _process(self) -> _Process | None:
        """This thread's, which is started if need be; None after `close`."""
        with self._lock:
            if self._closed:
                return None
            process: _Process | None = getattr(self._own, "process", None)
            if process is None:
                try:
                    process = self._own.process = _Process()
                except OSError as error:
                    raise EvaluationError(f"no process can be started to play it ({error.strerror})") from error
                self._processes.append(process)
            return process

    def _discard(self, process: _Process) -> None:
        with self._lock:
            self._own.process = None
            self._processes = [one for one in self._processes if one is not process]
        process.end()

    def close(self) -> None:
        """Ends the processes; what they play is given up. Closing again does nothing."""
        with self._lock:
            self._closed = True
            processes, self._processes = self._processes, []
        for process in processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in processes:
            process.end()


class _Process:
    """This program's end of one process; raises OSError if it cannot be started."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        _limit_sending(self._pipe, REPLY_SECONDS)
        try:
            with theirs:
                self._process = start_module(
                    "mario_tui.play.evaluation_processes",
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
        self._policy: Policy | None = None  # whose weights it has
        self._patience_seconds = START_SECONDS

    def play(self, policy: Policy, go_on: Callable[[], bool], settings: dict[str, Any]) -> EpisodeResult | None:
        """One episode; None if `go_on` says no.

        Raises EOFError or OSError if the process dies or hangs, EvaluationError if it cannot play.
        """
        self._pipe.send((None if policy is self._policy else _packed(policy), settings))
        self._policy = policy
        while (answer := self._receive()) is None:
            goes_on = go_on()
            self._pipe.send(goes_on)
            if not goes_on:
                return None
        if isinstance(answer, str):
            self._policy = None  # which it may not have taken in
            raise EvaluationError(f"a process that plays it failed: {answer}")
        assert isinstance(answer, EpisodeResult)
        return answer

    def _receive(self) -> Any:
        for _ in range(self._patience_seconds):  # seconds in which this program is suspended are no part of them
            if self._pipe.poll(_LOOK_SECONDS):
                self._patience_seconds = REPLY_SECONDS
                return self._pipe.recv()
        raise TimeoutError

    def how_it_ended(self, error: Exception) -> str:
        """For a message, after `play` raised an error."""
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


def _limit_sending(pipe: Connection, seconds: int) -> None:
    """Makes `send` raise BlockingIOError after so long: a process that hangs does not read, and weights fill a pipe."""
    with socket.socket(fileno=os.dup(pipe.fileno())) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", seconds, 0))


def _packed(policy: Policy) -> dict[str, Any]:
    """What `_unpacked` makes the policy of in another process: the network that plays, without the target network."""
    weights = policy.net.state_dict().items()
    return {
        "spec": policy.spec.model_dump(),
        "weights": {name: value.numpy() for name, value in weights if not name.startswith("target.")},
        "stage": policy.stage,
        "step": policy.step,
        "source": policy.source,
    }


def _unpacked(packed: dict[str, Any]) -> Policy:
    net = MarioNet(AgentSpec.parse(packed.pop("spec")))
    load_weights(net, {name: torch.from_numpy(value) for name, value in packed.pop("weights").items()})
    return Policy(net.eval(), **packed)


def serve(pipe: Connection) -> None:
    """Plays episodes until the other end of the pipe is closed.

    Receives a policy, or None for the one before, and the arguments of `play_episode`. Sends None every ASK_STEPS
    steps, and receives whether it should go on; at the end sends the result, or one line that says why there is none.
    """
    policy: Policy | None = None
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
            packed, settings = pipe.recv()
            try:
                policy = policy if packed is None else _unpacked(packed)
                assert policy is not None
                answer = play_episode(policy, go_on=go_on, **settings)
            except (EOFError, ConnectionError):
                raise
            except Exception as error:
                pipe.send(one_line_error(error))
                continue
            if answer is not None:
                pipe.send(answer)
    except (EOFError, ConnectionError):
        return


def main() -> None:
    """What the process runs."""
    go_to_background(NICENESS)
    torch.set_num_threads(1)
    with Connection(int(sys.argv[1])) as pipe:
        serve(pipe)


if __name__ == "__main__":
    main()
