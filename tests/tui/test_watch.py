"""Watch: what it shows of a player, and every key that steers it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from mario_tui.game.episode import EndReason
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.numbers import Numbers
from mario_tui.tui.widgets.pad import Pad
from mario_tui.tui.widgets.q_bars import QBars, bar, relative
from tui.fakes import FakePlayer, World, moment, picture, until

PATH = Path("/checkpoints/run/step-000120000")


@asynccontextmanager
async def watching(world: World) -> AsyncIterator[tuple[MarioTuiApp, Pilot[int]]]:
    app = world.app()
    async with app.run_test() as pilot:
        app.watch_agent(PATH)
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and app.screen._player is not None)
        app.screen.refresh_numbers()  # type: ignore[attr-defined]
        yield app, pilot


def state(app: MarioTuiApp) -> str:
    return "".join(str(line.content) for line in app.screen.query("#state").results(Static))


async def test_it_loads_first_and_then_shows_what_the_agent_does() -> None:
    world = World()
    world.player = FakePlayer(loaded=False)
    async with watching(world) as (app, pilot):
        assert "loading" in state(app)
        world.player.load()
        await until(pilot, lambda: "playing" in state(app))
        bars = app.screen.query_one(QBars)
        assert bars.names == ("right", "right+A")
        assert (bars.values, bars.chosen) == ((11.25, 12.5), 1)
        assert app.screen.query_one(Pad).buttons == 129
        assert app.screen.query_one(Numbers).entries["return"] == "412.0"
        await until(pilot, lambda: app.screen.query_one("#game", GameView).frame is world.player.latest_frame)
        world.player.latest_frame = picture(50)
        await until(pilot, lambda: app.screen.query_one("#game", GameView).frame is world.player.latest_frame)


async def test_space_pauses_and_full_stop_steps() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("space")
        assert "paused" in state(app)
        await pilot.press("space", "full_stop")
        assert world.player.calls[-3:] == ["pause", "pause", "step"]


async def test_plus_and_minus_change_the_speed() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("plus")
        assert "speed 2x" in state(app)
        await pilot.press("minus", "minus", "minus")
        assert "speed 1/4x" in state(app)
        await pilot.press("equals_sign")
        assert world.player.speed == 0.5


async def test_r_begins_again_and_n_goes_through_the_stages() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("r", "n", "n")
        assert world.player.calls[-3:] == ["restart", "restart 1-2", "restart 1-3"]
        assert "stage 1-3" in state(app)
        app.screen._stage = "8-4"  # type: ignore[attr-defined]
        await pilot.press("n")
        assert world.player.calls[-1] == "restart 1-3", "8-4 is the last"


async def test_v_records_the_stage_on_show() -> None:
    world = World()
    async with watching(world) as (_, pilot):
        await pilot.press("v")
        await until(pilot, lambda: world.recorded == [(PATH, None, ".mp4")])
        await pilot.press("n", "v")
        await until(pilot, lambda: world.recorded[1:] == [(PATH, "1-2", ".mp4")])


@pytest.mark.parametrize("key", ["escape", "q", "h"])
async def test_leaving_closes_the_player(key: str) -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and "close" in world.player.calls)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (EndReason.CLEAR, "CLEARED"),
        (EndReason.DEATH, "died"),
        (EndReason.STALL, "stopped getting farther"),
        (EndReason.TIME, "ran out of time"),
    ],
)
async def test_the_end_is_told_with_what_to_press(end: EndReason, words: str) -> None:
    world = World()
    async with watching(world) as (app, pilot):
        world.player.latest = moment(end=end)
        await until(pilot, lambda: words in state(app))
        assert "r again, n next stage" in state(app)


async def test_a_checkpoint_that_cannot_be_played_says_why() -> None:
    world = World()
    world.start_problem = "agent.safetensors is damaged"
    app = world.app()
    async with app.run_test() as pilot:
        app.watch_agent(PATH)
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and "damaged" in state(app))
        await pilot.press("space", "full_stop", "plus", "minus", "r", "n", "v")
        assert world.recorded == []


async def test_a_player_that_failed_says_why() -> None:
    world = World()
    world.player = FakePlayer(loaded=False)
    async with watching(world) as (app, pilot):
        world.player.problem = "the emulator failed"
        await until(pilot, lambda: "the emulator failed" in state(app))


def test_bars_compare_the_actions() -> None:
    assert bar(0.5, 4) == "██  "
    assert bar(1.0, 3) == "███"
    assert bar(-1.0, 3) == "   "
    assert relative(2.0, (1.0, 2.0)) == 1.0
    assert relative(1.0, (1.0, 2.0)) == 0.125
    assert relative(5.0, (5.0, 5.0)) == 1.0
