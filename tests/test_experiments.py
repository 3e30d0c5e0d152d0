"""benchmarks/experiments.py: the design is balanced, and effects that were put in are found again."""

import experiments
import numpy as np
import pytest

FACTORS = [f"factor{number}" for number in range(8)]


def plan(**changes):
    factors = {name: {"learn_every": 4 + number} for number, name in enumerate(FACTORS)}
    return {"name": "p", "design": "screen", "seeds": [0, 1], "settings": {"steps": 5}, "factors": factors, **changes}


def result(run, value):
    return experiments.Result(
        run=run.name, on=" ".join(run.on) or "none", seed=run.settings["seed"], steps=1, minutes=1.0, mean_x=value,
        greedy_x=None, clears=0, first_clear=None, first_greedy_clear=None, robust=None,
    )  # fmt: skip


def test_in_a_screen_every_two_factors_are_on_and_off_together_equally_often():
    runs = experiments.planned(plan())
    levels = np.array([[1 if name in run.on else -1 for name in FACTORS] for run in runs])
    assert len(runs) == 12
    np.testing.assert_array_equal(levels.T @ levels, 12 * np.eye(len(FACTORS)))


def test_a_screen_has_no_more_factors_than_it_can_tell_apart():
    with pytest.raises(SystemExit, match="at most 11"):
        experiments.planned(plan(factors={str(number): {} for number in range(12)}))


def test_a_screen_finds_what_each_factor_changed():
    runs = experiments.planned(plan())
    values = [1000 + 70 * ("factor2" in run.on) - 30 * ("factor5" in run.on) for run in runs]
    found = experiments._screened("mean_x", FACTORS, [result(*one) for one in zip(runs, values, strict=True)])
    effects = {name: effect for name, (effect, _, _) in found.items()}
    assert effects == pytest.approx({name: {"factor2": 70, "factor5": -30}.get(name, 0) for name in FACTORS}, abs=1e-6)


def test_pairs_are_of_the_same_seed_and_give_a_standard_error():
    runs = experiments.planned(plan(design="pairs", seeds=[0, 1, 2], factors={"factor0": {"learn_every": 4}}))
    values = {0: (100, 130), 1: (500, 510), 2: (300, 320)}
    results = [result(run, values[run.settings["seed"]][bool(run.on)]) for run in runs]
    effect, error, told = experiments._paired("mean_x", ["factor0"], results)["factor0"]
    assert (effect, error) == pytest.approx((20, 10 / np.sqrt(3)))
    assert told == "3 pairs"


def test_a_run_has_the_settings_of_the_factors_that_are_on():
    run = next(one for one in experiments.planned(plan()) if one.on[-1:] == ("factor4",))
    assert run.settings == {"steps": 5, "seed": run.settings["seed"], "learn_every": 8}
