"""What is expected of a training, from curves of earlier runs of its preset."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fake_collector import fake_trainer
from mario_tui.config import TrainingConfig, make_config
from mario_tui.presets import PRESETS, learning_settings, preset
from mario_tui.training import preset_curves
from mario_tui.training.events import Forecasted
from mario_tui.training.forecast import Forecast, forecast
from mario_tui.training.preset_curves import PresetCurves, Reached, Spread, curves_of
from runs import SMALL, run_to_end

SMALL_RUN = TrainingConfig(**SMALL)
CURVES = PresetCurves(
    preset="fast",
    stage="1-1",
    settings=learning_settings(SMALL_RUN),
    hardware="an abacus",
    runs=4,
    first_clears=(Reached(31_000, 310.0), Reached(48_000, 480.0), Reached(62_000, 620.0)),
    target=0.0,
    targets=(),
    greedy=(Spread(10_000, 300, 420, 434, 4), Spread(40_000, 1_200, 1_785, 2_023, 4)),
    robust=(),
)
RATES = (Spread(40_000, 0.21, 0.34, 0.4, 4), Spread(90_000, 0.5, 0.6, 0.7, 2))

Known = Callable[[PresetCurves], None]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    """Says which curves there are."""
    return lambda curves: monkeypatch.setattr(preset_curves, "_all", lambda: (curves,))


def expected(step: int, *, cleared: bool = False, speed: float = 200.0) -> Forecast:
    found = forecast(SMALL_RUN, step, cleared=cleared, steps_per_second=speed)
    assert found is not None
    return found


def test_the_curves_that_come_with_the_program_are_of_presets() -> None:
    entries = json.loads(preset_curves.FILE.read_text())
    assert entries
    for entry in entries:
        curves = PresetCurves.parse(entry)
        assert curves.preset in PRESETS
        config = make_config(stage=curves.stage, **curves.settings)
        assert learning_settings(config) == curves.settings
        assert curves_of(config) == curves
        assert len(curves.first_clears) <= curves.runs
        for reached in (curves.first_clears, curves.targets):
            assert list(reached) == sorted(reached)
        for spreads in (curves.greedy, curves.robust):
            assert [one.step for one in spreads] == sorted({one.step for one in spreads})
            assert all(one.low <= one.median <= one.high and 1 <= one.runs <= curves.runs for one in spreads)
    assert preset_curves.FILE.stat().st_size < 30_000


def test_only_runs_that_learn_alike_are_compared(known: Known) -> None:
    known(CURVES)
    for same in ({}, {"seed": 5}, {"steps": 10**6}, {"until_clear": True}, {"device": "cpu"}, {"threads": 2}):
        assert curves_of(SMALL_RUN.replace(**same)) == CURVES, same
    others: tuple[dict[str, Any], ...] = (
        {"stage": "1-2"}, {"gamma": 0.5}, {"envs": 2}, {"sticky": 0.25}, {"init_from": "world-1-1"}, {"eval_every": 7},
    )  # fmt: skip
    for other in others:
        config = SMALL_RUN.replace(**other)
        assert curves_of(config) is None, other
        assert forecast(config, 5, cleared=False, steps_per_second=100.0) is None


def test_the_first_clear_is_expected_where_the_other_runs_had_it(known: Known) -> None:
    known(replace(CURVES, runs=3, greedy=tuple(one._replace(runs=3) for one in CURVES.greedy)))
    found = expected(20_000)
    assert (found.near_step, found.low, found.high, found.seconds) == (48_000, 31_000, 62_000, 140.0)
    assert (found.runs, found.before, found.never) == (3, 0, 0)
    assert str(found) == (
        "first clear expected near step 48,000, in about 2 min (3 other runs: 31,000 to 62,000); "
        "others' greedy play got to x 1,785 here (1,200 to 2,023)"
    )
    assert "in about" not in str(expected(20_000, speed=0.0)), "where the speed is not known yet"
    assert json.loads(json.dumps(found.as_json()))["near_step"] == 48_000


def test_later_only_the_runs_that_were_later_still_count(known: Known) -> None:
    known(CURVES)
    found = expected(31_000, speed=100.0)
    assert (found.near_step, found.before, found.never) == (55_000, 1, 1)
    assert str(found).startswith(
        "first clear expected near step 55,000, in about 4 min "
        "(4 other runs: 31,000 to 62,000, 1 of them by now, 1 had none)"
    )
    late = expected(62_000)
    assert (late.near_step, late.seconds) == (None, None)
    assert str(late) == "first clear later than in 4 other runs (31,000 to 62,000, 1 had none)"


def test_where_no_run_had_it_that_is_said(known: Known) -> None:
    known(replace(CURVES, first_clears=(), greedy=()))
    assert str(expected(5)) == "no first clear in 4 other runs"
    known(replace(CURVES, runs=1, first_clears=CURVES.first_clears[:1], greedy=()))
    assert str(expected(5, speed=0.0)) == "first clear expected near step 31,000 (1 other run: 31,000)"


def test_the_running_robust_rate_of_the_others_stands_beside_it(known: Known) -> None:
    known(replace(CURVES, robust=RATES))
    assert expected(39_000).here == "others were at 34 % robust here (21 to 40)"
    assert str(expected(41_000, cleared=True)) == "others were at 60 % robust here (50 to 70; 2 runs)"
    assert forecast(SMALL_RUN, 90_001, cleared=True, steps_per_second=1.0) is None, "no run got so far"


def test_after_the_first_clear_the_robust_target_is_expected(known: Known) -> None:
    known(replace(CURVES, target=0.97, targets=(Reached(400_000, 4_000.0), Reached(900_000, 9_000.0))))
    config = SMALL_RUN.replace(until_robust=0.97)
    found = forecast(config, 100_000, cleared=True, steps_per_second=100.0)
    assert str(found) == (
        "97 % of robust episodes expected near step 650,000, in about 1.5 h "
        "(4 other runs: 400,000 to 900,000, 2 had none)"
    )
    for other in (SMALL_RUN, SMALL_RUN.replace(until_robust=0.5)):
        assert forecast(other, 100_000, cleared=True, steps_per_second=100.0) is None


def test_a_training_says_it_now_and_then(known: Known) -> None:
    settings: dict[str, Any] = {**SMALL, "log_every": 2}
    known(CURVES)
    trainer = fake_trainer(TrainingConfig(**settings, episodes=14))
    said = [event for event in run_to_end(trainer) if isinstance(event, Forecasted)]
    assert len(said) == 2, "after the episodes 2 and 12"
    assert said[0].as_json()["event"] == "forecast"
    assert said[0].step == said[0].as_json()["step"] < said[1].step
    assert str(said[0]).startswith("first clear expected near step 48,000")

    other = fake_trainer(TrainingConfig(**settings, episodes=14, gamma=0.5))
    assert not any(isinstance(event, Forecasted) for event in run_to_end(other))


@pytest.mark.parametrize("name", list(PRESETS))
def test_what_changes_nothing_of_learning_makes_no_other_preset(name: str) -> None:
    config = preset(name)
    other = config.replace(seed=3, steps=5, save_every=7, keep_every=2, log_every=9, record=False, actor_groups=1)
    assert learning_settings(other.replace(stage="2-1", graph=False, tensorboard=True)) == learning_settings(config)
    assert learning_settings(config.replace(gamma=0.5)) != learning_settings(config)
