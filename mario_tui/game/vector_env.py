"""Episodes of one stage, played at the same time in worker processes over shared memory."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_tui.errors import EmulatorError, InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.episode import EndReason, noop_start_steps, sticky_actions
from mario_tui.game.practice import Practice
from mario_tui.game.stages import check_stage
from mario_tui.game.starts import Start
from mario_tui.game.worker import ENDS, RESULT, Command, SharedGames, Task
from mario_tui.game.worker_handle import CLOSE_SECONDS, LocalWorker, OpenWorker, Patience, Worker
from mario_tui.rewards import Reward

START_SECONDS = 120.0
REPLY_SECONDS = 30.0
"""How long one step may take before its process counts as hung."""
RESTORE_SECONDS = 600.0
RESTARTS = 3
"""How often in a row a process is started again; one that then answered HEALTHY_ANSWERS times has a new start."""
HEALTHY_ANSWERS = 100


@dataclass(frozen=True, slots=True)
class VectorStep:
    """What one step brought in each of the E games: copies, (E,) each.

    reward: float32, summed over the step's frames.
    terminated: bool, as in StepResult.
    last: bool, the episode is over and the frame is its final one (terminated or truncated).
    first: bool, the frame is the first of an episode: this was a reset, reward 0, the buttons were ignored.
    lead_in: bool, the frame is before the start of an episode of practice: the buttons of the next step are given.
    practice: bool, it is one.
    end: why the episode is over; None while it is not.
    buttons: uint8, what was pressed in the step's last frame: what was sent, or with sticky actions perhaps still the
        ones before; 0 in a reset.
    max_x: int32, the farthest that Mario was in this episode, pixels.
    place: (E, 3) int16, where Mario is, see `place` in emulator.py.
    progress: float32, how far through the stage the episode came, 0 to 1.
    emulating_seconds: how long the busiest worker played.
    dropped: bool, the game's process died or hung and was started again: its episode is lost, and this is the first
        frame of another (`first`).
    problem: what happened to the process, one line; "" without a problem.
    """

    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    last: NDArray[np.bool_]
    first: NDArray[np.bool_]
    lead_in: NDArray[np.bool_]
    practice: NDArray[np.bool_]
    end: list[EndReason | None]
    buttons: NDArray[np.uint8]
    max_x: NDArray[np.int32]
    place: NDArray[np.int16]
    progress: NDArray[np.float32]
    emulating_seconds: float
    dropped: NDArray[np.bool_]
    problem: str = ""


class VectorEnv:
    """E games of one stage in worker processes: `start()`; `send()` and `receive()` in turn; `close()`.

    A game whose episode ended at one step is reset by the next: see VectorStep.first.

    `sticky` is the probability of sticky actions, see `sticky_actions`. With `noops`, every episode but each game's
    first has a no-op start, see `noop_start_steps`. Both depend on `seed` alone, not on the workers; `set_noise` gives
    each game its own.

    With `set_practice` episodes begin at other places, too. The log of one begins with the buttons that lead there.

    A worker process that dies or hangs during a step is started again, and its games begin new episodes; if that does
    not help, EmulatorError is raised. After one the environment is closed; `state_dict` still gives what restores its
    games in a new one.

    Attributes:
        observations: (E, 84, 84) uint8, what `grey_frame` makes of the newest pictures: shared memory, valid from
            receive() to send().
        frames: (E, 240, 256, 3) uint8, the newest pictures of the first `shown` games, in the same way; see `show`.
        shown: how many games those are; all of them before the first send().
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
        snapshots: int = 0,
        reward: Reward = "tutorial",
        open_worker: OpenWorker | None = None,
    ) -> None:
        """Starts the processes without waiting for them; more workers than games are not started.

        `snapshots`: how many each process keeps for practice. `open_worker` may start workers elsewhere than on this
        machine.

        Raises InputError for a stage or number that cannot be, EmulatorError if no process can be started.
        """
        self._stage = check_stage(stage)
        if envs < 1 or workers < 1:
            raise InputError(f"at least one game and one worker are needed, not {envs} and {workers}")
        self._workers: list[Worker] = []
        self._open_worker = open_worker or LocalWorker
        self._memory: int | None = None
        workers = min(workers, envs)
        try:
            self._memory = SharedGames.allocate(envs)
            self._shared = SharedGames(self._memory, envs)
            self._shared.shown[:] = True
            for number in range(workers):
                first_env, last_env = envs * number // workers, envs * (number + 1) // workers
                task = Task(stage, envs, first_env, last_env, frame_skip, stall_steps, max_steps, snapshots, reward)
                self._workers.append(self._open_worker(f"{number + 1} of {workers}", task, self._memory))
        except OSError as error:
            self.close()
            raise EmulatorError(f"the emulator processes cannot be started: {error.strerror}") from error
        self.frames, self.observations = self._shared.frames, self._shared.observations
        self.button_logs: list[list[int]] = [[] for _ in range(envs)]
        self._noop_steps = [0] * envs
        self._practice: Practice | None = None
        self._starts: list[Start | None] = [None] * envs  # of the episodes of practice
        self._lead_ins = [b""] * envs  # what is left of them
        self._next_lead_ins = [b""] * envs  # of the episodes that were sent for
        self._passed: list[list[Start]] = [[] for _ in range(envs)]  # to be kept, of the episodes that ended
        self._ended = np.zeros(envs, dtype=bool)
        self._frame_skip = frame_skip
        self._sticky, self._noops = [sticky] * envs, [noops] * envs
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self.pids = tuple(worker.pid for worker in self._workers)
        self._sent: list[Command] | None = None
        self.shown = self._to_show = envs

    def set_noise(self, sticky: Sequence[float], noops: Sequence[int]) -> None:
        """Gives each game a probability of sticky actions and no-op starts of its own, from the next step on."""
        if not len(sticky) == len(noops) == len(self._sticky):
            raise ValueError(f"there are {len(self._sticky)} games and noise for {len(sticky)} and {len(noops)}")
        self._sticky, self._noops = list(sticky), list(noops)

    def set_practice(self, practice: Practice) -> None:
        """Has the next episodes begin where this says."""
        self._practice = practice

    def show(self, most: int) -> None:
        """Has `frames` show this many games, the first ones, from the next step on: each picture takes time to copy."""
        self._to_show = most

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
        commands = [self._next_command(env, byte) for env, byte in enumerate(chosen)]
        self.shown = min(self._to_show, len(chosen))
        self._shared.shown[:] = np.arange(len(chosen)) < self.shown
        for worker in self._workers:
            worker.send(commands[worker.envs])
        self._sent = commands

    def _next_command(self, env: int, chosen: int) -> Command:
        """A reset where the game's episode is over, otherwise a step."""
        if self._ended[env]:
            return self._next_episode(env)
        if self._lead_ins[env]:
            return "step", list(self._lead_ins[env][: self._frame_skip])
        log = self.button_logs[env]
        previous = log[-1] if log else 0
        return "step", sticky_actions(
            chosen, previous, sticky=self._sticky[env], frames=self._frame_skip, rng=self._rng
        )

    def _next_episode(self, env: int) -> Command:
        noop_steps = noop_start_steps(self._noops[env], frame_skip=self._frame_skip, rng=self._rng)
        drawn = self._practice.draw(env) if self._practice else None
        start, self._next_lead_ins[env] = drawn or (Start(noop_steps), b"")
        return "reset", (start, self._passed[env])

    def receive(self, timeout_seconds: float = REPLY_SECONDS) -> VectorStep:
        """Waits for the end of the step that `send` began.

        Raises EmulatorError if a worker process dies, hangs or fails again and again.
        """
        if self._sent is None:
            raise RuntimeError("no step is under way: send() one first")
        for env, (name, argument) in enumerate(self._sent):
            if name == "reset":
                self._begin_episode(env, argument[0], self._next_lead_ins[env])
            else:
                self.button_logs[env] += argument
                self._lead_ins[env] = self._lead_ins[env][self._frame_skip :]
        self._sent = None
        step = self._collect(timeout_seconds, restart=True)
        if self._practice:
            for env in np.flatnonzero(step.last & ~step.practice).tolist():
                end, log = step.end[env], bytes(self.button_logs[env])
                assert end is not None
                self._passed[env] = self._practice.add(end, self._noop_steps[env], log)
        return step

    def _begin_episode(self, env: int, start: Start, lead_in: bytes = b"") -> None:
        self.button_logs[env], self._noop_steps[env] = list(start.log), start.noop_steps
        self._starts[env], self._lead_ins[env] = start if start.steps else None, lead_in
        self._passed[env] = []

    def action_log(self, env: int) -> ActionLog:
        """What was pressed in the episode of one of the games, up to the last receive()."""
        noops = [0] * (self._noop_steps[env] * self._frame_skip)
        return ActionLog.of_frames(self._stage, self._frame_skip, noops + self.button_logs[env])

    def state_dict(self) -> dict[str, Any]:
        """What `restore` takes to bring every game back to where the last receive() left it: lists and numbers."""
        starts = [
            start and {"frames": len(start.log), "steps": start.steps, "lead_in": list(lead_in)}
            for start, lead_in in zip(self._starts, self._lead_ins, strict=True)
        ]
        return {
            "frame_logs": [list(log) for log in self.button_logs],
            "noop_steps": list(self._noop_steps),
            "rng": self._rng.bit_generator.state,
            **({"starts": starts} if any(starts) else {}),
            **({"practice": self._practice.state_dict()} if self._practice else {}),
        }

    def restore(self, state: Mapping[str, Any], timeout_seconds: float = RESTORE_SECONDS) -> VectorStep:
        """Brings every game to where it was when another environment had this `state_dict`; call it between steps.

        The game is deterministic: the same buttons bring an episode back. All but `frame_logs` may be missing.

        Returns what that environment's last receive() did. Raises EmulatorError where a worker process dies, hangs or
        fails, and for a log that has steps after its episode's end; KeyError, TypeError or ValueError for an unusable
        state.
        """
        if self._sent is not None:
            raise RuntimeError("a step is under way: receive() its results first")
        logs = [bytes(log) for log in state["frame_logs"]]
        noop_steps = [int(steps) for steps in state.get("noop_steps", [0] * len(logs))]
        if len(logs) != len(self.frames) or len(noop_steps) != len(logs):
            raise ValueError(f"there are {len(self.frames)} games and logs for {len(logs)}")
        if "rng" in state:
            self._rng.bit_generator.state = state["rng"]
        if self._practice and "practice" in state:
            self._practice.load_state_dict(state["practice"])
        commands: list[Command] = []
        for env, saved in zip(range(len(logs)), state.get("starts", [None] * len(logs)), strict=True):
            start, lead_in = self._saved_start(noop_steps[env], logs[env], saved)
            self._begin_episode(env, start, lead_in)
            self.button_logs[env] = list(logs[env])
            commands.append(("restore", (start, logs[env][len(start.log) :])))
        for worker in self._workers:
            worker.send(commands[worker.envs])
        return self._collect(timeout_seconds)

    def _saved_start(self, noop_steps: int, log: bytes, saved: Mapping[str, Any] | None) -> tuple[Start, bytes]:
        """Where an episode began, and what is left of its lead-in; raises KeyError, TypeError or ValueError."""
        if saved is None:
            return Start(noop_steps), b""
        frames, steps, lead_in = int(saved["frames"]), int(saved["steps"]), bytes(saved["lead_in"])
        if not 0 < frames <= len(log) or steps < 1 or frames % self._frame_skip or len(lead_in) % self._frame_skip:
            raise ValueError("the start of an episode of practice is out of range")
        return Start(noop_steps, log[:frames], steps), lead_in

    def close(self) -> None:
        """Ends the processes; closing again does nothing. The last frames can still be read."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()
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
        patience = Patience(timeout_seconds)
        dropped, problem = np.zeros(len(self.frames), dtype=bool), ""
        try:
            for number, worker in enumerate(self._workers):
                try:
                    worker.wait(patience)
                except EmulatorError as error:
                    if not restart:
                        raise
                    problem = str(error)
                    self._start_again(number, error)
                    dropped[worker.envs] = True
        except EmulatorError:
            self.close()
            raise
        for env in np.flatnonzero(dropped).tolist():
            self._begin_episode(env, Start())
        results = self._shared.results
        self._ended = results["last"].copy()
        return VectorStep(
            **{name: results[name].copy() for name in _COPIED_FIELDS},
            buttons=np.array([log[-1] if log else 0 for log in self.button_logs], dtype=np.uint8),
            lead_in=np.array([bool(lead_in) for lead_in in self._lead_ins]),
            practice=np.array([start is not None for start in self._starts]),
            end=[ENDS[number] for number in results["end"]],
            emulating_seconds=max(float(results["seconds"][worker.envs].sum()) for worker in self._workers),
            dropped=dropped,
            problem=problem,
        )

    def _start_again(self, number: int, problem: EmulatorError) -> None:
        """Puts a new process in the place of one that died or hangs, and waits until its games stand at the start.

        Raises `problem`, or a later one, after RESTARTS in a row.
        """
        while True:
            failed = self._workers[number]
            restarts = 0 if failed.answers >= HEALTHY_ANSWERS else failed.restarts
            if restarts >= RESTARTS:
                raise problem
            failed.kill()
            assert self._memory is not None
            try:
                worker = self._open_worker(failed.name, failed.task, self._memory, restarts=restarts + 1)
            except OSError as error:
                raise EmulatorError(f"{problem}, and cannot be started again: {error.strerror}") from error
            self._workers[number] = worker
            self.pids = tuple(worker.pid for worker in self._workers)
            try:
                worker.wait(Patience(START_SECONDS))
            except EmulatorError as error:
                problem = error
            else:
                return


_COPIED_FIELDS = [name for name in RESULT.names or () if name not in ("end", "seconds")]
