"""The chart of a metric: what stands where, and that no data and no size can break it."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.theme import Theme

from mario_tui.tui.widgets import metric_chart
from mario_tui.tui.widgets.metric_chart import MetricChart, format_value

Points = Sequence[tuple[float, float]]

LINE = tuple((float(x), 2.0 * x) for x in range(1, 201))
NUMBERS = st.floats() | st.integers(-5, 5).map(float)
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=12)


class ChartApp(App[None]):
    def __init__(self, points: Points = (), mean_points: Points = ()) -> None:
        super().__init__()
        self.chart = MetricChart("reward")
        self.chart.set_data(points, mean_points)

    def compose(self) -> ComposeResult:
        yield self.chart


def drawn(points: Points, mean_points: Points, width: int = 60, height: int = 12) -> list[str]:
    chart = MetricChart("reward")
    chart.set_data(points, mean_points)
    return lines(chart, width, height)


def lines(chart: MetricChart, width: int, height: int) -> list[str]:
    drawing = chart._draw(width, height)
    return ["".join(text for text, _ in drawing.runs(row)) for row in range(height)]


def is_braille(character: str) -> bool:
    return "\u2800" < character <= "\u28ff"


@given(POINTS, POINTS, st.integers(1, 200), st.integers(1, 60))
def test_nothing_breaks_it_and_nothing_sticks_out(points: Points, mean_points: Points, width: int, height: int) -> None:
    assert {len(line) for line in drawn(points, mean_points, width, height)} == {width}


@pytest.mark.parametrize(
    ("points", "mean_points"),
    [
        ([(1, 5.0)], [(1, 5.0)]),
        ([(x, 5.0) for x in range(50)], [(x, 5.0) for x in range(50)]),
        ([(x, 1e300 * x) for x in range(50)], [(1, 2.0)]),
        ([(1, math.nan), (2, 3.0), (3, math.inf), (4, 4.0)], [(2, -math.inf), (4, 3.5)]),
        ([(x, 1e9 + x * 1e-6) for x in range(50)], []),
        ([(x, 1e-12 * x) for x in range(50)], []),
    ],
)
def test_there_is_a_curve_as_long_as_one_value_is_finite(points: Points, mean_points: Points) -> None:
    assert any(is_braille(character) for line in drawn(points, mean_points) for character in line)


def test_the_smallest_useful_size_has_title_curve_and_axes() -> None:
    picture = drawn(LINE, LINE, 20, 6)
    assert picture[0].strip() == "reward mean 400"
    assert all("│" in line or "┤" in line for line in picture[1:5])
    assert [label for label in picture[5].split() if label.isdigit()] == ["100", "200"]


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right() -> None:
    rows = drawn((), LINE, 60, 12)[1:10]
    columns = [[column for column, character in enumerate(row) if is_braille(character)] for row in rows]
    assert all(columns), "every row of the plot is crossed"
    assert max(columns[0]) == 59
    assert min(columns[-1]) == max(map(len, (row.split("┤")[0] for row in rows if "┤" in row))) + 1
    firsts = [min(row) for row in columns]
    assert firsts == sorted(firsts, reverse=True)


def test_ticks_stand_at_their_values() -> None:
    picture = drawn([(0, 0.0), (100, 100.0)], [], 60, 22)
    plot = picture[1:20]
    labelled = {int(line.split("┤")[0]): row for row, line in enumerate(plot) if "┤" in line}
    assert len(labelled) >= 5
    assert (labelled[0], labelled[100]) == (len(plot) - 1, 0)
    for value, row in labelled.items():
        assert row == pytest.approx((1 - value / 100) * (len(plot) - 1), abs=1)
    axis = picture[20]
    ticks = [column for column, character in enumerate(axis) if character == "┬"]
    numbers = [int(text) for text in picture[21].split() if text.isdigit()]
    left, right = axis.index("└") + 1, 59
    assert [round((tick - left) / (right - left) * 100) for tick in ticks] == pytest.approx(numbers, abs=2)


def test_the_title_gives_the_newest_mean_and_the_newest_value() -> None:
    assert drawn([(1, 10.0), (2, 30.0)], [(1, 10.0), (2, 20.0)])[0].split() == ["reward", "mean", "20", "last", "30"]
    assert drawn([(1, 0.25)], [])[0].split() == ["reward", "0.25"]
    assert drawn([(1, 1.0)], [(1, math.nan)])[0].split()[:3] == ["reward", "mean", "nan"], "trouble is not hidden"


def test_a_long_title_gives_way_to_the_value() -> None:
    chart = MetricChart("epsilon (chance of a random action)")
    chart.set_data([(1, 0.9731)])
    assert lines(chart, 20, 6)[0] == "epsilon (cha… 0.9731"


def test_the_mean_is_drawn_over_the_values() -> None:
    chart = MetricChart("reward")
    flat = [(x, 1.0) for x, _ in LINE]
    chart.set_data(flat, flat)
    drawing = chart._draw(60, 12)
    inks = [ink for row in range(1, 10) for text, ink in drawing.runs(row) if any(map(is_braille, text))]
    assert set(inks) == {metric_chart._MEAN}, "two equal series: nothing of the one below is seen"
    chart.set_data(LINE, [(x, 0.0) for x, _ in LINE])
    drawing = chart._draw(60, 12)
    inks = [ink for row in range(1, 10) for text, ink in drawing.runs(row) if any(map(is_braille, text))]
    assert set(inks) == {metric_chart._MEAN, metric_chart._RAW}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234.6, "1235"), (12345.6, "12.35k"), (-2.5e6, "-2.5M"), (0.00001, "1.0e-05"), (3e12, "3.0e+12")],
)
def test_values_are_short(value: float, text: str) -> None:
    assert format_value(value) == text


async def test_it_says_what_it_waits_for() -> None:
    app = ChartApp()
    async with app.run_test(size=(24, 7)):
        text = "\n".join(app.chart.render_line(row).text for row in range(7))
    assert text.split() == ["reward", *["waits", "for", "the", "end", "of", "an", "episode"]]


async def test_it_draws_again_only_for_new_data_or_a_new_size() -> None:
    app = ChartApp(LINE, LINE)
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.pause()
        first = app.chart._drawing
        app.chart.set_data(tuple(LINE), tuple(LINE))
        app.chart.refresh()
        await pilot.pause()
        assert app.chart._drawing is first is not None
        app.chart.set_data(LINE[:50], LINE[:50])
        await pilot.pause()
        second = app.chart._drawing
        assert second is not first
        await pilot.resize_terminal(70, 20)
        await pilot.pause()
        assert app.chart._drawing is not second
        assert {app.chart.render_line(row).cell_length for row in range(20)} == {70}


async def test_its_colours_are_the_themes() -> None:
    app = ChartApp(LINE, LINE)
    app.register_theme(Theme("one", primary="#112233", accent="#445566"))
    app.register_theme(Theme("two", primary="#aa0000", accent="#00bb00"))
    colours = []
    async with app.run_test(size=(60, 12)) as pilot:
        for theme in ("one", "two"):
            app.theme = theme
            await pilot.pause()
            value = next(segment for segment in app.chart.render_line(0) if segment.text.startswith("mean"))
            assert value.style is not None
            assert value.style.color is not None
            colours.append(value.style.color.get_truecolor().hex)
    assert colours == ["#445566", "#00bb00"]
