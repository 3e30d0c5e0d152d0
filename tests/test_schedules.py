"""Numbers that change over the steps of a training."""

import pytest

from mario_tui.schedules import Between, Schedule


@pytest.mark.parametrize(
    ("between", "values"),
    [
        ("linear", {0: 1.0, 10: 1.0, 15: 0.75, 20: 0.5, 30: 0.3, 40: 0.1, 10**9: 0.1}),
        ("geometric", {0: 1.0, 10: 1.0, 15: 0.5**0.5, 20: 0.5, 30: 0.05**0.5, 40: 0.1, 10**9: 0.1}),
    ],
)
def test_a_value_between_and_beyond_the_points(between: Between, values: dict[int, float]) -> None:
    schedule = Schedule.parse("10:1 20:0.5  40:.1", between)
    assert {step: schedule.at(step) for step in values} == pytest.approx(values)
    assert [schedule.at(step) for step in (10, 20, 40)] == [1.0, 0.5, 0.1], "at a point it is the value there"


def test_one_point_is_a_constant() -> None:
    assert {Schedule.parse("0:2e-4", "geometric").at(step) for step in (0, 1, 10**6)} == {2e-4}


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "0:1:2", "0:", ":1", "0:a", "0.5:1", "5:1 5:2", "5:1 4:2", "-1:1", "0=1", "0:1,5:2"),
        *("0:nan", "0:inf", "0:-inf", f"{10**13}:1", f"{'9' * 5000}:1"),
    ],
    ids=lambda text: text[:10],
)
@pytest.mark.parametrize("between", ["geometric", "linear"])
def test_any_other_text_is_refused_in_one_line(text: str, between: Between) -> None:
    with pytest.raises(ValueError, match=r"^it takes points step:value, .*such as '0:1 30000:0.1'$"):
        Schedule.parse(text, between)


def test_a_factor_needs_values_above_0() -> None:
    for text in ("0:1 10:0", "0:-1 10:1"):
        assert Schedule.parse(text, "linear").points
        with pytest.raises(ValueError, match="values more than 0"):
            Schedule.parse(text, "geometric")
