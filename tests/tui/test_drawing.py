"""How the app draws: nothing is left behind, screens that are not on show do not look, NO_COLOR is respected."""

import asyncio
import gc
import math
import os

import psutil
import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from mario_tui.training.curves import Curve
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.dialogs import HelpScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.key_line import KeyLine
from tui.fakes import World, curves, picture, running, typical_checkpoints, typical_recordings, until


def widgets() -> int:
    gc.collect()
    return sum(isinstance(thing, Widget) for thing in gc.get_objects())


async def show_training(world: World, app: MarioTuiApp, pilot: Pilot[int]) -> TrainScreen:
    app.session = world.session
    world.session.snapshot = running()
    await pilot.press("t")
    await until(pilot, lambda: isinstance(app.screen, TrainScreen))
    assert isinstance(app.screen, TrainScreen)
    return app.screen


async def test_no_widget_is_left_behind_by_the_help_panel_or_another_screen() -> None:
    world = World(typical_checkpoints())
    app = world.app()
    async with app.run_test() as pilot:

        async def look_around() -> None:
            for key in ("question_mark", "q", "c", "question_mark", "q", "h"):
                await pilot.press(key)
                await pilot.pause()

        await look_around()
        before = widgets()
        for _ in range(3):
            await look_around()
        assert widgets() == before


async def test_no_screen_is_left_behind_by_watching() -> None:
    """Each would keep its player, with an emulator, an agent and all pictures of its episode."""
    world = World(typical_checkpoints())
    app = world.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await show_training(world, app, pilot)
        for _ in range(3):
            await pilot.press("w")
            await until(pilot, lambda: isinstance(app.screen, WatchScreen))
            await pilot.press("q")
            await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        await pilot.press("h", "t")
        await pilot.pause()
        gc.collect()
        assert sum(isinstance(thing, WatchScreen) for thing in gc.get_objects()) <= 1, "the last one may be"


async def test_the_line_of_keys_follows_the_screen_and_can_be_clicked() -> None:
    app = World(typical_checkpoints()).app()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        await pilot.pause()
        line = app.screen.query_one(KeyLine)
        keys = line.render().plain
        assert keys.startswith("enter Watch  r Record")
        assert keys.endswith("^p palette")
        assert len(keys) <= line.size.width
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert line.render().plain.split()[-2:] == ["Help", "^p"]
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        await pilot.click(KeyLine, offset=(keys.index("? Help"), 0))
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))


async def test_screens_that_are_not_on_show_do_not_look() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        train = await show_training(world, app, pilot)
        await pilot.press("h")
        await pilot.pause()
        looks = 0

        def look() -> None:
            nonlocal looks
            looks += 1

        for timer in train._refresh_timers:
            assert not timer._active.is_set()
        train.every(0.001, look)
        await pilot.pause(0.05)
        assert looks == 0
        await pilot.press("t")
        await until(pilot, lambda: looks > 0)


@pytest.mark.parametrize("no_color", [False, True])
async def test_the_game_has_colours_unless_no_color_is_set(no_color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        screen = await show_training(world, app, pilot)
        screen.query_one("#game", GameView).frame = picture()
        await pilot.pause()
        colours = {
            colour.triplet
            for strip in screen._compositor.render_strips()
            for segment in strip
            if segment.style
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour is not None and colour.triplet is not None
        }
        grey = [c for c in colours if c.red == c.green == c.blue]
        assert (len(grey) == len(colours)) == no_color


@pytest.mark.parametrize("key", ["t", "c", "v", "p", "w"])
async def test_every_screen_can_be_drawn_without_colours(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    world = World(typical_checkpoints())
    world.recordings = typical_recordings()
    app = world.app()
    async with app.run_test(size=(160, 50)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen._loaded)
        await pilot.press(key)
        await until(pilot, lambda: not isinstance(app.screen, HomeScreen))
        await pilot.pause()
        assert any(segment.text.strip() for strip in app.screen._compositor.render_strips() for segment in strip)


async def test_a_training_without_episodes_can_be_drawn_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    world = World()
    app = world.app()
    async with app.run_test(size=(160, 50)) as pilot:
        screen = await show_training(world, app, pilot)
        world.session.snapshot = running(curves={}, ends=None)
        for number in range(1, 7):
            await pilot.press(str(number))
            screen.refresh_charts()
            await pilot.pause()
            assert "waits for the end of an episode" in "".join(
                segment.text for strip in screen._compositor.render_strips() for segment in strip
            )


async def test_memory_is_flat_over_many_snapshots() -> None:
    """MARIO_TUI_SNAPSHOTS=86400 shows as many as come in four hours at six a second; with -s it prints the memory."""
    count = int(os.environ.get("MARIO_TUI_SNAPSHOTS", "300"))
    world = World()
    app = world.app()
    series = {name: Curve() for name in curves()}
    process = psutil.Process()
    objects, megabytes = [], []
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await show_training(world, app, pilot)
        for number in range(count):
            if number % 10 == 0:  # an episode ends
                for curve in series.values():
                    curve.add(number, math.sin(number))
            world.session.snapshot = running(
                step=number,
                seconds=number / 6,
                mean_reward=math.sin(number),
                frame=picture(number),
                curves={name: curve.points() for name, curve in series.items()},
            )
            screen.refresh_game()
            screen.refresh_numbers()
            screen.refresh_charts()
            screen.refresh_top_bar()
            await asyncio.sleep(0)
            if number % 10 == 9:
                await pilot.pause()
            if number % (count // 6) == count // 6 - 1:
                gc.collect()
                objects.append(len(gc.get_objects()))
                megabytes.append(process.memory_info().rss // 2**20)
    print(f"{count} snapshots: {objects} objects, {megabytes} MB")
    # caches of text and colours fill up in the first half
    assert objects[-1] < objects[2] + count, "two objects for each snapshot since then"
