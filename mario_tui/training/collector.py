"""From the games to transitions: what one step of every game brought, as the replay stores it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_tui.agent.preprocess import FrameStacks, draw_buttons
from mario_tui.buttons import ACTION_SETS
from mario_tui.config import TrainingConfig
from mario_tui.errors import CheckpointError, EmulatorError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.episode import EndReason
from mario_tui.game.kept_episodes import Place, Trail
from mario_tui.game.practice import Practice
from mario_tui.game.vector_env import VectorEnv, VectorStep
from mario_tui.game_roles import game_roles
from mario_tui.play.evaluation import ROBUST_NOOPS, ROBUST_STICKY
from mario_tui.store.untrusted import one_line_error
from mario_tui.training import ray_cluster
from mario_tui.training.autotune import usual_processes
from mario_tui.training.ray_games import ray_workers
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
            Those that lead in to an episode of practice are last ones, too: they are there for the stacks alone.
        explored: (E,) bool, the action was exploratory, as far as that is known, see `Mario.act`.
    """

    frame: Tensor
    action: NDArray[np.int64]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    explored: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: Sequence[Experiences], games: Sequence[NDArray[np.int64]]) -> Experiences:
        """Those of all games from those of parts of them; `games` says which games each part is of."""
        if len(parts) == 1:
            return parts[0]
        order = np.argsort(np.concatenate(games))
        frame = torch.cat([part.frame for part in parts])[torch.from_numpy(order)]
        columns = (np.concatenate([getattr(part, field.name) for part in parts])[order] for field in fields(cls)[1:])
        return cls(frame, *columns)


@dataclass(frozen=True, slots=True)
class EpisodeEnd:
    """How the episode of game `env` ended; `log` replays it, `trail` says where Mario was.

    One of `practice` began where another one had been.
    """

    env: int
    end: EndReason
    max_x: int
    progress: float
    log: ActionLog | None
    practice: bool = False
    trail: Trail | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """What one step of each of these games brought.

    Attributes:
        games: (E,) int64, their numbers.
        experiences: to be stored.
        score: (E,) float32, the game's own reward, without the clear bonus.
        stepped: (E,) bool, the game took a step; the others began a new episode instead.
        ended: the episodes that ended.
        dropped: the games whose episode was lost with their process.
        problem: what happened to that process, one line; "" if all are well.
        bad_reward: a reward was not finite, and 0 took its place.
        emulating_seconds: how long the busiest emulator process played.
    """

    games: NDArray[np.int64]
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

    `start()`; then, for each group of games in turn, `begin(actions)` and `finish()`; `close()`. While steps are under
    way the trainer learns. See actor_groups.py.
    """

    @property
    def observations(self) -> Tensor:
        """(E, depth, 84, 84) uint8, on the agent's device: what the agent sees of each game."""

    @property
    def groups(self) -> int:
        """How many groups of games take turns."""

    @property
    def under_way(self) -> int:
        """How many of them have a step under way."""

    @property
    def turn(self) -> tuple[NDArray[np.int64], Tensor]:
        """The group that the next step is to be begun in: the numbers of its G games, and what the agent sees of them,
        (G, depth, 84, 84) uint8."""

    def start(self) -> None:
        """Starts the games, or brings them back to where `load_state_dict` says.

        Raises EmulatorError if they cannot be started, CheckpointError if they cannot be brought back.
        """

    def begin(self, actions: NDArray[np.int64], explored: NDArray[np.bool_] | None = None) -> None:
        """Begins a step of the group whose turn it is with these actions, (G,), and returns at once.

        `explored`: (G,), which of them are exploratory; None if none is.
        """

    def finish(self, mark: Callable[[str], None] = ...) -> Tick:
        """Waits for the end of the step that was begun first; `mark` is called when a phase, "wait" or "preprocess",
        is over.

        Raises EmulatorError if games are lost and cannot be started again.
        """

    @property
    def is_completable(self) -> bool:
        """Whether all games will have a row for `take_experiences` as soon as the steps under way are finished."""

    @property
    def place(self) -> Place | None:
        """Where Mario is in the first game, as a row of a Trail; None where that is not known yet."""

    def take_experiences(self) -> Experiences | None:
        """The rows of all games, of the steps that were finished since the last call; None if there were none.

        Where the step of a group is not finished, as after a failure, its episodes end with what was seen of them last.
        """

    def frames(self, most: int) -> tuple[NDArray[np.uint8], ...]:
        """Copies of the newest frames of the first `most` games, (240, 256, 3) uint8 each.

        Pictures are made only of as many games as the last call asked for. A call that asks for more gets them from the
        next step on.
        """

    def state_dict(self) -> dict[str, Any] | None:
        """The state of the games, as JSON; None before the first start. It waits for the steps that are under way."""

    def load_state_dict(self, games: Any, stacks: Tensor) -> None:
        """Restores `state_dict` and `observations`, the games at the next `start`; raises ValueError for others."""

    def begin_anew(self, games: Any) -> None:
        """Goes on with the random state and the places of practice of a `state_dict`, perhaps of another number of
        games, and new episodes."""

    def practise(self, ways: Iterable[bytes]) -> None:
        """Has the games practise from places on these ways through the stage, too, before `start`: a button byte for
        each frame from the start of the stage. Where practice is not from clears, that is nothing."""

    def close(self) -> None:
        """Ends the games; closing again does nothing."""


def processes(config: TrainingConfig) -> int:
    """How many emulator processes the games of a training have."""
    if config.actors == "local":
        return usual_processes(config)
    # One core of a cluster is left out as that is started (docs/cluster.md).
    return config.workers or max(1, min(config.envs, ray_cluster.cores(config.actors)))


def open_local_games(config: TrainingConfig) -> VectorEnv:
    """The games of a training in worker processes, of this machine or of a cluster, which are being started.

    Raises InputError or EmulatorError where a cluster cannot be used.
    """
    return VectorEnv(
        config.stage,
        envs=config.envs,
        workers=processes(config),
        frame_skip=config.frame_skip,
        stall_steps=config.stall_steps,
        max_steps=config.max_episode_steps,
        sticky=config.sticky,
        noops=config.noops,
        seed=config.seed,
        snapshots=config.practice_places if config.practice_games else 0,
        reward=config.reward,
        open_worker=None if config.actors == "local" else ray_workers(config.actors),
    )


@dataclass(frozen=True, slots=True)
class Noise:
    """How one game is disturbed: see `sticky` and `noops` of the settings."""

    sticky: float
    noops: int


def noise_of(config: TrainingConfig) -> tuple[Noise, ...]:
    """The noise of each game, by its role."""
    noise = {"greedy": Noise(0.0, 0), "robust": Noise(ROBUST_STICKY, ROBUST_NOOPS)}
    settings = Noise(config.sticky, config.noops)
    return tuple(noise.get(role.kind, settings if role.noisy else Noise(0.0, 0)) for role in game_roles(config))


class LocalCollector:
    """Collects from one group of games, in worker processes of this machine: `open()`, `start()`, and so on.

    Args:
        config: the settings.
        device: where observations are kept.
        open_games: starts the games.
        noise: of each game, if it is not that of the settings.
        practice: where their episodes begin; None for the start of the stage.

    Attributes:
        games: None before `open`.
        stacks: the last frames of each game.
        place: see `Collector`.
    """

    def __init__(
        self,
        config: TrainingConfig,
        device: torch.device,
        *,
        open_games: Callable[[TrainingConfig], VectorEnv] = open_local_games,
        noise: Sequence[Noise] = (),
        practice: Practice | None = None,
    ) -> None:
        self._config, self._device, self._open = config, device, open_games
        self._noise, self._practice = noise, practice
        self._buttons = np.array(ACTION_SETS[config.action_set], dtype=np.uint8)
        self.games: VectorEnv | None = None
        self.stacks = FrameStacks(config.envs, config.frame_stack, device)
        self._saved_games: dict[str, Any] | None = None  # to be restored
        self._saved_stacks = False
        self._first = self._last = np.zeros(config.envs, dtype=bool)
        self._actions = np.zeros(config.envs, dtype=np.int64)
        self._explored = np.zeros(config.envs, dtype=bool)
        self._under_way = False
        self._received: VectorStep | None = None  # of the step under way, waited for already
        self._failure: EmulatorError | None = None  # of the step under way
        self._trails: list[list[Sequence[int]]] = [[] for _ in range(config.envs)]  # of the running episodes
        self._dropped = np.zeros(config.envs, dtype=bool)  # by the step under way that is to be restored
        self.place: Place | None = None

    @property
    def observations(self) -> Tensor:
        """(E, depth, 84, 84) uint8."""
        return self.stacks.stacks

    @property
    def under_way(self) -> bool:
        """Whether a step is under way."""
        return self._under_way

    def open(self) -> None:
        """Begins to start the games."""
        self.games = self._open(self._config)
        if self._noise:
            self.games.set_noise([one.sticky for one in self._noise], [one.noops for one in self._noise])
        if self._practice:
            self.games.set_practice(self._practice)

    def start(self) -> None:
        """Waits until the games stand where they begin; raises EmulatorError or CheckpointError."""
        games = self.games
        assert games is not None
        observed = games.start()
        games.show(0)
        if self._saved_games is not None:
            try:
                observed = games.restore(self._saved_games)
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise CheckpointError(one_line_error(error)) from None
            if self._under_way:
                self._received = replace(observed, dropped=self._dropped)
                return
        places = observed.place.tolist()
        for trail, place, first in zip(self._trails, places, observed.first.tolist(), strict=True):
            trail[:] = [place] if first else []
        self.place = tuple(places[0])
        if self._saved_games is None or not self._saved_stacks:
            self._push_frames(games.observations, observed.buttons, observed.first)
        self._first, self._last = observed.first, observed.last | observed.lead_in

    def begin(self, actions: NDArray[np.int64], explored: NDArray[np.bool_] | None = None) -> None:
        """Begins a step with these actions, (E,), and returns at once; see `Collector.begin`."""
        assert self.games is not None
        self.games.send(self._buttons[actions])
        self._actions, self._under_way = actions, True
        self._explored = np.zeros(len(actions), dtype=bool) if explored is None else explored

    def _receive(self) -> VectorStep:
        """What the step under way brought, once it is over."""
        assert self.games is not None
        if self._failure:
            raise self._failure
        if self._received is None:
            try:
                self._received = self.games.receive()
            except EmulatorError as error:
                self._failure = error
                raise
        return self._received

    def cut_short(self) -> Experiences:
        """The rows of a step that is not finished and will not be: episodes end with the frames that were seen last."""
        nothing = np.zeros(self._config.envs)
        return Experiences(
            frame=self.observations[:, -1],
            action=nothing.astype(np.int64),
            reward=nothing.astype(np.float32),
            terminated=nothing.astype(bool),
            first=self._first,
            last=~nothing.astype(bool),
            explored=nothing.astype(bool),
        )

    def finish(self, mark: Callable[[str], None] = lambda phase: None) -> Tick:
        """Waits for the end of the step; see `Collector.finish`."""
        games = self.games
        assert games is not None
        observed = self._receive()
        self._received, self._under_way = None, False
        mark("wait")
        lost = observed.dropped & ~self._last  # these episodes end with the last frame that was seen of them
        last = self._last | lost
        stepped = ~last
        finite = np.isfinite(observed.reward)
        score = np.where(finite & stepped, observed.reward, np.float32(0))
        cleared = np.array([end is EndReason.CLEAR for end in observed.end]) & stepped
        experiences = Experiences(
            frame=self.observations[:, -1],
            action=self._actions,
            reward=score + np.float32(self._config.clear_bonus) * cleared,
            terminated=observed.terminated & stepped,
            first=self._first,
            last=last,
            explored=self._explored,
        )
        self._first, self._last = observed.first, observed.last | observed.lead_in
        self._push_frames(games.observations, observed.buttons, observed.first)
        places = observed.place.tolist()
        self.place = tuple(places[0])
        for trail, place, first in zip(self._trails, places, observed.first.tolist(), strict=True):
            if first:
                trail[:] = [place]
            elif trail:  # of an episode that a resumed run began with no more is known than its end
                trail.append(place)
        ended = []
        for env in np.flatnonzero(observed.last).tolist():
            end = observed.end[env]
            assert end is not None
            practice = bool(observed.practice[env])
            x, progress = int(observed.max_x[env]), round(float(observed.progress[env]), 4)
            places = np.array(self._trails[env], np.int16).reshape(-1, 3)
            ended.append(EpisodeEnd(env, end, x, progress, games.action_log(env), practice, places))
        mark("preprocess")
        return Tick(
            games=np.arange(len(score)),
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

    def pictures(self) -> NDArray[np.uint8]:
        """Copies of the newest frames of the games that are shown, (G, 240, 256, 3) uint8; between steps."""
        assert self.games is not None
        return self.games.frames[: self.games.shown].copy()

    def show(self, most: int) -> None:
        """Has `pictures` show this many games, the first ones, from the next step on."""
        if self.games:
            self.games.show(most)

    def state_dict(self) -> dict[str, Any] | None:
        """The state of the games, as JSON; None before they were opened. Waits for the step under way."""
        if self.games is None:
            return self._saved_games
        try:
            dropped = self._receive().dropped if self._under_way else None
        except EmulatorError:
            dropped = None
        if dropped is None:
            return self.games.state_dict()
        step = {
            "actions": self._actions.tolist(),
            "first": self._first.tolist(),
            "last": self._last.tolist(),
            "dropped": dropped.tolist(),
            **({"explored": self._explored.tolist()} if self._explored.any() else {}),
        }
        return {**self.games.state_dict(), "under_way": step}

    def load_state_dict(self, games: Mapping[str, Any] | None, stacks: Tensor) -> None:
        """Restores `state_dict` and `observations`, the games at the next `start`; raises ValueError for others."""
        self._saved_games = check_games(games, self._config.envs)
        if stacks.shape != self.stacks.stacks.shape or stacks.dtype != torch.uint8:
            raise ValueError(f"the games' stacks are {tuple(stacks.shape)} {stacks.dtype}")
        self.stacks.stacks = stacks.to(self._device)
        self._saved_stacks = True
        step = (games or {}).get("under_way")
        self._under_way = step is not None
        if step is not None:
            self._actions = np.array(step["actions"], dtype=np.int64)
            step = {"explored": [False] * self._config.envs, **step}
            self._first, self._last, self._dropped, self._explored = (
                np.array(step[name], dtype=bool) for name in ("first", "last", "dropped", "explored")
            )
            columns = (self._actions, self._first, self._last, self._dropped, self._explored)
            if {len(column) for column in columns} != {self._config.envs}:
                raise ValueError("the step under way is of another number of games")
            if not all(0 <= action < len(self._buttons) for action in self._actions.tolist()):
                raise ValueError("the step under way has actions that are not there")

    def begin_anew(self, games: Mapping[str, Any] | None) -> None:
        """Goes on with the random state and the places of practice of a `state_dict`, and new episodes."""
        if games is not None:
            no_buttons: list[list[int]] = [[] for _ in range(self._config.envs)]
            kept = {name: games[name] for name in ("rng", "practice") if name in games}
            self._saved_games = {"frame_logs": no_buttons, **kept}

    def practise(self, ways: Iterable[bytes]) -> None:
        """See Collector."""
        if self._practice:
            for way in ways:
                self._practice.add(EndReason.CLEAR, 0, way)

    def close(self) -> None:
        """Ends the games; closing again does nothing."""
        if self.games:
            self.games.close()
