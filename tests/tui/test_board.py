"""The board: the stages, one of them selected, and what its keys do."""

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from mario_tui.game.stages import STAGES
from mario_tui.play.board import Way
from mario_tui.stage_settings import stage_settings
from mario_tui.tui.screens.board import BoardScreen, about, cell
from mario_tui.tui.screens.dialogs import ConfirmScreen
from mario_tui.tui.screens.play import PlayScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.stage_pictures import picture_width, stage_picture
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.stage_grid import StageGrid
from mario_tui.tui.widgets.train_form import TrainForm
from tui.fakes import World, checkpoint, typical_checkpoints, until

HAND = Way(Path("/plays/2-1_hand.json"), "hand", 2_400)
FOUND = Way(Path("/plays/2-1_found.json"), "search", 1_440)


def shown(app: Any, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).content)


async def board(pilot: Any) -> StageGrid:
    await pilot.press("b")
    await until(pilot, lambda: isinstance(pilot.app.screen, BoardScreen) and bool(pilot.app.screen._states))
    return pilot.app.screen.query_one(StageGrid)


async def test_it_shows_each_stage_and_counts_who_cleared_it() -> None:
    world = World(typical_checkpoints())
    world.ways = {"2-1": (HAND, FOUND), "8-4": (FOUND,)}
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        grid = await board(pilot)
        assert shown(app, "#board-line").startswith("1 of 32 cleared by an agent  ·  1 by hand  ·  2 by search")
        lines = str(grid.render()).splitlines()
        assert [line.split()[0] for line in lines[::2]] == [f"{world_}-1" for world_ in range(1, 9)]
        assert "1-1 robust 70 %" in lines[0]
        assert "500k" in lines[1]
        assert "2-1 hand search" in lines[2]
        assert "4-2 38 %" in lines[6]
        assert "8-4 search" in lines[14]
        assert all(len(line) <= 80 for line in lines)
        assert "best: overnight, 500,000 steps" in shown(app, "#stage-line")


async def test_arrows_move_within_the_stages_and_the_picture_follows() -> None:
    world = World()
    app = world.app()
    async with app.run_test(size=(160, 50)) as pilot:
        grid = await board(pilot)
        await until(pilot, lambda: world.pictured == ["1-1"])
        await pilot.press("left", "up")
        assert grid.selected == 0
        await pilot.press("down", "right")
        assert grid.selected == 5
        await until(pilot, lambda: world.pictured[-1] == "2-2")
        await until(pilot, lambda: app.screen.query_one("#stage-game", GameView).frame is not None)
        assert shown(app, "#stage-about").startswith("2-2")
        await pilot.press("end", "down", "right")
        assert grid.selected == 31
        await until(pilot, lambda: world.pictured[-1] == "8-4")
        await pilot.press("home")
        assert grid.selected == 0
        seen = len(world.pictured)
        await until(pilot, lambda: app.screen.query_one("#stage-game", GameView).frame is not None)
        assert len(world.pictured) == seen, "it is asked for once"


async def test_a_click_selects_a_stage_and_another_one_opens_it() -> None:
    world = World()
    world.ways = {"2-1": (FOUND,)}
    app = world.app()
    async with app.run_test(size=(120, 40)) as pilot:
        grid = await board(pilot)
        width, height = grid.cell_size
        await pilot.click(StageGrid, offset=(3, height))
        assert grid.selected == 4
        await pilot.click(StageGrid, offset=(width - 2, height + 1))
        await until(pilot, lambda: isinstance(app.screen, WatchScreen))
        await until(pilot, lambda: "open 2-1_found.json" in world.player.calls)


async def test_enter_watches_the_best_agent_and_nothing_where_there_is_nothing() -> None:
    world = World([checkpoint(9, stage="1-2", run="tried", greedy_clear=False), *typical_checkpoints()])
    world.ways = {"1-2": (FOUND,)}
    app = world.app()
    async with app.run_test() as pilot:
        await board(pilot)
        await pilot.press("right", "enter")
        await until(pilot, lambda: "open 2-1_found.json" in world.player.calls)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        await pilot.press("right", "enter")
        assert isinstance(app.screen, BoardScreen), "nothing is there to watch in 1-3"
        await pilot.press("home", "enter")
        await until(pilot, lambda: "open step-000500000" in world.player.calls)


async def test_p_plays_the_stage() -> None:
    app = (world := World()).app()
    async with app.run_test() as pilot:
        await board(pilot)
        await pilot.press("down", "p")
        await until(pilot, lambda: isinstance(app.screen, PlayScreen))
        assert world.game.calls[0] == "open 2-1"


async def test_t_asks_for_a_training_with_what_the_stage_needs() -> None:
    app = (world := World()).app()
    async with app.run_test() as pilot:
        await board(pilot)
        await pilot.press("down", "right", "t")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        form = app.screen.query_one(TrainForm)
        await until(pilot, lambda: form.rows()["stage"].value == "2-2")
        form.action_start()
        await until(pilot, lambda: bool(world.started))
        config = world.started[0][0]
        assert config.stage == "2-2"
        assert {name: getattr(config, name) for name in stage_settings("2-2")} == stage_settings("2-2")


async def test_s_searches_in_the_background_and_the_board_shows_what_came_of_it() -> None:
    app = World().app()
    async with app.run_test(size=(80, 24)) as pilot:
        grid = await board(pilot)
        await pilot.press("down", "s")
        await until(pilot, lambda: "2-1 search" in str(grid.render()))
        assert "by search: 24 s, plays/2-1_found.json" in shown(app, "#stage-line")


async def test_a_search_that_fails_says_so() -> None:
    world = World()
    world.job_problem = "the game cannot be loaded"
    app = world.app()
    async with app.run_test() as pilot:
        await board(pilot)
        await pilot.press("s")
        await until(pilot, lambda: any("the game cannot be loaded" in one.message for one in app._notifications))


@pytest.mark.parametrize(
    ("info", "line"),
    [
        ({"robust_clear_rate": 0.97, "robust_episodes": 100, "greedy_clear": True}, "robust 97 of 100 (92-99 %)"),
        ({"robust_clear_rate": 0.4, "greedy_clear": False}, "greedy play gets through 38 % of the stage; robust 40 %"),
        ({}, "greedy play not measured; robust not measured"),
    ],
)
def test_what_it_says_of_the_best_agent(info: dict[str, Any], line: str) -> None:
    state = World([checkpoint(120_000, **info)]).board()[0]
    assert any(line in str(one) for one in about(state))
    assert len(cell(state, 40)) <= 2


async def test_marked_stages_are_trained_one_after_another() -> None:
    app = (world := World(typical_checkpoints())).app()
    async with app.run_test(size=(120, 40)) as pilot:
        grid = await board(pilot)
        await pilot.press("space", "space", "down", "space", "right", "space")
        assert grid.marked == {4, 5}
        assert str(grid.render()).count("✓") == 2
        await pilot.press("C", "n")
        assert world.campaigns == []
        await pilot.press("C")
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("enter")
        await until(pilot, lambda: any("1 of 2 cleared" in job.target for job in app.jobs.running))
        assert world.campaigns == [["2-1", "2-2"]]
        await until(pilot, lambda: "campaign: 2-1 cleared, 1,200 steps, 100/s" in shown(app, "#board-jobs"))
        await pilot.press("C", "enter")
        await pilot.pause()
        assert len(world.campaigns) == 1, "one at a time"
        await pilot.press("ctrl+x")
        await until(pilot, lambda: not app.jobs.running)


async def test_without_marks_a_campaign_is_of_all_that_no_agent_clears() -> None:
    app = (world := World(typical_checkpoints())).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await board(pilot)
        await pilot.press("C", "C")
        await until(pilot, lambda: bool(world.campaigns))
        assert len(world.campaigns[0]) == 31
        assert "1-1" not in world.campaigns[0]
        await pilot.press("ctrl+x")
        await until(pilot, lambda: not app.jobs.running)


def test_every_stage_has_a_picture_of_its_own_kind() -> None:
    """What the file has are the real starts: sky, water, castles, and no two rows alike where the game's are not."""
    shown = {stage: stage_picture(number, 4) for number, stage in enumerate(STAGES)}
    for lines in shown.values():
        assert [line.cell_length for line in lines] == [picture_width(4)] * 4
    top = {stage: str(lines[0].spans[-1].style).split(" on ")[1] for stage, lines in shown.items()}
    blue = {stage for stage, colour in top.items() if int(colour[5:7], 16) > 150 and int(colour[1:3], 16) < 130}
    assert {"1-1", "1-3", "2-2", "7-2"} <= blue
    assert not {"1-2", "4-2", "3-1", "1-4", "8-4"} & blue


async def test_the_pictures_are_beside_the_words_where_there_is_room() -> None:
    app = World(typical_checkpoints()).app()
    async with app.run_test(size=(160, 50)) as pilot:
        grid = await board(pilot)
        lines = str(grid.render()).splitlines()
        assert lines[0].startswith(" 1-1 70 %")
        assert lines[1].strip().startswith("500k")
        assert lines[0].count("▀") == 4 * picture_width(grid.lines)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "▀" not in str(grid.render()))
        assert "1-1 robust 70 %" in str(grid.render())
