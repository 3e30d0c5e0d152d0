"""The panel under a recorded game."""

import math

import numpy as np
import pytest

from mario_tui.buttons import DOWN, LEFT, RIGHT, SELECT, START, UP, A, B, action_names
from mario_tui.video.overlay import (
    BAR_LEFT,
    BUTTON_BOXES,
    GOLD,
    HEADER_HEIGHT,
    LIT,
    ROW_HEIGHT,
    UNLIT,
    draw_overlay,
    label,
)

FRAME = np.random.default_rng(0).integers(0, 256, (240, 256, 3), np.uint8)


def draw(
    buttons: int = 0,
    q_values: tuple[float, ...] = (1.0, 2.0),
    names: tuple[str, ...] = ("right", "right+A"),
    **values: float,
) -> np.ndarray:
    numbers = {"reward": 0.0, "total_reward": 0.0, "x": 40, "step": 1} | values
    return draw_overlay(
        FRAME,
        buttons=buttons,
        q_values=q_values,
        action_names=names,
        stage="1-1",
        **numbers,  # type: ignore[arg-type]
    )


def centre(panel: np.ndarray, button: int) -> tuple[int, ...]:
    left, top, right, bottom = BUTTON_BOXES[button]
    return tuple(panel[(top + bottom) // 2, (left + right) // 2].tolist())


def bar_lengths(picture: np.ndarray, actions: int) -> list[int]:
    rows = picture[[240 + HEADER_HEIGHT + 8 + row * ROW_HEIGHT for row in range(actions)], BAR_LEFT:212]
    return (rows != picture[-1, -1]).any(axis=2).sum(axis=1).tolist()


@pytest.mark.parametrize("action_set", ["tutorial", "right_only", "simple", "complex"])
def test_the_game_stays_and_the_size_is_even_and_the_same_for_a_whole_video(action_set: str) -> None:
    names = action_names(action_set)
    values = tuple(float(number) for number in range(len(names)))
    pictures = [
        draw(names=names, q_values=()),
        draw(names=names, q_values=values),
        draw(names=names, q_values=values, buttons=255, reward=-60, total_reward=-12345, x=99999, step=99999),
    ]
    assert len({picture.shape for picture in pictures}) == 1
    height, width, _ = pictures[0].shape
    assert (width, height % 2) == (256, 0)
    assert height > 240
    assert pictures[0].dtype == np.uint8
    for picture in pictures:
        assert np.array_equal(picture[:240], FRAME)


@pytest.mark.parametrize("pressed", [0, A, B, SELECT, START, UP, DOWN, LEFT, RIGHT, RIGHT | A | B, 255])
def test_exactly_the_pressed_buttons_are_lit(pressed: int) -> None:
    panel = draw(pressed)[240:]
    assert {button: centre(panel, button) for button in BUTTON_BOXES} == {
        button: LIT if pressed & button else UNLIT for button in BUTTON_BOXES
    }


def test_the_best_action_has_the_longest_bar_in_gold() -> None:
    picture = draw(q_values=(10.0, 40.0, 25.0), names=("a", "b", "c"))
    low, high, middle = bar_lengths(picture, 3)
    assert low < middle < high
    assert middle == pytest.approx((low + high) / 2, abs=1)
    assert tuple(picture[240 + HEADER_HEIGHT + 8 + ROW_HEIGHT, BAR_LEFT + 1].tolist()) == GOLD


def test_values_close_together_have_bars_close_together() -> None:
    lengths = bar_lengths(draw(q_values=(40.0, 40.01), names=("a", "b")), 2)
    assert lengths[0] == pytest.approx(lengths[1], abs=1)


def test_each_number_shows() -> None:
    pictures = [draw(), draw(reward=5), draw(total_reward=5), draw(x=41), draw(step=2), draw(q_values=(1.0, 2.5))]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_values_that_are_no_numbers_do_not_end_a_recording() -> None:
    assert bar_lengths(draw(q_values=(math.nan, math.inf)), 2) == [0, 0]


def test_it_takes_few_colours() -> None:
    picture = draw(255, q_values=(1.0, 2.0))
    assert len(np.unique(picture[240:].reshape(-1, 3), axis=0)) <= 10


def test_a_label_has_a_place_for_letters_that_the_font_does_not_have() -> None:
    assert label("Ж马.chkpt", "x 1").shape == (14, 256, 3)
    assert np.array_equal(label("Ж", "x 1"), label("?", "x 1"))
    assert not np.array_equal(label("é", "x 1"), label("?", "x 1"))
