"""Play: what it shows of a game by hand, and every key of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Static

from mario_tui.buttons import DOWN, LEFT, RIGHT, UP, A, B
from mario_tui.game.episode import EndReason
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.keyboard import KeyReleased, ReleasesReported
from mario_tui.tui.preferences import Preferences
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.play import PlayScreen
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.numbers import Numbers
from mario_tui.tui.widgets.pad import Pad
from tui.fakes import World, moment, picture, typical_checkpoints, until


@asynccontextmanager
async def playing(world: World, stage: str = "1-1") -> AsyncIterator[tuple[MarioTuiApp, Pilot[int]]]:
    app = world.app()
    async with app.run_test() as pilot:
        app.play(stage)
        await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen._ghost_stage == stage)
        yield app, pilot


def shown(app: MarioTuiApp, selector: str) -> str:
    screen: Any = app.screen
    screen.refresh_numbers()
    return str(screen.query_one(selector, Static).content)


async def test_it_shows_the_game_the_pad_and_the_numbers() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        assert "open 1-1" in world.game.calls
        await until(pilot, lambda: app.screen.query_one("#game", GameView).frame is world.game.latest_frame)
        assert app.screen.query_one(Pad).buttons == 129
        assert app.screen.query_one(Numbers).entries["progress"] == "38 %"
        assert app.screen.query_one(Numbers).entries["frame time"] == "17 ms"
        assert "playing" in shown(app, "#state")
        world.game.latest_frame = picture(50)
        await until(pilot, lambda: app.screen.query_one("#game", GameView).frame is world.game.latest_frame)


async def test_it_tells_once_that_a_game_is_kept_and_what_for() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        notices: list[str] = []
        app.screen.notify = lambda text, **_: notices.append(text)  # type: ignore[method-assign]
        world.game.logs.append(Path("1-1.json"))
        await until(pilot, lambda: bool(notices))
        world.game.logs.append(Path("1-1_2.json"))
        app.screen.refresh_numbers()  # type: ignore[attr-defined]
        assert len(notices) == 1
        assert "mario-tui train --demonstrations plays/" in notices[0]


async def test_home_plays_the_stage_of_the_best_agent() -> None:
    world = World(typical_checkpoints())
    app = world.app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and bool(app.screen._best))
        await pilot.press("p")
        assert isinstance(app.screen, PlayScreen)
        assert "open 1-1" in world.game.calls
        await until(pilot, lambda: bool(world.ghosts) and world.ghosts[0].calls == ["start"])
        await pilot.press("q")
        assert isinstance(app.screen, HomeScreen)
        await until(pilot, lambda: "close" in world.game.calls)
        await until(pilot, lambda: world.ghosts[0].calls == ["start", "close"])


KEYS = [("left", LEFT), ("right", RIGHT), ("up", UP), ("down", DOWN), ("x", A), ("space", A), ("z", B)]


@pytest.mark.parametrize(("key", "button"), KEYS)
async def test_without_key_releases_keys_are_taps(key: str, button: int) -> None:
    world = World()
    async with playing(world) as (app, pilot):
        world.game.waits = True
        assert "ready" in shown(app, "#state")
        assert "no key releases" in shown(app, "#badge")
        await pilot.press(key)
        assert world.game.pressed == [f"tap {button}"]
        assert not world.game.waits


@pytest.mark.parametrize(("key", "button"), KEYS)
async def test_with_key_releases_keys_are_held(key: str, button: int) -> None:
    world = World()
    async with playing(world) as (app, pilot):
        app.post_message(ReleasesReported())
        await until(pilot, lambda: "hold as long" in shown(app, "#badge"))
        assert world.game.pressed == ["release all"]
        await pilot.press(key)
        app.post_message(KeyReleased(key))
        app.post_message(KeyReleased("f12"))
        app.post_message(KeyReleased("p"))  # a key of something else
        await until(pilot, lambda: len(world.game.pressed) == 3)
        assert world.game.pressed[1:] == [f"press {button}", f"release {button}"]
        await pilot.press("s")
        assert world.game.pressed[-1] == "hop"


async def test_a_release_never_overtakes_a_press() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        app.post_message(ReleasesReported())
        for _ in range(30):  # a key held down, that repeats
            app.post_message(events.Key("x", "x"))
        app.post_message(KeyReleased("x"))
        await until(pilot, lambda: len(world.game.pressed) == 32)
        await pilot.pause()
        assert world.game.pressed == ["release all", *[f"press {A}"] * 30, f"release {A}"]


async def test_other_keys_for_the_pad_are_released_as_well() -> None:
    world = World()
    world.user_preferences = Preferences(keys={"play.jump": "j", "play.right": "d"})
    async with playing(world) as (app, pilot):
        app.post_message(ReleasesReported())
        await until(pilot, lambda: app.releases_reported)
        await pilot.press("d", "j")
        app.post_message(KeyReleased("j"))
        app.post_message(KeyReleased("d"))
        await until(pilot, lambda: len(world.game.pressed) == 5)
        assert world.game.pressed[1:] == [f"press {RIGHT}", f"press {A}", f"release {A}", f"release {RIGHT}"]


async def test_all_is_let_go_when_the_terminal_loses_the_focus() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        app.app_focus = False
        await until(pilot, lambda: world.game.pressed == ["release all"])


async def test_behind_another_screen_the_game_stands_still() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        app.post_message(ReleasesReported())
        await until(pilot, lambda: app.releases_reported)
        await pilot.press("question_mark")
        await until(pilot, lambda: world.game.paused)
        assert world.game.pressed[-1] == "release all"
        assert not app.releases_reported
        app.post_message(KeyReleased("x"))  # nobody is there to take it
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, PlayScreen))
        assert "paused" in shown(app, "#state")
        await pilot.press("p")
        assert not world.game.paused


async def test_pause_step_and_speed() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        await pilot.press("p")
        assert "paused" in shown(app, "#state")
        await pilot.press("full_stop", "p", "minus")
        assert "step" in world.game.calls
        assert "1/2x" in shown(app, "#state")
        await pilot.press("plus", "plus")
        assert "2x" in shown(app, "#state")


async def test_again_and_the_stages_before_and_after() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        await pilot.press("a")
        assert world.game.calls[-1] == "restart"
        await pilot.press("b")
        assert world.game.calls[-1] == "restart"  # 1-1 is the first
        await until(pilot, lambda: bool(world.ghosts) and world.ghosts[0].calls == ["start"])
        await pilot.press("n")
        assert world.game.calls[-1] == "restart 1-2"
        assert "1-2" in shown(app, "#stage")
        await until(pilot, lambda: len(world.ghosts) == 2 and world.ghosts[1].calls == ["start"])
        assert world.ghosts[1].stage == "1-2"
        await until(pilot, lambda: world.ghosts[0].calls == ["start", "close"])
        await pilot.press("b")
        assert world.game.calls[-1] == "restart 1-1"
    async with playing(World(), "8-4") as (app, pilot):
        await pilot.press("n")
        assert "8-4" in shown(app, "#stage")


async def test_a_place_is_kept_and_gone_back_to() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        await pilot.press("l")
        assert "go back" not in world.game.calls
        await pilot.press("k")
        assert "l: back" in shown(app, "#state")
        world.game.latest = moment(step=2000)
        await pilot.press("l")
        assert "go back" in world.game.calls
        world.game.latest = moment(step=2000, end=EndReason.DEATH)
        assert "l back" in shown(app, "#state")
        kept = world.game.kept_step
        await pilot.press("k")  # nobody wants to come back to that
        assert world.game.kept_step == kept


@pytest.mark.parametrize(
    ("end", "words"),
    [(EndReason.DEATH, "died"), (EndReason.CLEAR, "CLEARED"), (EndReason.TIME, "ran out of time")],
)
async def test_it_says_how_the_game_ended(end: EndReason, words: str) -> None:
    world = World()
    async with playing(world) as (app, _):
        world.game.latest = moment(end=end)
        assert words in shown(app, "#state")
        assert "a again" in shown(app, "#state")


async def test_a_problem_is_shown() -> None:
    world = World()
    async with playing(world) as (app, _):
        world.game.problem = "the game cannot be loaded"
        assert "cannot be loaded" in shown(app, "#state")


async def test_the_race_against_the_ghost() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        await until(pilot, lambda: bool(world.ghosts) and "1,380" in shown(app, "#race"))
        assert "1,210" in shown(app, "#race")
        ghost = world.ghosts[0]
        await until(pilot, lambda: world.game.shown_ghosts == ghost.trails)
        ghost.x = None
        assert "loading" in shown(app, "#race")
        ghost.problem = "it is damaged"
        assert "it is damaged" in shown(app, "#race")
        ghost.problem, ghost.x, ghost.end = "", 722, EndReason.DEATH
        assert "†" in shown(app, "#race")
        ghost.end = EndReason.CLEAR
        assert "⚑" in shown(app, "#race")
    world = World()
    world.no_ghost = True
    async with playing(world) as (app, _):
        assert "none for this stage" in shown(app, "#race")


async def test_r_records_from_here_until_r() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        await pilot.press("r")
        assert "recording since step 1,800" in shown(app, "#state")
        world.game.latest = moment(step=1900)
        shown(app, "#state")
        await pilot.press("r")
        await until(pilot, lambda: bool(world.played))
        assert world.played == [("play_1-1", "1-1", 1, [129] * 1900, 1800)]
        await pilot.press("v")
        await until(pilot, lambda: len(world.played) == 2)
        assert world.played[1] == ("play_1-1", "1-1", 1, [129] * 1900, 0)


@pytest.mark.parametrize("key", ["a", "n", "q", "h"])
async def test_a_recording_ends_with_the_game(key: str) -> None:
    world = World()
    async with playing(world) as (app, pilot):
        await pilot.press("r")
        world.game.latest = moment(step=1850)
        shown(app, "#state")
        await pilot.press(key)
        await until(pilot, lambda: bool(world.played))
        assert world.played == [("play_1-1", "1-1", 1, [129] * 1850, 1800)]


async def test_what_was_recorded_is_made_before_it_is_forgotten() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        await pilot.press("k")
        world.game.latest = moment(step=1900)
        await pilot.press("r")
        world.game.latest = moment(step=1950)
        shown(app, "#state")
        await pilot.press("l")
        await until(pilot, lambda: bool(world.played))
        assert world.played == [("play_1-1", "1-1", 1, [129] * 1950, 1900)]


async def test_a_recording_goes_on_without_what_was_undone() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        await pilot.press("r", "k")
        world.game.latest = moment(step=1950)
        shown(app, "#state")
        await pilot.press("l")
        shown(app, "#state")
        world.game.latest = moment(step=1820)
        shown(app, "#state")
        await pilot.press("r")
        await until(pilot, lambda: bool(world.played))
        assert world.played == [("play_1-1", "1-1", 1, [129] * 1820, 1800)]


async def test_w_opens_the_window_and_closes_it() -> None:
    world = World()
    async with playing(world) as (app, pilot):
        await pilot.press("w")
        await until(pilot, lambda: "window 1-1  you" in world.player.calls)
        await until(pilot, lambda: getattr(app.screen._window, "_mirror", None) is not None)  # type: ignore[attr-defined]
        await pilot.press("w")
        await until(pilot, lambda: "window closed" in world.player.calls)
    world.window_problem = "no window can be opened"
    async with playing(world) as (app, pilot):
        await pilot.press("w")
        await until(pilot, lambda: any("no window" in notice.message for notice in app._notifications))


async def test_leaving_a_game_that_was_asked_for_leaves_the_app() -> None:
    world = World()
    app = world.app(play="4-2")
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, PlayScreen))
        await pilot.press("h")
        assert isinstance(app.screen, PlayScreen)
        await pilot.press("q")
        for _ in range(100):
            if app._exit:
                break
            await asyncio.sleep(0.02)
        assert app._exit
