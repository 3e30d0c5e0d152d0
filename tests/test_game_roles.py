"""What each game of a training is for."""

from typing import Any

import pytest

from mario_tui.config import make_config
from mario_tui.errors import InputError
from mario_tui.game_roles import game_roles


def shown(**settings: Any) -> str:
    """A letter for each game: q quiet, n noisy, G greedy, R robust."""
    letters = {"greedy": "G", "robust": "R"}
    return "".join(letters.get(role.kind, "n" if role.noisy else "q") for role in game_roles(make_config(**settings)))


@pytest.mark.parametrize(
    ("settings", "roles"),
    [
        ({"envs": 4}, "nnnn"),
        ({"envs": 4, "noisy_share": 0.5}, "qqnn"),
        ({"envs": 4, "noisy_share": 0.0}, "qqqq"),
        ({"envs": 8, "noisy_share": 0.5, "measuring_games": 2}, "qqqnnnGR"),
        ({"envs": 5, "measuring_games": 1}, "nnnnG"),
        ({"envs": 3, "noisy_share": 0.5, "measuring_games": 2}, "nGR"),
    ],
)
def test_games_have_their_roles_in_a_fixed_order(settings: dict[str, Any], roles: str) -> None:
    assert shown(**settings) == roles


@pytest.mark.parametrize(("envs", "measuring"), [(1, 1), (2, 2), (1, 2)])
def test_one_game_at_least_is_left_to_train_with(envs: int, measuring: int) -> None:
    refused = f"measuring_games = {measuring} .* --envs {measuring + 1} is needed"
    with pytest.raises(InputError, match=f"{refused}, or --measuring-games 0$"):
        game_roles(make_config(envs=envs, measuring_games=measuring))
    with pytest.raises(InputError, match=f"{refused}$"):
        game_roles(make_config(envs=envs, measuring_games=measuring, until_robust=0.9))
