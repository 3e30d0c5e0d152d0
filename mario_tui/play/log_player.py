"""Plays the episodes of an action log at the game's own speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from mario_tui.agent.policy import Policy
from mario_tui.game.action_log import ActionLog
from mario_tui.game.replaying import LogsInTurn, play_log
from mario_tui.game.step import EpisodeStep
from mario_tui.play.agent_player import AgentPlayer
from mario_tui.play.one_go import OneGo, log_plays
from mario_tui.play.rollout import StateStacks
from mario_tui.rewards import LearnedReward

_SHOWN_DEPTH = 4


class PlayLog(Protocol):
    """Plays a log in steps of so many frames; see `play_log`."""

    def __call__(self, log: ActionLog, *, frame_skip: int) -> Iterator[EpisodeStep]: ...


def log_steps(log: ActionLog, first_frame: int = 0, play: PlayLog = play_log) -> Iterator[EpisodeStep]:
    """The steps of a log's episode, with all their frames and with states as a network would see them.

    The steps before the emulator frame `first_frame` are played, but only the last one of them is yielded. A log by
    frame is shown in steps of four frames where it has whole ones.
    """
    frame_skip = log.frame_skip if log.frame_skip > 1 or len(log.buttons) % 4 else 4
    stacks = StateStacks(_SHOWN_DEPTH)
    for step in play(log, frame_skip=frame_skip):
        shown = stacks.add(step)
        if step.step * frame_skip >= first_frame:
            yield shown
    if shown.step * frame_skip < first_frame:
        yield shown


def all_log_steps(
    logs: Sequence[ActionLog], first_frame: int = 0, play: PlayLog | None = None
) -> Iterator[tuple[str, EpisodeStep]]:
    """Stage and step of several logs, one after the other, numbered throughout; see `log_steps`."""
    before = 0
    with LogsInTurn() as game:
        for number, log in enumerate(logs):
            last = before
            for step in log_steps(log, 0 if number else first_frame, play or game.play):
                last = before + step.step
                if not number or step.step:  # only the first log shows its first frame
                    yield log.stage, replace(step, step=last)
            before = last


class LogPlayer(AgentPlayer):
    """Plays the episodes of an action log, one after the other; it has no policy and nothing random.

    Args:
        load: gives the episodes, and the emulator frame of the first one to begin with.
        game: as in AgentPlayer.
        learned: the reward that the agent learned from whose episode it is, where that is known.
    """

    def __init__(
        self,
        load: Callable[[], tuple[Sequence[ActionLog], int]],
        *,
        game: OneGo | None = None,
        learned: LearnedReward | None = None,
    ) -> None:
        super().__init__(_no_policy, game=game)
        self._load_logs = load
        self._learned = learned or LearnedReward()

    @property
    def learned(self) -> LearnedReward:
        return self._learned

    def _open(self) -> None:
        self._logs, self._first_frame = self._load_logs()
        self.stage = self._logs[0].stage

    def _episode(self) -> Iterator[EpisodeStep]:
        self._last_step: int | None = None
        steps = all_log_steps(self._logs, self._first_frame, None if self._game is None else self._play_in_game)
        shown = next(steps)
        for following in steps:  # one ahead, as only the end of the log says which is the last
            self.stage = shown[0]
            yield shown[1]
            shown = following
        self.stage, last = shown
        self._last_step = last.step
        yield last

    def _play_in_game(self, log: ActionLog, *, frame_skip: int) -> Iterator[EpisodeStep]:
        assert self._game is not None
        return self._game.play(log.stage, log_plays(log, frame_skip=frame_skip), stopped=self._interrupted)

    def _is_over(self, shown: EpisodeStep) -> bool:
        return shown.step == self._last_step

    @property
    def finished(self) -> bool:
        latest = self.latest
        return latest is not None and self._is_over(latest)


def _no_policy() -> Policy:
    raise AssertionError("an action log has no policy")
