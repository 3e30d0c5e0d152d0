"""Pictures made of frames: a panel under the game, with the pad and its pressed buttons lit, the agent's Q values,
where it is and what it earned; a line of text above it; several games side by side.

Drawn at the size of the NES screen with few colours and no smoothing, so that it stays sharp when enlarged by whole
numbers and costs a GIF's palette little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mario_tui.buttons import DOWN, LEFT, RIGHT, SELECT, START, UP, A, B

WIDTH = 256
HEADER_HEIGHT = 14
ROW_HEIGHT = 10
PAD_HEIGHT = 64

BACKGROUND = (16, 16, 24)
TEXT = (188, 188, 188)
BRIGHT = (252, 252, 252)
GOLD = (248, 184, 0)
PAD = (60, 60, 68)
UNLIT = (24, 24, 32)
LIT = (228, 0, 88)
BAR = (0, 112, 236)

# Where each button lies on the pad, as left, top, right, bottom within the panel.
BUTTON_BOXES = {
    UP: (20, 22, 27, 29),
    LEFT: (12, 30, 19, 37),
    RIGHT: (28, 30, 35, 37),
    DOWN: (20, 38, 27, 45),
    SELECT: (41, 38, 48, 41),
    START: (51, 38, 58, 41),
    B: (61, 31, 70, 40),
    A: (73, 31, 82, 40),
}
PAD_BOX = (5, 18, 88, 49)

NAME_LEFT = 96
BAR_LEFT, BAR_RIGHT = 152, 212
SHORTEST_BAR = 0.25
SMALLEST_SPAN = 1.0


def draw_overlay(
    frame: np.ndarray,
    *,
    buttons: int,
    q_values: Sequence[float],
    action_names: Sequence[str],
    reward: float,
    total_reward: float,
    x: int,
    stage: str,
    step: int,
) -> np.ndarray:
    """A frame with the panel under it.

    The bars compare the actions of this moment: the best has a full bar, the others are shorter by their distance to
    it, measured against the range of the values or against 1, whichever is more. Zero plays no part, as all values lie
    far from it and close together.

    Args:
        frame: (240, 256, 3) uint8 RGB.
        buttons: the NES button byte that is held.
        q_values: one for each action, or none.
        action_names: of the agent's actions; the panel's height depends on how many there are, and on nothing else.
        reward: of this step.
        total_reward: of the episode so far.
        x: position in pixels.

    Returns (H, 256, 3) uint8 with H even and larger than 240.
    """
    panel = _panel(
        buttons,
        tuple(q_values),
        tuple(action_names),
        (stage, f"x {x}", f"step {step}"),
        (f"reward {reward:+7.0f}", f"return {total_reward:7.0f}"),
    )
    return np.concatenate([frame, panel])


@lru_cache(maxsize=64)
def label(left: str, right: str, *, bright: bool = False) -> np.ndarray:
    """A line of text to stand above a game: (14, 256, 3) uint8."""
    image, font = Image.new("RGB", (WIDTH, HEADER_HEIGHT), BACKGROUND), _font()
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"
    draw.text((4, 2), left.encode("latin-1", "replace").decode("latin-1"), TEXT, font)  # the font has no other letters
    draw.text((WIDTH - 4 - font.getlength(right), 2), right, GOLD if bright else BRIGHT, font)
    return np.asarray(image)


def side_by_side(frames: Sequence[np.ndarray], columns: int = 0, gap: int = 0) -> np.ndarray:
    """Pictures of one size as one picture, in rows and columns, as square as can be; black where none is left.

    `gap`: black pixels between them.
    """
    columns = columns or math.ceil(math.sqrt(len(frames)))
    rows = math.ceil(len(frames) / columns)
    height, width = frames[0].shape[:2]
    wall = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), np.uint8)
    for number, frame in enumerate(frames):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        wall[top : top + height, left : left + width] = frame
    return wall


@lru_cache(maxsize=4)  # the frames of one step share a panel
def _panel(
    buttons: int,
    q_values: tuple[float, ...],
    action_names: tuple[str, ...],
    header: tuple[str, ...],
    account: tuple[str, ...],
) -> np.ndarray:
    image, font = _background(action_names).copy(), _font()
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"
    for left, text in zip((6, NAME_LEFT, BAR_LEFT + 24), header, strict=True):
        draw.text((left, 2), text, BRIGHT, font)
    for row, text in enumerate(account):
        draw.text((6, 53 + row * ROW_HEIGHT), text, TEXT, font)
    for button in BUTTON_BOXES:
        if buttons & button:
            _draw_button(draw, button, LIT)
    if q_values:
        best = max(q_values)
        span = max(best - min(q_values), SMALLEST_SPAN) if all(map(math.isfinite, q_values)) else math.nan
        for row, value in enumerate(q_values):
            top = HEADER_HEIGHT + 3 + row * ROW_HEIGHT
            if math.isfinite(span):
                share = SHORTEST_BAR + (1 - SHORTEST_BAR) * (1 - (best - value) / span)
                right_end = BAR_LEFT + round(share * (BAR_RIGHT - BAR_LEFT))
                draw.rectangle((BAR_LEFT, top + 2, right_end, top + 8), GOLD if value == best else BAR)
            text = f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"
            draw.text((WIDTH - 6 - font.getlength(text), top), text, GOLD if value == best else TEXT, font)
    return np.asarray(image)


@lru_cache(maxsize=4)
def _background(action_names: tuple[str, ...]) -> Image.Image:
    """What stays the same for a whole video."""
    height = HEADER_HEIGHT + max(PAD_HEIGHT, 6 + ROW_HEIGHT * len(action_names))
    image = Image.new("RGB", (WIDTH, height + height % 2), BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"
    draw.rounded_rectangle(PAD_BOX, 3, PAD)
    draw.rectangle((20, 30, 27, 37), UNLIT)
    for button in BUTTON_BOXES:
        _draw_button(draw, button, UNLIT)
    font = _font()
    draw.text((63, 19), "B", TEXT, font)
    draw.text((75, 19), "A", TEXT, font)
    if action_names:
        draw.text((WIDTH - 6 - font.getlength("Q"), 2), "Q", TEXT, font)
    for row, name in enumerate(action_names):
        draw.text((NAME_LEFT, HEADER_HEIGHT + 3 + row * ROW_HEIGHT), name, TEXT, font)
    return image


def _draw_button(draw: ImageDraw.ImageDraw, button: int, colour: tuple[int, int, int]) -> None:
    if button in (A, B):
        draw.ellipse(BUTTON_BOXES[button], colour)
    else:
        draw.rectangle(BUTTON_BOXES[button], colour)


@lru_cache(maxsize=1)
def _font() -> ImageFont.ImageFont:
    """Pillow's own pixel font, 6x11."""
    return ImageFont.load_default_imagefont()
