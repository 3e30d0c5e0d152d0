"""Ticks: at each every game takes one step, one group of games after the other, and the agent learns meanwhile.

While the emulators run a step, the agent learns from the ticks before. The actions of a step are chosen before the
updates beside it, so that a run depends on its seed alone, neither on timing nor on the number of processes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np

from mario_tui.agent.mario import Mario
from mario_tui.errors import EmulatorError
from mario_tui.game.kept_episodes import KeptEpisode
from mario_tui.store.history import PRACTICE, TRAINING
from mario_tui.training.collector import Collector, EpisodeEnd, Experiences, Tick
from mario_tui.training.events import EpisodeEnded, Event, Measurement, Restarted
from mario_tui.training.health import BAD_REWARD, BAD_UPDATE, Health
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.phases import PhaseClock, RunClock
from mario_tui.training.updates import PendingUpdates


class Ticks:
    """Has the games of a collector played by an agent, which learns from them.

    Args:
        agent, collector, logger, clock, health: the trainer's.
        pause: called with the reason where a reward or an update was not finite.

    Attributes:
        learn_due: steps that were taken and not yet learned from.
        phases: what the time goes into.
    """

    def __init__(
        self,
        agent: Mario,
        collector: Collector,
        logger: MetricLogger,
        clock: RunClock,
        health: Health,
        pause: Callable[[str], None],
    ) -> None:
        self._agent, self._collector, self._logger, self._clock = agent, collector, logger, clock
        self._health, self._pause = health, pause
        self.learn_due = 0
        self.phases = PhaseClock()
        self._began = 0  # the step at which the last tick began
        self._experiences: Experiences | None = None
        self._updates = PendingUpdates()

    def start(self) -> None:
        """Begins the steps that are always under way: those of all groups of games but one."""
        if self._agent.curr_step == 0:
            self._agent.begin_episodes(np.arange(self._agent.config.envs))
        while self._collector.under_way < self._collector.groups - 1:
            self._begin_step()

    def tick(self) -> list[Event]:
        """One step of every game, and the updates that are due meanwhile; returns the rare events of it."""
        self.phases.start()
        self._began = self._agent.curr_step
        events: list[Event] = []
        for _ in range(self._collector.groups):
            self._begin_step()
            self.phases.mark("act")
            self._store_experiences()
            self.phases.mark("cache")
            updates = self._agent.learn(self.learn_due, self.phases.mark)
            self._updates.add(updates)
            if self._agent.device.type == "cpu" and any(one.skipped for one in updates):  # a GPU would be waited for
                self._read_updates()
            step = self._collector.finish(self.phases.mark)
            self.phases["emulate"] += step.emulating_seconds  # type: ignore[assignment]
            events += self._count(step)
        self._experiences = self._collector.take_experiences()
        return events

    def crossed(self, every: int) -> bool:
        """Whether the last tick reached a multiple of so many steps."""
        return every > 0 and self._agent.curr_step // every > self._began // every

    def flush(self) -> None:
        """Stores the last experiences and logs the last updates, both of which are put off while training runs."""
        self._store_experiences()
        self._read_updates()

    def end_after_failure(self) -> None:
        """Stores what was played of a tick that will not be finished."""
        self._store_experiences()
        with contextlib.suppress(EmulatorError):
            while self._collector.is_completable:
                self._count(self._collector.finish())
        self._experiences = self._collector.take_experiences()

    def _begin_step(self) -> None:
        """Begins a step of the games whose turn it is."""
        games, observations = self._collector.turn
        self._collector.begin(*self._agent.act(observations, games))

    def _store_experiences(self) -> None:
        """Stores the experiences of the last tick: not in it, but while the games play the next one."""
        if (rows := self._experiences) is not None:
            self._agent.cache(
                rows.frame, rows.action, rows.reward, rows.terminated, rows.first, rows.last, rows.explored
            )
            self._experiences = None

    def _read_updates(self) -> None:
        """Logs the updates since the last call."""
        if skipped := self._updates.log(self._logger):
            self._health.skipped_updates += skipped
            self._pause(BAD_UPDATE)

    def _count(self, step: Tick) -> list[Event]:
        """Counts the steps of some games; returns the rare events of it."""
        agent, logger, config = self._agent, self._logger, self._agent.config
        events: list[Event] = []
        if step.problem:
            restarted = Restarted(agent.curr_step, step.problem, len(step.dropped))
            self._health.dropped_episodes += restarted.dropped
            logger.note(agent.curr_step, str(restarted))
            events.append(restarted)
        for env in step.dropped:
            logger.forget_episode(env)
        if step.bad_reward:
            self._pause(BAD_REWARD)
        self.learn_due = int(step.stepped.sum())
        agent.count_steps(self.learn_due)
        agent.begin_episodes(step.games[~step.stepped])
        logger.log_step(step.games, step.score, step.stepped)
        if step.ended or self._updates.many:
            self._read_updates()
        counted = max(config.episodes - logger.episode, 0) if config.episodes else len(step.ended)
        for end in step.ended[counted:]:  # ended at the same time as the last one asked for
            logger.forget_episode(end.env)
        ended = [self._end_episode(end) for end in step.ended[:counted]]
        if any(one.record.kind not in (TRAINING, PRACTICE) for one in ended):
            events.insert(0, Measurement(agent.curr_step, logger.measured))
        return [*ended, *events]

    def _end_episode(self, ended: EpisodeEnd) -> EpisodeEnded:
        agent, logger = self._agent, self._logger
        record = logger.log_episode(
            ended.env,
            step=agent.curr_step,
            epsilon=agent.exploration_rate,
            max_x=ended.max_x,
            progress=ended.progress,
            end=ended.end.value,
            seconds=self._clock.total,
            kind=PRACTICE if ended.practice else agent.measuring.kind(ended.env),
        )
        if record.episode % agent.config.log_every == 0:
            logger.log_means(step=agent.curr_step, epsilon=agent.exploration_rate)
            if logger.measured:
                logger.note(agent.curr_step, str(logger.measured))
        if ended.log is not None and ended.trail is not None:
            logger.keep(KeptEpisode(record.episode, ended.log, ended.trail))
        return EpisodeEnded(record, ended.log, ended.env)
