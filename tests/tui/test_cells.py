"""Pictures out of characters: held against a slow search for the best characters, and drawn again pixel by pixel."""

import unicodedata
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mario_tui.tui.cells import BLOCKS, BY_NAME, QUADRANTS, SEXTANTS, Characters, Drawing, both_colours, divide

ALL = pytest.mark.parametrize("characters", BY_NAME.values(), ids=BY_NAME)

_BLOCK_PARTS = {
    "FULL BLOCK": {0, 1, 2, 3}, "UPPER HALF BLOCK": {0, 1}, "LOWER HALF BLOCK": {2, 3},
    "LEFT HALF BLOCK": {0, 2}, "RIGHT HALF BLOCK": {1, 3}, "SPACE": set(),
}  # fmt: skip
_QUADRANTS = {"UPPER LEFT": 0, "UPPER RIGHT": 1, "LOWER LEFT": 2, "LOWER RIGHT": 3}


def number(pixels: set[int]) -> int:
    return sum(1 << pixel for pixel in pixels)


# the characters


def test_quadrants_are_those_that_unicode_calls_so() -> None:
    for division, glyph in enumerate(QUADRANTS.glyphs):
        name = unicodedata.name(glyph)
        parts = _BLOCK_PARTS.get(name)
        if parts is None:
            parts = {_QUADRANTS[part] for part in name.removeprefix("QUADRANT ").split(" AND ", 3)}
        assert number(parts) == division, name


def test_sextants_are_those_that_unicode_calls_so() -> None:
    halves = {" ": set(), "▌": {0, 2, 4}, "▐": {1, 3, 5}, "█": set(range(6))}
    for division, glyph in enumerate(SEXTANTS.glyphs):
        parts = halves.get(glyph)
        if parts is None:
            name = unicodedata.name(glyph)
            parts = {int(digit) - 1 for digit in name.removeprefix("BLOCK SEXTANT-")}
        assert number(parts) == division, glyph


def test_half_blocks_are_the_halves() -> None:
    assert [unicodedata.name(glyph) for glyph in BLOCKS.glyphs] == [
        "SPACE", "UPPER HALF BLOCK", "LOWER HALF BLOCK", "FULL BLOCK",
    ]  # fmt: skip


# the best of them


def error(pixels: np.ndarray, inside: np.ndarray) -> float:
    """The sum of squared differences of the pixels, (n, 3), from the means of both parts."""
    parts = [part.astype(float) for part in (pixels[inside], pixels[~inside]) if len(part)]
    return sum(float(((part - part.mean(axis=0)) ** 2).sum()) for part in parts)


def least_error(pixels: np.ndarray) -> float:
    return min(error(pixels, np.array(inside)) for inside in product((False, True), repeat=len(pixels)))


def five_bits(colour: np.ndarray) -> tuple[int, ...]:
    return tuple(int(channel) >> 3 << 3 | int(channel) >> 5 for channel in colour)


def check(pixels: np.ndarray, characters: Characters) -> None:
    """That the cells of pixels, (pixels of a cell, rows, columns, 3), are the best ones."""
    divisions, foreground, background = divide(pixels, characters)
    for row, column in np.ndindex(divisions.shape):
        cell = pixels[:, row, column]
        inside = (int(divisions[row, column]) >> np.arange(characters.pixels) & 1).astype(bool)
        fore, back = both_colours(int(foreground[row, column]) << 15 | int(background[row, column]))
        if inside.any():
            assert not inside.all()
            assert error(cell, inside) == pytest.approx(least_error(cell), abs=1e-6)
            assert fore == five_bits(cell[inside].sum(axis=0) // inside.sum())
            assert back == five_bits(cell[~inside].sum(axis=0) // (~inside).sum())
            assert fore > back, "the same two colours are always the same way round"
        else:  # one colour: the parts of the best division do not differ in five bits
            assert fore == back
            spread = cell.max(axis=0) - cell.min(axis=0)
            if spread.any():
                best = min(
                    (np.array(way) for way in product((False, True), repeat=len(cell)) if 0 < sum(way) < len(cell)),
                    key=lambda way: error(cell, way),
                )
                means = [cell[part].mean(axis=0) for part in (best, ~best)]
                assert np.abs(means[0] - means[1]).max() < 9


@ALL
@given(data=st.data())
def test_cells_are_the_best_there_are(characters: Characters, data: st.DataObject) -> None:
    few = st.sampled_from([0, 7, 8, 100, 104, 252, 255])  # equal ones, and ones that five bits make equal
    channel = data.draw(st.sampled_from([few, st.integers(0, 255)]))
    check(data.draw(arrays(np.uint8, (characters.pixels, 2, 3, 3), elements=channel)), characters)


@ALL
def test_so_are_many_at_once(characters: Characters) -> None:
    random = np.random.default_rng(3)
    check(random.integers(0, 256, (characters.pixels, 7, 9, 3)).astype(np.uint8), characters)


@ALL
def test_the_largest_numbers_are_no_overflow(characters: Characters) -> None:
    for division in range(1 << characters.pixels):
        inside = division >> np.arange(characters.pixels) & 1
        cell = np.repeat((255 * inside).astype(np.uint8)[:, None, None, None], 3, axis=3)
        found, foreground, background = divide(cell, characters)
        one_colour = division in (0, (1 << characters.pixels) - 1)
        assert int(found[0, 0]) == (0 if one_colour else division)
        assert int(foreground[0, 0]) == (0x7FFF if division else 0)
        assert int(background[0, 0]) == (0x7FFF if one_colour and division else 0)


def test_parts_that_nobody_can_tell_apart_are_one() -> None:
    cell = np.repeat(np.array([7, 9, 12, 12], np.uint8)[:, None, None, None], 3, axis=3)  # means of 8 and 12
    divisions, foreground, background = divide(cell, QUADRANTS)
    assert int(divisions[0, 0]) == 0
    assert both_colours(int(foreground[0, 0]) << 15 | int(background[0, 0])) == ((8, 8, 8), (8, 8, 8))


# the drawing


def pixels_of(drawing: Drawing, characters: Characters) -> np.ndarray:
    """What a terminal shows for it, a pixel of a cell as one: (rows * down, columns * across, 3)."""
    across, down = characters.across, characters.down
    lines = []
    for row in drawing.rows:
        cells = [(characters.glyphs.index(glyph), *both_colours(colours)) for text, colours in row for glyph in text]
        lines += [
            [
                fore if division >> (y * across + x) & 1 else back
                for division, fore, back in cells
                for x in range(across)
            ]
            for y in range(down)
        ]
    return np.array(lines)


def coarse(random: np.random.Generator, height: int, width: int, colours: int) -> np.ndarray:
    """A picture of some rectangles in few colours."""
    palette = random.integers(0, 256, (colours, 3)).astype(np.uint8)
    frame = np.tile(palette[0], (height, width, 1))
    for _ in range(8):
        (y, y2), (x, x2) = sorted(random.integers(0, height, 2)), sorted(random.integers(0, width, 2))
        frame[y:y2, x:x2] = palette[random.integers(colours)]
    return frame


@ALL
@pytest.mark.parametrize("seed", range(20))
def test_a_picture_with_two_colours_a_cell_loses_nothing(characters: Characters, seed: int) -> None:
    columns, rows = 11, 6
    frame = coarse(np.random.default_rng(seed), rows * characters.down, columns * characters.across, 2)
    drawing = Drawing(frame, columns, rows, characters)
    expected = np.array([[five_bits(pixel) for pixel in line] for line in frame])
    assert np.array_equal(pixels_of(drawing, characters), expected)


@ALL
@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_is_what_each_cell_shows(characters: Characters, seed: int) -> None:
    columns, rows = 13, 5
    random = np.random.default_rng(seed)
    frame = coarse(random, rows * characters.down, columns * characters.across, 4)
    frame[: len(frame) // 2] ^= random.integers(0, 2, (len(frame) // 2, frame.shape[1], 1)).astype(np.uint8) * 60
    drawing = Drawing(frame, columns, rows, characters)
    assert [sum(len(text) for text, _ in row) for row in drawing.rows] == [columns] * rows
    shown = pixels_of(drawing, characters)
    for row, column in np.ndindex(rows, columns):
        number = int(drawing.cells[row, column])
        fore, back = both_colours(number >> characters.pixels)
        for pixel in range(characters.pixels):
            y, x = divmod(pixel, characters.across)
            there = shown[row * characters.down + y, column * characters.across + x]
            assert tuple(there) == (fore if number >> pixel & 1 else back)


def test_neighbours_share_their_colours() -> None:
    """Fewer colours are named: a cell of one colour is written with those of a neighbour that has it behind."""
    red, blue, green = (255, 0, 0), (0, 0, 255), (0, 255, 0)
    frame = np.zeros((2, 12, 3), np.uint8)
    frame[:, :3] = red
    frame[0, 3:5], frame[1, 3:5] = blue, red
    frame[:, 5:8] = blue
    frame[:, 8] = green
    frame[0, 9], frame[1, 9] = red, blue
    frame[:, 10:] = red
    (row,) = Drawing(frame, 12, 1, BLOCKS).rows
    assert [(text, both_colours(number)) for text, number in row] == [
        ("   ", (red, red)),
        ("▄▄   ", (red, blue)),
        (" ", (green, green)),
        ("▀", (red, blue)),
        ("  ", (red, red)),
    ]


def test_nothing_is_shared_across_the_ends_of_rows() -> None:
    red, blue = (255, 0, 0), (0, 0, 255)
    frame = np.zeros((4, 3, 3), np.uint8)
    frame[:] = blue
    frame[2, 0] = frame[1, 2] = red
    first, second = Drawing(frame, 3, 2, BLOCKS).rows
    assert [(text, both_colours(number)) for text, number in first] == [("  ▄", (red, blue))]
    assert [(text, both_colours(number)) for text, number in second] == [("▀  ", (red, blue))]
    frame[1, 2] = blue
    first, second = Drawing(frame, 3, 2, BLOCKS).rows
    assert [(text, both_colours(number)) for text, number in first] == [("   ", (blue, blue))]


@ALL
def test_no_cell_is_a_full_block(characters: Characters) -> None:
    """Fonts have those a little smaller than a cell: lines would be seen in the sky."""
    random = np.random.default_rng(2)
    for _ in range(20):
        frame = coarse(random, 5 * characters.down, 9 * characters.across, 3)
        assert not any("█" in text for row in Drawing(frame, 9, 5, characters).rows for text, _ in row)


def test_equal_cells_have_equal_numbers_and_others_have_not() -> None:
    frame = coarse(np.random.default_rng(1), 24, 32, 3)
    before = Drawing(frame, 16, 12, QUADRANTS).cells
    assert np.array_equal(Drawing(frame.copy(), 16, 12, QUADRANTS).cells, before)
    frame[9, 20] = ~frame[9, 20]
    changed = Drawing(frame, 16, 12, QUADRANTS).cells != before
    assert np.argwhere(changed).tolist() == [[4, 10]]
