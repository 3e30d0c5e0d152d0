"""Pictures as sixels: what is written is drawn again here and compared with the frame; test_kitty_graphics.py has the
views, and a real xterm."""

import os
import pty
import re
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from textual.geometry import Region, Size

from mario_tui.game.emulator import open_emulator
from mario_tui.tui import graphics
from mario_tui.tui.graphics import Abilities, Place, ask_terminal, should_ask
from mario_tui.tui.sixel_graphics import SixelGraphics, in_few_colours

SCREEN = Size(80, 30)
CELL = (8, 16)
UNSEEN = (1, 2, 3)
"""The colour of a canvas where nothing was drawn."""


def place(columns: int = 32, rows: int = 15, *, x: int = 2, y: int = 3, holes: tuple[Region, ...] = ()) -> Place:
    return Place(Region(x, y, columns, rows), holes, SCREEN)


class SixelTerminal:
    """Draws the sixels that it is given on a canvas of pixels, as xterm does."""

    def __init__(self, cell: tuple[int, int] | None = CELL) -> None:
        self.is_busy = False
        self.cell_pixels: tuple[float, float] | None = cell
        self.canvas = np.full((SCREEN.height * CELL[1], SCREEN.width * CELL[0], 3), UNSEEN, np.uint8)
        self.written: list[str] = []

    def write(self, data: str) -> None:
        self.written.append(data)
        parts = re.compile(r"\x1b\[(\d+);(\d+)H|\x1bP0;1;0q([^\x1b]*)\x1b\\|\x1b[78]|\x1b\[\?2026[hl]|(.)")
        x = y = 0
        for match in parts.finditer(data):
            row, column, sixels, stray = match.groups()
            assert stray is None, f"{data[match.start() : match.start() + 20]!r} would be seen as text"
            if row is not None:
                x, y = (int(column) - 1) * CELL[0], (int(row) - 1) * CELL[1]
            if sixels is not None:
                self._draw(sixels, x, y)

    def _draw(self, sixels: str, left: int, top: int) -> None:
        colours: dict[int, tuple[int, int, int]] = {}
        x, y, colour = left, top, UNSEEN
        raster = re.match(r'"1;1;(\d+);(\d+)', sixels)
        assert raster is not None
        width, height = int(raster[1]), int(raster[2])
        token = re.compile(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|(\$)|(-)|(.)")
        for number, red, green, blue, chosen, count, repeated, one, home, down, stray in token.findall(
            sixels[raster.end() :]
        ):
            assert not stray, stray
            if number:
                colours[int(number)] = tuple(round(int(part) * 255 / 100) for part in (red, green, blue))  # type: ignore[assignment]
            elif chosen:
                colour = colours[int(chosen)]
            elif home:
                x = left
            elif down:
                x, y = left, y + 6
            else:
                bits, length = ord(repeated or one) - 0x3F, int(count or 1)
                for bit in range(6):
                    if bits >> bit & 1:
                        assert y + bit < top + height, "below the picture"
                        self.canvas[y + bit, x : x + length] = colour
                x += length
                assert x <= left + width, "beyond the picture"
        assert len(colours) <= 256

    def at(self, region: Region) -> np.ndarray:
        return self.canvas[region.y * CELL[1] : region.bottom * CELL[1], region.x * CELL[0] : region.right * CELL[0]]


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Of the real game, a second apart."""
    seen = []
    with open_emulator("1-1") as emulator:
        for number in range(181):
            if number % 60 == 0:
                seen.append(emulator.screen)
            emulator.frame(129 if number % 40 < 20 else 128)
    return seen


def in_percent(frame: np.ndarray) -> np.ndarray:
    """The colours that sixels have."""
    return np.rint(np.rint(frame.astype(float) * 100 / 255) * 255 / 100).astype(np.uint8)


def scaled(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    rows, columns = np.arange(height) * frame.shape[0] // height, np.arange(width) * frame.shape[1] // width
    return frame[rows][:, columns]


@pytest.mark.parametrize(("columns", "rows"), [(32, 15), (33, 16), (64, 26), (50, 20)])
def test_a_frame_of_the_game_is_drawn_pixel_by_pixel(columns: int, rows: int, frames: list[np.ndarray]) -> None:
    terminal = SixelTerminal()
    there = place(columns, rows)
    for frame in frames:
        assert SixelGraphics(terminal).new_picture().show(frame, there)
        expected = in_percent(scaled(frame, columns * CELL[0], rows * CELL[1]))
        assert np.array_equal(terminal.at(there.region), expected)
    outside = terminal.canvas.copy()
    outside[there.region.y * 16 : there.region.bottom * 16, there.region.x * 8 : there.region.right * 8] = UNSEEN
    assert (outside == UNSEEN).all()


def test_a_frame_is_small(frames: list[np.ndarray]) -> None:
    terminal = SixelTerminal()
    SixelGraphics(terminal).new_picture().show(frames[-1], place())
    assert len(terminal.written[0]) < 12_000


def test_only_what_changed_is_sent_and_the_result_is_the_same(frames: list[np.ndarray]) -> None:
    terminal = SixelTerminal()
    shown = SixelGraphics(terminal).new_picture()
    shown.show(frames[0], place(64, 26))
    changed = frames[0].copy()
    changed[100:110, 50:60] = 255, 0, 51
    shown.show(changed, place(64, 26))
    assert len(terminal.written[1]) < 0.2 * len(terminal.written[0])
    assert np.array_equal(terminal.at(place(64, 26).region), in_percent(scaled(changed, 512, 416)))
    shown.show(changed.copy(), place(64, 26))
    assert len(terminal.written) == 2, "nothing changed"
    shown.was_written_over()
    shown.show(changed, place(64, 26))
    assert len(terminal.written[2]) > 0.9 * len(terminal.written[0])
    shown.show(changed, place(64, 26, x=5))
    assert np.array_equal(terminal.at(place(64, 26, x=5).region), in_percent(scaled(changed, 512, 416)))


def test_what_covers_it_is_left_alone(frames: list[np.ndarray]) -> None:
    terminal = SixelTerminal()
    holes = (Region(10, 5, 8, 3), Region(0, 0, 4, 6), Region(30, 16, 20, 9))
    there = place(holes=holes)
    SixelGraphics(terminal).new_picture().show(frames[0], there)
    expected = in_percent(scaled(frames[0], 256, 240))
    seen = np.ones((SCREEN.height, SCREEN.width), bool)
    for hole in holes:
        seen[hole.y : hole.bottom, hole.x : hole.right] = False
        covered = terminal.at(hole.intersection(there.region))
        assert (covered == UNSEEN).all()
    visible = np.kron(seen[3:18, 2:34], np.ones((16, 8), bool))
    assert np.array_equal(terminal.at(there.region)[visible], expected[visible])


def test_the_last_line_of_the_screen_stays_free_as_it_would_scroll(frames: list[np.ndarray]) -> None:
    terminal = SixelTerminal()
    there = place(32, 15, y=15)
    SixelGraphics(terminal).new_picture().show(frames[0], there)
    assert (terminal.at(Region(0, 29, 80, 1)) == UNSEEN).all()
    assert not (terminal.at(Region(2, 28, 32, 1)) == UNSEEN).all()


def test_a_busy_terminal_is_given_nothing(frames: list[np.ndarray]) -> None:
    terminal = SixelTerminal()
    terminal.is_busy = True
    shown = SixelGraphics(terminal).new_picture()
    assert not shown.show(frames[0], place())
    assert terminal.written == []
    terminal.is_busy = False
    assert shown.show(frames[0], place())
    shown.remove()
    shown.remove()
    assert len(terminal.written) == 1, "whoever removes it writes the cells"


def test_more_colours_than_there_are_registers_become_the_nearest() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 256, 3), np.uint8)
    colours, numbers = in_few_colours(noise, 64)
    assert len(colours) <= 64 > np.max(numbers)
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    colours, numbers = in_few_colours(np.repeat(grey, 240, axis=0), 256)
    assert np.array_equal(colours[numbers][:1], grey), "256 are no loss"
    terminal = SixelTerminal()
    SixelGraphics(terminal, 16).new_picture().show(noise, place())
    assert not (terminal.at(place().region) == UNSEEN).all(axis=2).any()


def test_a_frame_that_is_too_large_is_made_smaller_without_gaps() -> None:
    terminal = SixelTerminal()
    wide = np.zeros((208, 3_248, 3), np.uint8)
    wide[100:140] = 255, 0, 51
    SixelGraphics(terminal).new_picture().show(wide, place(60, 4))
    drawn = terminal.at(place(60, 4).region)
    assert not (drawn == UNSEEN).all(axis=2).any()
    assert (drawn == (255, 0, 51)).all(axis=2).any()


def test_without_a_cell_size_it_is_guessed(frames: list[np.ndarray]) -> None:
    terminal = SixelTerminal(None)
    assert SixelGraphics(terminal).cell_ratio == 2
    assert SixelGraphics(terminal).new_picture().show(frames[0], place())
    assert np.array_equal(terminal.at(place().region), in_percent(scaled(frames[0], 256, 240)))


# what the terminal says

XTERM = b"\x1b[6;16;8t\x1b[?1;0;256S\x1b[?63;1;2;3;4;6;8;9;15;22c"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (XTERM, Abilities(True, 256, (8, 16))),
        (b"\x1b[?62;4;22;28;52c", Abilities(True)),  # foot, but for what else it says
        (b"\x1b[?64;1;2;6;9;15;18;21;22c", Abilities(False)),
        (b"\x1b[?1;2c", Abilities(False)),
        (b"\x1b[?4c", Abilities(False)),  # a VT132: the first number is what it is
        (b"\x1b[6;0;0t\x1b[?1;0;4S\x1b[?62;4c", Abilities(True, 16, None)),
        (b"\x1b[?1;0;1024S\x1b[?62;4c", Abilities(True, 256)),
        (b"\x1b[?1;3;0S\x1b[?65;4c", Abilities(True)),  # it has no registers to set
        (b"", Abilities()),
        (b"ls -l\x1b[6;16;8t", Abilities()),
        (b"\x1b[?99999999999999999999;4", Abilities()),
    ],
)
def test_an_answer_is_understood(answer: bytes, expected: Abilities) -> None:
    assert Abilities.of_answer(answer) == expected


@pytest.mark.parametrize(
    ("choice", "environment", "asks"),
    [
        ("auto", {"TERM": "xterm-256color"}, True),
        ("auto", {"TERM": "xterm-kitty"}, False),
        ("auto", {"TERM": "xterm-kitty", "TMUX": "1"}, True),
        ("sixel", {"TERM": "xterm-kitty"}, True),
        ("kitty", {"TERM": "xterm"}, False),
        ("blocks", {"TERM": "xterm"}, False),
    ],
)
def test_it_is_asked_only_where_that_matters(choice: str, environment: dict[str, str], asks: bool) -> None:
    assert should_ask(choice, environment) == asks


def asked(answer: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> tuple[Abilities, float, bytes]:
    """What is found out from a terminal that answers so, how long it took, and what it was asked."""
    master, slave = pty.openpty()
    heard = b""

    def terminal() -> None:
        nonlocal heard
        while not heard.endswith(b"c"):
            heard += os.read(master, 1024)
        if reply := answer(heard):
            os.write(master, reply)

    thread = threading.Thread(target=terminal, daemon=True)
    thread.start()
    began = time.monotonic()
    with os.fdopen(slave, "r+b", buffering=0) as file:
        monkeypatch.setattr(sys, "stdin", file)
        monkeypatch.setattr(sys, "stderr", file)
        try:
            found = ask_terminal()
        finally:
            monkeypatch.undo()
            thread.join(60)
    os.close(master)
    return found, time.monotonic() - began, heard


def test_a_terminal_is_asked_once_and_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, heard = asked(lambda _: XTERM, monkeypatch)
    assert found == Abilities(True, 256, (8, 16))
    assert heard == b"\x1b[>q\x1b[16t\x1b[?1;3;256S\x1b[c"


def test_one_that_says_nothing_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphics, "ANSWER_SECONDS", 0.05)
    found, _, heard = asked(lambda _: b"", monkeypatch)
    assert found == Abilities()
    assert heard


def test_where_there_is_no_terminal_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert ask_terminal() == Abilities()
