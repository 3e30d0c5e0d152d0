"""Dialogs, and the line of keys of the screen that shines through behind them, at all sizes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.screen import ModalScreen

from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.preferences import Preferences
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.screens.dialogs import HelpScreen, LeavingScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.list import ListScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.widgets.key_line import KeyLine
from tui.fakes import World, typical_checkpoints, typical_recordings, until

SIZES = [(80, 24), (120, 40), (200, 60)]


@asynccontextmanager
async def opened(place: str, size: tuple[int, int], keys: dict[str, str] | None = None) -> AsyncIterator[tuple]:
    """An app that shows a place: home, training, checkpoints or recordings."""
    world = World(typical_checkpoints())
    world.recordings = list(typical_recordings())
    world.user_preferences = Preferences(keys=keys or {})
    app = world.app()
    async with app.run_test(size=size) as pilot:
        app.animation_level = "none"
        app.session = world.session
        world.session.start()
        await pilot.press(*{"home": "", "training": "t", "checkpoints": "c", "recordings": "v"}[place])
        if place == "training":
            await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.has_class("-live"))
        else:
            await until(pilot, lambda: isinstance(app.screen, HomeScreen if place == "home" else ListScreen))
            screen: Any = app.screen
            await until(pilot, lambda: screen._loaded and (place == "home" or screen.preview_is_ready))
        await pilot.pause()
        yield app, pilot
        world.session.end()


def keys_at_the_bottom(app: MarioTuiApp) -> str:
    shown: Any = next(screen for screen in reversed(app.screen_stack) if isinstance(screen, MarioScreen))
    line = shown.query_one(KeyLine).render()
    assert line.cell_length <= app.size.width
    return line.plain


def is_whole(app: MarioTuiApp) -> bool:
    """Whether the dialog is inside the terminal, and all that it shows inside the dialog, or scrolls there."""
    dialog = app.screen.query_one(".dialog")
    scrolls = isinstance(app.screen, HelpScreen)
    inside = [widget.region for widget in dialog.query("*") if widget.display]
    return dialog.region in app.screen.region and all(
        region in dialog.region or (scrolls and region.width <= dialog.region.width) for region in inside
    )


@pytest.mark.parametrize("size", SIZES, ids=[f"{w}x{h}" for w, h in SIZES])
@pytest.mark.parametrize(
    ("place", "keys"),
    [
        ("home", ["q"]),
        ("training", ["q"]),
        ("training", ["n"]),
        ("checkpoints", ["n"]),
        ("checkpoints", ["f2"]),
        ("checkpoints", ["x"]),
        ("checkpoints", ["d"]),
        ("checkpoints", ["slash"]),
        ("recordings", ["d"]),
        ("home", ["question_mark"]),
        ("training", ["question_mark"]),
    ],
)
async def test_a_dialog_is_whole_and_the_line_behind_it_offers_no_keys_until_it_is_closed(
    place: str, keys: Sequence[str], size: tuple[int, int]
) -> None:
    async with opened(place, size) as (app, pilot):
        before = keys_at_the_bottom(app)
        assert "? Help" in before
        await pilot.press(*keys)
        await until(pilot, lambda: isinstance(app.screen, ModalScreen))
        await until(pilot, lambda: not keys_at_the_bottom(app).strip())
        assert is_whole(app)
        await pilot.press("escape")
        await until(pilot, lambda: keys_at_the_bottom(app) == before)


@pytest.mark.parametrize("size", SIZES, ids=[f"{w}x{h}" for w, h in SIZES])
async def test_the_notice_while_the_app_leaves_is_whole(size: tuple[int, int]) -> None:
    async with opened("training", size) as (app, pilot):
        app.push_screen(LeavingScreen("The training is saved. Finishing its recordings; ctrl+q leaves without ..."))
        await until(pilot, lambda: isinstance(app.screen, LeavingScreen) and bool(app.screen.query(".dialog")))
        await until(pilot, lambda: not keys_at_the_bottom(app).strip())
        assert is_whole(app)


async def test_help_takes_the_room_that_there_is() -> None:
    async with opened("training", (120, 60)) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.pause()
        keys, scroll = app.screen.query_one("#keys"), app.screen.query_one("VerticalScroll")
        assert scroll.region.contains_region(keys.region), "all keys are seen without scrolling"


async def test_keys_with_long_names_are_left_out_whole() -> None:
    long = {"train.pause": "ctrl+shift+f10", "train.save": "ctrl+shift+f11", "train.stop": "ctrl+shift+f12"}
    async with opened("training", (80, 24), long) as (app, _):
        line = keys_at_the_bottom(app)
        assert "Stop" in line
        assert "Checkpoints" not in line
        assert line.rstrip().endswith(("^p palette", "^p"))
