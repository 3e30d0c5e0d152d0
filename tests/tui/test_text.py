"""How numbers, times and sizes are written."""

import math

import pytest

from mario_tui.tui import text
from tui.fakes import NOW


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "0"), (12_345, "12,345"), (99_999, "99,999"), (123_456, "123k"), (1_234_567, "1.23M"), (2.5e9, "2.50G")],
)
def test_compact(number: float, written: str) -> None:
    assert text.compact(number) == written


@pytest.mark.parametrize(
    ("number", "written"),
    [(0.0, "0.00"), (0.01234, "0.0123"), (2.5, "2.50"), (-12.34, "-12.3"), (1234.5, "1,234"), (math.nan, "-")],
)
def test_decimal(number: float, written: str) -> None:
    assert text.decimal(number) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(None, "-"), (math.inf, "-"), (0, "0:00:00"), (753, "0:12:33"), (273_900, "3 d 04:05"), (1e12, "years")],
)
def test_duration(seconds: float | None, written: str) -> None:
    assert text.duration(seconds) == written


@pytest.mark.parametrize(("number", "written"), [(4, "4.0 s"), (999.9, "999.9 s"), (999.96, "1,000 s")])
def test_seconds(number: float, written: str) -> None:
    assert text.seconds(number) == written


@pytest.mark.parametrize(
    ("number", "written"), [(812, "812 B"), (7_100_000, "7.1 MB"), (710e6, "710 MB"), (7.1e15, "7,100.0 TB")]
)
def test_size(number: float, written: str) -> None:
    assert text.size(number) == written


@pytest.mark.parametrize(
    ("created", "written"),
    [
        ("2030-01-02T11:59:30Z", "now"),
        ("2030-01-02T11:30:00+00:00", "30 min"),
        ("2030-01-02T10:00:00+01:00", "3 h"),
        ("2029-12-30T12:00:00+00:00", "3 d"),
        ("2029-09-30T12:00:00+00:00", "3 mo"),
        ("yesterday", "?"),
        ("", "?"),
    ],
)
def test_age(created: str, written: str) -> None:
    assert text.age(created, NOW) == written


def test_epsilon_shows_that_it_moves() -> None:
    assert text.epsilon(0.99997) == "0.99997"
    assert text.epsilon(0.5) == "0.5000"
    assert text.percent(None) == "-"
    assert text.percent(0.85) == "85 %"
    assert [text.percent(rate) for rate in (0, 0.0004, 0.004, 0.994, 299 / 300, 0.99999, 1)] == [
        "0 %", "0.1 %", "0.4 %", "99 %", "99.7 %", "99.9 %", "100 %"
    ]  # fmt: skip


def test_a_sparkline_goes_from_the_lowest_to_the_highest_value() -> None:
    assert text.sparkline([0, 1, 2, 7]) == "▁▂▃█"
    assert text.sparkline([5, 5]) == "▁▁"
    assert text.sparkline([]) == ""
