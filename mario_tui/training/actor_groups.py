"""Games in groups that take turns: while one group plays, the agent acts for the other and learns, and no core waits.

With one group the emulators wait while the agent looks at their frames and acts, and the agent waits for the slowest of
them. With two, the emulators have a step of one group to play while the agent is at the other: double-buffered sampling
(Petrenko et al. 2020, Sample Factory, section 3.2). The order is fixed: no action depends on timing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError
from mario_tui.game.kept_episodes import Place
from mario_tui.game.practice import Practice
from mario_tui.game.vector_env import VectorEnv
from mario_tui.training.collector import (
    Experiences,
    LocalCollector,
    Noise,
    Tick,
    noise_of,
    open_local_games,
    processes,
)

_PRACTICE_STREAM = 1
"""Sets the randomness of practice apart from that of the games."""


class ActorGroups:
    """A `Collector` of several groups of games in worker processes of this machine.

    The groups take the games in turn, as cards are dealt, so that each has its share of every kind of game. Each is a
    LocalCollector with processes of its own.

    Args:
        config: the settings; `actor_groups` of them says how many groups there are, at most one a game.
        device: where observations are kept.
        open_games: starts the games of a group, from the settings of that group.
    """

    def __init__(
        self,
        config: TrainingConfig,
        device: torch.device,
        *,
        open_games: Callable[[TrainingConfig], VectorEnv] = open_local_games,
    ) -> None:
        groups = min(config.actor_groups, config.envs)
        self._games = [np.arange(group, config.envs, groups) for group in range(groups)]
        noise = noise_of(config)
        if set(noise) == {Noise(config.sticky, config.noops)}:
            noise = ()  # the settings say it all
        self._collectors = [
            LocalCollector(
                group_config(config, group, groups),
                device,
                open_games=open_games,
                noise=noise[group::groups],
                practice=practice_of(config, group, groups),
            )
            for group in range(groups)
        ]
        self._pictures: list[NDArray[np.uint8]] = []  # of each group, kept while it plays on
        self._turn = 0
        self._begun: deque[int] = deque()  # groups with a step under way, in order
        self._rows: dict[int, Experiences] = {}  # of the groups whose step is finished

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that play the games."""
        return tuple(pid for one in self._collectors if one.games for pid in one.games.pids)

    @property
    def observations(self) -> Tensor:
        return self._in_order([one.observations for one in self._collectors])

    def _in_order(self, parts: list[Tensor]) -> Tensor:
        """Rows of all games from those of the groups."""
        if len(parts) == 1:
            return parts[0]
        return torch.cat(parts)[torch.from_numpy(np.argsort(np.concatenate(self._games)))]

    @property
    def groups(self) -> int:
        return len(self._collectors)

    @property
    def under_way(self) -> int:
        return len(self._begun)

    @property
    def turn(self) -> tuple[NDArray[np.int64], Tensor]:
        return self._games[self._turn], self._collectors[self._turn].observations

    def start(self) -> None:
        for one in self._collectors:
            one.open()
        for one in self._collectors:
            one.start()
        self._pictures = [one.pictures() for one in self._collectors]
        self._begun = deque(group for group, one in enumerate(self._collectors) if one.under_way)
        self._turn = (self._begun[-1] + 1) % self.groups if self._begun else 0

    def begin(self, actions: NDArray[np.int64], explored: NDArray[np.bool_] | None = None) -> None:
        self._collectors[self._turn].begin(actions, explored)
        self._begun.append(self._turn)
        self._turn = (self._turn + 1) % self.groups

    def finish(self, mark: Callable[[str], None] = lambda phase: None) -> Tick:
        group = self._begun.popleft()
        games = self._games[group]
        tick = self._collectors[group].finish(mark)
        self._rows[group] = tick.experiences
        self._pictures[group] = self._collectors[group].pictures()
        if self.groups == 1:
            return tick
        return replace(
            tick,
            games=games,
            ended=tuple(replace(end, env=int(games[end.env])) for end in tick.ended),
            dropped=tuple(int(games[env]) for env in tick.dropped),
        )

    @property
    def is_completable(self) -> bool:
        missing = set(range(self.groups)) - self._rows.keys()
        return bool(missing) and missing <= set(self._begun)

    @property
    def place(self) -> Place | None:
        return self._collectors[0].place  # the first game is dealt to the first group

    def take_experiences(self) -> Experiences | None:
        if not self._rows:
            return None
        parts = [self._rows.get(group) or one.cut_short() for group, one in enumerate(self._collectors)]
        self._rows = {}
        return Experiences.joined(parts, self._games)

    def frames(self, most: int) -> tuple[NDArray[np.uint8], ...]:
        places = [divmod(game, self.groups) for game in range(most)]
        for group, one in enumerate(self._collectors):
            one.show(sum(its_group == group for _, its_group in places))
        pictures = []
        for place, group in places:
            if not self._pictures or place >= len(self._pictures[group]):
                break
            pictures.append(self._pictures[group][place])
        return tuple(pictures)

    def state_dict(self) -> dict[str, Any] | None:
        states = [one.state_dict() for one in self._collectors]
        if any(state is None for state in states):
            return None
        return states[0] if self.groups == 1 else {"groups": states}

    def load_state_dict(self, games: Mapping[str, Any] | None, stacks: Tensor) -> None:
        if len(stacks) != sum(map(len, self._games)):
            raise ValueError(f"there are {sum(map(len, self._games))} games and stacks for {len(stacks)}")
        states = self._states_of(games)
        if all(state is not None and "under_way" in state for state in states):
            raise ValueError("all games have a step under way")
        for one, state, numbers in zip(self._collectors, states, self._games, strict=True):
            one.load_state_dict(state, stacks[torch.from_numpy(numbers)])

    def _states_of(self, games: Mapping[str, Any] | None) -> list[Any]:
        """The state of each group. Games that were saved as one group are dealt anew; the first group has its noise."""
        if games is None:
            return [None] * self.groups
        if self.groups == 1 and "groups" not in games:
            return [games]
        if "groups" in games:
            if len(games["groups"]) != self.groups:
                raise ValueError(f"the games are in {len(games['groups'])} groups, not {self.groups}")
            return list(games["groups"])
        columns = {name: games[name] for name in ("frame_logs", "noop_steps") if name in games}
        states = [{name: [column[game] for game in part] for name, column in columns.items()} for part in self._games]
        return [{**games, **states[0]}, *states[1:]]

    def begin_anew(self, games: Mapping[str, Any] | None) -> None:
        saved = (games or {}).get("groups", [games])
        for one, state in zip(self._collectors, saved, strict=False):
            one.begin_anew(state)

    def practise(self, ways: Iterable[bytes]) -> None:
        known = tuple(ways)
        for one in self._collectors:
            one.practise(known)

    def close(self) -> None:
        for one in self._collectors:
            one.close()


def practice_of(config: TrainingConfig, group: int, groups: int) -> Practice | None:
    """The practice of one group of games, whose own games' places it is at; None without one.

    The games that practise are the last ones that train. Raises InputError for settings that cannot be.
    """
    training = config.envs - config.measuring_games
    if config.practice_games > training:
        raise InputError(
            f"practice_games = {config.practice_games} are more than the games that train: give at most {training}"
        )
    games = range(training - config.practice_games, training)
    if config.practice_nearest > config.practice_farthest:
        raise InputError(
            f"practice_nearest = {config.practice_nearest} is farther than practice_farthest = "
            f"{config.practice_farthest}: give a smaller one"
        )
    own = [game // groups for game in games if game % groups == group]
    if not own:
        return None
    return Practice(
        own,
        source=config.practice_from,
        share=config.practice_share,
        most=config.practice_places,
        nearest=config.practice_nearest,
        farthest=config.practice_farthest,
        length=config.practice_length,
        lead_in=config.frame_stack - 1,
        frame_skip=config.frame_skip,
        stall_steps=config.stall_steps,
        seed=int(np.random.SeedSequence([config.seed, group, _PRACTICE_STREAM]).generate_state(1)[0]),
    )


def group_config(config: TrainingConfig, group: int, groups: int) -> TrainingConfig:
    """The settings of one group: its share of the games and processes, and randomness of its own."""
    if groups == 1:
        return config
    seed = int(np.random.SeedSequence([config.seed, group]).generate_state(1)[0]) if group else config.seed
    return config.replace(
        envs=len(range(group, config.envs, groups)),
        workers=max(1, len(range(group, processes(config), groups))),
        seed=seed,
    )
