"""The chart of a metric: what stands where, and that no data and no size can break it."""

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.theme import Theme

from mario_tui.tui.widgets import metric_chart
from mario_tui.tui.widgets.chart_drawing import format_value
from mario_tui.tui.widgets.metric_chart import Line, MetricChart

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


def inks_of(chart: MetricChart, width: int, height: int) -> list[list[int]]:
    """The ink of every cell."""
    drawing = chart._draw(width, height)
    return [[ink for text, ink in drawing.runs(row) for _ in text] for row in range(height)]


def test_the_cursor_reads_the_nearest_points_and_stands_at_its_place() -> None:
    chart = MetricChart("reward")
    chart.set_data([(x, 3.0 * x) for x in range(101)], [(x, 2.0 * x) for x in range(101)])
    chart.look(None, 49.8)
    picture = lines(chart, 60, 12)
    assert picture[0].split() == ["reward", "episode", "50", "150", "mean", "100"]
    left = picture[10].index("└") + 1
    column = picture[10].index("▲")
    assert (column - left) / (59 - left) == pytest.approx(0.5, abs=0.02)
    assert {row[column] for row in picture[1:10] if not is_braille(row[column])} == {"│"}
    chart.look(None, None)
    assert "▲" not in "".join(lines(chart, 60, 12))


def test_under_the_cursor_a_line_that_is_not_there_has_no_value() -> None:
    chart = MetricChart("reward", x_label="step")
    long, short = [(x, 7.0) for x in range(101)], [(x, 5.0) for x in range(21)]
    chart.set_lines([Line(long, 0), Line(short, 1), Line((), 2)])
    chart.look(None, 90.0)
    assert lines(chart, 60, 12)[0].split() == ["reward", "step", "90", "7", "-", "-"]
    chart.look(None, 10.0)
    assert lines(chart, 60, 12)[0].split() == ["reward", "step", "10", "7", "5", "-"]
    inks = [ink for row in inks_of(chart, 60, 12)[:1] for ink in row]
    assert set(metric_chart._LINES[:3]) <= set(inks), "each value in its line's colour"


def test_what_does_not_fit_beside_the_title_is_said_in_fewer_words() -> None:
    chart = MetricChart("reward")
    chart.set_lines([Line([(0, 2.0), (9, 2.0)], 0, [(0, 1.0), (9, 1.0)], [(0, 3.0), (9, 3.0)])])
    chart.look(None, 0.0)
    says = {width: lines(chart, width, 8)[0].strip() for width in (40, 26, 12)}
    assert says == {40: "reward episode 0  2 (1 to 3)", 26: "reward episode 0  2", 12: "reward 0  2"}


def test_the_cursor_moves_by_columns_and_at_least_by_a_point() -> None:
    chart = MetricChart("reward")
    chart.set_data([(x, 1.0) for x in range(0, 1001)])
    lines(chart, 102, 12)  # 100 columns of ten
    columns = chart._plot.columns if chart._plot else 0
    assert chart.point_beside(500, 1) == pytest.approx(500 + 1000 / columns, abs=1)
    assert chart.point_beside(500, -10) == pytest.approx(500 - 10_000 / columns, abs=1)
    assert (chart.point_beside(0, -1), chart.point_beside(1000, 10)) == (0, 1000)
    chart.set_data([(x, 1.0) for x in range(5)])
    lines(chart, 102, 12)
    assert (chart.point_beside(2, 1), chart.point_beside(2, -1), chart.point_beside(2.4, 0)) == (3, 1, 2)


def test_of_a_part_the_y_axis_is_that_of_what_is_seen() -> None:
    chart = MetricChart("reward")
    chart.set_data([(x, 1000.0 if x < 50 else x / 100) for x in range(101)])
    assert any("1000" in line for line in lines(chart, 60, 12))
    chart.look((60.0, 80.0), None)
    picture = lines(chart, 60, 12)
    labels = [float(line.split("┤")[0]) for line in picture if "┤" in line]
    assert all(0.6 <= label <= 0.8 for label in labels)
    assert [int(word) for word in picture[-1].split() if word.isdigit()] == [60, 65, 70, 75]
    chart.look((200.0, 300.0), None)
    assert "nothing in this part" in "".join(lines(chart, 60, 12))


def test_a_logarithmic_axis_has_powers_of_ten_at_equal_distances() -> None:
    chart = MetricChart("loss")
    chart.set_data([(x, 10.0 ** (x / 20)) for x in range(81)])
    straight = lines(chart, 60, 27)
    chart.logarithmic = True
    picture = lines(chart, 60, 27)
    assert picture[0].startswith("loss (log) ")
    rows = {line.split("┤")[0].strip(): row for row, line in enumerate(picture) if "┤" in line}
    powers = [rows[label] for label in ("1", "10", "100", "1000", "10k")]
    assert {a - b for a, b in pairwise(powers)} <= {5, 6}
    assert straight != picture
    left = picture[25].index("└")
    middle = [row for row, line in enumerate(picture[1:25]) if is_braille(line[(60 + left) // 2])]
    assert set(middle) <= {11, 12}, "what grows by factors is straight"


def test_with_a_value_that_is_not_positive_there_is_no_logarithm() -> None:
    chart = MetricChart("loss")
    chart.logarithmic = True
    for points in ([(0, 0.0), (1, 5.0)], [(0, -1.0), (1, 5.0)], []):
        chart.set_data(points)
        assert not chart.logarithmic
        assert "(log)" not in lines(chart, 60, 12)[0]
    chart.set_data([(0, 0.5), (1, 5.0)])
    assert chart.logarithmic


@given(st.lists(st.tuples(NUMBERS, st.floats(1e-300, 1e300)), max_size=12), st.integers(1, 200), st.integers(1, 60))
def test_nothing_breaks_a_logarithmic_chart(points: Points, width: int, height: int) -> None:
    chart = MetricChart("loss")
    chart.logarithmic = True
    chart.set_data(points)
    assert {len(line) for line in lines(chart, width, height)} == {width}


@example([], [(0, 0.0), (0, 5e-324)], 0, 1, 0, 40)
@given(POINTS, POINTS, st.floats(-10, 10), st.floats(0.001, 20), st.floats(-10, 10), st.integers(1, 120))
def test_nothing_breaks_a_part_with_a_cursor(
    points: Points, others: Points, low: float, span: float, cursor: float, width: int
) -> None:
    chart = MetricChart("reward")
    chart.set_lines([Line(points, 0, others, points), Line(others, 3)])
    chart.look((low, low + span), cursor)
    assert {len(line) for line in lines(chart, width, 9)} == {width}


def test_a_short_line_is_seen_beside_a_long_one_and_beneath_it() -> None:
    chart = MetricChart("reward")
    chart.set_lines([Line([(0, 5.0), (10, 5.0)], 0), Line([(0, 5.0), (10, 5.0)], 1), Line([(0, 5.0), (1e6, 5.0)], 2)])
    inks = inks_of(chart, 60, 12)
    ends = [
        inks[row][column]
        for row, line in enumerate(lines(chart, 60, 12))
        for column, character in enumerate(line)
        if character == "●"
    ]
    assert sorted(ends) == metric_chart._LINES[:3]


def test_a_band_lies_between_its_edges_and_beneath_its_line() -> None:
    chart = MetricChart("reward")
    flat = {y: [(0.0, y), (100.0, y)] for y in (0.0, 4.0, 5.0, 6.0, 10.0)}
    chart.set_lines([Line(flat[5.0], 1, flat[4.0], flat[6.0]), Line(flat[0.0], 0), Line(flat[10.0], 0)])
    inks = inks_of(chart, 60, 23)
    rows = [row for row in range(1, 21) if metric_chart._BANDS[1] in inks[row][5:]]
    middle = [row for row in range(1, 21) if inks[row].count(metric_chart._LINES[1]) > 40]
    assert len(middle) == 1
    assert 2 <= len(rows) <= 5, "a fifth of 20 rows, less the line's own"
    assert min(rows) < middle[0] < max(rows)


async def test_a_click_picks_a_place_in_the_plot() -> None:
    picked: list[float] = []

    class Clicked(ChartApp):
        def on_metric_chart_picked(self, event: MetricChart.Picked) -> None:
            picked.append(event.x)

    app = Clicked([(0, 1.0), (100, 2.0)])
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.pause()
        await pilot.click(MetricChart, offset=(59, 5))
        await pilot.click(MetricChart, offset=(0, 5))
        await pilot.click(MetricChart, offset=(30, 0))
        assert picked == pytest.approx([99], abs=1), "not on the labels, nor on the title"


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
