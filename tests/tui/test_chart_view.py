"""Which part of the x axis charts show: zoom, pan, and a view that follows the newest point."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mario_tui.tui.widgets.chart_view import ChartView

WHOLE = (0.0, 800.0)


def test_without_zoom_all_is_seen() -> None:
    assert ChartView().window(WHOLE) is None


def test_zooming_in_halves_around_the_newest_point_and_follows_it() -> None:
    view = ChartView().zoomed(1, WHOLE)
    assert view.window(WHOLE) == (400, 800)
    assert view.window((0.0, 1000.0)) == (600, 1000), "it follows"
    assert view.zoomed(-1, WHOLE).window(WHOLE) is None
    assert view.all().window(WHOLE) is None


def test_zooming_in_keeps_the_cursor_where_it_is_on_the_screen() -> None:
    view = ChartView(cursor=200.0).zoomed(1, WHOLE)
    assert view.window(WHOLE) == (100, 500)
    assert view.window((0.0, 1000.0)) == (100, 500), "it stays"
    assert view.zoomed(1, WHOLE).window(WHOLE) == (150, 350)
    assert ChartView(cursor=800.0).zoomed(1, WHOLE).window((0.0, 900.0)) == (500, 900), "at the newest point it follows"


def test_panning_ends_where_there_is_nothing() -> None:
    view = ChartView(span=100.0)
    assert view.panned(-0.5, WHOLE).window(WHOLE) == (650, 750)
    assert view.panned(-99, WHOLE).window(WHOLE) == (0, 100)
    back = view.panned(-0.5, WHOLE).panned(1, WHOLE)
    assert back.window((0.0, 900.0)) == (800, 900), "at the newest end it follows again"
    assert view.at_edge(WHOLE, newest=False).window(WHOLE) == (0, 100)
    assert view.at_edge(WHOLE, newest=False).at_edge(WHOLE, newest=True) == view
    assert ChartView().panned(-1, WHOLE) == ChartView()


def test_the_cursor_takes_the_view_along() -> None:
    view = ChartView(span=100.0)
    assert view.with_cursor(750.0, WHOLE).window(WHOLE) == (700, 800)
    assert view.with_cursor(650.0, WHOLE).window(WHOLE) == (650, 750)
    assert view.with_cursor(650.0, WHOLE).with_cursor(760.0, WHOLE).window(WHOLE) == (660, 760)
    assert view.with_cursor(650.0, WHOLE).without_cursor().cursor is None


@given(st.lists(st.sampled_from(["in", "out", "left", "right", "all"]), max_size=40), st.floats(0, 800) | st.none())
def test_a_part_is_never_outside_of_the_whole(presses: list[str], cursor: float | None) -> None:
    view = ChartView(cursor=cursor)
    for press in presses:
        if press == "all":
            view = view.all()
        elif press in ("in", "out"):
            view = view.zoomed(1 if press == "in" else -1, WHOLE)
        else:
            view = view.panned(0.3 if press == "right" else -0.3, WHOLE)
        low, high = view.window(WHOLE) or WHOLE
        assert low >= -1e-6
        assert high <= 800 + 1e-6
        assert high - low >= 800 / 256 - 1e-6
        assert high > low


def test_as_many_presses_back_show_all_also_what_came_meanwhile() -> None:
    view = ChartView(cursor=20.0).zoomed(1, (0.0, 44.0)).zoomed(1, (0.0, 44.0)).without_cursor()
    assert view.window((0.0, 180.0)) is not None
    assert view.zoomed(-1, (0.0, 180.0)).zoomed(-1, (0.0, 180.0)) == ChartView()


@pytest.mark.parametrize("presses", [1, -1])
def test_a_single_point_cannot_be_zoomed(presses: int) -> None:
    assert ChartView().zoomed(presses, (5.0, 5.0)).window((5.0, 5.0)) is None
