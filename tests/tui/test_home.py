"""Home: empty, with runs, and while training."""

from dataclasses import replace

from textual.widgets import Static

from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.numbers import Numbers
from tui.fakes import World, checkpoint, typical_checkpoints, until


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
