"""Recordings: the table and every key on it."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Static
from textual.widgets.data_table import ColumnKey

from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.screens.dialogs import ConfirmScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.list import Table
from mario_tui.tui.screens.recordings import RecordingsScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.text import shortened
from tui.fakes import World, recording, typical_recordings, until


@asynccontextmanager
async def table(world: World | None = None) -> AsyncIterator[tuple[World, MarioTuiApp, Pilot[int], Table]]:
    if world is None:
        world = World()
        world.recordings = typical_recordings()
    app = world.app()
    async with app.run_test() as pilot:
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, RecordingsScreen) and app.screen._loaded)
        rows = app.screen.query_one(Table)
        await until(pilot, lambda: rows.row_count == len(world.recordings))
        yield world, app, pilot, rows


def said(app: MarioTuiApp) -> str:
    return " ".join(str(note.message) for note in app._notifications)


async def test_empty_it_says_how_to_make_one() -> None:
    async with table(World()) as (_, app, pilot, _):
        await until(pilot, lambda: app.screen.has_class("-empty"))
        assert "No recording yet" in str(app.screen.query_one("#nothing", Static).content)
        await pilot.press("enter", "g", "m", "l", "d")
        assert isinstance(app.screen, RecordingsScreen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def test_the_columns_tell_what_matters() -> None:
    async with table() as (_, app, pilot, rows):
        cells = [[str(cell) for cell in rows.get_row_at(number)] for number in range(3)]
        assert cells[0][0] == "MP4"
        assert cells[0][2:] == ["1-1", "21.4 s", "clears", "640 kB", "20 min"]
        assert cells[1][2:5] == ["1-1", "4.0 s", "x 722"]
        assert cells[2][2:5] == ["?", "-", "-"]
        await pilot.press("end")
        line = app.screen.query_one("#selected", Static)
        await until(pilot, lambda: "action log is missing" in str(line.content))


async def test_enter_plays_it_in_the_terminal_without_what_needs_an_agent() -> None:
    async with table() as (world, app, pilot, _):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and "start" in world.player.calls)
        assert world.player.calls[0].startswith("open overnight_step-000500000")
        assert world.player.calls[0].endswith(".json")
        await pilot.press("n", "r", "e", "s")
        assert world.player.chances.epsilon == 0
        assert world.recorded == world.played == []
        await pilot.press("space")
        assert world.player.paused
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RecordingsScreen))


@pytest.mark.parametrize(
    ("same", "row", "key", "suffix", "scale"),
    [("m", 0, "g", ".gif", 2), ("g", 1, "m", ".mp4", 2), ("x", 0, "l", ".mp4", 4)],
)
async def test_a_video_is_made_again_in_another_kind(same: str, row: int, key: str, suffix: str, scale: int) -> None:
    async with table() as (world, app, pilot, rows):
        info = world.recordings[row]
        await pilot.press(*["down"] * row, same, key)
        await until(pilot, lambda: rows.row_count == 4)
        assert world.converted == [(info.log, Path(f"/recordings/{info.path.stem}_new{suffix}"), scale)]
        assert f"_new{suffix}" in said(app)


async def test_without_its_log_a_video_can_only_be_deleted() -> None:
    async with table() as (world, app, pilot, _):
        await pilot.press("end", "enter", "g", "m", "l")
        assert world.converted == []
        assert isinstance(app.screen, RecordingsScreen)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("escape")
        assert world.trashed == []
        await pilot.press("d", "d")
        await until(pilot, lambda: world.trashed == [Path("/recordings/found.mp4")])
        await until(pilot, lambda: "u takes it back" in said(app))
        await pilot.press("u")
        await until(pilot, lambda: "found.mp4" in {info.path.name for info in world.recordings})


async def test_o_opens_the_folder_or_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    async with table() as (_, app, pilot, _):
        monkeypatch.setattr(subprocess, "Popen", lambda command, **_: opened.append(command))
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        if sys.platform == "linux":
            monkeypatch.delenv("DISPLAY", raising=False)
            await pilot.press("o")
            await until(pilot, lambda: "no file manager" in said(app))
            assert not opened
            app.clear_notifications()
            monkeypatch.setenv("DISPLAY", ":0")
        await pilot.press("o")
        assert opened[0][1] == "/recordings"

        def fail(*_: Any, **__: Any) -> None:
            raise FileNotFoundError

        monkeypatch.setattr(subprocess, "Popen", fail)
        await pilot.press("o")
        await until(pilot, lambda: "the recordings are in /recordings" in said(app))


STRANGE = (
    "[b]x.mp4",
    "[red]y[%].gif",
    "a\nb\x1b[2J.mp4",
    "\udcffz.mp4",
    "马里奥" * 20 + ".mp4",
    "$x {y} [@click=quit].mp4",
)


async def test_any_name_is_shown_and_none_is_taken_for_markup_or_for_an_escape_sequence() -> None:
    world = World()
    world.recordings = [recording(name) for name in STRANGE]
    async with table(world) as (_, app, pilot, rows):
        names = [str(rows.get_row_at(number)[1]) for number in range(len(STRANGE))]
        assert all(map(str.isprintable, names))
        assert names[:4] == ["[b]x", "[red]y[%]", "a\\nb\\x1b[2J", "\\xffz"]
        assert cell_len(names[4]) <= rows.columns[ColumnKey("1")].width
        assert names[5] == "$x {y} [@click=quit]"

        def has_rows(number: int) -> bool:
            return rows.row_count == number

        for number in reversed(range(len(STRANGE))):
            line = str(app.screen.query_one("#selected", Static).content)
            assert all(map(str.isprintable, line.split("\n")))
            await pilot.press("d")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            assert str(app.screen.query_one(".about", Static).content).isprintable()
            await pilot.press("d")
            await until(pilot, partial(has_rows, number))
        assert [path.name for path in world.trashed] == list(STRANGE)
        assert all(map(str.isprintable, said(app).split("\n")))


def test_a_name_is_shortened_to_the_cells_that_there_are() -> None:
    for name in ("马里奥" * 9, "a" * 40, "é" * 30, "\x1b" * 12, "short"):
        assert cell_len(shortened(name, 20)) <= 20
        assert shortened(name, 20).isprintable()
    assert shortened("short", 20) == "short"
