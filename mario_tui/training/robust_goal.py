"""The end of a training by its robust clear rate: when its last episodes speak for it, the whole protocol is played.

The episodes of the game that measures are of agents that change, and are looked at after each of them, so that they
reach any target by chance sooner or later. What counts is a trial: 300 episodes of one agent, with seeds that were
not played before. It passes where the 95 % interval of its clear rate is not below the target: an agent a little below
it hardly ever does, although trials repeat, and one that passed has the rate with other seeds as well. A trial ends
early where it can no longer pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mario_tui.agent.policy import Policy, load_policy
from mario_tui.errors import CheckpointError
from mario_tui.play.evaluation import ROBUST_NOOPS, ROBUST_STICKY, Evaluation, note
from mario_tui.store import lookup
from mario_tui.store.history import EvaluationRecord
from mario_tui.store.intervals import wilson_interval
from mario_tui.training.awaiting import outcome, wait_for
from mario_tui.training.checkpointing import Checkpointer, Snapshot
from mario_tui.training.control import TrainingControl
from mario_tui.training.events import Evaluated, Event, RobustTrial
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.phases import RunClock
from mario_tui.training.run_folder import RunFolder

EPISODES = 300
FIRST_SEED = 100_000
"""Seed of the first trial's first episode; each trial has seeds of its own."""
WAIT_STEPS = 20_000
"""Steps from the beginning of a trial to its result, which is waited for if it is not there yet."""
RETRY_STEPS = 30_000
"""Steps from the beginning of a trial to that of the next."""


def most_failures(target: float) -> int:
    """Episodes of a trial that may fail where the lower end of its rate's interval is to be `target`, 0 to 1.

    For 0.97 of 300 episodes that is 3; 0 too where not even a trial without failures would do.
    """
    failures = 0
    while wilson_interval(EPISODES - failures - 1, EPISODES)[0] >= target:
        failures += 1
    return failures


def as_record(evaluation: Evaluation, step: int, seconds: float, *, robust: bool) -> EvaluationRecord:
    """The line of evaluations.csv for the evaluation of a step's agent, whose result was there after this time."""
    return EvaluationRecord(
        step=step,
        seconds=round(seconds, 3),
        protocol="robust" if robust else "greedy",
        episodes=evaluation.episodes,
        clears=evaluation.clears,
        mean_reward=evaluation.mean_reward,
        mean_x=evaluation.mean_x,
        max_x=evaluation.max_x,
    )


@dataclass(frozen=True)
class _Running:
    """A trial under way: of which agent, and the step at which its result is taken."""

    folder: Path
    step: int
    seed: int
    due: int
    policy: Policy
    result: Future[Evaluation]


class RobustGoal:
    """Tries agents of a run against the setting `until_robust`.

    Args:
        run, checkpointer, logger, clock, control, awaited: as of the Evaluator.
        submit: begins an evaluation, with a policy and the settings of play.evaluation.evaluate.

    Attributes:
        best: the best trial so far; None before the first.
    """

    def __init__(
        self,
        run: RunFolder,
        checkpointer: Checkpointer,
        logger: MetricLogger,
        clock: RunClock,
        control: TrainingControl,
        *,
        awaited: bool,
        submit: Callable[..., Future[Evaluation]],
    ) -> None:
        self._run, self._checkpointer, self._logger, self._clock = run, checkpointer, logger, clock
        self._control, self._awaited, self._submit = control, awaited, submit
        self.best: RobustTrial | None = None
        self._trials = 0
        self._next_at = 0
        self._running: _Running | None = None
        self._resumed: dict[str, Any] | None = None  # a trial that was under way when the run was saved

    def start(self) -> None:
        """Begins the trial anew that was under way when the run was saved, if its checkpoint is there still."""
        resumed, self._resumed = self._resumed, None
        folders = {folder.name: folder for folder in lookup.step_folders(self._run.path)} if resumed else {}
        if resumed and (folder := folders.get(resumed["checkpoint"])) and self._run.config.until_robust:
            with contextlib.suppress(CheckpointError):
                self._begin(folder, resumed["step"], resumed["seed"], resumed["due"], load_policy(folder))

    @property
    def reached(self) -> bool:
        """Whether a trial of this run shows the clear rate that is asked for."""
        target = self._run.config.until_robust
        return self.best is not None and 0 < target <= self.best.low

    def is_due(self, step: int) -> bool:
        """Whether the agent of now should be tried."""
        target, measured = self._run.config.until_robust, self._logger.measured
        return bool(target and self._running is None and step >= self._next_at and measured.worth_a_trial(target))

    def try_agent(self, snapshot: Snapshot, policy: Policy) -> Iterator[Event]:
        """Begins a trial, whose agent is saved: the run can go on from a later checkpoint amid it."""
        self._next_at = snapshot.step + RETRY_STEPS
        try:
            folder = self._checkpointer.save_evaluated(snapshot)
        except OSError as error:
            yield self._checkpointer.failed(snapshot.step, error)
            return
        seed = FIRST_SEED + EPISODES * self._trials
        self._trials += 1
        self._begin(folder, snapshot.step, seed, snapshot.step + WAIT_STEPS, policy)

    def _begin(self, folder: Path, step: int, seed: int, due: int, policy: Policy) -> None:
        failures = most_failures(self._run.config.until_robust)
        protocol = {"episodes": EPISODES, "most_failures": failures, "sticky": ROBUST_STICKY, "noops": ROBUST_NOOPS}
        self._running = _Running(folder, step, seed, due, policy, self._submit(policy, seed=seed, **protocol))

    def results(self, now: int, *, at_the_end: bool = False) -> Iterator[Event]:
        """The result that is due at step `now`; at the end, of what is under way. A stop ends the wait for it."""
        trial = self._running
        if trial is None or not (at_the_end or (trial.due <= now if self._awaited else trial.result.done())):
            return
        what = f"the robust evaluation of step {trial.step:,}"
        if not (yield from wait_for(trial.result, self._control, now, what)):
            return
        self._running = None
        evaluation = yield from outcome(trial.result, self._logger, now, f"{what} was given up")
        if evaluation is None:
            return
        tried = RobustTrial(trial.step, evaluation.clears, evaluation.episodes, trial.folder.name)
        if self.best is None or tried.low > self.best.low:
            self.best = tried
        note(
            trial.folder,
            trial.policy,
            evaluation,
            stage=self._run.config.stage,
            sticky=ROBUST_STICKY,
            noops=ROBUST_NOOPS,
        )
        self._logger.log_evaluation(as_record(evaluation, trial.step, self._clock.total, robust=True))
        yield Evaluated(trial.step, evaluation, robust=True)

    def state_dict(self) -> dict[str, Any]:
        """All trials, also one under way, as JSON."""
        running = self._resumed
        if (now := self._running) is not None:
            running = {"checkpoint": now.folder.name, "step": now.step, "seed": now.seed, "due": now.due}
        return {
            "trials": self._trials,
            "next_at": self._next_at,
            "best": asdict(self.best) if self.best else None,
            "running": running,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state_dict` at the next `start`; raises KeyError, TypeError or ValueError for anything else."""
        self._trials, self._next_at = int(state["trials"]), int(state["next_at"])
        best, running = state["best"], state["running"]
        self.best = RobustTrial.parse(best) if best else None
        if running:
            numbers = {name: int(running[name]) for name in ("step", "seed", "due")}
            if min(*numbers.values(), self._trials, self._next_at) < 0:
                raise ValueError("its robust trial is out of range")
            self._resumed = {"checkpoint": str(running["checkpoint"]), **numbers}
