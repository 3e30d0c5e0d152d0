"""Pictures by iTerm2's protocol: what is written is decoded, drawn again here and compared with the frame."""

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from textual.app import App, ComposeResult
from textual.geometry import Region, Size
from textual.screen import Screen

from mario_tui.game.emulator import open_emulator
from mario_tui.tui.cells import QUADRANTS
from mario_tui.tui.graphics import Abilities, Place, kind_of, seen_parts, should_ask
from mario_tui.tui.iterm_graphics import ItermGraphics, png
from mario_tui.tui.widgets.game_view import GameView
from tui.fakes import picture, until

SCREEN = Size(80, 30)
CELL = (8, 16)
UNSEEN = (1, 2, 3)
"""The colour of a canvas where nothing was drawn."""


def place(columns: int = 32, rows: int = 15, *, x: int = 2, y: int = 3, holes: tuple[Region, ...] = ()) -> Place:
    return Place(Region(x, y, columns, rows), holes, SCREEN)


def nearest(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.NEAREST))


class ItermTerminal:
    """Understands the protocol as far as it is used, and draws on a canvas of pixels."""

    def __init__(self, cell: tuple[int, int] | None = CELL) -> None:
        self.is_busy = False
        self.cell_pixels: tuple[float, float] | None = cell
        self.canvas = np.full((SCREEN.height * CELL[1], SCREEN.width * CELL[0], 3), UNSEEN, np.uint8)
        self.written: list[str] = []
        self.images: list[np.ndarray] = []
        """As they came, before they were scaled."""

    def write(self, data: str) -> None:
        self.written.append(data)
        parts = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\]1337;File=([^:]*):([^\x07]*)\x07|\x1b[78]|\x1b\[\?2026[hl]|(.)")
        row = column = 0
        for match in parts.finditer(data):
            at_row, at_column, options, content, stray = match.groups()
            assert stray is None, f"{data[match.start() : match.start() + 20]!r} would be seen as text"
            if at_row is not None:
                row, column = int(at_row) - 1, int(at_column) - 1
            if options is not None:
                keys = dict(option.split("=") for option in options.split(";"))
                assert (keys["inline"], keys["preserveAspectRatio"], keys["doNotMoveCursor"]) == ("1", "0", "1")
                file = base64.b64decode(content, validate=True)
                assert len(file) == int(keys["size"])
                self._draw(file, Region(column, row, int(keys["width"]), int(keys["height"])))

    def _draw(self, file: bytes, region: Region) -> None:
        assert region.bottom < SCREEN.height, "after a picture in the last line the terminal scrolls"
        with Image.open(io.BytesIO(file)) as image:
            assert image.format == "PNG"
            pixels = np.asarray(image.convert("RGB"))
        self.images.append(pixels)
        self.at(region)[:] = nearest(pixels, region.width * CELL[0], region.height * CELL[1])

    def at(self, region: Region) -> np.ndarray:
        return self.canvas[region.y * CELL[1] : region.bottom * CELL[1], region.x * CELL[0] : region.right * CELL[0]]


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Of the real game, a second apart."""
    seen = []
    with open_emulator("1-1") as emulator:
        for number in range(121):
            if number % 60 == 0:
                seen.append(emulator.screen)
            emulator.frame(129 if number % 40 < 20 else 128)
    return seen


# what is written


def test_every_pixel_of_the_game_arrives_and_fills_its_cells(frames: list[np.ndarray]) -> None:
    terminal = ItermTerminal()
    shown = ItermGraphics(terminal).new_picture()
    there = place(64, 26)
    for number, frame in enumerate(frames):
        assert shown.show(frame, there)
        assert np.array_equal(terminal.images[number], frame)
        assert np.array_equal(terminal.at(there.region), nearest(frame, 64 * CELL[0], 26 * CELL[1]))
        assert len(terminal.written[number]) < 8_000, "in few colours"
    terminal.at(there.region)[:] = UNSEEN
    assert (terminal.canvas == UNSEEN).all()
    assert all(data.startswith("\x1b[?2026h\x1b7") and data.endswith("\x1b8\x1b[?2026l") for data in terminal.written)


def test_the_bytes_are_those_of_the_protocol() -> None:
    frame = np.zeros((2, 2, 3), np.uint8)
    frame[0, 0] = 255, 0, 51
    terminal = ItermTerminal()
    ItermGraphics(terminal).new_picture().show(frame, place(4, 2, x=9, y=5))
    file = png(frame)
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    assert terminal.written == [
        "\x1b[?2026h\x1b7\x1b[6;10H"
        f"\x1b]1337;File=inline=1;size={len(file)};width=4;height=2;preserveAspectRatio=0;doNotMoveCursor=1:"
        f"{base64.b64encode(file).decode()}\x07\x1b8\x1b[?2026l"
    ]


def test_what_covers_it_is_left_alone(frames: list[np.ndarray]) -> None:
    terminal = ItermTerminal()
    holes = (Region(10, 5, 8, 3), Region(0, 0, 4, 6), Region(30, 16, 20, 9))
    there = place(holes=holes)
    ItermGraphics(terminal).new_picture().show(frames[0], there)
    seen = np.zeros((SCREEN.height, SCREEN.width), bool)
    seen[3:18, 2:34] = True
    for hole in holes:
        seen[hole.y : hole.bottom, hole.x : hole.right] = False
    expected = np.full_like(terminal.canvas, UNSEEN)
    expected[3 * 16 : 18 * 16, 2 * 8 : 34 * 8] = frames[0]  # a cell has 8x16 of its 256x240 pixels
    expected[~np.kron(seen, np.ones((16, 8), bool))] = UNSEEN
    assert np.array_equal(terminal.canvas, expected)


def test_the_last_line_of_the_screen_stays_free(frames: list[np.ndarray]) -> None:
    terminal = ItermTerminal()
    there = place(32, 15, y=15)
    ItermGraphics(terminal).new_picture().show(frames[0], there)
    assert (terminal.at(Region(0, 29, 80, 1)) == UNSEEN).all()
    assert np.array_equal(terminal.at(Region(2, 15, 32, 14)), frames[0][: 14 * 16])


def test_a_picture_that_is_covered_altogether_writes_nothing(frames: list[np.ndarray]) -> None:
    terminal = ItermTerminal()
    assert ItermGraphics(terminal).new_picture().show(frames[0], place(holes=(Region(0, 0, 80, 30),)))
    assert terminal.written == []


def test_what_is_there_is_not_sent_again_unless_it_was_written_over(frames: list[np.ndarray]) -> None:
    terminal = ItermTerminal()
    shown = ItermGraphics(terminal).new_picture()
    for _ in range(3):
        assert shown.show(frames[0].copy(), place())
    assert len(terminal.written) == 1
    shown.was_written_over()
    shown.show(frames[0], place())
    assert terminal.written[1] == terminal.written[0]
    shown.show(frames[0], place(x=5))
    assert np.array_equal(terminal.at(place(x=5).region), frames[0])


def test_a_busy_terminal_is_given_nothing_and_removal_writes_nothing(frames: list[np.ndarray]) -> None:
    terminal = ItermTerminal()
    terminal.is_busy = True
    graphics = ItermGraphics(terminal)
    shown = graphics.new_picture()
    assert not shown.show(frames[0], place())
    assert terminal.written == []
    terminal.is_busy = False
    assert shown.show(frames[0], place())
    shown.remove()
    shown.remove()
    assert len(terminal.written) == 1, "whoever removes it writes the cells"
    assert shown.show(frames[0], place())
    graphics.remove_all()
    assert shown.show(frames[0], place())
    assert len(terminal.written) == 3, "after it was removed it is drawn again"


def test_frames_of_more_colours_and_larger_ones_come_as_near_as_they_can() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 256, 3), np.uint8)
    with Image.open(io.BytesIO(png(noise))) as image:
        assert image.mode == "P"
        shown = np.asarray(image.convert("RGB"))
    assert np.abs(shown.astype(int) - noise).mean() < 40
    wide = np.zeros((208, 3_248, 3), np.uint8)
    wide[100:140] = 255, 0, 51
    terminal = ItermTerminal()
    ItermGraphics(terminal).new_picture().show(wide, place(60, 4, holes=(Region(2, 3, 1, 1),)))
    (above, beside) = terminal.images
    assert above.shape == (16, 59 * 8, 3)
    assert beside.shape == (48, 60 * 8, 3)
    assert (beside == (255, 0, 51)).all(axis=2).any(axis=0).all(), "without gaps"


def test_without_a_cell_size_it_is_guessed(frames: list[np.ndarray]) -> None:
    terminal = ItermTerminal(None)
    assert ItermGraphics(terminal).cell_ratio == 2
    ItermGraphics(terminal).new_picture().show(frames[0], place(holes=(Region(2, 3, 32, 1),)))
    assert np.array_equal(terminal.at(place(y=4, rows=14).region), frames[0][16:])


# which parts are seen


REGION = st.builds(Region, st.integers(0, 11), st.integers(0, 8), st.integers(1, 8), st.integers(1, 6))


@given(REGION, st.lists(REGION, max_size=4), st.booleans(), st.data())
def test_the_parts_of_a_place_are_its_cells_without_those_that_are_covered(
    region: Region, holes: list[Region], has_rows: bool, data: st.DataObject
) -> None:
    screen = Size(20, 14)
    rows = np.array(data.draw(st.lists(st.booleans(), min_size=region.height, max_size=region.height)), bool)
    parts = list(seen_parts(Place(region, tuple(holes), screen), rows if has_rows else None))
    found = [(x, y) for part in parts for y in range(part.y, part.bottom) for x in range(part.x, part.right)]
    expected = {
        (x, y)
        for y in range(region.y, min(region.bottom, screen.height - 1))
        for x in range(region.x, region.right)
        if not any(hole.contains(x, y) for hole in holes) and (rows[y - region.y] or not has_rows)
    }
    assert len(found) == len(set(found)), "no cell twice"
    assert set(found) == expected
    if not holes and not has_rows and region.bottom < screen.height:
        assert parts == [region]


# where it is used

SAYS_ITERM = Abilities(sixel=True, name="iTerm2 3.5.4")


@pytest.mark.parametrize(
    ("environment", "abilities", "kind"),
    [
        ({"TERM_PROGRAM": "iTerm.app"}, SAYS_ITERM, "iterm"),
        ({}, SAYS_ITERM, "iterm"),  # over ssh
        ({"TERM_PROGRAM": "iTerm.app", "LC_TERMINAL": "iTerm2"}, Abilities(sixel=True), "iterm"),
        ({"LC_TERMINAL": "iTerm2", "SSH_CONNECTION": "a b"}, Abilities(), "iterm"),
        ({"TERM_PROGRAM": "vscode", "LC_TERMINAL": "iTerm2"}, Abilities(sixel=True), "sixel"),
        ({"TERM_PROGRAM": "iTerm.app"}, Abilities(sixel=True, name="WezTerm 20240203"), "sixel"),
        ({"TERM_PROGRAM": "iTerm.app"}, Abilities(name="alacritty"), "characters"),
        ({"TERM_PROGRAM": "WezTerm"}, Abilities(sixel=True, name="WezTerm 20240203"), "sixel"),
        ({"TERM": "xterm-kitty", "TERM_PROGRAM": "iTerm.app"}, Abilities(), "kitty"),
        ({"TMUX": "x", "TERM_PROGRAM": "tmux", "LC_TERMINAL": "iTerm2"}, Abilities(name="tmux 3.5"), "characters"),
        ({"STY": "1", "TERM_PROGRAM": "iTerm.app"}, Abilities(sixel=True), "sixel"),
        ({"TERM_PROGRAM": "Apple_Terminal"}, Abilities(), "characters"),
    ],
)
def test_it_is_used_in_iterm2_and_nowhere_else(environment: dict[str, str], abilities: Abilities, kind: str) -> None:
    assert kind_of("auto", environment, abilities) == kind
    assert kind_of("iterm", environment, abilities) == "iterm"
    assert kind_of("sixel", environment, abilities) == "sixel"
    assert kind_of("quadrants", environment, abilities) == "characters"


def test_the_terminal_is_asked_for_the_size_of_its_cells() -> None:
    assert should_ask("iterm", {"TERM": "xterm-kitty"})


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (b"\x1bP>|iTerm2 3.5.4\x1b\\\x1b[6;16;8t\x1b[?62;4c", "iTerm2 3.5.4"),
        (b"\x1bP>|XTerm(378)\x1b\\\x1b[?64;4c", "XTerm(378)"),
        (b"\x1bP>|\xff\x1b\\\x1b[?64c", "\ufffd"),
        (b"\x1b[?62;4c", ""),
        (b"\x1bP>|iTerm2 3.5.4", ""),  # no answer to what each one answers
    ],
)
def test_its_name_is_understood(answer: bytes, name: str) -> None:
    assert Abilities.of_answer(answer).name == name


# the view


class ViewApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.terminal = ItermTerminal()
        self.view = GameView(graphics=ItermGraphics(self.terminal))

    def compose(self) -> ComposeResult:
        yield self.view

    def has_characters(self) -> bool:
        glyphs = set(QUADRANTS.glyphs.strip())
        return any(not glyphs.isdisjoint(strip.text) for strip in self.screen._compositor.render_strips())


async def test_a_view_draws_it_again_after_its_cells_were_written() -> None:
    app = ViewApp()
    async with app.run_test(size=(80, 30), notifications=True) as pilot:
        app.view.frame = picture()
        await until(pilot, lambda: len(app.terminal.images) >= 1)
        await pilot.pause()
        assert not app.has_characters()
        app.push_screen(Screen())
        await pilot.pause()
        count = len(app.terminal.written)
        app.view.frame = picture(50)
        await pilot.pause()
        assert len(app.terminal.written) == count, "another screen is on top"
        app.pop_screen()
        await until(pilot, lambda: len(app.terminal.written) > count)
        await pilot.pause()
        app.terminal.canvas[:] = UNSEEN
        app.notify("read me", timeout=60)

        def drawn() -> np.ndarray:
            cells = app.terminal.canvas.reshape(30, 16, 80, 8, 3)
            return ~(cells == UNSEEN).all(axis=(1, 3, 4))

        await until(pilot, lambda: bool(drawn().any()))
        await until(pilot, lambda: bool(app.view._place and app.view._place.holes))
        app.terminal.canvas[:] = UNSEEN
        app.view.frame = picture(60)
        await until(pilot, lambda: bool(drawn().any()))
        toast = app.screen.query_one("Toast").region
        assert not drawn()[toast.y : toast.bottom, toast.x : toast.right].any()
        assert drawn()[: toast.y].any()
