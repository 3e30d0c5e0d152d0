"""Map: episodes are chosen by place and by time, watched again and recorded; new ones come by themselves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from mario_tui.errors import MarioTuiError
from mario_tui.game.kept_episodes import EpisodeName
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.map import MapScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.step_slider import StepSlider
from tui.fakes import FakeMap, World, map_episode, running, typical_checkpoints, until

RUN = Path("/checkpoints/hill")


async def opened(pilot: Pilot[Any]) -> MapScreen:
    assert isinstance(pilot.app, MarioTuiApp)
    pilot.app.show_map(RUN)
    await until(pilot, lambda: isinstance(pilot.app.screen, MapScreen) and bool(pilot.app.screen.query("#map-chosen")))
    screen = pilot.app.screen
    assert isinstance(screen, MapScreen)
    await until(pilot, lambda: words(screen) != "" or screen.query_one("#map", GameView).empty_text != READING)
    return screen


READING = "reading the episodes ..."


def words(screen: MapScreen, which: str = "shown") -> str:
    return str(screen.query_one(f"#map-{which}", Static).content)


def number(screen: MapScreen) -> int:
    assert screen.chosen is not None
    return screen.chosen.record.episode


async def test_the_newest_hundred_are_shown_and_older_ones_on_demand() -> None:
    async with World().app().run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        assert "episodes 140 to 239 (newest)" in words(screen)
        assert "25 cleared (60 in all)  50 died  25 stalled" in words(screen)
        assert number(screen) == 239
        await pilot.press("pageup")
        await until(pilot, lambda: "episodes 40 to 139" in words(screen))
        assert number(screen) == 139
        await pilot.press("pageup")
        await until(pilot, lambda: "episodes 0 to 99" in words(screen))
        await pilot.press("pagedown")
        await until(pilot, lambda: "episodes 100 to 199" in words(screen))
        await pilot.press("home")
        await until(pilot, lambda: "episodes 0 to 99" in words(screen))
        await pilot.press("end")
        await until(pilot, lambda: "(newest)" in words(screen))


def slider_line(screen: MapScreen) -> str:
    """As it is drawn, with the space before it."""
    return f" {screen.query_one(StepSlider).render_line(0).text}"


async def test_a_line_at_the_bottom_says_which_part_of_the_run_is_shown_and_is_clicked() -> None:
    world = World()
    world.run_map.episodes = world.run_map.episodes[20:]  # those of before are kept no more
    async with world.app().run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        slider = screen.query_one(StepSlider)
        await until(pilot, lambda: "step 21,510 of 21,510" in slider_line(screen))
        bar = slider_line(screen).rstrip()
        assert bar.endswith("━●"), "the newest are at the end"
        assert "of 21,510  ···" in bar
        assert "·─" in bar
        await pilot.press("shift+left")
        await until(pilot, lambda: "episodes 130 to 229" in words(screen))
        assert "step 20,610 of 21,510" in slider_line(screen)
        await pilot.press("shift+right")
        await until(pilot, lambda: "(newest)" in words(screen))

        middle = bar.index("·") + (len(bar) - bar.index("·")) * 2 // 3
        await pilot.click(slider, offset=(middle, 0))
        await until(pilot, lambda: "(newest)" not in words(screen))
        assert screen.shown[-1].record.step == pytest.approx(21_510 * 2 / 3, abs=21_510 / 70)
        assert slider_line(screen)[middle] == "●", "the knob is where the click was"
        newer = number(screen)
        world.run_map.episodes.append(map_episode(240))
        screen.look()
        await until(pilot, lambda: "of 21,600" in slider_line(screen))
        assert number(screen) == newer, "it stays where it is"
        await pilot.click(slider, offset=(bar.index("·"), 0))
        await until(pilot, lambda: "episodes 20 to 119" in words(screen))
        await pilot.click(slider, offset=(len(bar) - 1, 0))
        await until(pilot, lambda: "episodes 141 to 240 (newest)" in words(screen))
        await pilot.mouse_down(slider, offset=(len(bar) - 1, 0))
        await pilot.hover(slider, offset=(middle, 0))
        await until(pilot, lambda: slider_line(screen)[middle] == "●")
        await pilot.mouse_up(slider, offset=(middle, 0))
        await pilot.hover(slider, offset=(middle + 10, 0))
        await pilot.press("end")
        await until(pilot, lambda: "(newest)" in words(screen))


async def test_while_the_run_is_trained_mario_is_on_the_map() -> None:
    world = World()
    async with world.app().run_test(size=(100, 30)) as pilot:
        app = pilot.app
        assert isinstance(app, MarioTuiApp)
        world.session.snapshot = running(place=(2_000, 60, 37))
        world.session.alive = True
        app.session = world.session
        app.show_map(world.run_folder(running().run))
        await until(pilot, lambda: isinstance(app.screen, MapScreen) and bool(app.screen.query("#map")))
        view = app.screen.query_one("#map", GameView)

        def mario() -> list[list[int]]:
            frame = view.frame
            return [] if frame is None else np.argwhere((frame == 255).all(axis=2)).tolist()

        await until(pilot, lambda: mario() != [])
        map_screen = app.screen
        assert isinstance(map_screen, MapScreen)
        await until(pilot, lambda: "white: Mario now" in words(map_screen, "chosen"))
        first = mario()
        world.session.snapshot = running(place=(300, 60, 37))
        await until(pilot, lambda: mario() not in ([], first))
        world.session.end()
        await until(pilot, lambda: mario() == [])
        app.pop_screen()
        await pilot.pause()
        world.session.alive = True
        screen = await opened(pilot)
        await until(pilot, lambda: screen.query_one("#map", GameView).frame is not None)
        assert screen._live_place() is None, "another run is trained"


async def test_left_and_right_go_by_place_up_and_down_by_time() -> None:
    async with World().app().run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("up", "up")
        assert number(screen) == 237
        await pilot.press("down")
        assert number(screen) == 238
        assert screen.chosen is not None
        before = screen.chosen.record.progress
        await pilot.press("right")
        assert screen.chosen.record.progress >= before
        assert number(screen) != 238
        await pilot.press("left")
        assert number(screen) == 238
        for _ in range(120):
            await pilot.press("left")
        farthest_left = min(one.record.progress for one in screen.shown)
        assert screen.chosen.record.progress == farthest_left, "and no farther"


async def test_only_some_ends_are_shown() -> None:
    async with World().app().run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        for end in ("death", "clear", "stall"):
            await pilot.press("f")
            await until(pilot, lambda end=end: {one.record.end for one in screen.shown} == {end})  # type: ignore[misc]
            assert number(screen) == screen.shown[-1].record.episode
            await until(pilot, lambda end=end: f"only {end}s" in words(screen))  # type: ignore[misc]
        await pilot.press("f")
        await until(pilot, lambda: len(screen.shown) == 100)


async def test_where_all_of_a_kind_come_later_the_newest_of_them_are_shown() -> None:
    world = World()
    world.run_map.episodes = [map_episode(number, "clear" if number > 200 else "death") for number in range(240)]
    async with world.app().run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("home", "f", "f")
        await until(pilot, lambda: {one.record.end for one in screen.shown} == {"clear"})


async def test_it_can_be_left_while_it_reads() -> None:
    async with World().app().run_test(size=(100, 30)) as pilot:
        app: Any = pilot.app
        for _ in range(8):
            app.show_map(RUN)
            app.pop_screen()
            await pilot.pause()
        screen = await opened(pilot)
        assert number(screen) == 239


async def test_enter_watches_the_chosen_episode_and_r_records_it() -> None:
    world = World()
    async with world.app().run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("up")
        chosen = EpisodeName(RUN, 238)
        await pilot.press("r")
        await until(pilot, lambda: world.recorded != [])
        assert world.recorded[0][0] == chosen
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WatchScreen) and world.player.calls != [])
        assert world.player.calls[0] == "open hill, episode 238"
        await pilot.press("v")
        await until(pilot, lambda: len(world.recorded) == 2)
        assert world.recorded[1][0] == chosen
        await pilot.press("p")
        assert not world.player.by_hand, "there is no agent to take over from"
        await pilot.press("q")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert number(screen) == 238


async def test_new_episodes_come_by_themselves_and_the_chosen_one_stays() -> None:
    world = World()
    async with world.app().run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("up")
        world.run_map.episodes.append(map_episode(240))
        screen.look()
        await until(pilot, lambda: "episodes 141 to 240" in words(screen))
        assert number(screen) == 238


async def test_a_run_without_episodes_and_one_that_cannot_be_read_are_told() -> None:
    world = World()
    world.run_map = FakeMap(0)
    async with world.app().run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        assert "no episode that is kept yet" in screen.query_one("#map", GameView).empty_text
        await pilot.press("enter", "left", "up", "r", "pageup")
        assert pilot.app.screen is screen
        assert world.recorded == []

        def damaged() -> bool:
            raise MarioTuiError("the disk is gone")

        world.run_map.read = damaged  # type: ignore[method-assign]
        screen.look()
        await until(pilot, lambda: "the disk is gone" in words(screen))


async def test_it_opens_from_a_list_and_from_a_training() -> None:
    world = World(typical_checkpoints())
    async with world.app().run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        await until(pilot, lambda: isinstance(pilot.app.screen, CheckpointsScreen))
        screen: Any = pilot.app.screen
        await until(pilot, lambda: screen.selected is not None)
        await pilot.press("M")
        await until(pilot, lambda: isinstance(pilot.app.screen, MapScreen))
        assert world.mapped
        await pilot.press("q")
        await until(pilot, lambda: isinstance(pilot.app.screen, CheckpointsScreen))
        world.session.snapshot = running()
        world.session.alive = True
        assert isinstance(pilot.app, MarioTuiApp)
        pilot.app.session = world.session
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrainScreen) and pilot.app.screen._mode == "live")
        await pilot.press("M")
        await until(pilot, lambda: isinstance(pilot.app.screen, MapScreen) and len(world.mapped) == 2)
        assert world.mapped[1].name == running().run
