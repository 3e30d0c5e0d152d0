"""From the games to transitions: what one step of every game brought, as the replay stores it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_tui.agent.preprocess import FrameStacks, draw_buttons
from mario_tui.buttons import ACTION_SETS
from mario_tui.config import TrainingConfig
from mario_tui.errors import CheckpointError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.episode import EndReason
from mario_tui.game.vector_env import VectorEnv
from mario_tui.store.untrusted import one_line_error
from mario_tui.system import processors
from mario_tui.training.state_files import check_games


@dataclass(frozen=True, slots=True)
class Experiences:
    """One row of each of the E games, as `Replay.add` takes them: transitions are made of a row and those after it.

    Attributes:
        frame: (E, 84, 84) uint8, the newest frame of the observation that was acted on.
        action: (E,) int64.
        reward: (E,) float32, with the clear bonus.
        terminated: (E,) bool, the next state is terminal.
        first, last: (E,) bool, `frame` is the first, or the last, of its episode; after a last one there is no action.
    """

    frame: Tensor
    action: NDArray[np.int64]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class EpisodeEnd:
    """How the episode of game `env` ended; `log` replays it."""

    env: int
    end: EndReason
    max_x: int
    log: ActionLog | None


@dataclass(frozen=True, slots=True)
class Tick:
    """What one step of every game brought.

    Attributes:
        experiences: to be stored.
        score: (E,) float32, the game's own reward, without the clear bonus.
        stepped: (E,) bool, the game took a step; the others began a new episode instead.
        ended: the episodes that ended.
        dropped: the games whose episode was lost with their process.
        problem: what happened to that process, one line; "" if all are well.
        bad_reward: a reward was not finite, and 0 took its place.
        emulating_seconds: how long the busiest emulator process played.
    """

    experiences: Experiences
    score: NDArray[np.float32]
    stepped: NDArray[np.bool_]
    ended: tuple[EpisodeEnd, ...]
    dropped: tuple[int, ...] = ()
    problem: str = ""
    bad_reward: bool = False
    emulating_seconds: float = 0.0


class Collector(Protocol):
    """Plays the games of a training: here in worker processes; another one may play them on other machines.

    `start()`; `begin(actions)` and `finish()` in turn; `close()`. While a step is under way the trainer learns.
    """

    @property
    def observations(self) -> Tensor:
        """(E, depth, 84, 84) uint8, on the agent's device: what the agent sees of each game."""

    def start(self) -> None:
        """Starts the games, or brings them back to where `load_state_dict` says.

        Raises EmulatorError if they cannot be started, CheckpointError if they cannot be brought back.
        """

    def begin(self, actions: NDArray[np.int64]) -> None:
        """Begins a step with these actions, (E,), and returns at once."""

    def finish(self, mark: Callable[[str], None] = ...) -> Tick:
        """Waits for the end of the step; `mark` is called when a phase, "wait" or "preprocess", is over.

        Raises EmulatorError if games are lost and cannot be started again.
        """

    def frames(self, most: int) -> tuple[NDArray[np.uint8], ...]:
        """Copies of the newest frames of the first `most` games, (240, 256, 3) uint8 each; between steps.

        Only games that somebody looks at have pictures made: where the call before asked for fewer, and a step was
        taken since, it is fewer until the next step.
        """

    def state_dict(self) -> dict[str, Any] | None:
        """The state of the games, as JSON; None before the first start."""

    def load_state_dict(self, games: Any, stacks: Tensor) -> None:
        """Restores `state_dict` and `observations`, the games at the next `start`; raises ValueError for others."""

    def begin_anew(self, games: Any) -> None:
        """Goes on with the random state of a `state_dict`, perhaps of another number of games, and new episodes."""

    def close(self) -> None:
        """Ends the games; closing again does nothing."""


def open_local_games(config: TrainingConfig) -> VectorEnv:
    """The games of a training in worker processes of this machine, which are being started."""
    return VectorEnv(
        config.stage,
        envs=config.envs,
        # one core is for learning
        workers=config.workers or max(1, min(config.envs, processors.count() - 1)),
        frame_skip=config.frame_skip,
        stall_steps=config.stall_steps,
        max_steps=config.max_episode_steps,
        sticky=config.sticky,
        noops=config.noops,
        seed=config.seed,
    )


class LocalCollector:
    """Collects from games in worker processes of this machine.

    Args:
        config: the settings.
        device: where observations are kept.
        open_games: starts the games.

    Attributes:
        games: None before `start`.
        stacks: the last frames of each game.
    """

    def __init__(
        self,
        config: TrainingConfig,
        device: torch.device,
        *,
        open_games: Callable[[TrainingConfig], VectorEnv] = open_local_games,
    ) -> None:
        self._config, self._device, self._open = config, device, open_games
        self._buttons = np.array(ACTION_SETS[config.action_set], dtype=np.uint8)
        self.games: VectorEnv | None = None
        self.stacks = FrameStacks(config.envs, config.frame_stack, device)
        self._saved_games: dict[str, Any] | None = None  # to be restored
        self._saved_stacks = False
        self._first = self._last = np.zeros(config.envs, dtype=bool)
        self._actions = np.zeros(config.envs, dtype=np.int64)

    @property
    def observations(self) -> Tensor:
        return self.stacks.stacks

    def start(self) -> None:
        games = self.games = self._open(self._config)
        observed = games.start()
        if self._saved_games is not None:
            try:
                observed = games.restore(self._saved_games)
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise CheckpointError(one_line_error(error)) from None
        if self._saved_games is None or not self._saved_stacks:
            self._push_frames(games.observations, observed.buttons, observed.first)
        self._first, self._last = observed.first, observed.last
        games.show(0)

    def begin(self, actions: NDArray[np.int64]) -> None:
        assert self.games is not None
        self.games.send(self._buttons[actions])
        self._actions = actions

    def finish(self, mark: Callable[[str], None] = lambda phase: None) -> Tick:
        games = self.games
        assert games is not None
        observed = games.receive()
        mark("wait")
        lost = observed.dropped & ~self._last  # these episodes end with the last frame that was seen of them
        last = self._last | lost
        stepped = ~last
        finite = np.isfinite(observed.reward)
        score = np.where(finite, observed.reward, np.float32(0))
        cleared = np.array([end is EndReason.CLEAR for end in observed.end]) & stepped
        experiences = Experiences(
            frame=self.observations[:, -1],
            action=self._actions,
            reward=score + np.float32(self._config.clear_bonus) * cleared,
            terminated=observed.terminated & stepped,
            first=self._first,
            last=last,
        )
        self._first, self._last = observed.first, observed.last
        self._push_frames(games.observations, observed.buttons, observed.first)
        ended = []
        for env in np.flatnonzero(observed.last).tolist():
            end = observed.end[env]
            assert end is not None
            ended.append(EpisodeEnd(env, end, int(observed.max_x[env]), games.action_log(env)))
        mark("preprocess")
        return Tick(
            experiences=experiences,
            score=score,
            stepped=stepped,
            ended=tuple(ended),
            dropped=tuple(np.flatnonzero(lost).tolist()),
            problem=observed.problem,
            bad_reward=not finite.all(),
            emulating_seconds=observed.emulating_seconds,
        )

    def _push_frames(self, frames: NDArray[np.uint8], buttons: NDArray[np.uint8], first: NDArray[np.bool_]) -> None:
        grey = torch.from_numpy(frames).to(self._device)
        self.stacks.push(draw_buttons(grey, buttons) if self._config.show_buttons else grey, first)

    def frames(self, most: int) -> tuple[NDArray[np.uint8], ...]:
        if self.games is None:
            return ()
        self.games.show(most)
        return tuple(self.games.frames[: min(most, self.games.shown)].copy())

    def state_dict(self) -> dict[str, Any] | None:
        return self.games.state_dict() if self.games else self._saved_games

    def load_state_dict(self, games: Mapping[str, Any] | None, stacks: Tensor) -> None:
        self._saved_games = check_games(games, self._config.envs)
        if stacks.shape != self.stacks.stacks.shape or stacks.dtype != torch.uint8:
            raise ValueError(f"the games' stacks are {tuple(stacks.shape)} {stacks.dtype}")
        self.stacks.stacks = stacks.to(self._device)
        self._saved_stacks = True

    def begin_anew(self, games: Mapping[str, Any] | None) -> None:
        if games is not None:
            no_buttons: list[list[int]] = [[] for _ in range(self._config.envs)]
            self._saved_games = {"frame_logs": no_buttons, **{k: v for k, v in games.items() if k == "rng"}}

    def close(self) -> None:
        if self.games:
            self.games.close()
