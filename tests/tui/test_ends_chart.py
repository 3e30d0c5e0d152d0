"""The map of where episodes end."""

from typing import Any

import numpy as np
from textual.app import App, ComposeResult

from mario_tui.tui.widgets.ends_chart import EndsChart, _fitted


class OneChart(App[None]):
    def compose(self) -> ComposeResult:
        yield EndsChart("where episodes end", 64)


async def drawn(deaths: Any, clears: Any, size: tuple[int, int], **off_course: Any) -> list[list[tuple[str, Any, Any]]]:
    """Lines of (character, its colour, the one beneath it)."""
    app = OneChart()
    async with app.run_test(size=size) as pilot:
        chart = app.query_one(EndsChart)
        chart.set_data(np.array(deaths), np.array(clears), {end: np.array(one) for end, one in off_course.items()})
        await pilot.pause()
        return [
            [
                (character, segment.style and segment.style.color, segment.style and segment.style.bgcolor)
                for segment in chart.render_line(y)
                for character in segment.text
            ]
            for y in range(size[1])
        ]


def words(line: list[tuple[str, Any, Any]]) -> str:
    return "".join(character for character, _, _ in line)


async def test_brighter_where_more_episodes_ended_and_clears_above() -> None:
    deaths = np.zeros((4, 128), int)
    deaths[:, 1] = (8, 4, 0, 0)
    deaths[:, 3] = (0, 4, 8, 0)
    lines = await drawn(deaths, [0, 0, 0, 8], (46, 7))
    assert words(lines[0]).startswith("where episodes end")
    assert words(lines[1]).startswith("clear│")
    assert words(lines[2]).startswith("  256│"), "the stage is shown as far as anybody got"
    assert words(lines[5]).startswith("  x 0│")
    assert words(lines[6]).rstrip().endswith("32 episodes")

    def light(y: int, column: int, below: bool) -> int:
        _, colour, beneath = lines[y][6 + 10 * column]
        return sum((beneath if below else colour).get_truecolor())

    ground = light(1, 0, False)
    assert [light(1, column, False) > ground for column in range(4)] == [False, False, False, True]
    # four rows of two pixels for four parts of the stage: the lowest row is the first part
    first, second, fourth = [[light(y, column, True) for column in range(4)] for y in (5, 4, 2)]
    assert first == [ground] * 4
    assert second[0] > second[1] > second[2] == second[3] == ground
    assert fourth[2] > fourth[1] > fourth[0] == fourth[3] == ground


async def test_without_episodes_it_says_so_at_any_size() -> None:
    lines = await drawn(np.zeros((0, 128)), np.zeros(0), (40, 6))
    assert any("waits for the end of an episode" in words(line) for line in lines)
    for size in ((1, 1), (3, 2), (8, 4)):
        assert len(await drawn(np.ones((3, 128), int), [1, 0, 2], size)) == size[1]


def test_rows_are_spread_or_gathered() -> None:
    rows = np.array([[1.0], [2.0], [4.0]])
    assert _fitted(rows, 6)[:, 0].tolist() == [1, 1, 2, 2, 4, 4]
    assert _fitted(np.vstack([rows, rows]), 3)[:, 0].tolist() == [3, 5, 6]
    assert _fitted(np.vstack([rows, rows]), 3, shares=True)[:, 0].tolist() == [1.5, 2.5, 3]


async def test_wrong_ways_and_other_stages_have_rows_of_their_own_where_there_are_some() -> None:
    deaths = np.zeros((4, 128), int)
    deaths[:, 1] = 8
    lines = await drawn(deaths, [0] * 4, (46, 8), loop=[0, 0, 8, 0])
    assert [words(line)[:6] for line in lines[1:4]] == ["clear│", " loop│", "  128│"]
    colours = [lines[2][6 + 10 * column][1].get_truecolor() for column in range(4)]
    assert colours[2] != colours[0] == colours[1] == colours[3]
    assert words(lines[7]).rstrip().endswith("32 episodes"), "they are among those that ended there"
