"""The training loop: a generator of events. Screens, progress bars and sessions watch it from outside.

At each tick every game takes one step. While the emulators run it, the agent learns from the ticks before: it acts with
the weights of before, so that a run depends on its seed alone, neither on timing nor on the number of processes.
"""

from __future__ import annotations

import contextlib
import copy
import os
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from mario_tui import paths
from mario_tui.agent.mario import Mario, Update, resolve_device
from mario_tui.agent.policy import Policy, load_policy
from mario_tui.agent.preprocess import FrameStacks, preprocess
from mario_tui.agent.runtime import prepare_processor
from mario_tui.buttons import ACTION_SETS
from mario_tui.config import TrainingConfig
from mario_tui.errors import CheckpointError, InputError, MarioTuiError, NotSavedError, TrainingError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import REWARD_VERSION, emulator_generation
from mario_tui.game.episode import EndReason
from mario_tui.game.vector_env import VectorEnv, VectorStep
from mario_tui.play.evaluation import (
    ROBUST_NOOPS,
    ROBUST_STICKY,
    Evaluation,
    evaluate,
    note,
)
from mario_tui.store import checkpoint, lookup
from mario_tui.store.history import EpisodeRecord, EvaluationRecord
from mario_tui.store.manifest import Manifest, check_made_for
from mario_tui.store.run import rotate, run_lock, sweep_run
from mario_tui.store.untrusted import one_line_error
from mario_tui.system import crash, files, guard
from mario_tui.training import state_files
from mario_tui.training.control import TrainingControl
from mario_tui.training.demo_data import DemonstrationCount, find_logs, play_again
from mario_tui.training.events import (
    EpisodeEnded,
    Evaluated,
    Event,
    Finished,
    FirstClear,
    Paused,
    Restarted,
    Resumed,
    Saved,
    Started,
    Stepped,
    Warned,
)
from mario_tui.training.health import file_warnings
from mario_tui.training.memory_watch import LOOK_SECONDS, MemoryWatch
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.phases import PhaseClock
from mario_tui.training.plots import save_curves
from mario_tui.training.resume import resume_notes
from mario_tui.training.saving import Saver
from mario_tui.training.tensorboard import TensorBoardLog

EVALUATION_STEPS = 2_000
"""Steps after which the result of a greedy evaluation is waited for, if it is not there yet: a fixed number, so that
a run depends on its seed alone."""
ROBUST_WAIT = 4
"""Greedy evaluations from the beginning of a robust one, which takes a core a minute, to its result; one at a time."""

_WARN_STEPS = 1_000  # the disk is looked at so often at least

_UNREAD_UPDATES = 100  # results of updates are read this many at a time, since on a GPU that waits for it


@dataclass(frozen=True)
class _Snapshot:
    """A step's agent, which is evaluated while training goes on, and saved if it turns out to be the best so far."""

    step: int
    policy: Policy
    parts: dict[str, Callable[[Path], None]]
    header: dict[str, Any]


@dataclass(frozen=True)
class _PendingEvaluation:
    """An evaluation under way, and the step at which its result is taken."""

    snapshot: _Snapshot
    greedy: Evaluation | None
    """The greedy play that went before the robust protocol; None in an evaluation of greedy play."""
    result: Future[Evaluation]
    due: int

    @property
    def robust(self) -> bool:
        return self.greedy is not None


def _kind_of(problem: str) -> str:
    """What two lines have in common that tell of one problem, with other figures."""
    return problem.partition(":")[0]


class Trainer:
    """Trains one agent in one run folder.

    Args:
        config: all settings.
        run: the run's name; a new one, made of stage and time, by default.
        resume: a checkpoint folder to go on from, in its own run; or a tutorial `.chkpt`, whose weights and epsilon a
            new run then starts with.
        control: what other threads want.

    Raises:
        InputError: settings that cannot work here (replay too large, no GPU, no demonstrations where they should be, a
            run of that name exists or is in use).
        CheckpointError: the checkpoint to resume from cannot be used.
    """

    def __init__(
        self,
        config: TrainingConfig,
        *,
        run: str | None = None,
        resume: Path | None = None,
        control: TrainingControl | None = None,
    ) -> None:
        self.config = config
        self.control = control or TrainingControl()
        self.device = resolve_device(config.device)
        prepare_processor(config.threads)
        going_on = resume is not None and resume.is_dir()
        if going_on:
            assert resume is not None
            self.run_dir = resume.parent
            if not lookup.is_run(self.run_dir):
                raise CheckpointError(
                    f"{self.run_dir} is no run's folder, and training would write into it: "
                    f"move {resume.name} into a folder of its own in {paths.checkpoints_dir()}, and resume it there"
                )
        else:
            self.run_dir = paths.run_dir(run or paths.new_run_name(config.stage))
        self.buttons = np.array(ACTION_SETS[config.action_set], dtype=np.uint8)
        self.mario = Mario(config, self.device)
        self._shown: tuple[ActionLog, ...] = ()  # the games that the agent learns from beside its own
        self.demonstrations: DemonstrationCount | None = None
        where = config.demonstrations
        named, others = find_logs(where, config.stage) if where else ((), 0)
        self._lock = self._take_lock()
        try:
            if not going_on and (lookup.step_folders(self.run_dir) or (self.run_dir / "metrics.csv").exists()):
                raise InputError(
                    f"a run named {self.run_dir.name!r} exists: continue it with --resume, or choose another name"
                )
            if not going_on:
                self._show(named, others)
            self.run_dir.mkdir(parents=True, exist_ok=True)
            sweep_run(self.run_dir)
            self.logger = MetricLogger(self.run_dir, config.stage, config.envs)
            self.stacks = FrameStacks(config.envs, config.frame_stack, self.device)
            self.fleet: VectorEnv | None = None
            self.first = self.last = np.zeros(config.envs, dtype=bool)
            self._saved_games: dict[str, Any] | None = None  # the fleet's state to take up again
            self.learn_due = 0  # steps that were taken and not yet learned from
            self.clock = PhaseClock()
            self.latest_frame: np.ndarray | None = None
            self.last_checkpoint: Path | None = None
            self._saved_step = -1
            self._sequence = lookup.next_sequence(self.run_dir)  # of the next checkpoint
            self._saver = Saver(self.run_dir, self.config)
            self._save_problem = self._rotation_problem = ""
            self._warned: set[str] = set()
            self._resume_notes: list[str] = []
            self.first_greedy_clear: FirstClear | None = None
            self._best: tuple[float, bool, int] = (0.0, False, -1)  # robust clear rate, greedy clear, greedy x
            self._pending: list[_PendingEvaluation] = []
            self._evaluator = ThreadPoolExecutor(2, thread_name_prefix="evaluation")  # a greedy and a robust one
            self._stop_evaluating = False
            self._saved_snapshots: dict[int, Path] = {}  # of evaluated agents, by step
            self._unread: list[Update] = []
            self.dropped_episodes = 0  # in this sitting, as are the updates
            self.skipped_updates = 0
            self._restarted: Restarted | None = None
            self._memory = MemoryWatch()
            self._uncached: Callable[[], None] | None = None
            self._seconds_before = 0.0  # trained before this sitting
            self._active_since: float | None = None
            self._active_seconds = 0.0
            self._start_step = 0
            if resume is not None:
                self._load(resume, named, others)
            self.tensorboard = TensorBoardLog(self.run_dir) if config.tensorboard else None
            # last, so that a start that fails leaves no run behind
            files.write_atomically(self.run_dir / "config.toml", self.config.to_toml())
        except BaseException:
            if not going_on:
                with contextlib.suppress(OSError):  # where there is something in it
                    self.run_dir.rmdir()
            self._lock.release()
            raise

    # What other threads ask for through `control`.

    def live_policy(self) -> Policy:
        """The weights of now as a policy that training does not change any more."""
        policy = self.policy()
        return replace(policy, net=copy.deepcopy(policy.net).eval())

    def note(self, text: str) -> None:
        """Puts a line of the user's own into the run's log."""
        self.logger.note(self.step, text)

    def change(self, *, learning_rate: float | None = None, exploration_rate: float | None = None) -> None:
        """Goes on with another learning rate or epsilon; it is kept in the log and in the run's settings.

        Raises InputError where the value cannot be.
        """
        changes = []
        config = self.config
        if learning_rate is not None:
            config = config.replace(learning_rate=learning_rate)
            changes.append(f"learning rate {self.config.learning_rate:g} -> {learning_rate:g}")
        if exploration_rate is not None:
            floor = min(config.exploration_rate_min, exploration_rate)
            config = config.replace(exploration_rate_min=floor)
            changes.append(f"epsilon {self.mario.exploration_rate:g} -> {exploration_rate:g}")
        files.write_atomically(self.run_dir / "config.toml", config.to_toml())
        for change in changes:
            self.note(change)
        self.config = self.mario.config = config
        if learning_rate is not None:
            self.mario.set_learning_rate(learning_rate)
        if exploration_rate is not None:
            self.mario.set_exploration_rate(exploration_rate)

    def turn(self, name: str, factor: float) -> tuple[float, float]:
        """Multiplies `learning_rate` or `exploration_rate`; returns it as it was and as it is, of two digits."""
        now, lowest = {
            "learning_rate": (self.config.learning_rate, 1e-6),
            "exploration_rate": (self.mario.exploration_rate, 1e-3),
        }[name]
        new = min(1.0, max(float(f"{now * factor:.2g}"), lowest))
        self.change(**{name: new})
        return now, new

    def _take_lock(self) -> FileLock:
        self.run_dir.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(run_lock(self.run_dir))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"the run {self.run_dir.name!r} is being trained by another mario-tui: stop that one first"
            ) from None
        except OSError as error:  # as on some network drives
            raise InputError(
                f"{lock.lock_file} cannot be locked: {error.strerror}; "
                "have MARIO_TUI_HOME name a folder on a disk of this machine"
            ) from None
        return lock

    # What others read while it runs.

    @property
    def step(self) -> int:
        return self.mario.curr_step

    @property
    def seconds(self) -> float:
        """Time trained in this sitting, without pauses."""
        running = time.monotonic() - self._active_since if self._active_since is not None else 0.0
        return self._active_seconds + running

    def policy(self) -> Policy:
        """The live weights as a policy, e.g. for an evaluation."""
        return Policy(
            net=self.mario.net,
            stage=self.config.stage,
            step=self.step,
            source=f"{self.run_dir.name}, step {self.step:,}",
        )

    def copy_frames(self, most: int) -> tuple[np.ndarray, ...]:
        """The pictures of the first `most` games, (240, 256, 3) uint8 each; called between steps."""
        return tuple(self.fleet.frames[:most].copy()) if self.fleet else ()

    # The loop.

    def run(self) -> Generator[Event, None, None]:
        """Trains until a limit of the settings is reached or a stop is asked for; saves, and ends with Finished."""
        try:
            fleet = self._start_games()
            self._start_step = self.step
            guard.set_run(self.run_dir)
            guard.set_checkpoint(self.last_checkpoint)
            if self.demonstrations:
                self.note(str(self.demonstrations))
            yield Started(self.run_dir, self.step, self.demonstrations)
            yield from (Warned(self.step, text) for text in self._resume_notes)
            while True:
                yield from self._obey()
                if self.control.stopping or self._limit_reached():
                    if not self.control.stopping:
                        yield from self._take_evaluations()
                    try:
                        yield from self._save_at_the_end()
                        break
                    except NotSavedError as error:
                        if self.control.in_a_hurry or not self.control.attended:
                            raise
                        self.control.hold(str(error))  # as long as it waits nothing is lost
                        continue
                self.logger.begin()
                ended = self._tick(fleet)
                yield from ended
                yield from self._restarts()
                yield Stepped(self.step)
                yield from self._periodic(ended)
            yield self._finish()
        except Exception as error:
            self._rescue()
            crash.write_log(self.run_dir, error, f"step {self.step}")
            raise
        finally:
            self._pause_clock()
            self.close()

    def _rescue(self) -> None:
        """Saves what there is when something has failed; where that fails too, the first failure is what matters."""
        if self.fleet and self.step > max(self._start_step, self._saved_step):
            with contextlib.suppress(Exception):
                self.save()

    def close(self) -> None:
        """Ends the games and lets go of the run's folder; `run` does it itself."""
        self.control.close()
        self._stop_evaluating = True
        self._evaluator.shutdown(cancel_futures=True)
        self._saver.close()
        if self.fleet:
            self.fleet.close()
        if self.tensorboard:
            self.tensorboard.close()
        self._lock.release()

    def _start_games(self) -> VectorEnv:
        config = self.config
        fleet = self.fleet = VectorEnv(
            config.stage,
            envs=config.envs,
            # one core is for learning
            workers=config.workers or max(1, min(config.envs, (os.cpu_count() or 1) - 1)),
            frame_skip=config.frame_skip,
            stall_steps=config.stall_steps,
            max_steps=config.max_episode_steps,
            sticky=config.sticky,
            noops=config.noops,
            seed=config.seed,
        )
        observed = fleet.start()
        if self._saved_games is None:
            self._see(fleet, observed)
        else:
            try:
                observed = fleet.restore(self._saved_games)
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise CheckpointError(f"{self.last_checkpoint} cannot be continued: {one_line_error(error)}") from None
        self.first, self.last = observed.first, observed.last
        self.latest_frame = fleet.frames[0].copy()
        self._active_since = time.monotonic()
        return fleet

    def _obey(self) -> Iterator[Event]:
        """Does what was asked for; nothing else happens while paused."""
        if not self.control.paused and (reason := self._memory.shortage()):
            self._hold(reason)
        self.control.answer(self)
        if self.control.take_save():
            yield from self._save()
        if not self.control.paused or self.control.stopping:
            return
        self._pause_clock()
        waits = self.control.pause_reason == self._memory.reason != ""
        yield Paused(self.step, self.control.pause_reason, waits)
        yield from self._end_save()  # nobody should have to go on to hear of it
        while self.control.paused and not self.control.stopping:
            self.control.wait_while_paused(LOOK_SECONDS if waits else None)
            self.control.answer(self)
            if self.control.take_save():
                yield from self._save()
            if waits and self.control.pause_reason and self._memory.is_over():
                self.control.resume()
        self._memory.overrule()
        self._active_since = time.monotonic()
        if not self.control.stopping:
            yield Resumed(self.step)

    def _hold(self, reason: str) -> None:
        """Pauses, having saved, for a reason of the trainer's own."""
        self.note(f"paused: {reason}")
        if self._saved_step != self.step:
            self.control.save()
        self.control.pause(reason)

    def _restarts(self) -> Iterator[Restarted]:
        if self._restarted:
            self.note(str(self._restarted))
            yield self._restarted
            self._restarted = None

    def _tick(self, fleet: VectorEnv) -> list[EpisodeEnded]:
        """One step of every game, and what there is to learn meanwhile; returns the episodes that ended."""
        self.clock.start()
        actions = self.mario.act(self.stacks.stacks)
        fleet.send(self.buttons[actions])
        self.clock.mark("act")
        self._cache()
        self.clock.mark("cache")
        updates = self.mario.learn(self.learn_due, self.clock.mark)
        self._unread += updates
        if self.device.type == "cpu" and any(update.skipped for update in updates):  # a GPU would be waited for
            self._read_updates()
        observed = fleet.receive()
        self.clock.mark("wait")
        self.clock["emulate"] += observed.emulating_seconds  # type: ignore[assignment]

        if observed.dropped.any():
            self._drop(observed)
        stepped = ~self.last  # the other games began a new episode instead
        frame, terminated = self.stacks.stacks[:, -1], observed.terminated & stepped
        cleared = np.array([end is EndReason.CLEAR for end in observed.end]) & stepped
        finite = np.isfinite(observed.reward)
        if not finite.all():
            self._hold("a reward was not finite; 0 was taken in its place")
        gained = np.where(finite, observed.reward, np.float32(0))
        reward = gained + np.float32(self.config.clear_bonus) * cleared
        first, last = self.first, self.last
        self._uncached = partial(self.mario.cache, frame, actions, reward, terminated, first, last)
        self.learn_due = int(stepped.sum())
        self.mario.count_steps(self.learn_due)
        self.logger.log_step(gained, stepped)

        self.first, self.last = observed.first, observed.last
        self._see(fleet, observed)
        self.latest_frame = fleet.frames[0].copy()
        self.clock.mark("preprocess")
        if observed.last.any() or len(self._unread) >= _UNREAD_UPDATES:
            self._read_updates()
        ended = np.flatnonzero(observed.last)
        counted = max(self.config.episodes - self.logger.episode, 0) if self.config.episodes else len(ended)
        for env in ended[counted:].tolist():  # ended in the same tick as the last one asked for
            self.logger.forget_episode(env)
        return [
            EpisodeEnded(self._end_episode(env, observed), fleet.action_log(env)) for env in ended[:counted].tolist()
        ]

    def _drop(self, observed: VectorStep) -> None:
        """Ends the episodes that were lost where they were last seen, as if they had been cut there; none is logged."""
        lost = observed.dropped & ~self.last
        self.last = self.last | lost
        for env in np.flatnonzero(lost).tolist():
            self.logger.forget_episode(env)
        self.dropped_episodes += int(lost.sum())
        self._restarted = Restarted(self.step, observed.problem, int(lost.sum()))

    def _cache(self) -> None:
        """Stores the experiences of the last tick: not in it, but while the games play the next one."""
        if self._uncached:
            self._uncached()
            self._uncached = None

    def settle(self) -> None:
        """Stores the last experiences and logs the last updates, both of which are put off while training runs."""
        self._cache()
        self._read_updates()

    def _read_updates(self) -> None:
        """Logs the updates since the last call."""
        if self._unread:
            losses = torch.stack([update.loss for update in self._unread]).tolist()
            q_values = torch.stack([update.q for update in self._unread]).tolist()
            skipped = torch.stack([update.skipped for update in self._unread]).tolist()
            self._unread.clear()
            for loss, q, left_out in zip(losses, q_values, skipped, strict=True):
                if not left_out:
                    self.logger.log_update(loss, q)
            if any(skipped):
                self.skipped_updates += sum(skipped)
                self._hold("loss or gradient were not finite; the update was left out, and the weights are as before")

    def _see(self, fleet: VectorEnv, observed: VectorStep) -> None:
        """Adds the games' newest frames to what the agent sees."""
        buttons = observed.buttons if self.config.show_buttons else None
        self.stacks.push(preprocess(fleet.frames, self.device, buttons), observed.first)

    def _end_episode(self, env: int, observed: VectorStep) -> EpisodeRecord:
        end = observed.end[env]
        assert end is not None
        record = self.logger.log_episode(
            env,
            step=self.step,
            epsilon=self.mario.exploration_rate,
            max_x=int(observed.max_x[env]),
            end=end.value,
            seconds=self._seconds_before + self.seconds,
        )
        if self.tensorboard:
            self.tensorboard.log_episode(record)
        if record.episode % self.config.log_every == 0:
            self._record()
        return record

    def _record(self) -> None:
        self.logger.record(self.logger.episode - 1, self.mario.exploration_rate, self.step)

    def _periodic(self, ended: list[EpisodeEnded]) -> Iterator[Event]:
        """Evaluations and checkpoints that are due after the step just taken."""
        before = self.step - self.learn_due
        if self._saver.done:
            yield from self._end_save()
        yield from self._take_evaluations(self.step)
        if self._crossed(self.config.eval_every_steps, before):
            self._evaluate(self._snapshot(full=False, rotates=self.config.keep_every > 1, evaluated=True))
        if self._crossed(self.config.save_every, before):
            index = self.step // self.config.save_every
            yield from self._save(rotates=index % self.config.keep_every > 0)
        if any(one.record.episode % (10 * self.config.log_every) == 0 for one in ended):
            self._save_curves()
        if ended or self._crossed(_WARN_STEPS, before):
            yield from self._warn()

    def _crossed(self, every: int, before: int) -> bool:
        return every > 0 and self.step // every > before // every

    def _limit_reached(self) -> bool:
        config = self.config
        return bool(
            (config.steps and self.step >= config.steps)
            or (config.episodes and self.logger.episode >= config.episodes)
            or (config.until_clear and self.first_greedy_clear)
        )

    def _evaluate(self, snapshot: _Snapshot, *, greedy: Evaluation | None = None) -> None:
        """Begins to play with a step's agent in a thread of its own; `_take_evaluations` has the result later."""
        config = self.config
        settings: dict[str, Any] = {}
        if greedy:
            settings = {"episodes": config.robust_episodes, "sticky": ROBUST_STICKY, "noops": ROBUST_NOOPS}
        result = self._evaluator.submit(evaluate, snapshot.policy, cancelled=lambda: self._stop_evaluating, **settings)
        every = config.eval_every_steps
        wait_steps = ROBUST_WAIT * every if greedy else min(EVALUATION_STEPS, every)
        self._pending.append(_PendingEvaluation(snapshot, greedy, result, self.step + wait_steps))

    def _take_evaluations(self, step: int | None = None, *, robust: bool = True) -> Iterator[Event]:
        """The results that are due at this step, or all of them; the best agent so far is saved, without a replay.

        Without `robust` those of the robust protocol, which may take a minute, are left for later.
        """

        def due() -> _PendingEvaluation | None:
            for one in self._pending:
                if (step is None or one.due <= step) and (robust or not one.robust):
                    return one
            return None

        while pending := due():  # taking one may begin another
            self._pending.remove(pending)
            evaluation, snapshot = pending.result.result(), pending.snapshot
            if not pending.robust:
                result = (0.0, evaluation.clears > 0, evaluation.max_x)
                if evaluation.clears and self.first_greedy_clear is None:
                    self.first_greedy_clear = FirstClear(snapshot.step, round(self._seconds_before + self.seconds, 3))
                if self._robust_wanted(evaluation):
                    self._evaluate(snapshot, greedy=evaluation)
            else:
                assert pending.greedy is not None
                result = (evaluation.clear_rate, pending.greedy.clears > 0, pending.greedy.max_x)
            tie = result == self._best and snapshot.step in self._saved_snapshots
            if result > self._best or (tie and pending.robust):
                self._best = result
                try:
                    self._keep(pending, evaluation)
                except OSError as error:
                    yield self._cannot_save(snapshot.step, error)
            self.logger.log_evaluation(
                EvaluationRecord(
                    step=snapshot.step,
                    seconds=round(self._seconds_before + self.seconds, 3),
                    protocol="robust" if pending.robust else "greedy",
                    episodes=evaluation.episodes,
                    clears=evaluation.clears,
                    mean_reward=evaluation.mean_reward,
                    mean_x=evaluation.mean_x,
                    max_x=evaluation.max_x,
                )
            )
            yield Evaluated(snapshot.step, evaluation, pending.robust)

    def _robust_wanted(self, greedy: Evaluation) -> bool:
        """Whether the robust protocol should follow this greedy play: where there is something for it to find, which in
        a game with chance in it may be so without a greedy clear, as that is one way through the stage of many."""
        config = self.config
        if config.until_clear or not config.robust_episodes or any(one.robust for one in self._pending):
            return False
        return greedy.clears > 0 or (config.sticky > 0 and self.logger.clears > 0)

    def _keep(self, pending: _PendingEvaluation, evaluation: Evaluation) -> None:
        """Saves the agent that was evaluated, unless it is there already, and notes how it did."""
        snapshot = pending.snapshot
        folder = self._saved_snapshots.get(snapshot.step)
        if folder is None or not folder.is_dir():
            folder = checkpoint.write(self.run_dir, snapshot.step, snapshot.parts, snapshot.header)
            self._saved_snapshots[snapshot.step] = folder
        stage = self.config.stage
        note(folder, snapshot.policy, pending.greedy or evaluation, stage=stage, sticky=0, noops=0)
        if pending.robust:
            note(folder, snapshot.policy, evaluation, stage=stage, sticky=ROBUST_STICKY, noops=ROBUST_NOOPS)

    def _finish(self) -> Finished:
        if self.logger.episode and (self.logger.episode - 1) % self.config.log_every:
            self._record()
        self._save_curves()
        assert self.last_checkpoint is not None
        self._pause_clock()
        seconds = self.seconds
        return Finished(
            steps=self.step,
            episodes=self.logger.episode,
            clears=self.logger.clears,
            seconds=round(seconds, 3),
            steps_per_second=round((self.step - self._start_step) / max(seconds, 1e-9), 2),
            checkpoint=self.last_checkpoint,
            first_greedy_clear=self.first_greedy_clear,
        )

    def _pause_clock(self) -> None:
        self._active_seconds, self._active_since = self.seconds, None

    # Saving and going on.

    def save(self) -> Path:
        """Writes a full checkpoint, with the replay, and waits until it is there; older ones then lose their replay.

        Raises OSError or CheckpointError where it cannot be written.
        """
        if self._saver.step is not None:
            with contextlib.suppress(OSError, CheckpointError):
                self._take_save()
        self._begin_save()
        return self._take_save()

    def _save(self, *, rotates: bool = False) -> Iterator[Event]:
        """Begins to save, and goes on; while paused it waits. With `rotates` a later checkpoint will replace it."""
        yield from self._take_evaluations(robust=False)  # what greedy play showed is part of what is saved
        yield from self._end_save()
        self._begin_save(rotates=rotates)
        if self.control.paused:
            yield from self._end_save()

    def _begin_save(self, *, rotates: bool = False) -> None:
        snapshot = self._snapshot(full=True, rotates=rotates)
        self._saver.begin(snapshot.step, snapshot.parts, snapshot.header, self.mario.memory.transitions)

    def _end_save(self) -> Iterator[Event]:
        """Waits for the save that is under way, if one is."""
        step = self._saver.step
        if step is None:
            return
        try:
            path = self._take_save()
        except (OSError, CheckpointError) as error:
            yield self._cannot_save(step, error)
        else:
            yield Saved(path, step)

    def _take_save(self) -> Path:
        step = self._saver.step
        assert step is not None
        try:
            path = self._saver.end()
        except Exception:  # not KeyboardInterrupt: then it is still being written
            self.mario.memory.drop_snapshot()
            raise
        self.mario.memory.drop_snapshot()
        self.last_checkpoint, self._saved_step, self._save_problem = path, step, ""
        guard.set_checkpoint(path)
        self._rotate(path)
        return path

    def _rotate(self, newest: Path) -> None:
        """In this thread, which is the one that says of older checkpoints which is the best."""
        self._rotation_problem = ""
        if self.config.keep_every > 1:
            try:
                rotate(self.run_dir, newest)
            except OSError as error:
                self._rotation_problem = f"older checkpoints could not be deleted: {error.strerror}"

    def _cannot_save(self, step: int, error: Exception) -> Warned:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        self._save_problem = f"step {step:,} could not be saved: {reason}"
        self._warned.add(_kind_of(self._save_problem))
        return Warned(step, self._save_problem)

    def _save_at_the_end(self) -> Iterator[Event]:
        """Saves what is not saved yet: without the replay, where there is no room for it.

        Raises NotSavedError where even that cannot be written.
        """
        yield from self._end_save()
        if self._saved_step == self.step and self.last_checkpoint and self.last_checkpoint.is_dir():
            return
        try:
            self.save()
        except (OSError, CheckpointError) as error:
            yield self._cannot_save(self.step, error)
            snapshot = self._snapshot(full=False)
            try:
                path = checkpoint.write(self.run_dir, snapshot.step, snapshot.parts, snapshot.header)
            except (OSError, CheckpointError):
                before = f"{self.last_checkpoint} is the last checkpoint" if self.last_checkpoint else "none was before"
                raise NotSavedError(f"{self._save_problem}; {before}: make room on the disk") from None
            self.last_checkpoint, self._saved_step = path, self.step
            guard.set_checkpoint(path)
            yield Warned(self.step, "saved without its replay, which is filled anew when the run goes on")

    def _save_curves(self) -> None:
        with contextlib.suppress(OSError):  # they are drawn again
            save_curves(self.run_dir, self.logger.curves)

    def problems(self) -> tuple[str, ...]:
        """What is wrong with this run's files now, one line each."""
        memory, saver = self.mario.memory, self._saver
        return tuple(
            file_warnings(
                (self._save_problem, self._rotation_problem, self.logger.problem),
                free_bytes=saver.bytes_free,
                needed_bytes=saver.bytes_needed(memory.transitions),
            )
        )

    def _warn(self) -> Iterator[Event]:
        """Tells of each problem once, until it is over."""
        problems = {_kind_of(text): text for text in self.problems()}
        for what in problems.keys() - self._warned:
            yield Warned(self.step, problems[what])
        self._warned = set(problems)

    def _snapshot(self, *, full: bool, rotates: bool = False, evaluated: bool = False) -> _Snapshot:
        """The agent as it is now, with the replay (which is not copied) or without.

        For `rotates` see rotate, for `evaluated` find_resumable.

        Raises TrainingError where it holds numbers that are not finite: that is never saved.
        """
        self.settle()
        if not self.mario.is_finite():
            raise TrainingError(
                "the network holds numbers that are not finite, and was not saved: "
                "go on from the run's last checkpoint, with a lower learning rate"
            )
        parts = state_files.writers(
            self.mario,
            self._state(),
            self.stacks.stacks,
            self.logger.history(),
            demonstrations=self._shown,
            replay=full,
        )
        header = {
            "created": checkpoint.now(),  # not when it is written, which for an evaluated agent is later
            "sequence": self._sequence,
            "stage": self.config.stage,
            "agent": self.mario.spec.model_dump(),
            "reward": REWARD_VERSION,
            "episodes": self.logger.episode,
            "mean_reward": round(self.logger.mean("reward"), 3) if self.logger.episode else None,
            "greedy_clear": self.first_greedy_clear is not None,
            "full": full,
            **({"evaluated": True} if evaluated else {}),
            **({"rotates": True} if rotates else {}),
            "config": self.config.model_dump(),
            "versions": {
                "torch": torch.__version__,
                "precision": str(self.mario.learning_net.dtype).removeprefix("torch."),
                "numpy": np.__version__,
                "emulator": emulator_generation(),
            },
        }
        self._sequence += 1
        policy = self.policy() if full else self.live_policy()
        return _Snapshot(self.step, policy, parts, header)

    def _state(self) -> dict[str, Any]:
        clear = self.first_greedy_clear
        return {
            "mario": self.mario.state_dict(),
            "metrics": self.logger.state_dict(),
            "learn_due": self.learn_due,
            "games": self.fleet.state_dict() if self.fleet else self._saved_games,
            "seconds": self._seconds_before + self.seconds,
            "best": list(self._best),
            "first_greedy_clear": asdict(clear) if clear else None,
            **({"demonstrations": self.demonstrations.as_json()} if self.demonstrations else {}),
        }

    def _show(self, games: tuple[ActionLog, ...], others: int) -> None:
        """Lets the agent learn from these games; `others` were found besides, of other stages."""
        self._shown = games
        if games:
            self.mario.demonstrations, count = play_again(games, self.config, self.device)
            self.demonstrations = replace(count, other_stages=others)

    def _load(self, path: Path, named: tuple[ActionLog, ...], others: int) -> None:
        if not path.is_dir():
            self._start_from_tutorial(path)
            return
        manifest = checkpoint.verify(path)
        check_made_for(path, manifest, reward=REWARD_VERSION)
        kept = state_files.read_demonstrations(path, manifest)
        self._show(tuple(dict.fromkeys((*kept, *named))), others)
        if kept and not self.config.demonstrations:  # where they came from stays in the settings
            self.config = self.mario.config = self.config.replace(
                demonstrations=manifest.config.get("demonstrations", "")
            )
        try:
            self._take_up(path, manifest)
        except MarioTuiError:
            raise
        except Exception as error:  # what a stranger's file raises in the libraries is not for us to list
            raise CheckpointError(f"{path} cannot be continued by this version: {one_line_error(error)}") from None
        for text in resume_notes(manifest):
            self._resume_notes.append(text)
            self.note(text)
        newest = lookup.step_folders(path.parent)[-1]
        if newest.name != path.name:
            self._resume_notes.append(
                f"{newest.name} was saved later; from the next save on the run goes on from here, with this replay"
            )
        self.last_checkpoint, self._saved_step = path, self.step
        if "replay.frames" not in manifest.parts:
            self._resume_notes.append("the replay was not kept with this checkpoint, and is filled anew")
        else:
            self._saver.learn_size(path, self.mario.memory.transitions)

    def _take_up(self, path: Path, manifest: Manifest) -> None:
        state, stacks = state_files.read(path, self.mario, manifest)
        if self.step != manifest.step:
            raise ValueError(f"it is of step {self.step:,}, and its manifest says {manifest.step:,}")
        history = (path / "metrics.csv").read_text() if "metrics.csv" in manifest.parts else None
        self.logger.load_state_dict(state["metrics"], history, self.step)
        self.learn_due = int(state["learn_due"])
        self._saved_games = state_files.check_games(state["games"], self.config.envs)
        if stacks.shape != self.stacks.stacks.shape or stacks.dtype != torch.uint8:
            raise ValueError(f"the games' stacks are {tuple(stacks.shape)} {stacks.dtype}")
        if not 0 <= self.learn_due <= self.config.envs or not 0 <= state["seconds"] < 1e12:
            raise ValueError("its counters are out of range")
        self.stacks.stacks = stacks.to(self.device)
        self._seconds_before = float(state["seconds"])
        rate, clear, x = state["best"]
        self._best = (float(rate), bool(clear), int(x))
        clear = state["first_greedy_clear"]
        self.first_greedy_clear = FirstClear(int(clear["step"]), float(clear["seconds"])) if clear else None

    def _start_from_tutorial(self, path: Path) -> None:
        policy = load_policy(path)
        spec = policy.spec.model_copy(update={"frame_skip": self.config.frame_skip})  # which the file does not say
        for name, value in spec.settings_to_change(self.config).items():
            flag = name.replace("_", "-")
            flag = f"--no-{flag}" if value is False else f"--{flag} {value}"
            raise InputError(f"{path} was trained with other inputs or layers: add {flag}")
        self.mario.load_net(policy.net.state_dict())
        rate = torch.load(path, map_location="cpu", weights_only=True).get("exploration_rate")
        if isinstance(rate, float) and 0 <= rate <= 1:
            self.mario.exploration.rate = rate
