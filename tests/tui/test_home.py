"""Home: empty, with runs, and while training."""

from dataclasses import replace

import pytest
from textual.widgets import Static

from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.recordings import RecordingsScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.numbers import Numbers
from tui.fakes import World, checkpoint, typical_checkpoints, typical_recordings, until


def shown(app: object, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).content)  # type: ignore[attr-defined]


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
        assert [line.split()[0] for line in best] == ["stage", "1-1", "4-2"]
        assert "70 %" in best[1]


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
        recordings = app.screen.query_one("#recordings", Static)
        await until(pilot, lambda: "found.mp4" in str(recordings.content))
        assert "clears" in str(recordings.content).splitlines()[0]
        assert "▁▂▄▃" in str(app.screen.query_one("#runs", Static).content)
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
