"""The game in characters: colours, proportions, and how little is painted again; test_cells.py has how it is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.geometry import Region

from mario_tui.tui.cells import BLOCKS, BY_NAME, UPPER_HALF
from mario_tui.tui.widgets import game_view
from mario_tui.tui.widgets.game_view import GameView, fitted_cells

RED, BLUE = (255, 0, 0), (0, 0, 255)


def plain(colour: tuple[int, int, int], height: int = 240, width: int = 256) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


class ViewApp(App[None]):
    def __init__(self, view: GameView) -> None:
        super().__init__()
        self.view = view

    def compose(self) -> ComposeResult:
        yield self.view


def colours(segment: Segment) -> tuple[ColorTriplet, ColorTriplet]:
    assert segment.style is not None
    assert segment.style.color is not None
    assert segment.style.bgcolor is not None
    return segment.style.color.get_truecolor(), segment.style.bgcolor.get_truecolor()


def text_of(view: GameView) -> list[str]:
    return [view.render_line(row).text for row in range(view.size.height)]


@given(st.integers(1, 400), st.integers(1, 200))
def test_the_picture_fits_and_keeps_its_proportions(width: int, height: int) -> None:
    columns, rows = fitted_cells(256, 240, width, height)
    assert 1 <= columns <= width
    assert 1 <= rows <= height
    assert columns in (width, width - 1) or rows in (height, height - 1), "it is as large as it can be"
    assert abs(columns * 240 / 256 - rows * 2) <= 2


async def test_each_cell_shows_an_upper_and_a_lower_pixel_in_the_middle_of_the_widget() -> None:
    frame = plain(RED, 10, 10)
    frame[5:] = BLUE
    view = GameView(characters=BLOCKS)
    async with ViewApp(view).run_test(size=(20, 5)):
        view.frame = frame
        top, middle, bottom = (list(view.render_line(row)) for row in (0, 2, 4))
    assert [segment.text for segment in top] == [" " * 5, " " * 10, " " * 5]
    assert [segment.text for segment in middle] == [" " * 5, UPPER_HALF * 10, " " * 5]
    assert colours(top[1]) == (RED, RED)
    assert colours(middle[1]) == (RED, BLUE)
    assert colours(bottom[1]) == (BLUE, BLUE)


async def test_quadrants_also_show_what_is_side_by_side() -> None:
    frame = plain(RED, 24, 24)
    frame[:, 17:] = BLUE
    frame[22:] = BLUE
    view = GameView()
    async with ViewApp(view).run_test(size=(12, 6)) as pilot:
        view.frame = frame
        await pilot.pause()
        upper, lower = (list(view.render_line(row)) for row in (0, 5))
    assert [segment.text for segment in upper] == [" " * 8, "▌   "]
    assert [segment.text for segment in lower] == ["▀▀▀▀▀▀▀▀▘   "]
    assert colours(upper[0]) == (RED, RED)
    assert colours(upper[1]) == colours(lower[0]) == (RED, BLUE), "as many as possible with one pair of colours"


async def test_pixels_are_averaged_so_that_no_small_thing_is_lost() -> None:
    frame = plain((0, 0, 0))
    frame[::2, ::2] = 255
    view = GameView()
    async with ViewApp(view).run_test(size=(64, 30)):
        view.frame = frame
        shown = {channel for row in range(30) for s in view.render_line(row) for c in colours(s) for channel in c}
    assert len(shown) == 1
    assert abs(shown.pop() - 255 / 4) <= 8


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (300, 100), (3, 2), (1, 1)])
@pytest.mark.parametrize("name", BY_NAME)
async def test_every_line_is_as_wide_as_the_widget(size: tuple[int, int], name: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (240, 256, 3), np.uint8)
    view = GameView(characters=BY_NAME[name])
    async with ViewApp(view).run_test(size=size) as pilot:
        view.frame = frame
        await pilot.pause()
        lines = [view.render_line(row) for row in range(size[1])]
    assert {line.cell_length for line in lines} == {size[0]}
    assert {sum(len(segment.text) for segment in line) for line in lines} == {size[0]}


async def test_only_rows_that_changed_are_painted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[tuple[Region, ...]] = []
    view = GameView()
    async with ViewApp(view).run_test(size=(80, 24)) as pilot:
        view.frame = first = plain(BLUE)
        await pilot.pause()
        monkeypatch.setattr(view, "refresh", lambda *regions, **_: painted.append(regions))
        view.frame = first
        assert painted == []
        view.frame = plain(BLUE)
        assert painted == [], "another array, the same picture"
        lower = plain(BLUE)
        lower[200:] = RED
        view.frame = lower
        assert painted == [(Region(0, 20, 80, 4),)]
        assert colours(list(view.render_line(21))[1]) == (RED, RED)
        assert view.frame is lower


async def test_what_is_on_the_screen_is_the_newest_frame() -> None:
    view = GameView()
    app = ViewApp(view)
    async with app.run_test(size=(80, 24)) as pilot:
        for colour in (RED, BLUE, RED):
            view.frame = plain(colour)
            await pilot.pause()
            assert colours(list(view.render_lines(Region(0, 0, 80, 24))[12])[1]) == (colour, colour)


async def test_a_frame_given_before_the_widget_is_shown_and_resizes() -> None:
    view = GameView("nothing yet")
    view.frame = plain(RED)
    async with ViewApp(view).run_test(size=(80, 24)) as pilot:
        assert text_of(view)[12].strip() == ""
        assert len(list(view.render_line(0))[1].text) == 51
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert len(list(view.render_line(0))[1].text) == 85


async def test_the_empty_text_stands_in_the_middle_until_there_is_a_frame() -> None:
    view = GameView("No game runs.\nPress enter.")
    async with ViewApp(view).run_test(size=(40, 10)) as pilot:
        assert text_of(view)[4:6] == ["No game runs.".center(40), "Press enter.".center(40)]
        view.empty_text = "Wait"
        assert "Wait" in text_of(view)[4]
        view.frame = plain(RED)
        await pilot.pause()
        assert "Wait" not in "".join(text_of(view))
        view.frame = None
        await pilot.pause()
        assert "Wait" in "".join(text_of(view))


async def test_a_border_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    view = GameView()
    view.styles.border = ("round", "white")
    async with ViewApp(view).run_test(size=(80, 24)) as pilot:
        view.frame = plain(RED)
        await pilot.pause()
        view.frame = plain(BLUE)
        await pilot.pause()
        lines = view.render_lines(Region(0, 0, 80, 24))
        assert lines[0].text.startswith("╭")
        assert all(line.text.startswith("│") and line.text.endswith("│") for line in lines[1:-1])
        assert all(colours(list(line)[2]) == (BLUE, BLUE) for line in lines[1:-1])


async def test_without_colour_it_is_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    view = GameView()
    async with ViewApp(view).run_test(size=(80, 24)) as pilot:
        view.frame = plain(RED)
        await pilot.pause()
        red, green, blue = colours(list(view.render_lines(Region(0, 0, 80, 24))[12])[1])[0]
    assert red == green == blue


async def test_the_store_of_segments_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(game_view, "_MAX_KEPT", 100)
    random = np.random.default_rng(0)
    view = GameView()
    async with ViewApp(view).run_test(size=(80, 24)) as pilot:
        for _ in range(3):
            view.frame = random.integers(0, 256, (240, 256, 3), np.uint8)
            await pilot.pause()
    assert 0 < len(game_view._styles) <= len(game_view._segments) <= 100
