"""Evaluations beside the training: when they begin, when their results count, and which agent is the best so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mario_tui.agent.policy import Policy
from mario_tui.play.evaluation import ROBUST_NOOPS, ROBUST_STICKY, Evaluation, evaluate, note
from mario_tui.play.evaluation_processes import EvaluationProcesses
from mario_tui.system import free_memory, processors
from mario_tui.training.awaiting import outcome, wait_for
from mario_tui.training.checkpointing import Checkpointer, Snapshot
from mario_tui.training.collector import processes as emulators
from mario_tui.training.control import TrainingControl
from mario_tui.training.events import Evaluated, Event, FirstClear
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.phases import RunClock
from mario_tui.training.robust_goal import RobustGoal, as_record
from mario_tui.training.run_folder import RunFolder

Clear = Literal["greedy", "chance"]
"""A clear in a game of the training: of an episode in which every action was the greedy one, or of one with chance."""
GREEDY_WAIT_STEPS = 2_000
"""Steps from the beginning of a greedy evaluation to its result, which is waited for if it is not there yet: a fixed
number, so that a run depends on its seed alone."""
UNASKED_EVERY = 5_000
"""Steps between greedy evaluations where none are asked for: only waits are counted in them, of those that a clear in a
game that measures calls for."""
ROBUST_WAIT = 4
"""Greedy evaluations from the beginning of a robust one, which takes a core a minute, to its result; one at a time."""
MOST_PROCESSES = 8
PROCESS_BYTES = 320_000_000
"""What a process that plays evaluations takes, beside what it shares with this one (measured, PyTorch 2.14)."""


@dataclass(frozen=True)
class _Pending:
    """An evaluation under way, and the step at which its result is taken.

    `greedy` is the result of the greedy play before a robust evaluation; None for greedy play itself. `confirms`: it
    is of weights with which a game cleared the stage, in an episode without or with chance.
    """

    snapshot: Snapshot
    policy: Policy
    greedy: Evaluation | None
    result: Future[Evaluation]
    due: int
    confirms: Clear | None = None

    @property
    def robust(self) -> bool:
        return self.greedy is not None


class Evaluator:
    """Evaluates the agent every `eval_every` steps, and has the best one so far saved.

    Args:
        run: whose settings say how often, and how many episodes.
        checkpointer: writes the best agent so far.
        logger: writes the results.
        clock: the time trained, which the results are noted with.
        control: its stop ends the wait for a result.
        awaited: whether a result is taken at a fixed step, and waited for if it is not there yet. Otherwise results
            are taken when they are there, and greedy play is left out while that before it goes on.
        evaluate: plays the episodes, see play.evaluation.
        close_processes: ends what `evaluate` has started, at once.
        greedy_wait_steps: see GREEDY_WAIT_STEPS.

    Attributes:
        first_clear: when greedy play first cleared the stage.
        goal: the trials for the setting `until_robust`.
    """

    def __init__(
        self,
        run: RunFolder,
        checkpointer: Checkpointer,
        logger: MetricLogger,
        clock: RunClock,
        control: TrainingControl,
        *,
        awaited: bool = True,
        evaluate: Callable[..., Evaluation] = evaluate,
        close_processes: Callable[[], None] = lambda: None,
        greedy_wait_steps: int = GREEDY_WAIT_STEPS,
    ) -> None:
        self._run, self._checkpointer, self._logger, self._clock = run, checkpointer, logger, clock
        self._awaited, self._evaluate, self._greedy_wait_steps = awaited, evaluate, greedy_wait_steps
        self._control, self._close_processes = control, close_processes
        self.first_clear: FirstClear | None = None
        self._best: tuple[float, bool, int] = (0.0, False, -1)  # robust clear rate, greedy clear, greedy x
        self._pending: list[_Pending] = []
        self._pool = ThreadPoolExecutor(3, thread_name_prefix="evaluation")  # a greedy and a robust one, a trial
        self._closed = False
        self.goal = RobustGoal(run, checkpointer, logger, clock, control, awaited=awaited, submit=self._play)

    def start(self, snapshot: Snapshot, policy: Policy, *, confirms: Clear | None = None) -> None:
        """Begins greedy play with the agent of a step, beside the training; `results` has the result later."""
        due = snapshot.step + min(self._greedy_wait_steps, self._every)
        self._submit(snapshot, policy, None, due, confirms=confirms)

    @property
    def _every(self) -> int:
        return self._run.config.eval_every_steps or UNASKED_EVERY

    def wants_confirmation(self, clear: Clear) -> bool:
        """Whether weights with which a game cleared the stage should be evaluated.

        One with chance in it often comes to nothing, and does not stand in the way of one without.
        """
        if self.first_clear is not None:
            return False
        pending = {one.confirms for one in self._pending}
        return "greedy" not in pending if clear == "greedy" else pending <= {None}

    def _start_robust(self, greedy: _Pending, result: Evaluation, step: int) -> None:
        due = step + ROBUST_WAIT * self._every
        settings: dict[str, Any] = {
            "episodes": self._run.config.robust_episodes,
            "sticky": ROBUST_STICKY,
            "noops": ROBUST_NOOPS,
        }
        self._submit(greedy.snapshot, greedy.policy, result, due, **settings)

    def _submit(
        self,
        snapshot: Snapshot,
        policy: Policy,
        greedy: Evaluation | None,
        due: int,
        *,
        confirms: Clear | None = None,
        **settings: Any,
    ) -> None:
        result = self._play(policy, **settings)
        self._pending.append(_Pending(snapshot, policy, greedy, result, due, confirms))

    def _play(self, policy: Policy, **settings: Any) -> Future[Evaluation]:
        return self._pool.submit(self._evaluate, policy, cancelled=lambda: self._closed, **settings)

    @property
    def busy(self) -> bool:
        """Whether greedy play of now should be left out."""
        return not self._awaited and any(not one.robust for one in self._pending)

    def results(self, now: int, *, before_save: bool = False, at_the_end: bool = False) -> Iterator[Event]:
        """The results that are due at step `now`; the best agent so far is saved, without a replay.

        Before a save greedy play is due, whose result is part of what is saved, and at the end all that is under way.
        A stop ends the wait for a result.
        """

        def is_due(one: _Pending) -> bool:
            if at_the_end or (not self._awaited and one.result.done()):
                return True
            return self._awaited and (one.due <= now or (before_save and not one.robust))

        def next_due() -> _Pending | None:
            return next(filter(is_due, self._pending), None)

        while pending := next_due():  # the result of one may begin another
            step = pending.snapshot.step
            what = f"the {'robust' if pending.robust else 'greedy'} evaluation of step {step:,}"
            if not (yield from wait_for(pending.result, self._control, now, what)):
                return
            self._pending.remove(pending)
            evaluation = yield from outcome(pending.result, self._logger, now, f"{what} was given up")
            if evaluation is None:
                continue
            if pending.greedy is None:
                merit = (0.0, evaluation.clears > 0, evaluation.max_x)
                if evaluation.clears and self.first_clear is None:
                    self.first_clear = FirstClear(step, round(self._clock.total, 3))
                if self._robust_wanted(evaluation):
                    self._start_robust(pending, evaluation, now)
            else:
                merit = (evaluation.clear_rate, pending.greedy.clears > 0, pending.greedy.max_x)
            tie = merit == self._best and self._checkpointer.has_evaluated(pending.snapshot)
            if merit > self._best or (tie and pending.robust):
                self._best = merit
                try:
                    self._save_best(pending, evaluation)
                except OSError as error:
                    yield self._checkpointer.failed(step, error)
            self._logger.log_evaluation(as_record(evaluation, step, self._clock.total, robust=pending.robust))
            yield Evaluated(step, evaluation, pending.robust)
        yield from self.goal.results(now, at_the_end=at_the_end)

    def _robust_wanted(self, greedy: Evaluation) -> bool:
        """Whether the robust protocol should follow this greedy play.

        It should if there may be something for it to find. With sticky actions that may be so without a greedy clear,
        as greedy play is only one way through the stage of many.
        """
        config = self._run.config
        if config.until_clear or not config.robust_episodes or any(one.robust for one in self._pending):
            return False
        return greedy.clears > 0 or (config.sticky > 0 and self._logger.clears > 0)

    def _save_best(self, pending: _Pending, evaluation: Evaluation) -> None:
        """Saves the agent that was evaluated, with the results."""
        folder, stage = self._checkpointer.save_evaluated(pending.snapshot), self._run.config.stage
        note(folder, pending.policy, pending.greedy or evaluation, stage=stage, sticky=0, noops=0)
        if pending.robust:
            note(folder, pending.policy, evaluation, stage=stage, sticky=ROBUST_STICKY, noops=ROBUST_NOOPS)

    def state_dict(self) -> dict[str, Any]:
        """The best so far, the first clear and the trials, as JSON; other evaluations under way are not part of it."""
        return {
            "best": list(self._best),
            "first_greedy_clear": asdict(self.first_clear) if self.first_clear else None,
            "robust_goal": self.goal.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores `state_dict`; raises KeyError, TypeError or ValueError for anything else."""
        rate, clear, x = state["best"]
        self._best = (float(rate), bool(clear), int(x))
        first = state["first_greedy_clear"]
        self.first_clear = FirstClear(int(first["step"]), float(first["seconds"])) if first else None
        if "robust_goal" in state:  # which older checkpoints have not
            self.goal.load_state_dict(state["robust_goal"])

    def close(self) -> None:
        """Ends the evaluations under way, whose results are lost."""
        self._closed = True
        self._close_processes()
        self._pool.shutdown(cancel_futures=True)


def open_evaluator(
    run: RunFolder,
    checkpointer: Checkpointer,
    logger: MetricLogger,
    clock: RunClock,
    control: TrainingControl,
    *,
    awaited: bool,
) -> Evaluator:
    """An evaluator whose episodes are played in processes of their own, or in threads where memory is short.

    With two cores a process takes as much from the training as a thread does (see
    play.evaluation_processes.NICENESS), but nothing from the screen's thread; with more cores it takes nothing.
    """
    emulating = emulators(run.config) if run.config.actors == "local" else 0
    count = process_count(processors.count(), emulating, free_memory.free_bytes())
    if not count:
        return Evaluator(run, checkpointer, logger, clock, control, awaited=awaited)
    processes = EvaluationProcesses(count)
    return Evaluator(
        run,
        checkpointer,
        logger,
        clock,
        control,
        awaited=awaited,
        evaluate=processes.evaluate,
        close_processes=processes.close,
    )


def process_count(cores: int, emulating: int, free_bytes: int) -> int:
    """How many processes play evaluations: one for each core that neither learns nor emulates, and at least one.

    They may take a quarter of the free memory; 0 if one is too many for that.
    """
    return min(max(1, min(MOST_PROCESSES, cores - 1 - emulating)), free_bytes // 4 // PROCESS_BYTES)
