"""How the app draws: nothing is left behind, screens that are not on show do not look, NO_COLOR is respected."""

import asyncio
import gc
import math
import os

import psutil
import pytest
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Static

from mario_tui.training.curves import Curve
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.pace import Pace
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.dialogs import HelpScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.key_line import KeyLine
from mario_tui.tui.widgets.numbers import Numbers
from mario_tui.tui.widgets.words import Words, fitting
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
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen) and app.screen.selected is not None)
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

        assert train._clock is not None
        assert not train._clock._active.is_set()
        train.every(0.001, look)
        await pilot.pause(0.05)
        assert looks == 0
        await pilot.press("t")
        await until(pilot, lambda: looks > 0)


async def test_what_a_screen_does_again_is_done_at_ticks_of_one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what changes is drawn at once, and not each thing for itself."""
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        screen = await show_training(world, app, pilot)
        now = 1000.0
        monkeypatch.setattr("mario_tui.tui.screens.base.time.monotonic", lambda: now)
        screen._refreshes.clear()
        done: list[tuple[str, float]] = []
        tick = screen._clock_seconds = 0.1
        game = screen.every(tick, lambda: done.append(("game", round(now - 1000, 2))))
        screen.every(0.25, lambda: done.append(("numbers", round(now - 1000, 2))))
        for _ in range(20):
            now += tick
            screen._tick()
        times = [time for name, time in done if name == "game"]
        assert times == [round(tick * (number + 1), 2) for number in range(20)]
        numbers = [time for name, time in done if name == "numbers"]
        assert set(numbers) <= set(times)
        assert len(numbers) == 8, "its own interval, on average"
        done.clear()
        game.seconds = 0.4
        for _ in range(20):
            now += tick
            screen._tick()
        assert sum(name == "game" for name, _ in done) == 5
        now += 30.0  # it was not on show
        done.clear()
        for _ in range(3):
            screen._tick()
            now += tick
        assert sorted(name for name, _ in done) == ["game", "numbers"], "what was due meanwhile is done once"


def test_a_picture_is_drawn_as_often_as_its_share_of_time_allows() -> None:
    pace = Pace(share=0.04, fastest=1 / 12, slowest=1 / 4)
    cost = 0.004  # seconds for each picture, and 0.01 s a second for all else

    def used() -> float:
        return cost / pace.seconds + 0.01

    for _ in range(20):
        pace.seconds = pace.next(used())
    assert used() == pytest.approx(0.04, rel=0.05)
    cost = 0.1
    for _ in range(20):
        pace.seconds = pace.next(used())
    assert pace.seconds == pytest.approx(1 / 4), "never slower, whatever it costs"
    cost = 0.0001
    for _ in range(20):
        pace.seconds = pace.next(used())
    assert pace.seconds == pytest.approx(1 / 12)
    assert Pace(share=0.04, fastest=1.0, slowest=1 / 4).next(1.0) == 1.0, "the user's own limit is slower still"


def test_the_pace_follows_the_time_of_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    now, used = 0.0, 0.0
    monkeypatch.setattr("mario_tui.tui.pace.time.monotonic", lambda: now)
    monkeypatch.setattr("mario_tui.tui.pace.time.thread_time", lambda: used)
    pace = Pace(share=0.04, fastest=0.1, slowest=0.5)
    assert pace.look() == 0.1
    for _ in range(40):
        now, used = now + pace.seconds, used + 0.012
        pace.look()
    assert pace.seconds == pytest.approx(0.3, rel=0.1)
    now += 60.0  # another screen was on show, and used what it liked
    used += 30.0
    assert pace.look() == pytest.approx(0.3, rel=0.1)


class Texts(App[None]):
    def compose(self) -> ComposeResult:
        yield Words("one", id="words")
        yield Static("below", id="below")
        with Vertical(id="hidden"):
            yield Words("hidden", id="hidden-words")


async def test_words_lay_the_screen_out_only_where_they_need_another_height() -> None:
    app = Texts()
    async with app.run_test(size=(20, 10)) as pilot:
        words, below = app.query_one(Words), app.query_one("#below")
        layouts = words._layout_updates
        words.update(Content("two"))
        await pilot.pause()
        assert row(app, 0) == "two"
        assert words._layout_updates == layouts
        words.update(Content("two lines, as it is longer than one"))
        await pilot.pause()
        assert words._layout_updates > layouts
        assert below.region.y == 2
        words.update(Content(""))
        words.update(Content("one again"))
        await pilot.pause()
        assert (row(app, 0), row(app, 1)) == ("one again", "below")


async def test_hidden_words_lay_nothing_out_and_have_their_height_when_they_are_shown() -> None:
    app = Texts()
    async with app.run_test(size=(20, 10)) as pilot:
        box, words = app.query_one("#hidden"), app.query_one("#hidden-words", Words)
        box.display = False
        await pilot.pause()
        layouts = words._layout_updates
        words.update(Content("two lines, as it is longer than one"))
        await pilot.pause()
        assert words._layout_updates == layouts
        box.display = True
        await pilot.pause()
        assert words.region.height == 2


async def test_words_take_another_colour_with_the_same_text() -> None:
    app = Texts()
    async with app.run_test(size=(20, 10)) as pilot:
        words = app.query_one(Words)
        words.update(Content.styled("stage", "#ff0000"))
        await pilot.pause()
        red = words.render_lines(Region(0, 0, 20, 1))[0]
        words.update(Content.styled("stage", "#00ff00"))
        await pilot.pause()
        green = words.render_lines(Region(0, 0, 20, 1))[0]
        assert red.text == green.text
        assert list(red) != list(green)


def test_the_first_words_that_fit_are_taken() -> None:
    words = [Content("all of it, at length"), Content("most of it"), Content("it")]
    assert [str(fitting(width, *words)) for width in (20, 19, 10, 9, 1)] == [
        "all of it, at length", "most of it", "most of it", "it", "it",
    ]  # fmt: skip


def row(app: App[None], y: int) -> str:
    return app.screen._compositor.render_strips()[y].text.strip()


async def test_lines_are_kept_until_a_widget_changes() -> None:
    world = World()
    app = world.app()
    async with app.run_test(size=(160, 50)) as pilot:
        screen = await show_training(world, app, pilot)
        assert screen._clock is not None
        screen._clock.stop()  # it would show the training's own figures again
        await pilot.pause()
        numbers = screen.query_one(Numbers)
        crop = numbers.size.region
        first = numbers.render_lines(crop)
        assert numbers.render_lines(crop) is first
        assert numbers.render_lines(Region(0, 0, numbers.size.width, 1)) != first
        numbers.set_entries(
            [("step", "12,345"), ("", "a heading"), ("episode", "a value that is too long for its cell")]
        )
        await pilot.pause()
        lines = [strip.text for strip in numbers.render_lines(numbers.size.region)]
        assert lines[0].split() == ["step", "12,345"]
        assert lines[1].strip() == "a heading"
        assert lines[2].startswith("episode a value")
        assert {len(line) for line in lines} == {numbers.size.width}
        app.theme = "textual-light"
        await pilot.pause()
        colours = {segment.style.bgcolor for strip in numbers.render_lines(numbers.size.region) for segment in strip}
        assert colours == {numbers.visual_style.rich_style.bgcolor}


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
