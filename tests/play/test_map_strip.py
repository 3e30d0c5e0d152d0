"""A stage as a strip: where its episodes ended, and where Mario is."""

import numpy as np
import pytest

from mario_tui import stage_map
from mario_tui.game.stages import STAGES
from mario_tui.play.map_strip import MARIO, dot_of, draw_strip, with_mario
from mario_tui.play.run_map import END_COLOURS, GROUND, MapEpisode
from mario_tui.store.history import EpisodeRecord

LENGTH = 3_248  # of the map of 1-1


def episode(x: int, end: str = "death", *, y: int = 176, area: int = 37, stage: str = "1-1") -> MapEpisode:
    """One that ended there."""
    record = EpisodeRecord(1, 100, 0.1, stage, 10.0, 20, 0.0, 0.0, x, end, 1.0, "training", 0.1)
    return MapEpisode(record, np.array([[x, y, area], [x, y, -1]], np.int16))


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_strip_that_is_its_map_made_small_and_dark(stage: str) -> None:
    strip = draw_strip(stage, [], 60, 8)
    assert strip.shape == (8, 60, 3)
    assert strip.dtype == np.uint8
    whole = stage_map.stage_map(stage).mean(axis=(0, 1))
    assert np.abs(strip.mean(axis=(0, 1)) - GROUND * whole).max() < 2


@pytest.mark.parametrize(("width", "height", "size"), [(60, 8, 1), (41, 4, 1), (512, 64, 8)])
def test_ends_are_dots_in_their_colour_and_the_more_the_brighter(width: int, height: int, size: int) -> None:
    ground = draw_strip("1-1", [], width, height)
    strip = draw_strip("1-1", [episode(600), *[episode(1_600)] * 5, episode(2_600, "clear", y=60)], width, height)
    row, column = dot_of("1-1", (1_600, 176, 37), width, height) or (-1, -1)
    assert column == 1_608 * width // LENGTH // size * size
    assert (strip[row : row + size, column : column + size] == END_COLOURS["death"]).all()
    changed = (strip != ground).any(axis=2)
    assert changed.sum() == 3 * size * size, "and nothing else is"
    red, green, blue = strip[dot_of("1-1", (600, 176, 37), width, height)].tolist()
    assert END_COLOURS["death"][0] > red > max(green, blue)
    red, green, blue = strip[dot_of("1-1", (2_600, 60, 37), width, height)].tolist()
    assert green > max(red, blue)


def test_of_who_fell_the_dot_is_at_the_edge_and_other_stages_and_places_have_none() -> None:
    ground = draw_strip("1-1", [], 60, 8)
    fell = draw_strip("1-1", [episode(1_600, y=300)], 60, 8)
    assert np.argwhere((fell != ground).any(axis=2)).tolist() == [[7, 1_608 * 60 // LENGTH]]
    elsewhere = [episode(1_600, area=66), episode(1_600, stage="1-2")]
    assert np.array_equal(draw_strip("1-1", elsewhere, 60, 8), ground)
    assert dot_of("1-1", (40, 176, -1), 60, 8) is None
    assert dot_of("1-1", None, 60, 8) is None


def test_mario_is_a_bright_mark_that_leaves_the_strip_as_it_was() -> None:
    strip = draw_strip("1-1", [], 60, 8)
    before = strip.copy()
    marked = with_mario(strip, dot_of("1-1", (1_600, 60, 37), 60, 8))
    column = 1_608 * 60 // LENGTH
    row = (60 + stage_map.MIDDLE[1] - stage_map.TOP) * 8 // stage_map.HEIGHT
    assert tuple(marked[row, column]) == MARIO
    assert (marked[:, column].astype(int) > strip[:, column]).all(), "his column is lighter"
    assert np.array_equal(np.delete(marked, column, axis=1), np.delete(strip, column, axis=1))
    assert np.array_equal(strip, before)
    assert with_mario(strip, None) is strip
