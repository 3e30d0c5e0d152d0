"""Checkpoints: the table and every key on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from mario_tui.store.catalog import CheckpointInfo
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.jobs import Job
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.compare import CompareScreen
from mario_tui.tui.screens.dialogs import ConfirmScreen, LineScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.list import Table
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.text import shortened
from mario_tui.tui.widgets.metric_chart import MetricChart
from tui.fakes import RUN, World, checkpoint, typical_checkpoints, until


@asynccontextmanager
async def table(world: World, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[MarioTuiApp, Pilot[int], Table]]:
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        rows = app.screen.query_one(Table)
        await until(pilot, lambda: rows.row_count == len({info.run for info in world.checkpoints}))
        yield app, pilot, rows


def row(rows: Table, number: int) -> list[str]:
    return [str(cell).strip() for cell in rows.get_row_at(number)]


def column(rows: Table, heading: str) -> list[str]:
    number = [str(one.label).strip() for one in rows.ordered_columns].index(heading)
    return [row(rows, line)[number] for line in range(rows.row_count)]


def told(app: MarioTuiApp) -> str:
    """What stands below the table of the selected row."""
    return str(app.screen.query_one("#selected", Static).content)


def said(app: MarioTuiApp) -> str:
    return " ".join(str(note.message) for note in app._notifications)


def selected(app: MarioTuiApp) -> str:
    screen: Any = app.screen
    return screen.selected.path.name


RUN_OF_THREE = ("down", "down", "right")
"""The keys that open the run with several checkpoints in `typical_checkpoints`, from the first line on."""


async def test_empty_it_says_which_key_trains() -> None:
    async with table(World()) as (app, pilot, _):
        await until(pilot, lambda: app.screen.has_class("-empty"))
        assert "Press t to train" in str(app.screen.query_one("#nothing", Static).content)
        await pilot.press("enter", "r", "e", "c", "d", "g")
        assert isinstance(app.screen, CheckpointsScreen)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))


async def test_the_columns_tell_what_matters() -> None:
    async with table(World(typical_checkpoints()), size=(119, 40)) as (_, pilot, rows):
        assert row(rows, 0) == ["overnight", "1-1", "500,000", "clears", "70 %", "2,480", "26.4 MB", "2 h", "whole"]
        assert row(rows, 1)[3:6] == ["no", "0 %", "-"]
        assert row(rows, 2) == [f"▸ {RUN} (3)", "1-1", "120,000", "-", "-", "1,022", "79.2 MB", "2 h", "1 damaged"]
        await pilot.press(*RUN_OF_THREE)
        assert row(rows, 3) == ["├", "", "120,000", "-", "-", "1,022", "26.4 MB", "2 h", "whole"]
        assert row(rows, 5)[0] == "└"
        assert row(rows, 5)[-1] == "damaged"


async def test_on_a_small_screen_the_step_and_what_is_damaged_are_still_told() -> None:
    async with table(World(typical_checkpoints())) as (_, pilot, rows):
        assert row(rows, 0) == ["overnight", "1-1", "500,000", "clears", "70 %", "2,480", "2 h"]
        assert row(rows, 2)[0].endswith("1 damaged")
        await pilot.press(*RUN_OF_THREE)
        assert row(rows, 5)[0] == "└ damaged"
        assert rows.virtual_size.width <= 80


async def test_the_arrows_open_and_close_a_run() -> None:
    async with table(World(typical_checkpoints())) as (app, pilot, rows):
        await pilot.press("right", "left")
        assert rows.row_count == 3, "a run with one checkpoint has nothing below it"
        await pilot.press(*RUN_OF_THREE)
        assert column(rows, "step") == ["500,000", "90,000", "120,000", "120,000", "80,000", "40,000"]
        assert (rows.cursor_row, selected(app)) == (2, RUN)
        await pilot.press("right")
        assert rows.row_count == 6, "it is open already"
        await pilot.press("down", "down", "left")
        assert (rows.cursor_row, selected(app)) == (2, RUN), "back to the run at first"
        await pilot.press("left")
        assert (rows.row_count, selected(app)) == (3, RUN)


async def test_a_click_on_the_mark_opens_a_run_and_does_no_more() -> None:
    async with table(World(typical_checkpoints())) as (app, pilot, rows):
        await pilot.press("down", "down")
        for count in (6, 3, 6):
            await pilot.click(Table, offset=(2, 3))
            await until(pilot, lambda count=count: rows.row_count == count)  # type: ignore[misc]
        assert isinstance(app.screen, CheckpointsScreen)
        await pilot.click(Table, offset=(10, 5))
        await until(pilot, lambda: rows.cursor_row == 4)


async def test_an_open_run_shows_its_best_with_a_star() -> None:
    infos = [checkpoint(step, best=step == 20_000, run="long") for step in (40_000, 30_000, 20_000)]
    async with table(World(infos)) as (_, pilot, rows):
        assert "★" not in row(rows, 0)[0]
        await pilot.press("right")
        assert column(rows, "run") == ["▾ long (3)", "├", "├", "└ ★"]


async def test_enter_watches_and_escape_comes_back_to_the_row() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press(*RUN_OF_THREE, "down", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and "start" in world.player.calls)
        assert world.player.calls[0] == "open step-000080000"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        assert rows.cursor_row == 4


def run_with_an_earlier_best() -> list[CheckpointInfo]:
    """Its newest checkpoint is damaged, and its best is an old one."""
    return [
        checkpoint(50_000, run="long", whole=False, problem="agent.safetensors is missing"),
        checkpoint(40_000, run="long", mean_reward=900.0, greedy_clear=False, robust_clear_rate=0.1),
        checkpoint(30_000, run="long", best=True, greedy_clear=True, robust_clear_rate=0.6),
        checkpoint(20_000, run="long"),
    ]


async def test_on_a_run_the_keys_mean_its_best_checkpoint() -> None:
    world = World(run_with_an_earlier_best())
    best = world.checkpoints[2].path
    async with table(world, size=(119, 40)) as (app, pilot, rows):
        assert row(rows, 0)[2:6] == ["40,000", "clears", "60 %", "900"]
        assert "→ shows its 4 checkpoints, 1 of them damaged" in told(app)
        assert "enter plays step 30,000, its best" in told(app)
        assert "c continues from step 40,000" in told(app)
        await pilot.press("r", "g")
        await until(pilot, lambda: world.recorded == [(best, None, ".mp4"), (best, None, ".gif")])
        await pilot.press("e")
        await until(pilot, lambda: world.evaluated == [best])
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("enter")
        await until(pilot, lambda: world.exported == [(best, "long-agent")])
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"jumps", "enter")
        await until(pilot, lambda: world.checkpoints[2].note == "jumps")
        await until(pilot, lambda: "jumps" in told(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and "start" in world.player.calls)
        assert world.player.calls[0] == "open step-000030000"


async def test_on_a_run_c_goes_on_where_it_stopped() -> None:
    world = World(run_with_an_earlier_best())
    async with table(world) as (app, pilot, _):
        await pilot.press("c")
        await until(pilot, lambda: app.session is not None and isinstance(app.screen, TrainScreen))
        assert world.started == [(world.checkpoints[1].path.parent,)], "its newest that is whole"
        world.session.end()


async def test_a_run_without_a_best_means_its_newest() -> None:
    world = World(typical_checkpoints()[2:4])
    async with table(world) as (app, pilot, _):
        assert "enter plays step 120,000, its newest" in told(app)
        assert "goes on" not in told(app)
        await pilot.press("enter")
        await until(pilot, lambda: world.player.calls[:1] == ["open step-000120000"])


async def test_a_run_of_damaged_ones_can_only_be_named_marked_or_deleted() -> None:
    world = World([checkpoint(step, run="bad", whole=False, problem="damaged") for step in (2, 1)])
    async with table(world) as (app, pilot, rows):
        assert row(rows, 0)[0] == "▸ bad 2 damaged"
        assert "none can be used" in told(app)
        await pilot.press("enter", "r", "g", "e", "c", "x")
        assert isinstance(app.screen, CheckpointsScreen)
        assert world.recorded == world.evaluated == world.started == []
        await pilot.press("space")
        assert row(rows, 0)[0].startswith("✓▸ bad")
        await pilot.press("d", "d")
        await until(pilot, lambda: app.screen.has_class("-empty"))


async def test_r_and_g_record_in_the_background() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (_, pilot, _):
        path = world.checkpoints[0].path
        await pilot.press("r")
        await until(pilot, lambda: world.recorded == [(path, None, ".mp4")])
        await pilot.press("g")
        await until(pilot, lambda: world.recorded[1:] == [(path, None, ".gif")])


async def test_shift_g_records_a_runs_checkpoints_side_by_side() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, _):
        screen: Any = app.screen
        assert not screen.selected.several
        await pilot.press("G")
        assert world.played == [], "one checkpoint is no grid"
        while not screen.selected.several:
            await pilot.press("down")
        await pilot.press("G")
        await until(pilot, lambda: world.played == [("grid", screen.selected.run.run)])
        await until(pilot, lambda: any("grid.mp4" in str(note.message) for note in app._notifications))


async def test_shift_r_records_a_race_of_a_runs_checkpoints() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, _):
        screen: Any = app.screen
        await pilot.press("R")
        assert world.played == [], "one checkpoint is no race"
        while not screen.selected.several:
            await pilot.press("down")
        await pilot.press("R")
        await until(pilot, lambda: world.played == [("race", screen.selected.run.run)])
        await until(pilot, lambda: any("race.mp4" in str(note.message) for note in app._notifications))


async def test_e_evaluates_and_the_row_shows_the_result() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press(*RUN_OF_THREE, "down", "down", "e")
        await until(pilot, lambda: column(rows, "robust") == ["70 %", "0 %", "40 %", "-", "40 %", "-"])
        assert world.evaluated == [world.checkpoints[3].path]
        assert rows.cursor_row == 4
        assert "4 of 10 cleared" in said(app)


async def test_c_continues_training() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, _):
        await pilot.press("c")
        await until(pilot, lambda: app.session is not None and isinstance(app.screen, TrainScreen))
        assert world.started == [(world.checkpoints[0].path.parent,)]
        world.session.end()


async def test_d_asks_and_moves_a_checkpoint_to_the_trash() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        paths = [info.path for info in world.checkpoints]
        await pilot.press(*RUN_OF_THREE, "down", "down", "down", "d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert f"{RUN}, step 40,000 moves to checkpoints/.trash" in str(app.screen.query_one(".about", Static).content)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        assert world.trashed == []
        await pilot.press("d", "d")
        await until(pilot, lambda: world.trashed == [paths[4]] and rows.row_count == 5)
        assert selected(app) == "step-000080000", "it stays in the run"
        await pilot.press("d", "d")
        await until(pilot, lambda: world.trashed == [paths[4], paths[3]] and rows.row_count == 3)
        assert row(rows, 2)[0] == RUN, "with one checkpoint a run is one line"
        assert selected(app) == RUN


@pytest.mark.parametrize("opened", [False, True])
async def test_d_on_a_run_asks_and_moves_all_of_it(opened: bool) -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press(*RUN_OF_THREE[: None if opened else 2], "d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        question = str(app.screen.query_one(".about", Static).content)
        assert f"{RUN} with all of its 3 checkpoints, its log and its curves moves to checkpoints/.trash" in question
        await pilot.press("d")
        await until(pilot, lambda: world.trashed == [Path(f"/checkpoints/{RUN}")] and rows.row_count == 2)


async def test_d_on_a_run_with_one_checkpoint_leaves_nothing_of_it() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "overnight with its checkpoint" in str(app.screen.query_one(".about", Static).content)
        await pilot.press("d")
        await until(pilot, lambda: world.trashed == [Path("/checkpoints/overnight")] and rows.row_count == 2)


async def test_a_key_means_the_row_that_the_one_before_it_went_to() -> None:
    async with table(World(typical_checkpoints())) as (app, pilot, rows):
        screen: Any = app.screen
        rows.move_cursor(row=1)
        screen.action_trash()  # before the table's message that the cursor moved is there
        await until(pilot, lambda: bool(app.screen.query("#yes")))
        assert "4-2_2030-01-01T20-00-00 with" in str(app.screen.query_one(".about", Static).content)


async def test_a_run_that_is_trained_is_not_deleted() -> None:
    world = World(typical_checkpoints())
    world.trash_problem = "the run 'overnight' is being trained: stop that first"
    async with table(world) as (app, pilot, rows):
        await pilot.press("d", "d")
        await until(pilot, lambda: "is being trained" in said(app))
        assert rows.row_count == 3


async def test_a_damaged_one_says_what_is_wrong_and_can_only_be_deleted() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, _):
        await pilot.press(*RUN_OF_THREE, "down", "down", "down")
        await until(pilot, lambda: "agent.safetensors is missing" in told(app))
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
    async with table(world, size=(119, 40)) as (_, pilot, rows):
        await pilot.press(*RUN_OF_THREE)
        listed = column(rows, "step")
        assert listed == ["500,000", "90,000", "120,000", "120,000", "80,000", "40,000"]
        for order, heading, first, last in (
            ("age", "age", "2 h", "4 h"),
            ("steps", "step", "500,000", "90,000"),
            ("clear rate", "robust", "70 %", "0 %"),
            ("mean reward", "reward", "2,480", "-"),
            ("size", "size", "79.2 MB", "26.4 MB"),
        ):
            await pilot.press("o")
            runs = [cell for cell, mark in zip(column(rows, heading), column(rows, "stage"), strict=True) if mark]
            assert (rows.border_subtitle, runs[0], runs[-1]) == (f"sorted by {order}", first, last)
        await pilot.press("o")
        assert column(rows, "step") == listed
        assert not rows.border_subtitle


async def test_an_open_runs_checkpoints_are_sorted_below_it() -> None:
    infos = [checkpoint(3, run="a", robust_clear_rate=0.1), checkpoint(2, run="a", robust_clear_rate=0.9)]
    async with table(World([checkpoint(1, run="b", robust_clear_rate=0.5), *infos])) as (_, pilot, rows):
        await pilot.press("down", "right", "o", "o", "o")
        assert rows.border_subtitle == "sorted by clear rate"
        assert column(rows, "robust") == ["90 %", "90 %", "10 %", "50 %"]
        assert column(rows, "run") == ["▾ a (2)", "├", "└", "b"]


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
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        assert app.screen.has_class("-empty"), "esc leaves the filter as it was"
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("ctrl+u", "enter")
        await until(pilot, lambda: rows.row_count == 3)


async def test_the_filter_applies_while_one_types_and_esc_takes_it_off_before_it_leaves() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("4", "minus")
        await until(pilot, lambda: rows.row_count == 1)
        await pilot.press("escape")
        await until(pilot, lambda: rows.row_count == 3)
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("4", "minus", "enter")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen) and rows.row_count == 1)
        await pilot.press("escape")
        await until(pilot, lambda: rows.row_count == 3)
        assert isinstance(app.screen, CheckpointsScreen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def test_a_word_of_a_note_opens_its_run_at_that_checkpoint() -> None:
    world = World(typical_checkpoints())
    world._change(world.checkpoints[3].path, note="jumps well")
    async with table(world) as (app, pilot, rows):
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"jumps", "enter")
        await until(pilot, lambda: column(rows, "step") == ["120,000", "80,000"])
        assert row(rows, 1)[0] == "└ jumps well"


async def test_the_selected_row_stays_selected_when_rows_move() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("down", "down")
        assert selected(app) == RUN
        world.checkpoints.insert(0, checkpoint(700_000, run="new"))
        app.files_version += 1
        await until(pilot, lambda: rows.row_count == 4)
        await until(pilot, lambda: (selected(app), rows.cursor_row) == (RUN, 3))
        await pilot.press("o", "o")
        await until(pilot, lambda: selected(app) == RUN)


async def test_a_save_of_the_run_that_is_looked_at_moves_nothing() -> None:
    world = World([checkpoint(step * 1000, run="long") for step in range(40, 0, -1)])
    async with table(world) as (app, pilot, rows):
        await pilot.press("right", "end", *["up"] * 5)
        await pilot.pause()
        assert selected(app) == "step-000006000"
        line = rows.cursor_row - rows.scroll_offset.y
        world.checkpoints.insert(0, checkpoint(41_000, run="long"))
        app.files_version += 1
        await until(pilot, lambda: rows.row_count == 42)
        await pilot.pause()
        assert (selected(app), rows.cursor_row) == ("step-000006000", 36)
        assert rows.cursor_row - rows.scroll_offset.y == line, "on the screen it stands where it was"


async def test_a_smaller_screen_still_shows_the_selected_row() -> None:
    world = World([checkpoint(step * 1000, run="long") for step in range(40, 0, -1)])
    async with table(world, size=(120, 40)) as (app, pilot, rows):
        await pilot.press("right", *["down"] * 30)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: len(rows.ordered_columns) == 7)
        await pilot.pause()
        assert selected(app) == "step-000011000"
        assert 0 <= rows.cursor_row - rows.scroll_offset.y < rows.size.height - 1


async def test_work_in_the_background_takes_few_lines() -> None:
    async with table(World(typical_checkpoints())) as (app, pilot, _):
        target = f"{'long-' * 12}name/step-000120000"
        app.jobs.running += [Job("evaluating", target, f"{number} of 11 episodes") for number in range(5)]
        jobs = app.screen.query_one("#jobs", Static)
        await until(pilot, lambda: bool(str(jobs.content)))
        *lines, last = str(jobs.content).splitlines()
        assert [line.split(" (")[0] for line in lines] == [f"evaluating: {n} of 11 episodes" for n in range(3)]
        assert all(line.endswith("step-000120000)") and len(line) <= 78 for line in lines)
        assert last == "and 2 more"
        app.jobs.running.clear()


async def test_a_run_with_one_checkpoint_stays_selected_when_it_saves_a_second() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("down")
        run = selected(app)
        world.checkpoints.insert(1, checkpoint(95_000, run=run, stage="4-2"))
        app.files_version += 1
        await until(pilot, lambda: row(rows, 1)[0].startswith("▸ 4-2"))
        assert (selected(app), rows.cursor_row, rows.row_count) == (run, 1, 3)


async def test_marked_runs_are_compared_in_one_chart() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("m")
        assert isinstance(app.screen, CheckpointsScreen), "one is marked at least"
        await pilot.press("space", "down", "space")
        assert [name[0] for name in column(rows, "run")] == ["✓", "✓", "▸"]
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        chart = app.screen.query_one("#compare-0", MetricChart)
        await until(pilot, lambda: len(chart._lines) == 2)
        assert "overnight to step 39,000" in str(app.screen.query_one("#legend", Static).content)
        await pilot.press("tab", "tab", "4")
        assert app.screen.query_one("#compare-3").has_class("-selected")
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        await pilot.press("space", "m")
        assert isinstance(app.screen, CheckpointsScreen), "one is left"


async def test_where_there_is_no_curve_compare_says_why() -> None:
    world = World(typical_checkpoints())
    world.not_recorded = {"loss": "nothing learned yet", "Q": "Q was not recorded"}
    async with table(world) as (app, pilot, _):
        app.push_screen(CompareScreen((Path("/checkpoints/a"), Path("/checkpoints/b"))))
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and bool(app.screen.query("#compare-0")))
        await until(pilot, lambda: bool(app.screen.query_one("#compare-0", MetricChart)._lines))
        for key, says in (("1", ""), ("4", "nothing learned yet"), ("5", "Q was not recorded")):
            await pilot.press(key)
            await pilot.pause()
            chart = app.screen.query_one(f"#compare-{int(key) - 1}", MetricChart)
            lines = [chart.render_line(y).text for y in range(chart.size.height)]
            assert any(says in line for line in lines)
            assert any("┤" in line for line in lines) is not bool(says)


async def test_n_keeps_a_note_and_f2_renames() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"the good one", "enter")
        await until(pilot, lambda: world.checkpoints[0].note == "the good one")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        await until(pilot, lambda: "the good one" in told(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("ctrl+u", "enter")
        await until(pilot, lambda: world.checkpoints[0].note == "")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"-2", "enter")
        await until(pilot, lambda: row(rows, 0)[0] == "overnight-2")
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"/x", "enter")
        problem = app.screen.query_one(".problem", Static)
        await until(pilot, lambda: "cannot be used" in str(problem.content))
        assert app.screen.query_one(Input).value == "overnight-2/x", "what was typed is there to be mended"
        app.screen.query_one(Input).value = taken = world.checkpoints[1].run
        await pilot.press("enter")
        await until(pilot, lambda: "exists" in str(problem.content))
        await pilot.press("end", "1", "enter")
        await until(pilot, lambda: world.checkpoints[0].run == f"{taken}1")


async def test_a_deleted_checkpoint_is_told_with_where_it_went() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("d", "d")
        await until(pilot, lambda: rows.row_count == 2)
        assert "moved to checkpoints/.trash" in said(app)


async def test_u_takes_back_what_was_deleted_the_last_first() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press("u")
        assert "nothing was deleted here since the app began" in said(app)
        for left in (2, 1):
            await pilot.press("d", "d")
            await until(pilot, lambda: rows.row_count == left)  # noqa: B023
        first, second = world.trashed
        await pilot.press("u")
        await until(pilot, lambda: rows.row_count == 2)
        assert {info.path.parent for info in world.checkpoints} & {first, second} == {second}
        world.trash_problem = "there is another one of that name"
        await pilot.press("u")
        await until(pilot, lambda: "there is another one of that name" in said(app))
        world.trash_problem = ""
        await pilot.press("u")
        await until(pilot, lambda: rows.row_count == 3)


async def test_the_training_that_has_ended_takes_part_in_a_new_name() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, _):
        app.session = world.session
        world.session.end()
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"-2", "enter")
        await until(pilot, lambda: world.session.calls == ["moved overnight to overnight-2"])


async def test_a_renamed_run_stays_open_marked_and_selected() -> None:
    world = World(typical_checkpoints())
    async with table(world) as (app, pilot, rows):
        await pilot.press(*RUN_OF_THREE, "space", "down", "down", "f2")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("ctrl+u", *"short", "enter")
        await until(pilot, lambda: row(rows, 2)[0] == "✓▾ short 1 damaged")
        assert (rows.row_count, selected(app)) == (6, "step-000080000")


async def test_a_deleted_run_is_compared_no_more() -> None:
    async with table(World(typical_checkpoints())) as (app, pilot, rows):
        await pilot.press("space", "down", "space", "d", "d")
        await until(pilot, lambda: rows.row_count == 2)
        await pilot.press("m")
        assert isinstance(app.screen, CheckpointsScreen), "one is left"


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


async def test_checkpoints_are_read_through_before_they_are_called_whole() -> None:
    world = World(
        [
            checkpoint(120_000, verified=False),
            checkpoint(80_000, verified=False),
            checkpoint(60_000, best=True, robust_clear_rate=0.1, verified=False),
            checkpoint(40_000, whole=False, problem="manifest.json is missing", verified=False),
        ]
    )
    newest, other, best, _ = (info.path for info in world.checkpoints)
    world.damage = {newest: "agent.safetensors is damaged: x", other: "replay.safetensors is damaged: y"}
    async with table(world) as (app, pilot, _):
        await until(pilot, lambda: "3 of them damaged" in told(app))
        assert world.verified[:2] == [best, newest], "what the selected row offers is read first"
        assert sorted(world.verified) == sorted([newest, other, best]), (
            "each once, and none that is known to be damaged"
        )
        assert "c goes on from" not in told(app), "the best is the newest that is whole"
        await pilot.press("right", "down")
        await until(pilot, lambda: "agent.safetensors is damaged" in told(app))
        await pilot.press("down")
        await until(pilot, lambda: "replay.safetensors is damaged" in told(app))
        await pilot.press("down")
        await until(pilot, lambda: ", whole" in told(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_shipped_run_is_marked_and_stays_as_it_is(size: tuple[int, int]) -> None:
    world = World([checkpoint(1_040_000, run="world-1-1", shipped=True)])
    async with table(world, size=size) as (app, pilot, rows):
        assert "shipped" in " ".join(row(rows, 0))
        await until(pilot, lambda: told(app).startswith("shipped with mario-tui"))
        for key in ("d", "n", "f2", "c", "C"):
            await pilot.press(key)
            await until(pilot, lambda: "world-1-1 is shipped with mario-tui and stays as it is" in said(app))
            assert isinstance(app.screen, CheckpointsScreen), f"{key} asks nothing"
            app.clear_notifications()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen))
