"""Games that measure: each plays greedily, for a whole episode with the weights that there were at its beginning."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mario_tui.agent.network import MarioNet
from mario_tui.game_roles import GameRole, Kind


class MeasuringGames:
    """The frozen networks of the games that measure; a game without one still plays an episode of training.

    Args:
        net: the agent's network, whose `player` is copied.
        roles: of all games.
    """

    def __init__(self, net: MarioNet, roles: Sequence[GameRole]) -> None:
        self._net = net
        self._kinds = {game: role.kind for game, role in enumerate(roles) if role.kind != "training"}
        self._frozen: dict[int, nn.Sequential] = {}

    def kind(self, game: int) -> Kind:
        """What the running episode of a game counts as."""
        return self._kinds[game] if game in self._frozen else "training"

    def begin_episodes(self, games: Iterable[int]) -> None:
        """Those of these games that measure are at the beginning of an episode: their weights are frozen for it."""
        for game in games:
            if game in self._kinds:
                self._frozen[game] = copy.deepcopy(self._net.player).requires_grad_(False)

    def weights(self, game: int) -> dict[str, Tensor]:
        """The state dict of a MarioNet like the agent's of now that plays as this game does."""
        playing = "online" if self._net.average is None else "average"
        frozen = {f"{playing}.{name}": value for name, value in self._frozen[game].state_dict().items()}
        return {**self._net.state_dict(), **frozen}

    @torch.no_grad()
    def act(self, states: Tensor, games: np.ndarray | None, actions: np.ndarray) -> np.ndarray:
        """Which of these games measure, (G,) bool; `actions`, (G,) int64, then has what they play.

        Args:
            states: observations (G, depth, 84, 84) uint8.
            games: (G,) int64, the numbers of the games that they are of; None for all games.
        """
        numbers = range(len(states)) if games is None else games.tolist()
        measures = np.array([game in self._frozen for game in numbers])
        rows = np.flatnonzero(measures)
        if len(rows):
            best = [
                self._net.q_of(self._frozen[numbers[row]], states[row : row + 1]).argmax(dim=1) for row in rows.tolist()
            ]
            actions[rows] = torch.cat(best).cpu().numpy()
        return measures

    def state_dict(self) -> dict[str, Tensor]:
        """The frozen networks: `<kind>.<game>.<name of the tensor>` -> tensor."""
        return {
            f"{self._kinds[game]}.{game}.{name}": value
            for game, network in self._frozen.items()
            for name, value in network.state_dict().items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continues from `state_dict`; what is of games that have another role now is left out.

        Raises ValueError for what is no such network.
        """
        self._frozen = {}
        for game, kind in self._kinds.items():
            start = f"{kind}.{game}."
            weights = {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}
            if not weights:
                continue
            network = copy.deepcopy(self._net.player).requires_grad_(False)
            expected = network.state_dict()
            if weights.keys() != expected.keys() or any(
                weights[name].shape != value.shape or weights[name].dtype != value.dtype
                for name, value in expected.items()
            ):
                raise ValueError("the network of a measuring game has other layers")
            if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
                raise ValueError("the weights of a measuring game are not all finite")
            network.load_state_dict(weights)
            self._frozen[game] = network
