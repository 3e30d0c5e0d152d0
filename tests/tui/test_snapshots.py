"""Every screen as a picture, empty and typical, at the smallest size and with room."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from mario_tui.tui.jobs import Job
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.compare import CompareScreen
from mario_tui.tui.screens.list import Table
from mario_tui.tui.screens.recordings import RecordingsScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.metric_chart import MetricChart
from tui.fakes import (
    LONG_NAME,
    FakePlayer,
    World,
    full_checkpoints,
    full_recordings,
    moment,
    typical_checkpoints,
    typical_recordings,
    until,
)

Compare = Callable[..., bool]
Prepare = Callable[[World, Pilot[int]], Awaitable[None]]
pytestmark = pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])


@pytest.fixture
def compare(snap_compare: Compare, size: tuple[int, int]) -> Callable[[World, Prepare], bool]:
    def check(world: World, prepare: Prepare) -> bool:
        async def before(pilot: Pilot[int]) -> None:
            pilot.app.animation_level = "none"
            await prepare(world, pilot)
            await pilot.pause()
            screen: Any = pilot.app.screen
            for look in ("refresh_top_bar", "refresh_numbers", "refresh_game", "refresh_charts", "refresh_list"):
                if hasattr(screen, look):
                    getattr(screen, look)()
            await pilot.pause()
            world.session.alive = False

        return snap_compare(world.app(), terminal_size=size, run_before=before)

    return check


async def train(world: World, pilot: Pilot[int]) -> None:
    pilot.app.session = world.session  # type: ignore[attr-defined]
    world.session.start()


async def home(world: World, pilot: Pilot[int]) -> None:
    await until(pilot, lambda: pilot.app.screen._loaded)  # type: ignore[attr-defined]


async def home_training(world: World, pilot: Pilot[int]) -> None:
    await train(world, pilot)
    await home(world, pilot)


async def form(world: World, pilot: Pilot[int]) -> None:
    await pilot.press("t")
    row: Any = None

    def ready() -> bool:
        nonlocal row
        if not isinstance(pilot.app.screen, TrainScreen):
            return False
        row = pilot.app.screen.query_one("#row-replay-size")
        return "needs" in row.note

    await until(pilot, ready)


async def live(world: World, pilot: Pilot[int]) -> None:
    await train(world, pilot)
    await pilot.press("t")
    await until(pilot, lambda: pilot.app.screen.has_class("-live"))


async def ended(world: World, pilot: Pilot[int]) -> None:
    await live(world, pilot)
    world.session.end()
    await until(pilot, lambda: pilot.app.screen.has_class("-ended"))


async def stop_question(world: World, pilot: Pilot[int]) -> None:
    await live(world, pilot)
    screen: Any = pilot.app.screen
    screen.refresh_numbers()
    screen.refresh_game()
    screen.refresh_charts()
    await pilot.pause()
    await pilot.press("q")


async def checkpoints(world: World, pilot: Pilot[int]) -> None:
    await pilot.press("c")
    await until(
        pilot,
        lambda: (
            isinstance(pilot.app.screen, CheckpointsScreen)
            and pilot.app.screen._loaded
            and pilot.app.screen.query_one(Table).row_count == len({info.run for info in world.checkpoints})
        ),
    )


def add_jobs(pilot: Pilot[int]) -> None:
    """Work in the background, as far as it can be seen."""
    app: Any = pilot.app
    app.jobs += [
        Job("recording MP4", "1-1_2030-01-01T00-00-00/step-012285678", "1,234 frames, 21 s of play"),
        Job("evaluating", f"{LONG_NAME}/step-012135678", "7 of 11 episodes"),
    ]


async def full_list_of_checkpoints(world: World, pilot: Pilot[int]) -> None:
    await checkpoints(world, pilot)
    await pilot.press("space", "down", "space", "right", *["down"] * 4)
    pilot.app.clear_notifications()
    add_jobs(pilot)


async def full_list_at_a_damaged_one(world: World, pilot: Pilot[int]) -> None:
    await full_list_of_checkpoints(world, pilot)
    await pilot.press("o", "home", *["down"] * 4)


async def full_list_of_recordings(world: World, pilot: Pilot[int]) -> None:
    await recordings(world, pilot)
    await pilot.press(*["down"] * 3)
    add_jobs(pilot)


async def compare_runs(world: World, pilot: Pilot[int]) -> None:
    await checkpoints(world, pilot)
    await pilot.press("space", "down", "space", "m")
    await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
    chart = pilot.app.screen.query_one("#compare-4", MetricChart)
    await until(pilot, lambda: bool(chart._lines))


async def recordings(world: World, pilot: Pilot[int]) -> None:
    await pilot.press("v")
    await until(
        pilot,
        lambda: (
            isinstance(pilot.app.screen, RecordingsScreen)
            and pilot.app.screen._loaded
            and pilot.app.screen.query_one(Table).row_count == len(world.recordings)
        ),
    )


async def watch(world: World, pilot: Pilot[int]) -> None:
    await checkpoints(world, pilot)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, WatchScreen) and pilot.app.screen._player is not None)


async def show_help(world: World, pilot: Pilot[int]) -> None:
    await checkpoints(world, pilot)
    await pilot.press("question_mark")


def test_home_empty(compare: Any) -> None:
    assert compare(World(), home)


def test_home_typical(compare: Any) -> None:
    assert compare(World(typical_checkpoints()), home)


def test_home_training(compare: Any) -> None:
    assert compare(World(typical_checkpoints()), home_training)


def test_train_form(compare: Any) -> None:
    assert compare(World(), form)


def test_train_live(compare: Any) -> None:
    assert compare(World(), live)


def test_train_ended(compare: Any) -> None:
    assert compare(World(), ended)


def test_train_stop_question(compare: Any) -> None:
    assert compare(World(), stop_question)


def test_checkpoints_empty(compare: Any) -> None:
    assert compare(World(), checkpoints)


def test_checkpoints_typical(compare: Any) -> None:
    assert compare(World(typical_checkpoints()), checkpoints)


def test_checkpoints_open(compare: Any) -> None:
    async def opened(world: World, pilot: Pilot[int]) -> None:
        await checkpoints(world, pilot)
        await pilot.press("end", "right")

    assert compare(World(typical_checkpoints()), opened)


def test_checkpoints_full(compare: Any) -> None:
    assert compare(World(full_checkpoints()), full_list_of_checkpoints)


def test_checkpoints_full_damaged(compare: Any) -> None:
    assert compare(World(full_checkpoints()), full_list_at_a_damaged_one)


def test_recordings_full(compare: Any) -> None:
    world = World()
    world.recordings = full_recordings()
    assert compare(world, full_list_of_recordings)


def test_recordings_empty(compare: Any) -> None:
    assert compare(World(), recordings)


def test_recordings_typical(compare: Any) -> None:
    world = World()
    world.recordings = typical_recordings()
    assert compare(world, recordings)


def test_compare(compare: Any) -> None:
    assert compare(World(typical_checkpoints()), compare_runs)


def test_help(compare: Any) -> None:
    assert compare(World(typical_checkpoints()), show_help)


def test_watch(compare: Any) -> None:
    assert compare(World(typical_checkpoints()), watch)


def test_watch_loading(compare: Any) -> None:
    world = World(typical_checkpoints())
    world.player = FakePlayer(loaded=False)
    assert compare(world, watch)


def test_watch_twelve_actions(compare: Any) -> None:
    world = World(typical_checkpoints())
    world.player = FakePlayer(action_set="complex")
    world.player.latest = moment(action=4, buttons=131, q_values=tuple(10 + 0.3 * n for n in range(12)))
    assert compare(world, watch)
