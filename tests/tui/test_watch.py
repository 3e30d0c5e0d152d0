"""Watch: what it shows of a player, and every key that steers it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from mario_tui.buttons import LEFT, A, B
from mario_tui.game.episode import EndReason
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.keyboard import KeyReleased, ReleasesReported
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


async def test_a_begins_again_and_n_goes_through_the_stages() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("a", "n", "n")
        assert world.player.calls[-3:] == ["restart", "restart 1-2", "restart 1-3"]
        assert "stage 1-3" in state(app)
        app.screen._stage = "8-4"  # type: ignore[attr-defined]
        await pilot.press("n")
        assert world.player.calls[-1] == "restart 1-3", "8-4 is the last"


async def test_arrows_go_back_and_on() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        keys = {"left": "move -1", "pageup": "move -15", "home": "move -1000000", "right": "move 1"}
        for key, call in {**keys, "pagedown": "move 15", "end": "move 1000000"}.items():
            await pilot.press(key)
            assert world.player.calls[-1] == call
            assert world.player.paused
        world.player.latest = moment(step=27)
        await until(pilot, lambda: "step 27 of 42" in state(app))


async def test_e_and_s_let_chance_into_the_play() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        chances = world.player.chances
        for expected in (0.05, 0.1, 0.25, 0.0):
            await pilot.press("e")
            assert chances.epsilon == expected
        await pilot.press("e", "s")
        assert (chances.epsilon, chances.sticky) == (0.05, 0.25)
        assert "ε 0.05  sticky 0.25" in state(app)
        await pilot.press("s")
        assert chances.sticky == 0
        assert "sticky" not in state(app)


async def test_r_records_from_here_until_r() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("r")
        assert "recording since step 42" in state(app)
        world.player.latest = moment(step=50)
        await until(pilot, lambda: app.screen._records_to == 50)  # type: ignore[attr-defined]
        await pilot.press("r")
        assert "recording" not in state(app)
        await until(pilot, lambda: world.played == [("run_step-000120000", "1-1", 4, [129] * 200, 168)])


async def test_a_recording_has_the_ghosts_that_are_shown() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("g")
        await until(pilot, lambda: bool(world.younger) and world.player.shown_ghosts == world.younger[0].trails)
        world.younger[0].finish()
        await until(pilot, lambda: len(world.player.shown_ghosts) == 2)
        await pilot.press("r")
        world.player.latest = moment(step=50)
        await until(pilot, lambda: app.screen._records_to == 50)  # type: ignore[attr-defined]
        await pilot.press("r")
        await until(pilot, lambda: bool(world.played))
        assert world.ghosts_recorded == ["80k"], "of the other not all is known yet"
        await pilot.press("g")
        await until(pilot, lambda: world.player.shown_ghosts == ())
        await pilot.press("v")
        await until(pilot, lambda: bool(world.recorded))
        assert world.ghosts_recorded == []
        await pilot.press("g")
        await until(pilot, lambda: len(world.player.shown_ghosts) == 2)
        await pilot.press("v")
        await until(pilot, lambda: len(world.recorded) == 2)
        assert world.ghosts_recorded == ["80k"]


@pytest.mark.parametrize("last", [{"end": EndReason.DEATH}, {}])
async def test_a_recording_ends_with_the_episode_or_when_somebody_goes_back_before_it(last: dict[str, Any]) -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("r")
        world.player.latest = moment(step=60, **last)
        if last:
            await until(pilot, lambda: world.played == [("run_step-000120000", "1-1", 4, [129] * 240, 168)])
        else:
            await until(pilot, lambda: app.screen._records_to == 60)  # type: ignore[attr-defined]
            await pilot.press("home")
            await until(pilot, lambda: world.played == [("run_step-000120000", "1-1", 4, [129] * 240, 168)])
            await until(pilot, lambda: "recording" not in state(app))


@pytest.mark.parametrize("key", ["q", "h", "c"])
async def test_a_recording_is_made_of_what_was_played_until_the_screen_is_left(key: str) -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("r")
        world.player.latest = moment(step=50)
        await until(pilot, lambda: app.screen._records_to == 50)  # type: ignore[attr-defined]
        await pilot.press(key)
        await until(pilot, lambda: world.played == [("run_step-000120000", "1-1", 4, [129] * 200, 168)])


async def test_nothing_can_be_recorded_after_the_end() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        world.player.latest = moment(end=EndReason.CLEAR)
        await pilot.press("r")
        assert "recording" not in state(app)
        assert any("the episode is over" in str(note.message) for note in app._notifications)


async def test_w_opens_a_window_and_closes_it() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("w")
        await until(pilot, lambda: "window 1-1  my-run, step 120,000" in world.player.calls)
        await until(pilot, lambda: getattr(app.screen._window, "_mirror", None) is not None)  # type: ignore[attr-defined]
        await pilot.press("w")
        await until(pilot, lambda: world.player.calls[-1] == "window closed")
        await pilot.press("w")
        await until(pilot, lambda: getattr(app.screen._window, "_mirror", None) is not None)  # type: ignore[attr-defined]
        world.window.closed, world.window.problem = True, "the display was lost"
        await until(pilot, lambda: any("display was lost" in str(note.message) for note in app._notifications))
        assert app.screen._window._mirror is None  # type: ignore[attr-defined]


async def test_without_a_display_w_says_so_and_the_terminal_goes_on() -> None:
    world = World()
    world.window_problem = "no window can be opened: there is no display; watch in the terminal instead"
    async with watching(world) as (app, pilot):
        await pilot.press("w")
        await until(pilot, lambda: any("there is no display" in str(note.message) for note in app._notifications))
        assert "playing" in state(app)


async def test_p_takes_over_from_the_agent_and_hands_back() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("left", "space", "p")
        assert world.player.by_hand
        assert not world.player.paused, "who takes over wants to play"
        app.screen.refresh_numbers()  # type: ignore[attr-defined]
        assert "you play" in state(app)
        await pilot.press("left", "x", "space")
        assert world.player.pressed == [f"tap {LEFT}", f"tap {A}", f"tap {A}"]
        app.post_message(ReleasesReported())
        await until(pilot, lambda: app.releases_reported)
        await pilot.press("z")
        app.post_message(KeyReleased("z"))
        await until(pilot, lambda: world.player.pressed[-2:] == [f"press {B}", f"release {B}"])
        await pilot.press("p")
        assert not world.player.by_hand
        assert world.player.calls[-1] != "move -1"
        await pilot.press("left")
        assert world.player.calls[-1] == "move -1", "arrows go back again"
        assert world.player.pressed[-1] == f"release {B}"


async def test_i_shows_what_the_network_sees() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        game = app.screen.query_one("#game", GameView)
        world.player.latest = moment(stack=np.arange(4, dtype=np.uint8)[:, None, None].repeat(84, 1).repeat(84, 2))
        await pilot.press("i")
        assert game.frame is not None
        assert game.frame[::88, ::88, 0].tolist() == [[0, 1], [2, 3]]
        await pilot.press("i")
        assert game.frame is world.player.latest_frame


async def test_with_room_the_input_stands_beside_the_game() -> None:
    world = World()
    app = world.app()
    async with app.run_test(size=(120, 40)) as pilot:
        app.watch_agent(PATH)
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and app.screen._player is not None)
        stack = app.screen.query_one("#stack", GameView)
        await until(pilot, lambda: stack.frame is not None)
        assert stack.frame is not None
        assert stack.frame.shape in ((84, 348, 3), (172, 172, 3)), "four pictures, in a row or a square"


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
        (EndReason.LOOP, "wrong way in the maze"),
        (EndReason.LEFT, "left for another stage"),
        (EndReason.TIME, "ran out of time"),
    ],
)
async def test_the_end_is_told_with_what_to_press(end: EndReason, words: str) -> None:
    world = World()
    async with watching(world) as (app, pilot):
        world.player.latest = moment(end=end)
        await until(pilot, lambda: words in state(app))
        assert "a again, n next stage" in state(app)


async def test_a_checkpoint_that_cannot_be_played_says_why() -> None:
    world = World()
    world.start_problem = "agent.safetensors is damaged"
    app = world.app()
    async with app.run_test() as pilot:
        app.watch_agent(PATH)
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and "damaged" in state(app))
        await pilot.press("space", "full_stop", "plus", "minus", "r", "n", "v", "a", "left", "w", "e", "s", "i")
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
    assert relative(2.0, 2.0, 1.0) == 1.0
    assert relative(1.0, 2.0, 1.0) == 0.125
    assert relative(1.9, 2.0, 1.0) == pytest.approx(0.9125), "it hardly matters"
    assert relative(0.0, 2.0, 1.0) == 0.125, "no bar vanishes"
    assert relative(5.0, 5.0, 0.0) == 1.0


async def test_bars_are_measured_by_the_widest_span_so_far() -> None:
    async with watching(World()) as (app, pilot):
        bars = app.screen.query_one(QBars)
        await until(pilot, lambda: bool(bars.names))
        bars.values = (10.0, 12.0)
        wide = str(bars.render()).splitlines()[0].count("█")
        bars.values = (11.9, 12.0)
        near = str(bars.render()).splitlines()[0].count("█")
        assert near > 3 * max(wide, 1)
        bars.names = ("right", "right+A", "right+B")
        bars.values = (11.9, 12.0, 11.95)
        assert str(bars.render()).splitlines()[0].count("█") <= wide, "another agent has another scale"


async def test_chances_are_seen_after_the_end_and_a_moment_looked_back_at_is_paused() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        world.player.latest = moment(end=EndReason.DEATH)
        await until(pilot, lambda: "died" in state(app))
        await pilot.press("e", "s")
        await until(pilot, lambda: "ε 0.05" in state(app) and "sticky 0.25" in state(app))
        world.player.latest = moment(step=10)
        world.player.newest_step = 42
        world.player.paused = True
        await until(pilot, lambda: "paused at step 10 of 42" in state(app))


async def test_a_speed_that_is_not_reached_says_what_it_is() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        world.player.speed, world.player.speed_reached = 8.0, 0.71
        await until(pilot, lambda: "speed 8x, now 0.7x" in state(app))
        world.player.speed_reached = 7.9
        await until(pilot, lambda: "speed 8x\n" in state(app))


def ghosts(app: MarioTuiApp) -> str:
    line = app.screen.query_one("#ghosts", Static)
    return str(line.content) if line.display else ""


async def test_g_shows_the_other_checkpoints_of_the_run_as_ghosts_and_hides_them() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        assert ghosts(app) == ""
        assert world.younger == [], "nothing is made before it is asked for"
        await pilot.press("g")
        await until(pilot, lambda: "making ghosts 1 of 2" in ghosts(app))
        made = world.younger[0]
        assert (made.stage, made.calls) == ("1-1", ["start"])
        assert world.player.shown_ghosts == made.trails
        made.finish()
        await until(pilot, lambda: len(world.player.shown_ghosts) == 2)
        await until(pilot, lambda: ghosts(app) == "ghosts 80k 40k")
        await pilot.press("g")
        await until(pilot, lambda: world.player.shown_ghosts == ())
        assert ghosts(app) == ""
        await pilot.press("g")
        await until(pilot, lambda: len(world.player.shown_ghosts) == 2)
        assert world.younger == [made], "they are made once"
        await pilot.press("n")
        await until(pilot, lambda: len(world.younger) == 2)
        assert world.younger[1].stage == "1-2"
        await until(pilot, lambda: world.player.shown_ghosts == world.younger[1].trails)
        await pilot.press("q")
        await until(pilot, lambda: all(one.calls == ["start", "close"] for one in world.younger))


@pytest.mark.parametrize(("problem", "words"), [("", "no other checkpoint"), ("it is damaged", "it is damaged")])
async def test_why_there_are_no_ghosts(problem: str, words: str) -> None:
    world = World()
    world.no_ghost, world.ghost_problem = True, problem
    async with watching(world) as (app, pilot):
        await pilot.press("g")
        await until(pilot, lambda: words in ghosts(app))
        assert world.player.shown_ghosts == ()


async def test_a_log_has_no_ghosts() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        app.watch_agent(Path("/recordings/some.json"))
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and app.screen._player is not None)
        await pilot.press("g")
        await pilot.pause()
        assert (ghosts(app), world.younger) == ("", [])
