"""Episodes of one stage, played at the same time in worker processes over shared memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_tui.errors import EmulatorError, InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import STATUSES
from mario_tui.game.episode import EndReason, stick
from mario_tui.game.stages import check_stage
from mario_tui.game.worker import ENDS, RESULT, Order, SharedGames, Task

START_SECONDS = 120.0
REPLY_SECONDS = 30.0
"""How long one step may take before its process counts as hung."""
RESTORE_SECONDS = 600.0
CLOSE_SECONDS = 2.0
RESTARTS = 3
"""How often in a row a process is started again; one that then answered HEALTHY_ANSWERS times has a new start."""
HEALTHY_ANSWERS = 100


@dataclass(frozen=True, slots=True)
class VectorStep:
    """What one step brought in each of the E games: copies, (E,) each.

    reward: float32, summed over the step's frames.
    terminated, truncated: bool, as in StepResult.
    last: bool, the episode is over and the frame is its final one (terminated or truncated).
    first: bool, the frame is the first of an episode: this was a reset, reward 0, the buttons were ignored.
    end: why the episode is over; None while it is not.
    buttons: uint8, what was held at the end of the step: what was sent, or with sticky buttons perhaps still the ones
        before; 0 in a reset.
    x, max_x: int32, where Mario is and the farthest he was in this episode, pixels.
    time, coins, score, life: int32, as in MarioEmulator.
    steps: int32, of this episode so far.
    status: "small", "tall" or "fireball".
    emulating_seconds: how long the busiest worker played.
    dropped: bool, the game's process died or hung and was started again: its episode is lost, and this is the first
        frame of another (`first`).
    problem: what befell the process, one line; "" where nothing did.
    """

    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    last: NDArray[np.bool_]
    first: NDArray[np.bool_]
    end: list[EndReason | None]
    buttons: NDArray[np.uint8]
    x: NDArray[np.int32]
    max_x: NDArray[np.int32]
    time: NDArray[np.int32]
    coins: NDArray[np.int32]
    score: NDArray[np.int32]
    life: NDArray[np.int32]
    steps: NDArray[np.int32]
    status: list[str]
    emulating_seconds: float
    dropped: NDArray[np.bool_]
    problem: str = ""


class VectorEnv:
    """E games of one stage in worker processes: `start()`; `send()` and `receive()` in turn; `close()`.

    A game whose episode ended at one step is reset by the next: see VectorStep.first.

    With `sticky`, a game takes up other buttons late, see `stick`. With `noops`, every episode but each game's first
    begins with up to that many frames of no button, rounded up to whole steps. Both depend on `seed` alone, not on the
    workers.

    A worker process that dies or hangs during a step is started again, and its games begin new episodes; where that
    does not help, there is an EmulatorError. After one the fleet is closed; button_logs still tell how to restore its
    games in a new one.

    Attributes:
        frames: (E, 240, 256, 3) uint8, the newest pictures: shared memory, valid from receive() to send().
        button_logs: for each game, the button byte of every frame of its episode, up to the last receive(), without
            the steps of no button that it began with, and with the frames of its last step that came after the end.
        pids: of the worker processes.
    """

    def __init__(
        self,
        stage: str,
        *,
        envs: int,
        workers: int,
        frame_skip: int,
        stall_steps: int,
        max_steps: int,
        sticky: float = 0.0,
        noops: int = 0,
        seed: int = 0,
    ) -> None:
        """Starts the processes without waiting for them; more workers than games are not started.

        Raises InputError for a stage or number that cannot be, EmulatorError if no process can be started.
        """
        self._stage = check_stage(stage)
        if envs < 1 or workers < 1:
            raise InputError(f"a fleet needs a game and a worker at least, not {envs} and {workers}")
        self._workers: list[_Worker] = []
        self._memory: int | None = None
        workers = min(workers, envs)
        try:
            self._memory = SharedGames.allocate(envs)
            self._shared = SharedGames(self._memory, envs)
            for number in range(workers):
                first_env, last_env = envs * number // workers, envs * (number + 1) // workers
                task = Task(stage, envs, first_env, last_env, frame_skip, stall_steps, max_steps)
                self._workers.append(_Worker(f"{number + 1} of {workers}", task, self._memory))
        except OSError as error:
            self.close()
            raise EmulatorError(f"the emulator processes cannot be started: {error.strerror}") from error
        self.frames = self._shared.frames
        self.button_logs: list[list[int]] = [[] for _ in range(envs)]
        self._noop_steps = [0] * envs
        self._ended = np.zeros(envs, dtype=bool)
        self._frame_skip, self._sticky, self._noops = frame_skip, sticky, noops
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self.pids = tuple(worker.pid for worker in self._workers)
        self._sent: list[int | list[int]] | None = None

    def start(self, timeout_seconds: float = START_SECONDS) -> VectorStep:
        """Waits until every game stands at the start of the stage (`first` is True for all).

        Raises EmulatorError if one does not get there.
        """
        return self._collect(timeout_seconds)

    def send(self, buttons: NDArray[np.uint8]) -> None:
        """Begins a step with these buttons, (E,) uint8, and returns at once."""
        if self._sent is not None:
            raise RuntimeError("a step is under way: receive() its results first")
        chosen = buttons.tolist()
        if len(chosen) != len(self.frames):
            raise ValueError(f"there are {len(self.frames)} games and buttons for {len(chosen)}")
        orders = [self._order(env, byte) for env, byte in enumerate(chosen)]
        for worker in self._workers:
            worker.tell(("step", orders[worker.envs]))
        self._sent = orders

    def _order(self, env: int, chosen: int) -> int | list[int]:
        """What the game does next: begin an episode with that many steps of no button, or hold these at each frame."""
        if self._ended[env]:
            return -(-int(self._rng.integers(self._noops + 1)) // self._frame_skip) if self._noops else 0
        if not self._sticky:
            return [chosen] * self._frame_skip
        log = self.button_logs[env]
        held = log[-1] if log else 0
        return stick(chosen, held, sticky=self._sticky, frames=self._frame_skip, rng=self._rng)

    def receive(self, timeout_seconds: float = REPLY_SECONDS) -> VectorStep:
        """Waits for the end of the step that `send` began.

        Raises EmulatorError if a worker process dies, hangs or fails again and again.
        """
        if self._sent is None:
            raise RuntimeError("no step is under way: send() one first")
        for env, order in enumerate(self._sent):
            if isinstance(order, int):
                self.button_logs[env], self._noop_steps[env] = [], order
            else:
                self.button_logs[env] += order
        self._sent = None
        return self._collect(timeout_seconds, restart=True)

    def action_log(self, env: int) -> ActionLog:
        """What was pressed in the episode of one of the games, up to the last receive()."""
        noops = [0] * (self._noop_steps[env] * self._frame_skip)
        return ActionLog.of_frames(self._stage, self._frame_skip, noops + self.button_logs[env])

    def state_dict(self) -> dict[str, Any]:
        """What `restore` takes to bring every game back to where the last receive() left it: lists and numbers."""
        return {
            "frame_logs": [list(log) for log in self.button_logs],
            "noop_steps": list(self._noop_steps),
            "rng": self._rng.bit_generator.state,
        }

    def restore(self, state: Mapping[str, Any], timeout_seconds: float = RESTORE_SECONDS) -> VectorStep:
        """Brings every game to where it was when a fleet had this `state_dict`; call it between steps.

        The game is deterministic: the same buttons bring an episode back. `noop_steps` and `rng` may be missing;
        earlier versions kept `button_logs`, one byte per step, instead of `frame_logs`.

        Returns what that fleet's last receive() did. Raises EmulatorError where a worker process dies, hangs or fails,
        and for a log that goes on after its episode's end; KeyError, TypeError or ValueError for a state that is none.
        """
        if self._sent is not None:
            raise RuntimeError("a step is under way: receive() its results first")
        if "frame_logs" in state:
            logs = [bytes(log) for log in state["frame_logs"]]
        else:
            logs = [bytes(byte for byte in log for _ in range(self._frame_skip)) for log in state["button_logs"]]
        noop_steps = [int(steps) for steps in state.get("noop_steps", [0] * len(logs))]
        if len(logs) != len(self.frames) or len(noop_steps) != len(logs):
            raise ValueError(f"there are {len(self.frames)} games and logs for {len(logs)}")
        if "rng" in state:
            self._rng.bit_generator.state = state["rng"]
        episodes = list(zip(noop_steps, logs, strict=True))
        for worker in self._workers:
            worker.tell(("restore", episodes[worker.envs]))
        self.button_logs, self._noop_steps = [list(log) for log in logs], noop_steps
        return self._collect(timeout_seconds)

    def close(self) -> None:
        """Ends the processes; closing again does nothing. The last frames can still be read."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.hang_up()
        deadline = time.monotonic() + CLOSE_SECONDS
        for worker in workers:
            worker.end(deadline)
        memory, self._memory = self._memory, None
        if memory is not None:
            os.close(memory)

    def __enter__(self) -> VectorEnv:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _collect(self, timeout_seconds: float, *, restart: bool = False) -> VectorStep:
        if not self._workers:
            raise EmulatorError("the emulator processes are closed")
        deadline = time.monotonic() + timeout_seconds
        dropped, problem = np.zeros(len(self.frames), dtype=bool), ""
        try:
            for number, worker in enumerate(self._workers):
                try:
                    worker.wait(deadline)
                except EmulatorError as error:
                    if not restart:
                        raise
                    problem = str(error)
                    self._start_again(number, error)
                    dropped[worker.envs] = True
        except EmulatorError:
            self.close()
            raise
        for env in np.flatnonzero(dropped):
            self.button_logs[env], self._noop_steps[env] = [], 0
        results = self._shared.results
        self._ended = results["terminated"] | results["truncated"]
        return VectorStep(
            **{name: results[name].copy() for name in _COPIED_FIELDS},
            last=self._ended,
            buttons=np.array([log[-1] if log else 0 for log in self.button_logs], dtype=np.uint8),
            end=[ENDS[number] for number in results["end"]],
            status=[STATUSES[number] for number in results["status"]],
            emulating_seconds=max(float(results["seconds"][worker.envs].sum()) for worker in self._workers),
            dropped=dropped,
            problem=problem,
        )

    def _start_again(self, number: int, problem: EmulatorError) -> None:
        """Puts a new process in the place of one that died or hangs, and waits until its games stand at the start.

        Raises `problem`, or what came after it, where there were RESTARTS in a row before.
        """
        while True:
            failed = self._workers[number]
            restarts = 0 if failed.answers >= HEALTHY_ANSWERS else failed.restarts
            if restarts >= RESTARTS:
                raise problem
            failed.kill()
            assert self._memory is not None
            try:
                worker = _Worker(failed.name, failed.task, self._memory, restarts=restarts + 1)
            except OSError as error:
                raise EmulatorError(f"{problem}, and cannot be started again: {error.strerror}") from error
            self._workers[number] = worker
            self.pids = tuple(worker.pid for worker in self._workers)
            try:
                worker.wait(time.monotonic() + START_SECONDS)
            except EmulatorError as error:
                problem = error
            else:
                return


_COPIED_FIELDS = [name for name in RESULT.names or () if name not in ("end", "status", "seconds")]


class _Worker:
    """The fleet's end of one worker process.

    A plain subprocess, since multiprocessing would load the program's main module, torch and all, into each
    worker, and start a resource tracker, which fails while a terminal app has replaced sys.stderr.
    """

    def __init__(self, name: str, task: Task, memory: int, *, restarts: int = 0) -> None:
        self.name, self.task = name, task
        self.envs = slice(task.first_env, task.last_env)
        self.restarts = restarts
        self.answers = 0
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = _start_process(theirs, memory)
        self.pid = self._process.pid
        self.tell(task)

    def wait(self, deadline: float) -> None:
        """Returns when the worker has done what it was told; raises EmulatorError when it will not."""
        try:
            if not self._pipe.poll(max(0.0, deadline - time.monotonic())):
                raise EmulatorError(f"emulator process {self.name} does not answer")
            problem = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise EmulatorError(f"emulator process {self.name} {self._last_words()}") from error
        if problem:
            raise EmulatorError(f"emulator process {self.name} failed: {problem}")
        self.answers += 1

    def hang_up(self) -> None:
        """Closes the pipe, which tells the worker to end."""
        self._pipe.close()

    def end(self, deadline: float) -> None:
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """Ends the process without waiting for what it does."""
        self.hang_up()
        self._process.kill()
        self._process.wait()

    def tell(self, message: Task | Order) -> None:
        with contextlib.suppress(OSError):  # from one that died: wait() finds out and says so
            self._pipe.send(message)

    def _last_words(self) -> str:
        try:
            status = self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            return "hung up"
        return f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"


def _start_process(orders: Connection, memory: int) -> subprocess.Popen[bytes]:
    descriptors = (orders.fileno(), memory)
    program = f"import sys; sys.path[:] = {sys.path!r}; from mario_tui.game.worker import main; main{descriptors!r}"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # numpy would start a thread per core in every worker.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        # The terminal's Ctrl+C, Ctrl+Z and hang-up are for the program, which then closes its fleet.
        start_new_session=True,
    )
