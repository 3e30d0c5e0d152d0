"""Pictures by the kitty graphics protocol: what is written, when, where and when they go; at last in a real kitty."""

import base64
import os
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageGrab
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.geometry import Region, Size
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from mario_tui import paths
from mario_tui.tui import preferences
from mario_tui.tui.cells import BLOCKS, QUADRANTS, SEXTANTS, Characters
from mario_tui.tui.graphics import Abilities, Place, characters_of, kind_of
from mario_tui.tui.iterm_graphics import ItermGraphics
from mario_tui.tui.kitty_graphics import KittyGraphics, cut_holes
from mario_tui.tui.sixel_graphics import SixelGraphics
from mario_tui.tui.terminal import TerminalDriver
from mario_tui.tui.widgets.game_view import GameView
from tui.fakes import World, picture, until
from tui.real_kitty import eventually, keyboard, kitty, xterm

SCREEN = Size(80, 24)
GLYPHS = frozenset(QUADRANTS.glyphs.strip())


def noise(seed: int = 0, height: int = 240, width: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def place(x: int = 0, y: int = 0, columns: int = 40, rows: int = 20, holes: tuple[Region, ...] = ()) -> Place:
    return Place(Region(x, y, columns, rows), holes, SCREEN)


class FakeTerminal:
    """Understands the protocol as far as it is used, and keeps the pictures that it would show."""

    def __init__(self) -> None:
        self.is_busy = False
        self.cell_pixels: tuple[float, float] | None = (10, 20)
        self.written: list[str] = []
        self.pictures: dict[int, tuple[Region, np.ndarray]] = {}
        self.most_at_once = 0

    def write(self, data: str) -> None:
        self.written.append(data)
        keys: dict[str, str] = {}
        cursor, payload = (0, 0), ""
        for match in re.finditer(
            r"\x1b\[(\d+);(\d+)H|\x1b_G([^;\x1b]*);?([^\x1b]*)\x1b\\|\x1b[78]|\x1b\[\?2026[hl]|(.)", data
        ):
            row, column, control, chunk, stray = match.groups()
            assert stray is None, f"{data[match.start() : match.start() + 20]!r} would be seen as text"
            if row is not None:
                cursor = (int(column) - 1, int(row) - 1)
            if control is None:
                continue
            assert len(chunk) <= 4096
            new = dict(pair.split("=") for pair in control.split(","))
            assert new["q"] == "2", "an answer would be read as keys"
            keys, payload = {**keys, **new}, payload + chunk
            if new.get("m") == "1":
                assert len(chunk) % 4 == 0
                continue
            number = int(keys["i"])
            if keys["a"] == "d":
                assert keys["d"] == "I", "its memory would not be freed"
                del self.pictures[number]
            else:
                assert (keys["a"], keys["o"], keys["C"]) == ("T", "z", "1")
                content = np.frombuffer(zlib.decompress(base64.b64decode(payload)), np.uint8)
                pixels = content.reshape(int(keys["v"]), int(keys["s"]), int(keys["f"]) // 8)
                self.pictures[number] = (Region(*cursor, int(keys["c"]), int(keys["r"])), pixels)
                self.most_at_once = max(self.most_at_once, len(self.pictures))
            keys, payload = {}, ""

    @property
    def only(self) -> tuple[Region, np.ndarray]:
        (shown,) = self.pictures.values()
        return shown


# what is written


def test_a_picture_arrives_as_it_was_where_it_belongs() -> None:
    terminal = FakeTerminal()
    assert KittyGraphics(terminal).new_picture().show(noise(), place(3, 5))
    region, pixels = terminal.only
    assert region == Region(3, 5, 40, 20)
    assert np.array_equal(pixels, noise())
    (written,) = terminal.written
    assert written.startswith("\x1b[?2026h\x1b7")
    assert written.endswith("\x1b8\x1b[?2026l")
    assert written.count("\x1b_G") > 20, "noise is large"


def test_the_next_picture_is_there_before_the_last_one_goes_and_none_is_left() -> None:
    terminal = FakeTerminal()
    graphics = KittyGraphics(terminal)
    shown, other = graphics.new_picture(), graphics.new_picture()
    other.show(noise(9), place(40, 0))
    for seed in range(5):
        shown.show(noise(seed), place(seed, 0))
        assert len(terminal.pictures) == 2
        region, pixels = list(terminal.pictures.values())[-1]
        assert region.x == seed
        assert np.array_equal(pixels, noise(seed))
    assert len(terminal.written) == 6, "each in one piece"
    assert terminal.most_at_once == 3
    shown.remove()
    shown.remove()
    assert len(terminal.written) == 7
    assert np.array_equal(terminal.only[1], noise(9))
    graphics.remove_all()
    graphics.remove_all()
    assert terminal.pictures == {}
    assert len(terminal.written) == 8


def test_what_is_on_the_screen_is_not_sent_again() -> None:
    terminal = FakeTerminal()
    shown = KittyGraphics(terminal).new_picture()
    for _ in range(3):
        assert shown.show(noise(), place())
    assert len(terminal.written) == 1
    resized = Place(place().region, (), Size(100, 24))
    for elsewhere in (place(1), place(holes=(Region(0, 0, 2, 2),)), resized):
        assert shown.show(noise(), elsewhere)
    assert len(terminal.written) == 4
    shown.remove()
    shown.show(noise(), resized)
    assert np.array_equal(terminal.only[1], noise())


def test_a_busy_terminal_is_not_given_more() -> None:
    terminal = FakeTerminal()
    shown = KittyGraphics(terminal).new_picture()
    shown.show(noise(0), place())
    terminal.is_busy = True
    assert not shown.show(noise(1), place())
    assert len(terminal.written) == 1
    terminal.is_busy = False
    assert shown.show(noise(1), place())
    assert np.array_equal(terminal.only[1], noise(1))


def test_a_hole_is_where_something_lies_above_and_no_smaller() -> None:
    frame = noise(0, 24, 20)
    holes = (Region(10, 5, 2, 3), Region(19, 14, 1, 1))
    pixels = cut_holes(frame, Place(Region(10, 5, 10, 10), holes, SCREEN))
    transparent = pixels[:, :, 3] == 0
    expected = np.zeros((24, 20), np.bool_)
    expected[:8, :4] = True  # 3 of 10 rows are 7.2 of 24 pixels
    expected[21:, 18:] = True
    assert np.array_equal(transparent, expected)
    assert np.array_equal(pixels[~expected][:, :3], frame[~expected])
    assert (pixels[~expected][:, 3] == 255).all()


# where it is used


@pytest.mark.parametrize(
    ("environment", "used"),
    [
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, True),
        ({"TERM": "xterm-kitty", "SSH_CONNECTION": "a b"}, True),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, False),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0/default,1,0"}, False),
        ({"TERM": "tmux-256color", "TMUX": "x", "TERM_PROGRAM": "tmux"}, False),
        ({"TERM": "screen", "STY": "1.pts"}, False),
        ({"TERM": "xterm-kitty", "STY": "1.pts"}, False),
        ({"TERM": "xterm-kitty", "ZELLIJ": "0"}, False),
        ({"TERM": "linux"}, False),
        ({}, False),
    ],
)
def test_it_is_used_in_terminals_that_are_known_unless_the_settings_say_otherwise(
    environment: dict[str, str], used: bool
) -> None:
    nothing = Abilities()
    assert kind_of("auto", environment, nothing) == ("kitty" if used else "characters")
    assert kind_of("kitty", environment, nothing) == "kitty"
    for characters in ("blocks", "quadrants", "sextants"):
        assert kind_of(characters, environment, Abilities(sixel=True)) == "characters"
    assert kind_of("auto", environment, Abilities(sixel=True)) == ("kitty" if used else "sixel")
    assert kind_of("sixel", environment, nothing) == "sixel"


@pytest.mark.parametrize("choice", ["auto", "kitty", "iterm", "sixel", "blocks", "quadrants", "sextants"])
def test_the_setting_is_read(choice: str) -> None:
    assert preferences.load().graphics == "auto"
    paths.settings_file().write_text(f'graphics = "{choice}"\n')
    assert preferences.load() == preferences.Preferences.model_validate({"graphics": choice})


@pytest.mark.parametrize("value", ['"pictures"', "5", "[]", '""'])
def test_another_value_is_named_in_one_line(value: str) -> None:
    paths.settings_file().write_text(f"graphics = {value}\n")
    found = preferences.load()
    assert found.graphics == "auto"
    (problem,) = found.problems
    assert 'graphics should be one of "auto", "kitty", "iterm", "sixel", "blocks", "quadrants", "sextants"' in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("choice", "variables", "used"),
    [
        ("auto", {"TERM": "xterm-kitty"}, KittyGraphics),
        ("auto", {"TERM": "xterm"}, SixelGraphics),
        ("kitty", {"TERM": "xterm"}, KittyGraphics),
        ("sixel", {"TERM": "xterm-kitty"}, SixelGraphics),
        ("iterm", {"TERM": "xterm-kitty"}, ItermGraphics),
        ("blocks", {"TERM": "xterm-kitty"}, None),
        ("sextants", {"TERM": "xterm-kitty"}, None),
        ("kitty", {"TERM": "xterm-kitty", "NO_COLOR": "1"}, None),
    ],
)
async def test_the_app_goes_by_setting_environment_and_no_color(
    choice: str, variables: dict[str, str], used: type | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TMUX", "STY", "ZELLIJ", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    world = World()
    world.user_preferences = preferences.Preferences.model_validate({"graphics": choice})
    app = world.app(abilities=Abilities(sixel=True))
    async with app.run_test() as pilot:
        assert app.graphics is None, "without a terminal there are no pictures"
        assert app.characters == characters_of(choice, ""), "nor does it matter what TERM is"
        driver = TerminalDriver.__new__(TerminalDriver)
        headless, app._driver = app._driver, driver
        app._use_preferences()
        app._driver = headless
        assert type(app.graphics) is (used or type(None))
        await pilot.pause()


@pytest.mark.parametrize(
    ("choice", "term", "used"),
    [
        ("auto", "xterm-256color", QUADRANTS),
        ("sixel", "xterm-256color", QUADRANTS),
        ("auto", "linux", BLOCKS),
        ("auto", "linux-16color", BLOCKS),
        ("quadrants", "linux", QUADRANTS),
        ("blocks", "xterm-256color", BLOCKS),
        ("sextants", "xterm-256color", SEXTANTS),
    ],
)
def test_characters_go_by_the_setting_and_by_what_a_console_has(choice: str, term: str, used: Characters) -> None:
    assert characters_of(choice, term) is used


# the view


class ViewApp(App[None]):
    CSS = "#top { height: 2; } GameView.-framed { border: round white; }"

    def __init__(self) -> None:
        super().__init__()
        self.terminal = FakeTerminal()
        self.graphics = KittyGraphics(self.terminal)
        self.view = GameView("nothing", graphics=self.graphics)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(id="top")
            yield self.view

    def has_blocks(self) -> bool:
        return any(not GLYPHS.isdisjoint(strip.text) for strip in self.screen._compositor.render_strips())

    async def gone(self, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: not self.terminal.pictures)

    async def at(self, pilot: Pilot[None], region: Region) -> None:
        await until(pilot, lambda: [found for found, _ in self.terminal.pictures.values()] == [region])


@pytest.fixture
async def app() -> ViewApp:
    return ViewApp()


async def test_the_view_shows_each_frame_where_it_lies_with_proportions_kept(app: ViewApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.frame = noise(0)
        await app.at(pilot, Region(16, 2, 47, 22))
        await pilot.pause()
        assert not app.has_blocks()
        app.view.frame = noise(1)
        assert np.array_equal(app.terminal.only[1], noise(1))
        app.terminal.cell_pixels = (10, 10)
        app.view.frame = noise(0)
        await app.at(pilot, Region(28, 2, 23, 22))
        app.terminal.cell_pixels = None
        app.view.frame = noise(1)
        await app.at(pilot, Region(16, 2, 47, 22))


async def test_the_picture_follows_the_view(app: ViewApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.frame = noise()
        await app.at(pilot, Region(16, 2, 47, 22))
        await pilot.resize_terminal(30, 24)
        await app.at(pilot, Region(0, 6, 30, 14))
        app.query_one("#top").styles.height = 4
        await app.at(pilot, Region(0, 7, 30, 14))
        app.query_one("#top").styles.display = "none"
        await app.at(pilot, Region(0, 5, 30, 14))


@pytest.mark.parametrize("way", ["hidden", "invisible", "parent hidden", "removed", "no frame", "cut off", "framed"])
async def test_the_picture_goes_with_the_view(app: ViewApp, way: str) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.frame = picture()
        await until(pilot, lambda: bool(app.terminal.pictures))
        if way == "hidden":
            app.view.display = False
        elif way == "invisible":
            app.view.visible = False
        elif way == "parent hidden":
            app.query_one(Vertical).display = False
        elif way == "removed":
            await app.view.remove()
            assert app.terminal.pictures == {}, "at once: nobody looks after it any more"
        elif way == "no frame":
            app.view.frame = None
        elif way == "cut off":
            app.view.styles.height = 40
        else:
            app.view.add_class("-framed")
        await app.gone(pilot)
        await until(pilot, lambda: app.has_blocks() == (way in ("cut off", "framed")))


@pytest.mark.parametrize("kind", [Screen, ModalScreen])
async def test_under_another_screen_there_are_characters_and_then_the_picture_again(
    app: ViewApp, kind: type[Screen[None]]
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.frame = picture()
        await until(pilot, lambda: bool(app.terminal.pictures))
        app.push_screen(kind())
        assert app.terminal.pictures == {}, "before the other screen is drawn"
        app.view.frame = picture(50)
        await until(pilot, lambda: app.has_blocks() == (kind is ModalScreen))
        assert app.terminal.pictures == {}
        app.pop_screen()
        assert np.array_equal(app.terminal.only[1], picture(50))
        await until(pilot, lambda: not app.has_blocks())


async def test_a_notice_over_the_picture_is_seen_through_a_hole(app: ViewApp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.view.frame = picture()
        await until(pilot, lambda: bool(app.terminal.pictures))
        app.notify("read me", timeout=60)
        await until(pilot, lambda: app.terminal.only[1].shape[2] == 4)
        region, pixels = app.terminal.only
        toast = app.screen.query_one("Toast").region.intersection(region)
        assert toast
        (place_holes,) = [app.view._place.holes] if app.view._place else [()]
        assert toast in place_holes
        rows, columns = np.nonzero(pixels[:, :, 3] == 0)
        assert rows.min() == (toast.y - region.y) * 240 // region.height
        assert columns.min() == (toast.x - region.x) * 256 // region.width
        assert (pixels[: rows.min(), :, 3] == 255).all()
        app.clear_notifications()
        await until(pilot, lambda: app.terminal.only[1].shape[2] == 3)


async def test_a_frame_that_a_busy_terminal_did_not_take_comes_later_unless_a_newer_one_does(app: ViewApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.frame = noise(0)
        await until(pilot, lambda: bool(app.terminal.pictures))
        app.terminal.is_busy = True
        count = len(app.terminal.written)
        app.view.frame = noise(1)
        app.view.frame = noise(2)
        assert len(app.terminal.written) == count
        app.terminal.is_busy = False
        await until(pilot, lambda: np.array_equal(app.terminal.only[1], noise(2)))
        assert len(app.terminal.written) == count + 1


async def test_a_picture_that_the_driver_removed_comes_again(app: ViewApp) -> None:
    """As after the app was suspended."""
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.frame = noise()
        await until(pilot, lambda: bool(app.terminal.pictures))
        app.graphics.remove_all()
        await until(pilot, lambda: bool(app.terminal.pictures))


async def test_a_screenshot_has_characters_and_the_watching_goes_on() -> None:
    world = World()
    app = world.app()
    terminal = FakeTerminal()
    async with app.run_test(size=(120, 40)) as pilot:
        app.graphics = KittyGraphics(terminal)
        app.watch_agent(Path("/checkpoints/run/step-000120000"))
        await until(pilot, lambda: len(terminal.pictures) == 2)  # the game, and what the network sees
        await pilot.pause()
        blocks = "▄" * 5
        assert blocks not in "".join(strip.text for strip in app.screen._compositor.render_strips())
        assert blocks in app.export_screenshot()
        assert blocks not in "".join(strip.text for strip in app.screen._compositor.render_strips())


# a terminal


REAL_APP = """
    import sys
    import numpy as np
    from textual.app import App
    from textual.screen import Screen
    from mario_tui.tui.terminal import TerminalDriver
    from mario_tui.tui.widgets.game_view import GameView

    class Real(App):
        BINDINGS = [("p", "over"), ("b", "pop_screen"), ("n", "notice"), ("c", "clear_notifications"), ("q", "quit")]

        def __init__(self):
            super().__init__(driver_class=TerminalDriver)

        def compose(self):
            self.view = GameView(graphics=self._driver.use_graphics(KIND, ABILITIES))
            yield self.view

        def on_mount(self):
            self.frame = np.zeros((240, 256, 3), np.uint8)
            self.frame[:120, :128] = 255, 0, 51
            self.frame[:120, 128:] = 51, 255, 0
            self.frame[120:, :128] = 0, 51, 255
            self.frame[120:, 128:] = 204, 204, 102
            self.set_interval(1 / 30, self.play)

        def play(self):
            self.frame = self.frame.copy()
            self.frame[0, 0] ^= 1  # in the first quarter
            self.view.frame = self.frame

        def action_over(self):
            self.push_screen(Screen())

        def action_notice(self):
            self.notify("line\\n" * 5, timeout=600)

        def action_clear_notifications(self):
            self.clear_notifications()

    import os
    from mario_tui.tui.graphics import ask_terminal, kind_of
    ABILITIES = ask_terminal()
    KIND = kind_of("auto", os.environ, ABILITIES)
    Real().run()
"""
Quarters = list[tuple[Region, int]]
QUARTERS = ((255, 0, 51), (51, 255, 0), (0, 51, 255), (204, 204, 102))
"""In whole percent, which is what sixels have."""


@pytest.fixture(params=["kitty", "xterm"])
def terminal(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def quarters(virtual_display: str, tmp_path: Path, terminal: str) -> Iterator[Callable[[], Quarters]]:
    """A real terminal with a view in it; gives the quarters of the picture on its display: where, how many pixels."""
    with (kitty if terminal == "kitty" else xterm)(virtual_display, tmp_path, REAL_APP) as process:

        def look() -> Quarters:
            assert process.poll() is None, "the terminal ended"
            screen = np.asarray(ImageGrab.grab(xdisplay=virtual_display).convert("RGB"))
            found = []
            for colour in QUARTERS:
                rows, columns = np.nonzero((screen == colour).all(axis=2))
                if len(rows):
                    box = Region.from_corners(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                    found.append((box, len(rows)))
            return found

        yield look


def test_a_real_terminal_shows_the_picture_until_something_else_is_to_be_seen(
    quarters: Callable[[], Quarters], virtual_display: str, tmp_path: Path, terminal: str
) -> None:
    """By the kitty protocol, and by sixels."""
    press = partial(keyboard, virtual_display, terminal=terminal)
    assert eventually(lambda: len(quarters()) == 4 and quarters() == quarters())
    whole = quarters()
    red, green, blue, yellow = (box for box, _ in whole)
    assert (red.right, red.bottom, blue.right, green.bottom) == (green.x, blue.y, yellow.x, yellow.y)
    assert abs(red.width * 240 / 256 - red.height) < 10, "its proportions, but for a part of a cell"
    assert red.height > (200 if terminal == "kitty" else 140), "as large as it can be, in the rows that it has at first"
    assert [count for _, count in whole[1:]] == [box.area for box in (green, blue, yellow)]

    press("key n")
    assert eventually(lambda: [count < 0.7 * yellow.area for _, count in quarters()[3:]] == [True]), "under a notice"
    assert eventually(lambda: quarters()[1:2] == whole[1:2])
    press("key c")
    assert eventually(lambda: quarters()[1:] == whole[1:])
    press("key p")
    assert eventually(lambda: quarters() == [])
    press("key b")
    assert eventually(lambda: quarters()[1:] == whole[1:])
    press("key q")
    assert eventually((tmp_path / "code").exists)
    assert eventually(lambda: quarters() == []), "the screen from before the app has no picture"


def test_a_driver_takes_pictures_only_while_its_app_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = TerminalDriver.__new__(TerminalDriver)
    driver._is_started, driver._writer_thread, driver.fileno = False, None, os.open(os.devnull, os.O_RDONLY)
    assert driver.is_busy
    assert driver.cell_pixels is None
    os.close(driver.fileno)
