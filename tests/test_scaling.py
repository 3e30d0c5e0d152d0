"""The model of benchmarks/scaling.py: what limits training, computed by hand, and found again in made-up results."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from scaling import Costs, best_games, expect, fit

COSTS = Costs(
    emulate=4, send=1, act=1, act_game=0.25, store=0.5, store_game=0.125, collect=0.5, collect_game=0.125, update=8
)


@pytest.mark.parametrize(
    ("changes", "settings", "tick_ms", "limit"),
    [
        # the learner: 2 (1 + 0.5 + 0.5) + 4 (0.25 + 0.125 + 0.125) + 1 update of 8; the games: 4 steps of 4
        ({}, {"games": 4, "cores": 2}, (14 + 16) / 2, "cores"),
        ({"emulate": 3}, {"games": 4, "cores": 2}, 14, "learner"),
        ({"emulate": 4}, {"games": 4, "cores": 1}, 30, "cores"),
        ({}, {"games": 4, "cores": 8}, 14, "learner"),
        # a group of 2: its actions 1.5, an answer after 1, a step of 4, its results 0.75
        ({"update": 0}, {"games": 4, "cores": 8}, 7.25, "emulators"),
        # one group: actions 2, play 1 + 4 beside 1 + an update of 8, results 1
        ({}, {"games": 4, "cores": 8, "groups": 1}, 2 + 9 + 1, "learner"),
        ({"update": 2}, {"games": 4, "cores": 8, "groups": 1}, 2 + 5 + 1, "emulators"),
        # 16 games with updates of 1: the learner 4 + 8 + 4, the games 64
        ({"update": 1}, {"games": 16, "cores": 4}, 20, "cores"),
        ({"update": 1}, {"games": 16, "cores": 4, "workers": 1}, 4.5 + 1 + 8 * 4, "emulators"),
        ({"update": 1}, {"games": 16, "cores": 4, "machines": 2}, 16, "learner"),
        ({"update": 1, "machine": 3}, {"games": 16, "cores": 4, "machines": 2}, 22, "learner"),
    ],
)
def test_a_tick_takes_as_long_as_its_longest_limit(
    changes: dict[str, float], settings: dict[str, Any], tick_ms: float, limit: str
) -> None:
    found = expect(replace(COSTS, **changes), **settings)
    assert found.limit == limit
    assert found.steps_per_second == pytest.approx(1000 * settings["games"] / tick_ms)


def test_with_more_cores_the_limit_moves_to_the_learner_and_stays_there() -> None:
    speeds, limits = [], []
    for cores in (1, 2, 4, 8, 16, 64):
        games, found = best_games(COSTS, cores=cores)
        speeds.append(found.steps_per_second)
        limits.append(found.limit)
        assert found == expect(COSTS, games=games, cores=cores)
    assert limits[0] == "cores"
    assert limits[-1] == "learner"
    assert all(later >= 0.97 * earlier for earlier, later in itertools.pairwise(speeds))
    assert best_games(COSTS, cores=64)[1] == best_games(COSTS, cores=128)[1]
    faster = best_games(replace(COSTS, update=0.5), cores=64)[1]
    assert faster.steps_per_second > 3 * speeds[-1], "a faster learner, which a GPU is"


def test_the_costs_are_found_again_in_results_of_them() -> None:
    def result(games: int) -> dict[str, Any]:
        ms = {
            "act": 2 * COSTS.act + games * COSTS.act_game,
            "cache": 2 * COSTS.store + games * COSTS.store_game,
            "preprocess": 2 * COSTS.collect + games * COSTS.collect_game,
            "emulate": 2 * COSTS.emulate * max(1, games / 2 / 3),
        }
        phases = {phase: spent / 100 for phase, spent in ms.items()}
        return {"envs": games, "steps_per_second": games * 10, "update_ms": COSTS.update, "phases": phases}

    found = fit(result(4), result(16), send_ms=COSTS.send, groups=2, cores=4)
    assert vars(found) == pytest.approx(vars(COSTS))
