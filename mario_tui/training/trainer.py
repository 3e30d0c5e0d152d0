"""The training loop: a generator of events. Screens, progress bars and sessions watch it from outside.

What is done over and over stands in ticks.py; here is what happens around it.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mario_tui.agent.mario import Mario
from mario_tui.agent.policy import Policy
from mario_tui.config import TrainingConfig
from mario_tui.errors import CheckpointError, NotSavedError
from mario_tui.rewards import LearnedReward
from mario_tui.system import crash, guard
from mario_tui.training.checkpointing import Checkpointer, Snapshot
from mario_tui.training.collector import Collector
from mario_tui.training.control import TrainingControl
from mario_tui.training.corrector import LARGEST_EPSILON, Corrector
from mario_tui.training.demo_data import DemonstrationCount
from mario_tui.training.evaluator import Clear, Evaluator
from mario_tui.training.events import (
    EpisodeEnded,
    Event,
    Finished,
    FirstClear,
    Observer,
    RobustOutcome,
    Started,
    Stepped,
    Warned,
)
from mario_tui.training.health import Health
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.pauses import pause_with_save, process_commands
from mario_tui.training.phases import RunClock
from mario_tui.training.run_folder import RunFolder
from mario_tui.training.ticks import Ticks

_CHECK_FILES_STEPS = 1_000


class Trainer:
    """Trains one agent in one run folder. `training.restore` makes one with all its parts.

    Args:
        run: the run's folder, with the settings.
        agent, collector, logger, checkpointer, evaluator, clock, control: the parts.
        observers: watch the training.
        demonstrations: what the agent is shown besides its own games.
        corrector: labels its deaths, with the setting `corrections`.

    Attributes:
        resume_notes: what the user should know at the start, e.g. of the checkpoint that was resumed, one line each.
        ticks: what is done over and over.
    """

    def __init__(
        self,
        run: RunFolder,
        agent: Mario,
        collector: Collector,
        logger: MetricLogger,
        checkpointer: Checkpointer,
        evaluator: Evaluator,
        clock: RunClock,
        control: TrainingControl,
        *,
        observers: Sequence[Observer] = (),
        demonstrations: DemonstrationCount | None = None,
        corrector: Corrector | None = None,
    ) -> None:
        self.run_folder, self.agent, self.collector, self.logger = run, agent, collector, logger
        self.checkpointer, self.evaluator, self.clock, self.control = checkpointer, evaluator, clock, control
        self.observers, self.demonstrations, self.corrector = list(observers), demonstrations, corrector
        self.resume_notes: list[str] = []
        self.health = Health()
        self.ticks = Ticks(agent, collector, logger, clock, self.health, lambda reason: pause_with_save(self, reason))
        self._start_step = 0
        self._kept: tuple[Path | None, int] = None, -1  # by `keep_agent`

    # what others read while it runs

    @property
    def config(self) -> TrainingConfig:
        return self.run_folder.config

    @property
    def run_dir(self) -> Path:
        return self.run_folder.path

    @property
    def step(self) -> int:
        return self.agent.curr_step

    @property
    def epsilon(self) -> float:
        return self.agent.exploration_rate

    @property
    def seconds(self) -> float:
        """Time trained since this process started or resumed the run, without pauses."""
        return self.clock.seconds

    @property
    def last_checkpoint(self) -> Path | None:
        return self.checkpointer.newest

    @property
    def first_greedy_clear(self) -> FirstClear | None:
        return self.evaluator.first_clear

    def live_policy(self) -> Policy:
        """The weights of now as a policy that training does not change; on the CPU, as no other thread uses a GPU."""
        return Policy(
            net=copy.deepcopy(self.agent.net).on("cpu").eval(),
            stage=self.config.stage,
            step=self.step,
            source=f"{self.run_dir.name}, step {self.step:,}",
            learned=LearnedReward.of(self.config.model_dump()),
        )

    # the loop

    def run(self) -> Generator[Event, None, None]:
        """Trains until a limit of the settings is reached or a stop is asked for; saves, and ends with Finished."""
        try:
            yield from self._observed(self._start())
            while True:
                yield from self._observed(process_commands(self))
                yield from self._observed(self._overdue())
                if self.control.stopping or self._limit_reached():
                    try:
                        yield from self._observed(self._save_at_the_end())
                        break
                    except NotSavedError as error:
                        if self.control.in_a_hurry or not self.control.attended:
                            raise
                        self.control.pause_now(str(error), cancel_stop=True)  # as long as it waits nothing is lost
                        continue
                self.logger.begin()
                events = self.ticks.tick()
                yield from self._observed(self._correct(events))
                yield from self._observed(events)
                yield Stepped(self.step)
                yield from self._observed(self._periodic([one for one in events if isinstance(one, EpisodeEnded)]))
                for observer in self.observers:
                    yield from observer.poll()
            finished = self._finish()
            self.close()
            for observer in self.observers:
                yield from observer.finish(lambda: self.control.in_a_hurry)
            yield finished
        except Exception as error:
            self._rescue()
            crash.write_log(self.run_dir, error, f"step {self.step}")
            raise
        finally:
            self.clock.pause()
            with contextlib.ExitStack() as ending:  # backwards, and a failure of one leaves none of the others out
                for close in (*(observer.close for observer in self.observers), self.close):
                    ending.callback(close)

    def _observed(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            for observer in self.observers:
                observer.observe(event)
            yield event

    def _start(self) -> Iterator[Event]:
        try:
            self.collector.start()
        except CheckpointError as error:
            raise CheckpointError(f"{self.last_checkpoint} cannot be continued: {error}") from None
        self.clock.start()
        self._start_step = self.step
        self.ticks.start()
        self.evaluator.goal.start()
        guard.set_run(self.run_dir)
        guard.set_checkpoint(self.last_checkpoint)
        if self.demonstrations:
            self.note(str(self.demonstrations))
        yield Started(self.run_dir, self.step, self.demonstrations)
        for text in self.resume_notes:
            yield Warned(self.step, text)

    def _overdue(self) -> Iterator[Event]:
        """What was due at this step, and ended by a stop: of a run that goes on, or that could not be saved then."""
        if self.corrector is not None and self.corrector.due:
            yield from self.corrector.take_turn(self.step)
        yield from self.evaluator.goal.results(self.step)

    def _correct(self, events: Iterable[Event]) -> Iterator[Event]:
        """Learns from the deaths among these events of a tick; it is part of the tick, whatever is saved next."""
        if self.corrector is None:
            return
        for event in events:
            if isinstance(event, EpisodeEnded):
                self.corrector.observe(event)
        if self.ticks.crossed(self.config.corrections_every):
            yield from self.corrector.take_turn(self.step)

    def _periodic(self, ended: Sequence[EpisodeEnded]) -> Iterator[Event]:
        """Evaluations and checkpoints that are due after the step just taken, in which these episodes ended."""
        config = self.config
        if self.checkpointer.done:
            yield from self.checkpointer.end()
        yield from self.evaluator.results(self.step)
        if self.ticks.crossed(config.eval_every_steps) and not self.evaluator.busy:
            snapshot = self._snapshot(full=False, rotates=config.keep_every > 1, evaluated=True)
            self.evaluator.start(snapshot, self.live_policy())
        for one in ended:
            clear: Clear = "greedy" if one.record.kind == "greedy" else "chance"
            if one.record.cleared and self.config.measuring_games and self.evaluator.wants_confirmation(clear):
                self._look_at_clear(one, clear)
        if self.evaluator.goal.is_due(self.step):
            yield from self.evaluator.goal.try_agent(self._snapshot(full=False, evaluated=True), self.live_policy())
        if self.ticks.crossed(config.save_every):
            yield from self.begin_save(rotates=self.step // config.save_every % config.keep_every > 0)
        if ended or self.ticks.crossed(_CHECK_FILES_STEPS):
            yield from self.checkpointer.new_problems(self.step)

    def _look_at_clear(self, ended: EpisodeEnded, clear: Clear) -> None:
        """Has weights evaluated that may clear the stage greedily: those of an episode in which a game that measures
        did, or of now where another game did that hardly explores."""
        policy, weights = self.live_policy(), None
        if ended.record.kind in ("greedy", "robust"):
            weights = self.agent.measuring.weights(ended.game)
            policy.net.load_state_dict(weights)
        elif ended.record.kind != "training" or self.agent.epsilon_of(ended.game) > LARGEST_EPSILON:
            return
        snapshot = self._snapshot(full=False, evaluated=True, weights=weights)
        self.evaluator.start(snapshot, policy, confirms=clear)

    def _limit_reached(self) -> bool:
        config = self.config
        return bool(
            (config.steps and self.step >= config.steps)
            or (config.episodes and self.logger.episode >= config.episodes)
            or (config.until_clear and self.first_greedy_clear)
            or self.evaluator.goal.reached
        )

    def _finish(self) -> Finished:
        if self.logger.episode and (self.logger.episode - 1) % self.config.log_every:
            self.logger.log_means(step=self.step, epsilon=self.epsilon)
        assert self.last_checkpoint is not None
        self.clock.pause()
        finished = Finished(
            steps=self.step,
            episodes=self.logger.episode,
            clears=self.logger.clears,
            seconds=round(self.seconds, 3),
            steps_per_second=round((self.step - self._start_step) / max(self.seconds, 1e-9), 2),
            checkpoint=self.last_checkpoint,
            first_greedy_clear=self.first_greedy_clear,
            robust=self._robust_outcome(),
        )
        for observer in self.observers:
            observer.observe(finished)
        return finished

    def _robust_outcome(self) -> RobustOutcome | None:
        target, goal = self.config.until_robust, self.evaluator.goal
        if not target:
            return None
        return RobustOutcome(target, goal.reached, goal.best, self.logger.measured.robust_best)

    def _rescue(self) -> None:
        """Saves what there is after a failure; if that fails too, the first failure is what matters."""
        if self.step > max(self._start_step, self.checkpointer.newest_step):
            self.checkpointer.rescue(self._save_after_failure)

    def _save_after_failure(self) -> None:
        self.ticks.end_after_failure()
        self.save()

    def close(self) -> None:
        """Ends the games and releases the run's folder; `run` does it itself."""
        with contextlib.ExitStack() as ending:  # backwards: the lock is released last, whatever fails before
            for part in (self.run_folder, self.collector, self.checkpointer, self.evaluator, self.control):
                ending.callback(part.close)
            if self.corrector is not None:
                ending.callback(self.corrector.close)

    def note(self, text: str) -> None:
        """Puts a line into the run's log."""
        self.logger.note(self.step, text)

    # saving

    def save(self) -> Path:
        """Writes a full checkpoint and waits until it is written; raises OSError or CheckpointError if it cannot be."""
        return self.checkpointer.save(lambda: self._snapshot(full=True))

    def keep_agent(self) -> Path:
        """Writes the agent of this step without its replay, to be evaluated, unless the step was saved already.

        It stays until the user deletes it. Raises OSError, CheckpointError or TrainingError if it cannot be written.
        """
        for path, step in ((self.checkpointer.newest, self.checkpointer.newest_step), self._kept):
            if path is not None and step == self.step and path.is_dir():
                return path
        path = self.checkpointer.save_evaluated(self._snapshot(full=False, evaluated=True))
        self._kept = path, self.step
        return path

    def begin_save(self, *, rotates: bool = False) -> Iterator[Event]:
        """Begins to save, and continues; during a pause it waits. With `rotates` a later checkpoint replaces it."""
        yield from self.evaluator.results(self.step, before_save=True)
        yield from self.checkpointer.end()
        self.checkpointer.begin(self._snapshot(full=True, rotates=rotates))
        if self.control.paused:
            yield from self.checkpointer.end()

    def _save_at_the_end(self) -> Iterator[Event]:
        if not self.control.stopping:
            yield from self.evaluator.results(self.step, at_the_end=True)
        yield from self.checkpointer.save_at_the_end(self.step, lambda full: self._snapshot(full=full))

    def snapshot_without_replay(self) -> Snapshot:
        """The training as it is now, but for its replay, to be written later."""
        return self._snapshot(full=False)

    def _snapshot(self, *, full: bool, **how: Any) -> Snapshot:
        self.ticks.flush()
        return self.checkpointer.snapshot(self.state_dict(), self.collector.observations, full=full, **how)

    def state_dict(self) -> dict[str, Any]:
        """Counters, random states and the games, as JSON; networks, optimizer and replay are saved as tensors."""
        return {
            "mario": self.agent.state_dict(),
            "metrics": self.logger.state_dict(),
            "learn_due": self.ticks.learn_due,
            "games": self.collector.state_dict(),
            "seconds": self.clock.total,
            **self.evaluator.state_dict(),
            **({"demonstrations": self.demonstrations.as_json()} if self.demonstrations else {}),
            **({"corrections": self.corrector.state_dict()} if self.corrector else {}),
        }
