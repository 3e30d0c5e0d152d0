"""Train: the form made from the config model, the live state, and what comes after."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Collapsible, Input, Static

from mario_tui.config import TrainingConfig, field_help, field_range, fixed_settings
from mario_tui.errors import MarioTuiError
from mario_tui.presets import PRESETS, preset
from mario_tui.stage_map import stage_map
from mario_tui.system import processors
from mario_tui.training.sizes import REPLAY_BYTES, memory_need
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.screens.dialogs import ConfirmScreen, LineScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.charts import CHARTS, Charts
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.key_line import KeyLine
from mario_tui.tui.widgets.map_strip import MapStrip
from mario_tui.tui.widgets.metric_chart import MetricChart
from mario_tui.tui.widgets.numbers import Numbers
from mario_tui.tui.widgets.train_form import TrainForm
from mario_tui.video.overlay import side_by_side
from tui.fakes import RUN, FakeMap, World, map_episode, picture, running, typical_checkpoints, until

App = MarioTuiApp


@asynccontextmanager
async def form(world: World, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[App, Pilot[int], TrainForm]]:
    app = world.app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: app.screen.has_class("-form"))
        yield app, pilot, app.screen.query_one(TrainForm)


@asynccontextmanager
async def live(world: World, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[App, Pilot[int]]]:
    app = world.app()
    async with app.run_test(size=size) as pilot:
        app.session = world.session
        world.session.start()
        await pilot.press("t")
        await until(pilot, lambda: app.screen.has_class("-live"))
        yield app, pilot
        if world.session.alive:
            world.session.end()


# the form


async def unfold(pilot: Pilot[int], train_form: TrainForm) -> None:
    """Opens the folded groups, which makes their lines."""
    for folded in train_form.query(Collapsible):
        folded.collapsed = False
    await until(pilot, lambda: set(train_form.rows()) == set(TrainingConfig.model_fields))


async def test_the_form_has_every_setting_with_help_and_range() -> None:
    async with form(World()) as (_, pilot, train_form):
        assert train_form.check() == preset("fast")
        await unfold(pilot, train_form)
        rows = train_form.rows()
        for name, row in rows.items():
            assert field_help(name)[2] in str(row.query_one(".help", Static).content)
            if isinstance(row.control, Input):
                assert field_range(name) in row.allowed
        assert train_form.check() == preset("fast")


async def test_a_maze_is_warned_of_at_its_line() -> None:
    async with form(World()) as (_, pilot, train_form):
        row = train_form.rows()["stage"]
        assert row.warning == ""
        row.set_value("7-4")
        await until(pilot, lambda: "a maze" in str(row.query_one(".help", Static).content))
        row.set_value("7-3")
        await until(pilot, lambda: "a maze" not in str(row.query_one(".help", Static).content))


async def test_a_preset_sets_every_setting_but_the_stage() -> None:
    async with form(World()) as (_, pilot, train_form):
        train_form.rows()["stage"].set_value("4-2")
        train_form.query_one("#preset").value = "tutorial"  # type: ignore[attr-defined]
        await until(pilot, lambda: train_form.check() == preset("tutorial").replace(stage="4-2"))
        await unfold(pilot, train_form)
        assert train_form.check() == preset("tutorial").replace(stage="4-2")


async def test_who_only_presses_start_gets_the_preset_that_learns_soon() -> None:
    world = World()
    async with form(world) as (app, pilot, _):
        assert next(iter(PRESETS)) == "fast"
        await pilot.press("f5")
        await until(pilot, lambda: app.session is not None)
        assert world.started == [(preset("fast"), None)]
        assert world.given == set()
        world.session.end()


async def test_each_preset_has_a_line_with_how_long_it_takes_here() -> None:
    async with form(World()) as (_, pilot, train_form):
        lines = train_form.query_one("#preset-lines", Static)
        await until(pilot, lambda: "6 min here" in str(lines.content))
        assert [line.partition(":")[0] for line in str(lines.content).splitlines()] == list(PRESETS)
        assert lines.size.height == len(PRESETS), "at 80 columns too"


async def test_what_is_expected_is_shown_beside_the_numbers() -> None:
    world = World()
    world.session.snapshot = running(forecast="first clear expected near step 48,000, in about 4 min")
    async with live(world) as (app, pilot):
        shown = app.screen.query_one("#outlook", Static)
        await until(pilot, lambda: "near step 48,000" in str(shown.content))
        world.session.snapshot = running()
        await until(pilot, lambda: not shown.display)


async def test_a_new_run_can_begin_with_the_weights_of_another() -> None:
    world = World(checkpoints=typical_checkpoints())
    async with form(world) as (app, pilot, train_form):
        row = train_form.rows()["init_from"]
        assert row.value == ""
        row.control.focus()
        some = world.run_names()[0]
        await until(pilot, lambda: row.control.suggester is not None)  # type: ignore[attr-defined]
        await pilot.press(*some[:4])
        await until(pilot, lambda: bool(row.control._suggestion))  # type: ignore[attr-defined]
        await pilot.press("right")
        await until(pilot, lambda: row.value == some)
        train_form.rows()["stage"].set_value("1-2")
        await pilot.press("f5")
        await until(pilot, lambda: app.session is not None)
        assert world.started == [(preset("fast").replace(stage="1-2", init_from=some), None)]
        assert world.given == {"stage", "init_from"}
        world.session.end()


async def test_on_a_gpu_the_number_of_games_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "count", lambda: 16)
    world = World()
    world.gpu = True
    async with form(world) as (_, pilot, train_form):
        rows = train_form.rows()
        assert (rows["envs"].value, rows["envs"].figures) == ("0", "30 here")
        rows["device"].set_value("cpu")
        await until(pilot, lambda: rows["envs"].value == str(preset("fast").envs))
        rows["device"].set_value("cuda")
        await until(pilot, lambda: rows["envs"].value == "0")
        rows["envs"].set_value("7")
        rows["device"].set_value("cpu")
        await until(pilot, lambda: rows["device"].value == "cpu")
        await pilot.pause()
        assert rows["envs"].value == "7", "the user chose it"
        rows["envs"].set_value("0")
        await until(pilot, lambda: rows["envs"].figures == "found out at the start")
        await pilot.press("f5")
        await until(pilot, lambda: bool(world.started))
        assert {"envs", "device"} <= world.given


async def test_start_hands_over_what_was_typed() -> None:
    world = World()
    async with form(world) as (app, pilot, train_form):
        await pilot.press("down")
        await pilot.press(*"my-run")
        await unfold(pilot, train_form)
        train_form.rows()["replay_size"].set_value("20,000")
        train_form.rows()["burn_in"].set_value("500")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.session is not None)
        config, run = world.started[0]
        assert run == "my-run"
        assert config == preset("fast").replace(replay_size=20_000, burn_in=500)
        await until(pilot, lambda: app.screen.has_class("-live"))
        world.session.end()


async def test_enter_on_the_button_starts() -> None:
    world = World()
    async with form(world) as (app, pilot, train_form):
        train_form.query_one("#start").focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.session is not None)
        world.session.end()


async def test_up_down_tab_and_enter_move_through_the_form() -> None:
    async with form(World()) as (app, pilot, train_form):
        focused: list[Any] = []
        for key in ("down", "tab", "down", "down", "enter", "up", "shift+tab"):
            await pilot.press(key)
            focused.append(app.focused.parent.setting if app.focused else None)
        assert focused == ["name", "stage", "init_from", "envs", "steps", "envs", "init_from"]
        await pilot.press("down")
        assert "0 to 256" in str(train_form.query_one("#focused-range", Static).content)


async def test_a_wrong_value_is_marked_at_its_line_and_nothing_starts() -> None:
    world = World()
    async with form(world, (120, 40)) as (app, pilot, train_form):
        await unfold(pilot, train_form)
        for name, typed, says in (
            ("envs", "-1", "it takes a whole number, 0 to 256"),
            ("burn_in", "many", "a whole number"),
            ("gamma", "1", "it takes a number, "),
            ("learning_rate", "", "it takes a number, "),
            ("name", "../up", "cannot be used"),
        ):
            row: Any = train_form.query_one(f"#row-{name.replace('_', '-')}")
            right = row.value
            row.set_value(typed)
            await until(pilot, lambda row=row, says=says: says in row.error)  # type: ignore[misc]
            assert row.has_class("-error")
            assert says in str(row.query_one(".help", Static).content)
            train_form.query_one("#preset").focus()
            for folded in train_form.query(Collapsible):
                folded.collapsed = True
            await pilot.press("f5")
            await until(pilot, lambda row=row: app.focused is row.control)  # type: ignore[misc]
            app.screen.refresh_numbers()  # type: ignore[attr-defined]
            assert says in str(train_form.query_one("#start-problem", Static).content), "it stays to be read"
            assert all(not folded.collapsed for folded in row.ancestors if isinstance(folded, Collapsible))
            row.set_value(right)
            await until(pilot, lambda row=row: not row.error)  # type: ignore[misc]
        assert world.started == []
        assert train_form.check() == preset("fast")


async def test_quick_keys_reach_the_setting_that_they_are_meant_for() -> None:
    """All keys are there before the first of them has been dealt with, as when somebody types fast or pastes."""
    async with form(World(), (120, 40)) as (app, pilot, train_form):
        for key in ("down", "a", "b", "enter", "down", "down", "7", "enter", "9", "tab", "3"):
            event = events.Key(key, key if len(key) == 1 else None)
            app.post_message(event)
        rows = train_form.rows()
        await until(pilot, lambda: rows["episodes"].value == "3")
        name: Any = train_form.query_one("#row-name")
        assert (name.value, rows["envs"].value, rows["steps"].value) == ("ab", "7", "9")


@asynccontextmanager
async def checkpoints(world: World) -> AsyncIterator[tuple[App, Pilot[int]]]:
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        await until(pilot, lambda: app.screen.query_one("#table").row_count > 0)  # type: ignore[attr-defined]
        yield app, pilot


async def test_a_run_is_continued_with_other_settings() -> None:
    world = World(checkpoints=typical_checkpoints())
    async with checkpoints(world) as (app, pilot):
        run = app.screen.selected.path  # type: ignore[attr-defined]
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.has_class("-form"))
        train_form = app.screen.query_one(TrainForm)
        await until(pilot, lambda: train_form.check() == world.saved_settings)
        await unfold(pilot, train_form)
        for name, row in train_form.rows().items():
            assert row.disabled == (name in fixed_settings()), name
        assert train_form.query_one("#row-name").value == run.name  # type: ignore[attr-defined]
        assert not train_form.query_one("#row-preset").display
        assert not train_form.query_one("#preset-lines").display
        assert app.focused is train_form.rows()["envs"].control
        await pilot.press("8", "f5")
        await until(pilot, lambda: app.session is not None)
        assert world.started == [(run, {"envs": 8})]
        world.session.end()


async def test_leaving_a_run_that_was_to_be_continued_leaves_the_form_of_a_new_one() -> None:
    world = World(checkpoints=typical_checkpoints())
    async with checkpoints(world) as (app, pilot):
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        train_form = app.screen.query_one(TrainForm)
        await until(pilot, lambda: train_form.check() == world.saved_settings)
        train_form.rows()["until_clear"].control.focus()
        await pilot.press("question_mark")
        await until(pilot, lambda: not isinstance(app.screen, TrainScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        assert train_form.check() == world.saved_settings, "a dialog above it changes nothing"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        await until(pilot, lambda: train_form.check() == preset("fast"))
        assert not any(row.disabled for row in train_form.rows().values())
        assert train_form.query_one("#row-preset").display
        assert train_form.query_one("#row-name").value == ""  # type: ignore[attr-defined]


async def test_a_new_run_begins_with_the_weights_of_the_checkpoint_that_is_selected() -> None:
    world = World(checkpoints=typical_checkpoints())
    async with checkpoints(world) as (app, pilot):
        best = app.screen.selected.agent.path  # type: ignore[attr-defined]
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        train_form = app.screen.query_one(TrainForm)
        await until(pilot, lambda: train_form.rows()["init_from"].value == world.checkpoint_name(best))
        assert train_form.check() == preset("fast").replace(init_from=world.checkpoint_name(best))


async def test_what_cannot_be_continued_is_said_where_one_is() -> None:
    world = World(checkpoints=typical_checkpoints())
    world.start_problem = "exported to play only"
    async with checkpoints(world) as (app, pilot):
        await pilot.press("C")
        await until(pilot, lambda: any("exported" in one.message for one in app._notifications))
        assert not isinstance(app.screen, TrainScreen)


async def test_the_keys_follow_a_training_that_is_continued() -> None:
    world = World(typical_checkpoints())
    app = world.app()
    async with app.run_test(size=(100, 30)) as pilot:
        app.session = world.session
        world.session.end()
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and "New" in keys_of(app))
        app.session, app.session_is_loading = None, True
        await until(pilot, lambda: "New" not in keys_of(app))
        world.session.snapshot = running()
        app.session, app.session_is_loading = world.session, False
        await until(pilot, lambda: "Pause" in keys_of(app) and "Stop" in keys_of(app))


def keys_of(app: MarioTuiApp) -> str:
    return app.screen.query_one(KeyLine).render().plain


async def test_the_memory_that_the_replay_needs_stands_beside_what_is_free() -> None:
    world = World()
    world.free_bytes = 1_000_000_000
    async with form(world) as (_, pilot, train_form):
        train_form.query_one("#preset").value = "tutorial"  # type: ignore[attr-defined]
        row = train_form.rows()["replay_size"]
        await until(pilot, lambda: "needs 710 MB of 1.0 GB free" in row.figures)
        assert not row.warning
        row.set_value("1000000")
        await until(pilot, lambda: "7.1 GB" in row.warning)
        assert row.has_class("-warning")
        train_form.query_one("#preset").value = "robust"  # type: ignore[attr-defined]
        need = memory_need(preset("robust"))
        assert need > 300_000 * REPLAY_BYTES + 500_000_000, "labelled states are part of it"
        await until(
            pilot, lambda: f"needs {need / 1e9:.1f} GB of 1.0 GB free" in train_form.rows()["replay_size"].warning
        )


async def test_the_disk_that_checkpoints_need_stands_beside_what_is_free() -> None:
    world = World()
    world.free_disk = 1_000_000_000
    async with form(world) as (_, pilot, train_form):
        train_form.query_one("#preset").value = "tutorial"  # type: ignore[attr-defined]
        row = train_form.rows()["save_every"]
        await until(pilot, lambda: "27 MB each, newest +120 MB; 1.0 GB free" in row.figures)
        assert not row.warning
        row.set_value("100000")
        train_form.rows()["steps"].set_value("10000000")
        await until(pilot, lambda: "2.9 GB of 1.0 GB free" in row.warning)
        assert row.has_class("-warning")


async def test_a_start_that_failed_shows_its_reason_in_the_form() -> None:
    world = World()
    world.start_problem = "a run named 'x' exists"
    async with form(world) as (app, pilot, train_form):
        await pilot.press("f5")
        problem = train_form.query_one("#start-problem", Static)
        await until(pilot, lambda: "exists" in str(problem.content) and app.screen.has_class("-form"))


async def test_escape_leaves_the_form_also_from_a_field() -> None:
    async with form(World()) as (app, pilot, _):
        await pilot.press("down", "escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


# while it runs


async def test_space_pauses_and_resumes_s_saves() -> None:
    world = World()
    async with live(world) as (app, pilot):
        await pilot.press("space")
        await until(pilot, lambda: "paused" in str(app.screen.query_one("#remark", Static).content))
        await pilot.press("space", "s")
        assert world.session.calls == ["start", "pause", "resume", "save"]


async def test_a_pause_shows_at_once_however_seldom_the_screen_looks() -> None:
    world = World()
    async with live(world) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, TrainScreen)
        assert screen._clock is not None
        screen._clock.stop()
        await pilot.press("space")
        await until(pilot, lambda: "paused" in str(screen.query_one("#remark", Static).content))
        first = screen._close_look
        await pilot.press("space")
        assert first is not None
        assert screen._close_look is not first
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        world.session.snapshot = replace(world.session.snapshot, status="paused")
        shown = screen._shown_status
        screen.refresh_status()
        assert screen._shown_status == shown, "a screen that is not on show looks at nothing"


@pytest.mark.parametrize("keys", [("q", "q"), ("q", "enter"), ("q", "y")])
async def test_q_asks_once_and_stops(keys: tuple[str, str]) -> None:
    world = World()
    async with live(world) as (app, pilot):
        await pilot.press(keys[0])
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "stop" not in world.session.calls
        await pilot.press(keys[1])
        await until(pilot, lambda: "stop" in world.session.calls and app.screen.has_class("-ended"))


@pytest.mark.parametrize("key", ["escape", "n"])
async def test_q_can_be_taken_back(key: str) -> None:
    world = World()
    async with live(world) as (app, pilot):
        await pilot.press("q", key)
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        assert world.session.calls == ["start"]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 50)])
async def test_what_games_measured_has_a_line_of_its_own_where_there_is_something(size: tuple[int, int]) -> None:
    lines = ("greedy game: 99 %, best clears", "robust game: 40 of 40 (91-100 %)")
    text = "\n".join(lines)
    world = World()
    async with live(world, size) as (app, pilot):
        measured = app.screen.query_one("#outlook", Static)
        assert not measured.display
        world.session.snapshot = running(measured=text)
        await until(pilot, lambda: measured.display and measured.size.height == 2)
        assert str(measured.content) == text
        assert measured.size.width >= max(map(len, lines)), "no line is broken"


async def test_numbers_game_and_curves_follow_the_snapshot() -> None:
    world = World()
    async with live(world) as (app, pilot):
        numbers, game = app.screen.query_one(Numbers), app.screen.query_one("#game", GameView)
        await until(pilot, lambda: numbers.entries.get("episode") == "321")
        new = picture(100)
        world.session.snapshot = replace(world.session.snapshot, episode=322, frame=new, mean_loss=2.5)
        await until(pilot, lambda: numbers.entries["episode"] == "322" and game.frame is new)
        assert numbers.entries["loss"] == "2.50"


def strip_words(app: MarioTuiApp) -> str:
    return str(app.screen.query_one("#strip-words", Static).content)


def strip(app: MarioTuiApp) -> GameView:
    return app.screen.query_one("#strip-map", GameView)


def columns_of_mario(app: MarioTuiApp) -> list[int]:
    """Where on the strip the mark is."""
    frame = strip(app).frame
    return [] if frame is None else np.argwhere((frame == 255).all(axis=2))[:, 1].tolist()


@pytest.mark.parametrize(("size", "rows"), [((80, 24), 2), ((120, 40), 4), ((160, 50), 3)])
async def test_the_stage_is_a_strip_under_the_game_that_follows_the_training(size: tuple[int, int], rows: int) -> None:
    world = World()
    async with live(world, size) as (app, pilot):
        game = app.screen.query_one("#game", GameView)
        await until(pilot, lambda: app.screen.query_one(MapStrip).fits)
        width = strip(app).size.width
        frame = strip(app).frame
        assert frame is not None
        assert frame.shape == (2 * rows, width, 3)
        assert game.size.height >= min(round(game.size.width * 240 / 256 / 2), 28), "it takes no room from the game"
        assert "last 100: 25 cleared  50 died  25 stalled" in strip_words(app)
        assert ("M map" in strip_words(app)) == (size[0] > 80), "where there is room for it"
        length = stage_map("1-1").shape[1]
        await until(pilot, lambda: columns_of_mario(app) == [1_218 * width // length])
        world.session.snapshot = replace(world.session.snapshot, place=(2_900, 60, 37))
        await until(pilot, lambda: columns_of_mario(app) == [2_908 * width // length])
        world.session.snapshot = replace(world.session.snapshot, place=(40, 60, -1))
        await until(pilot, lambda: columns_of_mario(app) == [])

        world.run_map.episodes.append(map_episode(240, "clear"))
        world.session.snapshot = replace(world.session.snapshot, episode=322)
        await until(pilot, lambda: "26 cleared" in strip_words(app))


async def test_the_strip_is_drawn_anew_where_its_place_changes() -> None:
    async with live(World(), (160, 50)) as (app, pilot):
        drawn = app.screen.query_one(MapStrip)
        await until(pilot, lambda: drawn.fits)
        assert app.screen._clock is not None  # type: ignore[attr-defined]
        app.screen._clock.stop()  # type: ignore[attr-defined]
        wide = strip(app).size
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: strip(app).size != wide and drawn.fits)
        await pilot.resize_terminal(160, 50)
        await until(pilot, lambda: strip(app).size == wide and drawn.fits)


async def test_without_kept_episodes_the_strip_says_so() -> None:
    world = World()
    world.run_map = FakeMap(0)
    async with live(world, (120, 40)) as (app, pilot):
        await until(pilot, lambda: "appear here" in strip_words(app))
        config = world.session.snapshot.config.replace(keep_episodes=0)
        world.session.snapshot = replace(world.session.snapshot, episode=322, config=config)
        await until(pilot, lambda: "keep_episodes is 0" in strip_words(app))


async def test_after_the_end_nobody_is_on_the_strip() -> None:
    world = World()
    async with live(world, (120, 40)) as (app, pilot):
        await until(pilot, lambda: columns_of_mario(app) != [])
        world.session.end()
        await until(pilot, lambda: strip(app).frame is not None and columns_of_mario(app) == [])


async def test_before_the_first_update_there_is_no_loss_but_a_reason() -> None:
    world = World()
    world.session.snapshot = running(step=500, updates=0, mean_loss=None, mean_q=None, learns_from=10_000)
    async with live(world) as (app, pilot):
        numbers = app.screen.query_one(Numbers)
        await until(pilot, lambda: numbers.entries.get("loss") == "-")
        assert "learns at step 10,000" in str(app.screen.query_one("#remark", Static).content)


async def test_the_charts_of_loss_and_q_say_that_nothing_is_learned_yet() -> None:
    world = World()
    drawn = running().curves
    early = {name: points for name, points in drawn.items() if not name.startswith(("loss", "q"))}
    world.session.snapshot = running(step=500, curves=early, learns_from=10_000)

    async with live(world, (160, 50)) as (app, pilot):
        charts = app.screen.query_one(Charts)

        def shown(name: str) -> str:
            chart = charts.query_one(f"#chart-{name}", MetricChart)
            return " ".join(" ".join(chart.render_line(y).text for y in range(chart.size.height)).split())

        await until(pilot, lambda: "learning begins at step 10,000" in shown("loss"))
        assert "learning begins at step 10,000" in shown("q")
        assert "┤" not in shown("loss"), "no axis, as there are no values"
        assert "┤" in shown("reward")
        world.session.snapshot = running(step=10_010, curves=early, learns_from=10_000)
        await until(pilot, lambda: "waits for the end of an episode" in shown("loss"))
        world.session.snapshot = running(step=10_100, curves=drawn, learns_from=10_000)
        await until(pilot, lambda: "┤" in shown("loss") and "┤" in shown("q"))


async def test_tab_and_numbers_choose_the_curve() -> None:
    world = World()
    async with live(world) as (app, pilot):
        charts = app.screen.query_one(Charts)
        for key, expected in (("tab", "length"), ("5", "epsilon"), ("tab", "ends"), ("tab", "reward"), ("3", "loss")):
            await pilot.press(key)
            assert charts.selected == expected
            visible = [name for name, _ in CHARTS if charts.query_one(f"#chart-{name}").display]
            assert visible == [expected]


@pytest.mark.parametrize("size", [(120, 40), (160, 50), (200, 60)])
async def test_with_room_every_curve_is_visible_and_the_chosen_one_large(size: tuple[int, int]) -> None:
    world = World()
    async with live(world, size) as (app, pilot):
        await pilot.press("4")
        await pilot.pause()
        charts = {name: app.screen.query_one(f"#chart-{name}") for name, _ in CHARTS}
        assert all(chart.size.height >= 5 and chart.size.width >= 25 for chart in charts.values())
        assert charts["q"].size.width > 1.8 * charts["reward"].size.width


async def test_leaving_the_screen_leaves_the_training_alone() -> None:
    world = World()
    async with live(world) as (app, pilot):
        await pilot.press("h", "t")
        await until(pilot, lambda: app.screen.has_class("-live"))
        assert world.session.calls == ["start"]


async def test_w_r_and_e_take_the_weights_of_now_and_training_goes_on() -> None:
    world = World()
    async with live(world) as (app, pilot):
        await pilot.press("r", "e")
        await until(pilot, lambda: bool(world.recorded and world.evaluated))
        assert getattr(world.recorded[0][0], "source", "") == "1-1_2030-01-02T09-00-00, step 123,456"
        assert world.evaluated == [Path("/checkpoints/1-1_2030-01-02T09-00-00/step-000123456")], "what is kept is found"
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen))
        await until(pilot, lambda: any(call.startswith("open 1-1_2030") for call in world.player.calls))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.has_class("-live"))
        assert sorted(world.session.calls) == ["keep agent", "live policy", "live policy", "start"]


async def test_a_training_that_ends_meanwhile_has_no_live_weights() -> None:
    world = World()

    def ended() -> None:
        raise MarioTuiError("the training has ended")

    world.session.live_policy = ended
    async with live(world) as (app, pilot):
        await pilot.press("w")
        await until(pilot, lambda: "has ended" in " ".join(str(note.message) for note in app._notifications))
        assert isinstance(app.screen, TrainScreen)


async def test_n_writes_a_note_into_the_log() -> None:
    world = World()
    async with live(world) as (app, pilot):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press(*"it q", "enter")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("x", "escape")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        assert world.session.calls == ["start", "note it q"]


async def test_plus_and_minus_turn_what_k_chose() -> None:
    world = World()
    async with live(world) as (app, pilot):
        numbers = app.screen.query_one(Numbers)
        await until(pilot, lambda: numbers.entries.get("lr +/-") == "0.00025")
        await pilot.press("plus")
        await until(pilot, lambda: numbers.entries["lr +/-"] == "0.00038")
        assert "learning rate 0.00025 -> 0.00038" in " ".join(str(note.message) for note in app._notifications)
        await pilot.press("minus", "k")
        await until(pilot, lambda: numbers.entries.get("epsilon +/-") == "0.9696")
        await pilot.press("plus", "minus")
        assert world.session.calls[1:] == [
            "adjust learning_rate 0.00025 0.00038",
            "adjust learning_rate 0.00038 0.00025",
            "adjust exploration_rate 0.97 1",
            "adjust exploration_rate 1 0.67",
        ]


async def test_while_it_stops_no_keys_are_offered_that_do_nothing() -> None:
    world = World()
    async with live(world) as (app, pilot):
        world.session.stops_when_asked = False
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert str(app.screen_stack[-2].query_one(KeyLine).render()) == "", "a dialog has other keys"
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        line = app.screen.query_one(KeyLine)
        await until(pilot, lambda: "Watch" in str(line.render()))
        assert all(word not in str(line.render()) for word in ("Pause", "Save", "Stop"))


async def test_before_there_are_games_nothing_is_turned() -> None:
    world = World()
    world.session.snapshot = running(status="starting", learning_rate=0.0)
    async with live(world) as (_, pilot):
        await pilot.press("plus", "minus")
        assert world.session.calls == ["start"]


async def test_what_the_training_cannot_do_is_said() -> None:
    world = World()
    world.session.problem = "the disk is full"
    async with live(world) as (app, pilot):
        await pilot.press("plus")
        await until(pilot, lambda: "the disk is full" in " ".join(str(note.message) for note in app._notifications))


async def test_g_shows_all_games_and_the_first_one_again() -> None:
    world = World()
    wall = (picture(0), picture(40), picture(80))
    world.session.snapshot = running(config=TrainingConfig(envs=3), frames=wall, frame=wall[0])
    async with live(world) as (app, pilot):
        game = app.screen.query_one("#game", GameView)
        await until(pilot, lambda: game.frame is wall[0])
        await pilot.press("g")
        await until(pilot, lambda: game.frame is not None and game.frame.shape == (480, 512, 3))
        assert game.frame is not None
        assert np.array_equal(game.frame[:240, 256:], wall[1])
        await pilot.press("g")
        await until(pilot, lambda: game.frame is wall[0])


def test_games_side_by_side() -> None:
    frames = [np.full((2, 3, 3), number, np.uint8) for number in range(1, 6)]
    wall = side_by_side(frames)
    assert wall[::2, ::3, 0].tolist() == [[1, 2, 3], [4, 5, 0]]
    assert side_by_side(frames[:1]).shape == (2, 3, 3)
    assert side_by_side(frames[:2], gap=1)[0, :, 0].tolist() == [1, 1, 1, 0, 2, 2, 2]


async def test_warnings_stand_under_the_numbers() -> None:
    world = World()
    world.session.snapshot = running(warnings=("38 of the last 50 episodes ended near x 722",))
    async with live(world) as (app, pilot):
        line = app.screen.query_one("#warnings", Static)
        await until(pilot, lambda: "ended near x 722" in str(line.content))
        world.session.snapshot = running()
        await until(pilot, lambda: not str(line.content))


async def test_a_training_that_takes_no_step_says_why_nothing_happens() -> None:
    world = World()
    async with live(world) as (app, pilot):
        line = app.screen.query_one("#warnings", Static)
        world.session.silent_seconds = 12.4
        await until(pilot, lambda: "no step for 12 s: it waits for" in str(line.content))
        world.session.silent_seconds = 2.0
        await until(pilot, lambda: not str(line.content))


# after it


async def test_after_the_end_w_watches_r_records_n_begins_anew() -> None:
    world = World()
    async with live(world) as (app, pilot):
        world.session.end()
        await until(pilot, lambda: app.screen.has_class("-ended"))
        summary = str(app.screen.query_one("#summary", Static).content)
        assert "123,456 steps" in summary
        assert "w watch it" in summary
        await pilot.press("s", "space", "q")
        assert world.session.calls == ["start"], "there is nothing left to save, pause or stop"
        await pilot.press("r")
        await until(pilot, lambda: bool(world.recorded))
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        await pilot.press("n")
        await until(pilot, lambda: app.screen.has_class("-form"))


async def test_a_failed_training_says_why() -> None:
    world = World()
    async with live(world) as (app, pilot):
        world.session.end("failed", problem="an emulator process died", last_checkpoint=None)
        await until(pilot, lambda: app.screen.has_class("-ended"))
        summary = str(app.screen.query_one("#summary", Static).content)
        assert "an emulator process died" in summary
        assert "w watch" not in summary
        await pilot.press("w", "r")
        assert isinstance(app.screen, TrainScreen)
        assert world.recorded == []


async def test_shift_w_shows_the_training_in_a_window_that_stays() -> None:
    world = World()
    async with world.app().run_test() as pilot:
        app: Any = pilot.app
        await pilot.press("t", "f5")
        await until(pilot, lambda: app.screen.has_class("-live") and app.session is not None)
        await pilot.press("W")
        await until(pilot, lambda: f"window 1-1  {RUN}" in world.player.calls)
        await until(pilot, lambda: app.training_window._mirror)
        await pilot.press("h")
        world.window.closed, world.window.problem = True, "the display was lost"
        await until(pilot, lambda: any("display was lost" in str(note.message) for note in app._notifications))
        world.window.closed = False
        await pilot.press("t", "W")
        await until(pilot, lambda: app.training_window._mirror)
        await pilot.press("W")
        await until(pilot, lambda: world.player.calls[-1] == "window closed")
        await pilot.press("W")
        await until(pilot, lambda: app.training_window._mirror)
        world.session.end()
        app.leaving.leave(0)
        await until(pilot, lambda: world.player.calls.count("window closed") == 2)


async def test_what_is_waited_for_after_the_save_is_told() -> None:
    world = World()
    async with live(world) as (app, pilot):
        world.session.snapshot = replace(world.session.snapshot, status="stopping")
        remark = app.screen.query_one("#remark", Static)
        await until(pilot, lambda: str(remark.content) == "stopping and saving ...")
        world.session.recordings_left = 1
        await until(pilot, lambda: str(remark.content) == "saved; finishing a video of it ...")
