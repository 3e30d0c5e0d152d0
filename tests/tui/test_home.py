"""Home: empty, with runs, and while training."""

from dataclasses import replace
from typing import Any

import pytest
from textual.widgets import Static

from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.recordings import RecordingsScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.metric_chart import MetricChart
from mario_tui.tui.widgets.numbers import Numbers
from mario_tui.tui.widgets.row_list import RowList
from tui.fakes import RUN, World, checkpoint, recording, typical_checkpoints, typical_recordings, until


def shown(app: Any, selector: str) -> str:
    """What stands in a text, or in the rows of a list."""
    widget = app.screen.query_one(selector)
    return "\n".join(map(str, widget.rows)) if isinstance(widget, RowList) else str(widget.content)


async def test_without_a_run_it_says_which_key_trains() -> None:
    app = World().app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.screen.has_class("-empty"))
        assert "Press t to train" in shown(app, "#invitation")
        await pilot.press("w")
        assert isinstance(app.screen, HomeScreen), "there is nothing to watch"


async def test_it_lists_the_best_of_each_stage_and_the_latest_runs() -> None:
    infos = [checkpoint(10, stage="2-1", whole=False, problem="broken"), *typical_checkpoints()]
    app = World(infos).app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "overnight" in shown(app, "#runs"))
        best = shown(app, "#best").splitlines()
        assert [line.split()[0] for line in best] == ["1-1", "4-2"]
        assert "70 %" in best[0]


async def test_w_watches_the_best_agent() -> None:
    world = World(typical_checkpoints())
    app = world.app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "overnight" in shown(app, "#runs"))
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and bool(world.player.calls))
        assert world.player.calls[0] == "open step-000500000"


async def test_the_tile_follows_the_training() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        app.session = world.session
        world.session.start()
        await until(pilot, lambda: app.screen.has_class("-training"))
        numbers = app.screen.query_one(Numbers)
        await until(pilot, lambda: numbers.entries.get("step") == "123,456")
        world.session.snapshot = replace(world.session.snapshot, step=123_999)
        await until(pilot, lambda: numbers.entries["step"] == "123,999")
        world.session.end()


async def test_a_saved_checkpoint_appears_without_a_key() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.screen.has_class("-empty"))
        world.checkpoints = typical_checkpoints()
        app.files_version += 1
        await until(pilot, lambda: "overnight" in shown(app, "#runs"))


async def test_the_latest_recordings_and_how_far_runs_got_are_shown() -> None:
    world = World(typical_checkpoints())
    world.recordings = typical_recordings()
    app = world.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "found.mp4" in shown(app, "#recordings"))
        assert "clears" in shown(app, "#recordings").splitlines()[0]
        assert "▁▂▂▃" in shown(app, "#runs")
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, RecordingsScreen))


@pytest.mark.parametrize("new", [True, False])
async def test_at_the_first_start_the_keys_are_told_at_any_size(new: bool) -> None:
    world = World(typical_checkpoints()[: 1 if new else 5])
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen._loaded)  # type: ignore[attr-defined]
        invitation = app.screen.query_one("#invitation", Static)
        await until(pilot, lambda: bool(invitation.region) is new)
        assert "w watch the best one play" in str(invitation.content)


async def test_enter_shows_the_chosen_run_among_the_checkpoints() -> None:
    app = World(typical_checkpoints()).app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "overnight" in shown(app, "#runs"))
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        screen: Any = app.screen
        await until(pilot, lambda: screen.selected is not None and screen.selected.path.name == RUN)
        await pilot.press("slash", *"nothing", "enter")
        await until(pilot, lambda: not screen._shown)
        await pilot.press("h", "up", "enter")
        await until(pilot, lambda: screen.is_active)
        await until(pilot, lambda: screen.selected is not None and screen.selected.path.name.startswith("4-2"))


async def test_tab_leads_to_the_other_lists_and_enter_plays_what_they_have() -> None:
    world = World(typical_checkpoints())
    world.recordings = typical_recordings()
    app = world.app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "found" in shown(app, "#recordings"))
        await pilot.press("shift+tab", "down", "enter")
        await until(pilot, lambda: world.player.calls[:1] == ["open step-000090000"])
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("tab", "tab", "enter")
        await until(pilot, lambda: "open overnight_step-000500000_2030-01-02T12-40-00.json" in world.player.calls)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("end", "enter")
        await until(pilot, lambda: isinstance(app.screen, RecordingsScreen))
        screen: Any = app.screen
        await until(pilot, lambda: screen.selected is not None and screen.selected.path.name == "found.mp4")


async def test_the_cursor_stays_on_its_run_when_a_newer_one_comes() -> None:
    world = World(typical_checkpoints())
    app = world.app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "overnight" in shown(app, "#runs"))
        await pilot.press("down")
        chosen = app.screen.query_one("#runs", RowList)
        before = chosen.selected
        assert before is not None
        world.checkpoints.insert(0, checkpoint(1, run="new"))
        app.files_version += 1
        await until(pilot, lambda: "new" in shown(app, "#runs"))
        assert chosen.selected == before


async def test_agents_that_were_exported_are_no_trainings() -> None:
    world = World([checkpoint(10, run="agent", stage="1-2", trainable=False), checkpoint(20, run="mine")])
    app = world.app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "mine" in shown(app, "#runs"))
        assert "agent" not in shown(app, "#runs")
        assert "1-2" in shown(app, "#best"), "they play all the same"
        world.checkpoints.pop()
        app.files_version += 1
        await until(pilot, lambda: shown(app, "#runs") == "")
        assert "none yet: t trains one" in str(app.screen.query_one("#runs .heading", Static).content)
        assert not app.screen.has_class("-empty")


async def test_the_step_of_a_run_that_trains_is_that_of_its_training() -> None:
    """Its newest checkpoint is of an earlier one."""
    world = World([checkpoint(120_000)])
    app = world.app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "120,000" in shown(app, "#runs"))
        app.session = world.session
        world.session.start()
        await until(pilot, lambda: "123,456" in shown(app, "#runs"))
        world.session.snapshot = replace(world.session.snapshot, step=124_999)
        await until(pilot, lambda: "124,999" in shown(app, "#runs"))
        world.session.end()


async def test_a_large_screen_has_the_curve_of_the_training() -> None:
    world = World(typical_checkpoints())
    app = world.app()
    async with app.run_test(size=(160, 50)) as pilot:
        app.session = world.session
        world.session.start()
        chart = app.screen.query_one("#home-curve", MetricChart)
        await until(pilot, lambda: chart.region.height > 10)
        await until(pilot, lambda: "mean" in "".join(segment.text for segment in chart.render_line(0)))
        world.session.end()


async def test_rates_have_their_intervals_and_nothing_is_cut_off() -> None:
    world = World([checkpoint(12_345_678, greedy_clear=True, robust_clear_rate=0.998, robust_episodes=500)])
    world.recordings = [recording("a.mp4")]
    app = world.app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "99.8 % 99-100" in shown(app, "#best"))
        rows = app.screen.query_one("#best", RowList)
        assert len(shown(app, "#best")) <= rows.query_one("Rows").content_size.width - 1
        assert shown(app, "#best").endswith("12.3M")
