"""Every screen as a picture, empty, typical and full, at the smallest size and with room."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot

from mario_tui.config import TrainingConfig
from mario_tui.game.episode import EndReason
from mario_tui.play.board import Way
from mario_tui.rewards import FrameChange
from mario_tui.system import processors
from mario_tui.tui.jobs import Job
from mario_tui.tui.screens.board import BoardScreen
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.compare import CompareScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.list import Table
from mario_tui.tui.screens.map import MapScreen
from mario_tui.tui.screens.play import PlayScreen
from mario_tui.tui.screens.recordings import RecordingsScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.map_strip import MapStrip
from mario_tui.tui.widgets.metric_chart import MetricChart
from tui.fakes import (
    LONG_NAME,
    FakeMap,
    FakePlayer,
    World,
    checkpoint,
    episode,
    full_checkpoints,
    full_recordings,
    moment,
    picture,
    recording,
    running,
    typical_checkpoints,
    typical_recordings,
    until,
)

Compare = Callable[..., bool]
Prepare = Callable[[World, Pilot[int]], Awaitable[None]]
pytestmark = pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the processes that a training takes, and so of the memory that it needs."""
    monkeypatch.setattr(processors, "count", lambda: 2)


@pytest.fixture
def compare(snap_compare: Compare, size: tuple[int, int]) -> Callable[[World, Prepare], bool]:
    def check(world: World, prepare: Prepare) -> bool:
        async def before(pilot: Pilot[int]) -> None:
            pilot.app.animation_level = "none"
            await prepare(world, pilot)
            await pilot.pause()
            screen: Any = pilot.app.screen
            await until(pilot, lambda: getattr(screen, "preview_is_ready", True))
            for look in LOOKS:
                if hasattr(screen, look):
                    getattr(screen, look)()
            for _ in range(2):  # what they change may be laid out first
                await pilot.pause()
            strips = screen.query(MapStrip) if screen.has_class("-live") else ()
            await until(pilot, lambda: all(strip.fits for strip in strips))
            world.session.alive = False

        return snap_compare(world.app(), terminal_size=size, run_before=before)

    return check


LOOKS = (
    "refresh_top_bar", "refresh_numbers", "refresh_game", "refresh_charts", "refresh_list",
    "refresh_timeline",
)  # fmt: skip
"""What screens draw again and again."""


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
        return "needs" in row.figures

    await until(pilot, ready)


async def live(world: World, pilot: Pilot[int]) -> None:
    await train(world, pilot)
    await pilot.press("t")
    await until(pilot, lambda: pilot.app.screen.has_class("-live"))
    strip = pilot.app.screen.query_one(MapStrip)
    await until(pilot, lambda: strip.fits)


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
            and pilot.app.screen.preview_is_ready
        ),
    )


def add_jobs(pilot: Pilot[int]) -> None:
    """Work in the background, as far as it can be seen."""
    app: Any = pilot.app
    app.jobs.running += [
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


async def play(world: World, pilot: Pilot[int]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, HomeScreen) and pilot.app.screen._loaded)
    await pilot.press("p")
    await until(pilot, lambda: isinstance(pilot.app.screen, PlayScreen))
    screen: Any = pilot.app.screen
    await until(pilot, lambda: world.no_ghost or screen._ghost is not None)


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


def test_train_cursor(compare: Any) -> None:
    async def with_cursor(world: World, pilot: Pilot[int]) -> None:
        await live(world, pilot)
        screen = pilot.app.screen
        assert isinstance(screen, TrainScreen)
        await until(pilot, lambda: any(chart.whole for chart in screen.charts_shown()))
        await pilot.press("3", "l", "z", "x", "shift+left")

    assert compare(World(), with_cursor)


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


def test_compare_cursor(compare: Any) -> None:
    """Three seeds as one, and another run."""

    async def with_cursor(world: World, pilot: Pilot[int]) -> None:
        runs = ("hill-seed1", "hill-seed2", "hill-seed3", "flat")
        screen = CompareScreen(tuple(Path("/checkpoints") / run for run in runs))
        pilot.app.push_screen(screen)
        await until(pilot, lambda: pilot.app.screen is screen and bool(screen.query(MetricChart)))
        chart = screen.query_one("#compare-4", MetricChart)
        await until(pilot, lambda: len(chart._lines) == 4)
        await pilot.press("s")
        await until(pilot, lambda: len(chart._lines) == 2)
        await pilot.press("x", "shift+left")

    assert compare(World(typical_checkpoints()), with_cursor)


async def show_map(world: World, pilot: Pilot[int]) -> None:
    screen = MapScreen(Path("/checkpoints/hill"))
    pilot.app.push_screen(screen)
    await until(pilot, lambda: pilot.app.screen is screen and bool(screen.query("#map")))
    view = screen.query_one("#map", GameView)
    await until(pilot, lambda: view.frame is not None and not screen._busy and screen._wanted(view) == screen._drawn)


def test_map(compare: Any) -> None:
    assert compare(World(), show_map)


def test_map_empty(compare: Any) -> None:
    async def without_episodes(world: World, pilot: Pilot[int]) -> None:
        pilot.app.push_screen(MapScreen(Path("/checkpoints/hill")))
        await until(pilot, lambda: world.mapped != [])
        await until(pilot, lambda: "no episode" in pilot.app.screen.query_one("#map", GameView).empty_text)

    world = World()
    world.run_map = FakeMap(0)
    assert compare(world, without_episodes)


def test_help(compare: Any) -> None:
    assert compare(World(typical_checkpoints()), show_help)


def test_watch(compare: Any) -> None:
    assert compare(World(typical_checkpoints()), watch)


@pytest.mark.parametrize("key", ["l", "y"], ids=["timeline", "reward"])
def test_watch_episode(compare: Any, key: str) -> None:
    """An episode that ended in a death, looked back at."""
    world = World(typical_checkpoints())
    died = moment(step=113, end=EndReason.DEATH, frame_changes=(FrameChange(2, 2, -1, True),), q_values=(2.0, 1.5))
    world.player._played = episode(died)
    world.player.newest_step, world.player.paused = 113, True
    world.player.latest = world.player._played[96]
    world.player.latest.frame = picture()

    async def prepare(world: World, pilot: Pilot[int]) -> None:
        await watch(world, pilot)
        await pilot.press(key)
        await pilot.pause()
        pilot.app.screen.refresh_timeline()  # type: ignore[attr-defined]

    assert compare(world, prepare)


def test_watch_loading(compare: Any) -> None:
    world = World(typical_checkpoints())
    world.player = FakePlayer(loaded=False)
    assert compare(world, watch)


def test_watch_twelve_actions(compare: Any) -> None:
    world = World(typical_checkpoints())
    world.player = FakePlayer(action_set="complex")
    world.player.latest = moment(action=4, buttons=131, q_values=tuple(10 + 0.3 * n for n in range(12)))
    assert compare(world, watch)


def test_play_ready(compare: Any) -> None:
    world = World()
    world.game.waits = True
    world.game.latest = moment(
        action=None, buttons=0, q_values=(), step=0, x=40, max_x=40, progress=0.0, total_reward=0.0
    )
    world.no_ghost = True
    assert compare(world, play)


def test_play(compare: Any) -> None:
    assert compare(World(typical_checkpoints()), play)


def test_play_full(compare: Any) -> None:
    """Over, with everything that can stand there: a kept place, a ghost that cleared, a recording in the background."""
    world = World(typical_checkpoints())
    world.game.kept_step = 900
    world.game.speed = 0.25
    world.game.latest = moment(
        step=123_456,
        x=3161,
        max_x=3161,
        progress=1.0,
        score=999_990,
        coins=99,
        life=128,
        status="fireball",
        end=EndReason.CLEAR,
    )
    assert compare(world, full_play)


async def full_play(world: World, pilot: Pilot[int]) -> None:
    await play(world, pilot)
    world.ghosts[0].end, world.ghosts[0].x = EndReason.CLEAR, 3161
    pilot.app.jobs.running.append(Job("recording MP4", "you", "1,234 frames, 21 s of play"))  # type: ignore[attr-defined]
    pilot.app.screen.refresh_numbers()  # type: ignore[attr-defined]


LONG = "a-run-with-quite-a-long-name-that-somebody-gave-it_2030-01-02"
FULL = running(
    run=LONG,
    config=TrainingConfig(steps=500_000_000, envs=16),
    step=123_456_789,
    episode=1_234_567,
    epsilon=0.0204,
    updates=41_152_263,
    clears=654_321,
    steps_per_second=12_345.6,
    seconds=359_999.0,
    eta_seconds=86_399_999.0,
    mean_reward=-1234.5,
    mean_length=2345.6,
    mean_loss=12_345.6,
    mean_q=-1234.5,
    clear_rate=1.0,
    replay_transitions=123_456_789,
    replay_capacity=123_456_789,
    warnings=(
        "the last 50 episodes all ended near x 722: more exploration (k, then +) may help",
        "the loss is 12 times what it was: a lower learning rate (-) may help",
        "memory is short: 1.2 GB are free, and the replay will take 3.4 GB more",
    ),
    frames=tuple(picture(16 * n) for n in range(16)),
)


def full() -> World:
    """Many of everything, with long names and large numbers."""
    world = World(
        [
            checkpoint(
                1_000_000 * n,
                run=f"{LONG}-{n}",
                stage=f"{1 + (n - 1) // 4}-{1 + (n - 1) % 4}",
                best=True,
                greedy_clear=n % 3 == 0,
                robust_clear_rate=1.0 if n % 2 else None,
            )
            for n in range(1, 33)
        ]
    )
    world.recordings = [recording(f"{LONG}_step-{n:09d}.mp4", seconds=3599.0) for n in range(40)]
    world.session.snapshot = FULL
    return world


def test_home_full(compare: Any) -> None:
    assert compare(full(), home_training)


@pytest.mark.parametrize("view", ["charts", "map", "wall"])
def test_train_full(compare: Any, view: str) -> None:
    keys = {"charts": (), "map": ("tab",) * 5, "wall": ("g",)}[view]

    async def prepare(world: World, pilot: Pilot[int]) -> None:
        await live(world, pilot)
        pilot.app.jobs.running.append(Job("evaluating", LONG, "10 of 11 episodes"))  # type: ignore[attr-defined]
        await pilot.press(*keys)

    assert compare(full(), prepare)


def test_watch_full(compare: Any) -> None:
    """Twelve actions, chance, a recording that goes on, and work in the background."""
    world = full()
    world.player = FakePlayer(action_set="complex")
    world.player.policy.source = f"{LONG}, step 123,456,789"
    world.player.chances.epsilon, world.player.chances.sticky = 0.25, 0.25
    world.player.latest = moment(
        action=4,
        buttons=255,
        q_values=tuple(1000.0 + n for n in range(12)),
        step=98_765,
        total_reward=-12_345.6,
        score=999_990,
        status="fireball",
        stack=np.arange(4 * 84 * 84, dtype=np.uint8).reshape(4, 84, 84) // 64 * 64,
    )

    async def prepare(world: World, pilot: Pilot[int]) -> None:
        await home(world, pilot)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(pilot.app.screen, WatchScreen) and pilot.app.screen._player is not None)
        await pilot.press("r")
        pilot.app.jobs.running.append(Job("recording MP4", LONG, "1,234 frames, 21 s of play"))  # type: ignore[attr-defined]
        pilot.app.jobs.running.append(Job("evaluating", LONG, "10 of 11 episodes"))  # type: ignore[attr-defined]

    assert compare(world, prepare)


async def board(world: World, pilot: Pilot[int]) -> None:
    world.ways = {
        stage: (Way(Path(f"/plays/{stage}_found.json"), "search", 1_440),) for stage in ("1-2", "2-1", "3-1", "8-4")
    }
    await pilot.press("b")

    def ready() -> bool:
        screen: Any = pilot.app.screen
        return isinstance(screen, BoardScreen) and bool(screen._states)

    await until(pilot, ready)
    if pilot.app.size.width > 100:
        await until(pilot, lambda: pilot.app.screen.query_one("#stage-game", GameView).frame is not None)


def test_board(compare: Any) -> None:
    assert compare(World(typical_checkpoints()), board)
