"""The keys of the charts: cursor, zoom, logarithm, means, seeds, and an episode played again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from mario_tui.game.kept_episodes import EpisodeName
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.compare import CompareScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.metric_chart import MetricChart
from tui.fakes import RUN, World, checkpoint, curves, running, typical_checkpoints, until

App = MarioTuiApp


@asynccontextmanager
async def training(
    world: World, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[App, Pilot[int], TrainScreen]]:
    app = world.app()
    async with app.run_test(size=size) as pilot:
        app.session = world.session
        world.session.start()
        await pilot.press("t")
        await until(pilot, lambda: app.screen.has_class("-live"))
        screen = app.screen
        assert isinstance(screen, TrainScreen)
        many = screen.has_class("-wide")
        await until(pilot, lambda: len(screen.charts_shown()) == (5 if many else 1))
        await until(pilot, lambda: all(chart.whole for chart in screen.charts_shown()))
        yield app, pilot, screen
        if world.session.alive:
            world.session.end()


@asynccontextmanager
async def comparing(
    world: World, *names: str, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[App, Pilot[int], CompareScreen]]:
    app = world.app()
    async with app.run_test(size=size) as pilot:
        screen = CompareScreen(tuple(Path("/checkpoints") / name for name in names))
        app.push_screen(screen)
        await until(pilot, lambda: app.screen is screen and bool(screen.query(MetricChart)))
        await until(pilot, lambda: bool(large(screen)._lines))
        yield app, pilot, screen


def large(screen: TrainScreen | CompareScreen) -> MetricChart:
    return screen.charts_shown()[0]


def title(chart: MetricChart) -> list[str]:
    return chart.render_line(0).text.split()


def told(app: App) -> str:
    return " ".join(str(note.message) for note in app._notifications)


async def test_x_opens_a_cursor_that_all_charts_of_a_training_share() -> None:
    async with training(World(), (160, 50)) as (_, pilot, screen):
        await pilot.press("x")
        reward = {int(x): y for x, y in curves()["reward"]}
        words = " ".join(title(large(screen)))
        assert words == f"reward per episode episode 60 {reward[60]:.4g} mean 1986"
        await pilot.press("left", "left")
        assert screen.view.cursor == 58
        assert all("58" in title(chart) for chart in screen.charts_shown())
        await pilot.press("shift+left")
        assert screen.view.cursor is not None
        assert screen.view.cursor < 57
        await pilot.press("home")
        assert screen.view.cursor == 1
        await pilot.press("end", "right")
        assert screen.view.cursor == 60


@pytest.mark.parametrize("key", ["x", "escape"])
async def test_the_cursor_is_closed_and_the_screen_stays(key: str) -> None:
    async with training(World()) as (app, pilot, screen):
        await pilot.press("x", key)
        assert screen.view.cursor is None
        assert app.screen is screen
        assert "▲" not in "".join(large(screen).render_line(y).text for y in range(large(screen).size.height))
        await pilot.press("left", "home")
        assert screen.view.cursor is None
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def test_the_cursor_stays_at_its_episode_while_the_training_goes_on_and_after_it() -> None:
    world = World()
    async with training(world) as (app, pilot, screen):
        await pilot.press("x", "left")
        longer = {name: (*points, (70.0, 5.0)) for name, points in curves().items()}
        world.session.snapshot = running(curves=longer)
        await until(pilot, lambda: large(screen).whole == (1, 70))
        assert screen.view.cursor == 58
        assert title(large(screen))[-4] == "58"
        world.session.end()
        await until(pilot, lambda: app.screen.has_class("-ended"))
        await pilot.press("end")
        assert (screen.view.cursor, title(large(screen))[-4]) == (70, "70")


async def test_a_zoomed_chart_follows_the_newest_or_stays() -> None:
    world = World()
    async with training(world) as (_, pilot, screen):
        await pilot.press("z")
        assert large(screen)._window == (30.5, 60)
        world.session.snapshot = running(curves={name: (*of, (80.0, 5.0)) for name, of in curves().items()})
        await until(pilot, lambda: large(screen)._window == (50.5, 80))
        await pilot.press("left")
        assert large(screen)._window == pytest.approx((49.025, 78.525))
        world.session.snapshot = running(curves={name: (*of, (99.0, 5.0)) for name, of in curves().items()})
        await until(pilot, lambda: large(screen).whole == (1, 99))
        assert large(screen)._window == pytest.approx((49.025, 78.525))
        await pilot.press("Z", "Z")
        assert large(screen)._window is None
        await pilot.press("z", "z", "0")
        assert large(screen)._window is None


async def test_the_cursor_pans_at_the_edge_of_what_is_seen() -> None:
    async with training(World()) as (_, pilot, screen):
        await pilot.press("x", "z", "z")
        window = large(screen)._window
        assert window == (45.25, 60)
        await pilot.press(*["left"] * 40)
        assert screen.view.cursor is not None
        assert screen.view.cursor < 45
        window = large(screen)._window
        assert window is not None
        assert window[0] == pytest.approx(screen.view.cursor)
        assert window[1] - window[0] == pytest.approx(14.75)


async def test_another_run_is_seen_whole() -> None:
    world = World()
    async with training(world) as (_, pilot, screen):
        await pilot.press("x", "z")
        world.session.snapshot = replace(running(), run="another")
        await until(pilot, lambda: large(screen)._window is None)
        assert screen.view.cursor is None


async def test_l_draws_the_large_chart_on_a_logarithmic_scale_where_that_can_be() -> None:
    world = World()
    negative = {**curves(), "reward": tuple((x, y - 500) for x, y in curves()["reward"])}
    world.session.snapshot = running(curves=negative)
    async with training(world) as (app, pilot, screen):
        await pilot.press("l")
        assert "(log)" not in title(large(screen))
        assert "not all values" in told(app)
        await pilot.press("3")
        await until(pilot, lambda: title(large(screen))[0] == "loss")
        await pilot.press("l")
        assert title(large(screen))[:2] == ["loss", "(log)"]
        await pilot.press("l")
        assert "(log)" not in title(large(screen))


async def test_m_takes_other_means() -> None:
    world = World()
    means = {"reward_mean_10": ((1.0, 11.0), (60.0, 12.0)), "reward_mean_1000": ((1.0, 13.0), (60.0, 14.0))}
    world.session.snapshot = running(curves={**curves(), **means})
    async with training(world) as (app, pilot, screen):
        said = []
        for _ in range(4):
            await pilot.press("m")
            await pilot.pause()
            said.append(" ".join(title(large(screen))))
            if len(said) == 1:
                assert "means over 1,000 episodes" in told(app), "for two seconds"
        assert "mean of 1000 14" in said[0]
        assert "mean" not in said[1], "every episode by itself"
        assert "mean of 10 12" in said[2]
        assert "mean 1986" in said[3], "as at first"


async def test_enter_plays_the_episode_under_the_cursor_again() -> None:
    world = World()
    async with training(world) as (app, pilot, screen):
        await pilot.press("enter")
        assert app.screen is screen, "without a cursor it does nothing"
        await pilot.press("x", "left", "enter")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen))
        watch = app.screen
        assert isinstance(watch, WatchScreen)
        assert watch._agent == EpisodeName(world.run_folder(RUN), 58)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        world.not_kept = "episode 58 of a is not kept: there are 100 to 200"
        await pilot.press("enter")
        await until(pilot, lambda: "is not kept" in told(app))
        assert app.screen is screen


async def test_a_click_puts_the_cursor_there() -> None:
    async with training(World()) as (_, pilot, screen):
        chart = large(screen)
        await pilot.click(chart, offset=(chart.size.width - 1, 3))
        await until(pilot, lambda: screen.view.cursor == 60)
        await pilot.click(chart, offset=(chart.size.width // 2, 3))
        await until(pilot, lambda: screen.view.cursor is not None and 20 < screen.view.cursor < 40)


async def test_the_form_keeps_its_keys() -> None:
    app = World().app()
    async with app.run_test() as pilot:
        await pilot.press("t")
        await until(pilot, lambda: app.screen.has_class("-form"))
        assert isinstance(app.screen, TrainScreen)
        actions = {key.action for key in app.screen.keys_now()}
        assert not [action for action in actions if action.startswith("chart_")]


async def test_the_cursor_of_compare_reads_every_run_at_a_step() -> None:
    async with comparing(World(), "ab", "abc") as (app, pilot, screen):
        await pilot.press("x")
        assert title(large(screen))[-4:] == ["step", "39,000", "2440", "3510"]
        await pilot.press("home")
        assert {tuple(title(chart)[-3:]) for chart in screen.charts_shown()} == {("0", "0", "0")}
        await pilot.press("4", "right")
        assert title(large(screen))[1:] == ["loss", "step", "1,000", "160", "190"]
        await pilot.press("escape")
        assert app.screen is screen
        await pilot.press("z")
        assert large(screen)._window == (19_500, 39_000)
        await pilot.press("0", "escape")
        await until(pilot, lambda: app.screen is not screen)


async def test_compare_shows_shares_in_percent_with_their_bands() -> None:
    async with comparing(World(), "ab-seed0", "ab-seed1") as (_, pilot, screen):
        await pilot.press("s")
        await until(pilot, lambda: bool(screen._shown) and bool(screen._shown[0].low))
        (compared,) = screen._shown
        for number, (name, factor) in enumerate(
            {"progress": 1, "reward": 1, "clear rate": 100, "loss": 1, "Q": 1}.items()
        ):
            chart = screen.query_one(f"#compare-{number}", MetricChart)
            assert ("(%)" in chart._title) == (name in ("progress", "clear rate"))
            (line,) = chart._series
            for shown, stored in ((line.points, compared.curves), (line.low, compared.low), (line.high, compared.high)):
                assert [y for _, y in shown.tolist()] == [factor * y for _, y in stored[name]]


async def test_charts_that_come_on_show_have_the_cursor_too() -> None:
    async with comparing(World(), "ab", "abc", size=(80, 24)) as (_, pilot, screen):
        await pilot.press("x", "home", "right", "z")
        assert len(screen.charts_shown()) == 1
        await pilot.resize_terminal(160, 50)
        await until(pilot, lambda: len(screen.charts_shown()) == 5)
        await pilot.pause()
        assert {chart._cursor for chart in screen.charts_shown()} == {1000}
        assert {chart._window for chart in screen.charts_shown()} == {large(screen)._window}


async def test_s_shows_seeds_as_their_mean_and_range() -> None:
    async with comparing(World(), "ab-seed1", "ab-seed2", "other") as (_, pilot, screen):
        assert [bool(line.low) for line in large(screen)._lines] == [False, False, False]
        assert [line.colour for line in large(screen)._lines] == [0, 1, 2]
        await pilot.press("s")
        await until(pilot, lambda: len(large(screen)._lines) == 2)
        assert [(line.colour, bool(line.low)) for line in large(screen)._lines] == [(0, True), (1, False)]
        legend = str(screen.query_one("#legend", Static).content)
        assert "ab-seed1 and 1 of other seeds: mean, lowest to highest to step 39,000" in legend
        assert "other to step 39,000" in legend
        await pilot.press("x")
        assert " ".join(title(large(screen))).endswith("step 39,000 10.06k (8048 to 13.08k) 6250")
        await pilot.press("s")
        await until(pilot, lambda: len(large(screen)._lines) == 3)


async def test_without_seeds_there_is_nothing_to_switch() -> None:
    async with comparing(World(), "a", "b") as (_, pilot, screen):
        assert "seeds" not in {key.action for key in screen.keys_now()}
        await pilot.press("s")
        await pilot.pause()
        assert len(large(screen)._lines) == 2


async def test_m_reads_the_runs_again_with_other_means() -> None:
    world = World()
    async with comparing(world, "a", "b") as (_, pilot, screen):
        legend = screen.query_one("#legend", Static)
        assert "means over" not in str(legend.content)
        await pilot.press("m")
        await until(pilot, lambda: "means over 1,000 episodes" in str(legend.content))
        assert world.compared_windows == [100, 1000]


async def test_more_than_four_runs_can_be_marked_where_they_are_seeds_of_at_most_four() -> None:
    names = [f"ab-seed{n}" for n in range(4)] + ["c", "d", "e", "f"]
    world = World([checkpoint(1000 * (10 - n), run=name) for n, name in enumerate(names)])
    app = world.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen) and len(app.screen._infos) == 8)
        screen = app.screen
        assert isinstance(screen, CheckpointsScreen)
        for _ in names:
            await pilot.press("space", "down")
        assert len(screen._compared()) == 7
        assert "only further seeds" in told(app)
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        comparison = app.screen
        assert isinstance(comparison, CompareScreen)
        await until(pilot, lambda: len(large(comparison)._lines) == 4)
        assert sum(bool(line.low) for line in large(comparison)._lines) == 1
        await pilot.press("s")
        await until(pilot, lambda: len(large(comparison)._lines) == 7)
        assert sorted(line.colour for line in large(comparison)._lines) == [0, 0, 0, 0, 1, 2, 3]


async def test_where_a_run_has_no_curve_the_others_are_drawn() -> None:
    world = World(typical_checkpoints())
    world.not_recorded = {"Q": "Q was not recorded"}
    async with comparing(world, "a", "b", size=(80, 24)) as (_, pilot, screen):
        await pilot.press("5")
        await pilot.pause()
        text = " ".join(large(screen).render_line(y).text for y in range(large(screen).size.height))
        assert "Q was not recorded" in text
        assert "no episodes" not in text
