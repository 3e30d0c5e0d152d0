"""Mario's pixels in pictures of the real game."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.game.view import View, sprite_tiles, view_of
from mario_tui.play.sprites import Sight, SpriteFinder, on_screen

LOGS = Path(__file__).parents[1] / "game" / "logs"
SKY = (104, 136, 252)

_STATUS, _SIZE = 0x0756, 0x0754  # in the NES's memory
BIG, FIRE = 1, 2


def played(name: str, *, status: int = 0, from_frame: int = 0) -> Iterator[tuple[np.ndarray, View | None, Emulator]]:
    """The pictures of a log's episode; from a frame on Mario is big, or has fire, as after a mushroom or a flower."""
    log = ActionLog.load(LOGS / f"{name}.json")
    with open_emulator(log.stage) as emulator:
        for frame in range(log.frames):
            if status and frame == from_frame:
                memory = emulator._environment.ram  # type: ignore
                memory[_STATUS], memory[_SIZE] = status, 0
            before = emulator.ram
            emulator.frame(log.buttons[frame // log.frame_skip])
            yield emulator.screen, view_of(before, emulator.ram), emulator
            if emulator.done:
                return


def is_exact(picture: np.ndarray, view: View, sight: Sight) -> bool:
    place = on_screen(sight, view)
    if place is None:
        return False
    rows, columns, sprite_rows, sprite_columns = place
    mask = sight.sprite.mask[sprite_rows, sprite_columns]
    return bool((picture[rows, columns] == sight.sprite.pixels[sprite_rows, sprite_columns]).all(axis=2)[mask].all())


def test_tiles_have_transparent_pixels_and_three_colours() -> None:
    tiles = sprite_tiles()
    assert (tiles.shape, tiles.dtype, int(np.max(tiles))) == ((256, 8, 8), np.uint8, 3)
    assert not tiles[0xFC].any(), "the tile that small Mario has over his head is empty"


def test_mario_is_found_in_every_picture_with_exactly_his_pixels() -> None:
    finder, sprites, sizes = SpriteFinder(), set(), []
    for picture, view, emulator in played("1-1-clear"):
        assert view is not None
        sight = finder.find(picture, view)
        assert sight is not None
        assert is_exact(picture, view, sight)
        assert abs(sight.x - emulator.x_position) <= 8
        colours = set(map(tuple, sight.sprite.pixels[sight.sprite.mask].tolist()))
        assert len(colours) <= 3
        assert SKY not in colours, "no sky around him"
        sprites.add(sight.sprite)
        sizes.append(int(sight.sprite.mask.sum()))
    assert len(sizes) > 1000
    assert len(sprites) < 40, "a look that comes back is one object"
    assert 80 < min(sizes) <= max(sizes) < 256


@pytest.mark.parametrize(("status", "from_frame"), [(BIG, 30), (FIRE, 440)])
def test_big_mario_is_found_whole(status: int, from_frame: int) -> None:
    finder, exact, heights, colours = SpriteFinder(), 0, [], set()
    for number, (picture, view, emulator) in enumerate(played("1-1-pipe", status=status, from_frame=from_frame)):
        sight = finder.find(picture, view)
        if number <= from_frame + 1 or emulator.status == "small":
            continue
        assert view is None or sight is not None
        if view is not None and sight is not None:
            exact += is_exact(picture, view, sight)
            heights.append(sight.sprite.mask.shape[0])
            colours |= {tuple(colour) for colour in sight.sprite.pixels[sight.sprite.mask].tolist()}
    assert exact == len(heights) > 150
    assert heights.count(32) > 0.9 * len(heights)
    light = any(min(colour) > 140 for colour in colours)
    assert light == (status == FIRE), "behind the pipe he has the colours of fire"


def test_nobody_is_found_where_the_game_went_to_another_area() -> None:
    views = [view for _, view, _ in played("1-1-pipe")]
    areas = [view.area for view in views if view is not None]
    assert views.count(None) == 1
    assert len(set(areas)) == 2
    assert areas == sorted(areas), "one change, from the first to the second"


def test_nobody_is_found_in_a_picture_without_him() -> None:
    picture, view, _ = next(played("1-1-clear"))
    assert SpriteFinder().find(picture, view) is not None
    assert SpriteFinder().find(np.full_like(picture, SKY), view) is None
    assert SpriteFinder().find(picture, None) is None
