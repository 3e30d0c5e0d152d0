"""Intervals of a share, against published figures."""

import pytest

from mario_tui.store.intervals import interval_in_percent, rate_in_percent, wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe 1998, Two-sided confidence intervals for the single proportion, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_that_of_the_literature(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_without_trials_nothing_is_known() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_a_rate_is_told_with_its_interval_where_the_number_of_episodes_is_known() -> None:
    assert (rate_in_percent(0.62, 100), rate_in_percent(0.68, 100)) == ("62 % (52-71)", "68 % (58-76)")
    assert rate_in_percent(0.7, 0) == "70 %"
    assert interval_in_percent(1.0, 10) == "72-100"
