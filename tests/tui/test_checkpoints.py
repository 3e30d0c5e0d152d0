"""Checkpoints: the table and every key on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Static

from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.compare import CompareScreen
from mario_tui.tui.screens.dialogs import ConfirmScreen, LineScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.list import Table, shortened
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.metric_chart import MetricChart
from tui.fakes import World, checkpoint, typical_checkpoints, until


@asynccontextmanager
async def table(world: World) -> AsyncIterator[tuple[MarioTuiApp, Pilot[int], Table]]:
    app = world.app()
    async with app.run_test() as pilot:
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        rows = app.screen.query_one(Table)
        await until(pilot, lambda: rows.row_count == len(world.checkpoints))
        yield app, pilot, rows


async def test_empty_it_says_which_key_trains() -> None:
    async with table(World()) as (app, pilot, _):
        await until(pilot, lambda: app.screen.has_class("-empty"))
        assert "Press t to train" in str(app.screen.query_one("#nothing", Static).content)
        await pilot.press("enter", "r", "e", "c", "d", "g")
        assert isinstance(app.screen, CheckpointsScreen)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))


async def test_the_columns_tell_what_matters() -> None:
    async with table(World(typical_checkpoints())) as (_, _, rows):
        cells = [[str(cell) for cell in rows.get_row_at(number)] for number in range(rows.row_count)]
        assert cells[0] == ["★", "overnight", "1-1", "500,000", "clears", "70 %", "26.4 MB", "2 h", "whole"]
        assert cells[1][4:6] == ["no", "0 %"]
        assert cells[2][4:6] == ["-", "-"]
        assert cells[4][-1] == "damaged"


async def test_enter_watches_and_escape_comes_back_to_the_row() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and "start" in world.player.calls)
        assert world.player.calls[0] == "open step-000090000"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        assert rows.cursor_row == 1


async def test_r_and_g_record_in_the_background() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (_, pilot, _):
        path = world.checkpoints[0].path
        await pilot.press("r")
        await until(pilot, lambda: world.recorded == [(path, None, ".mp4")])
        await pilot.press("g")
        await until(pilot, lambda: world.recorded[1:] == [(path, None, ".gif")])


async def test_e_evaluates_and_the_row_shows_the_result() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("down", "down", "e")
        await until(pilot, lambda: str(rows.get_row_at(2)[5]) == "40 %")
        assert world.evaluated == [world.checkpoints[2].path]
        assert rows.cursor_row == 2
        assert any("4 of 10 cleared" in note.message for note in app._notifications)


async def test_c_continues_training() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, _):
        await pilot.press("c")
        await until(pilot, lambda: app.session is not None and isinstance(app.screen, TrainScreen))
        assert world.started == [(world.checkpoints[0].path,)]
        world.session.end()


async def test_d_asks_and_moves_to_the_trash() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        path = world.checkpoints[1].path
        await pilot.press("down", "d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        assert world.trashed == []
        await pilot.press("d", "d")
        await until(pilot, lambda: world.trashed == [path] and rows.row_count == 4)
        assert rows.cursor_row == 1


async def test_a_damaged_one_says_what_is_wrong_and_can_only_be_deleted() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, _):
        await pilot.press("down", "down", "down", "down")
        selected = app.screen.query_one("#selected", Static)
        await until(pilot, lambda: "agent.safetensors is missing" in str(selected.content))
        await pilot.press("enter", "r", "e", "c")
        assert isinstance(app.screen, CheckpointsScreen)
        assert world.recorded == []
        assert world.started == []
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))


async def test_a_list_that_lost_all_rows_becomes_the_empty_state() -> None:
    world = World(typical_checkpoints()[:1])
    async with table(world) as (app, pilot, _):
        await pilot.press("d", "y")
        await until(pilot, lambda: app.screen.has_class("-empty"))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def test_o_sorts_and_the_table_says_by_what() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (_, pilot, rows):

        def column(number: int) -> list[str]:
            return [str(rows.get_row_at(row)[number]) for row in range(rows.row_count)]

        listed = column(3)
        await pilot.press("o")
        assert column(7) == ["2 h", "2 h", "2 h", "2 h", "3 h"]
        assert rows.border_subtitle == "sorted by age"
        await pilot.press("o")
        assert column(3) == ["500,000", "120,000", "90,000", "80,000", "40,000"]
        await pilot.press("o")
        assert column(5)[0] == "70 %"
        await pilot.press("o", "o")
        assert column(3) == listed
        assert not rows.border_subtitle


async def test_slash_shows_only_what_has_the_words() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"4-2", "enter")
        await until(pilot, lambda: rows.row_count == 1)
        assert "only with '4-2'" in str(rows.border_subtitle)
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"no", "enter")
        await until(pilot, lambda: app.screen.has_class("-empty"))
        assert "has the word 4-2no" in str(app.screen.query_one("#nothing", Static).content)
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"[/]", "enter")
        await until(pilot, lambda: "4-2no[/]" in str(app.screen.query_one("#nothing", Static).content))
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("escape")
        await until(pilot, lambda: rows.row_count == 5)


async def test_the_selected_row_stays_selected_when_rows_move() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("down", "down")
        screen: Any = app.screen
        chosen = screen.selected.path
        world.checkpoints.insert(0, checkpoint(700_000, run="new"))
        app.files_version += 1
        await until(pilot, lambda: rows.row_count == 6)
        await until(pilot, lambda: (screen.selected.path, rows.cursor_row) == (chosen, 3))
        await pilot.press("o", "o")
        await until(pilot, lambda: screen.selected.path == chosen)


async def test_marked_runs_are_compared_in_one_chart() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("m")
        assert isinstance(app.screen, CheckpointsScreen), "one is marked at least"
        await pilot.press("space", "down", "space")
        assert [str(rows.get_row_at(row)[0]) for row in range(3)] == ["▶", "▶", " "]
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        chart = app.screen.query_one("#compare-0", MetricChart)
        await until(pilot, lambda: len(chart._lines) == 2)
        assert "overnight" in str(app.screen.query_one("#legend", Static).content)
        await pilot.press("tab", "tab", "4")
        assert app.screen.query_one("#compare-3").has_class("-selected")
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        await pilot.press("space", "m")
        assert isinstance(app.screen, CheckpointsScreen), "one is left"


async def test_n_keeps_a_note_and_f2_renames() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"the good one", "enter")
        await until(pilot, lambda: world.checkpoints[0].note == "the good one")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        selected = app.screen.query_one("#selected", Static)
        await until(pilot, lambda: "the good one" in str(selected.content))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("ctrl+u", "enter")
        await until(pilot, lambda: world.checkpoints[0].note == "")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"-2", "enter")
        await until(pilot, lambda: str(rows.get_row_at(0)[1]) == "overnight-2")
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"/x", "enter")
        await until(pilot, lambda: any("cannot be used" in note.message for note in app._notifications))


async def test_x_exports_under_a_name() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, _):
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("enter")
        await until(pilot, lambda: world.exported == [(world.checkpoints[0].path, "overnight-agent")])


def test_long_names_keep_both_ends() -> None:
    assert shortened("short", 10) == "short"
    assert shortened("1-1_2030-01-02T09-00-00", 14) == "1-1_203…-00-00"
    assert len(shortened("x" * 64, 15)) == 15
