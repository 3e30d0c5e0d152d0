"""Small pictures of the stages, drawn with half blocks; docs/make_stage_pictures.py makes their file."""

from __future__ import annotations

import functools
from pathlib import Path

from PIL import Image
from textual.content import Content

FILE = Path(__file__).with_name("stage_pictures.png")
COLUMNS = 4
SIZE = (64, 52)
"""Width and height of each in the file, pixels."""


@functools.cache
def _atlas() -> Image.Image:
    with Image.open(FILE) as file:
        return file.convert("RGB")


@functools.cache
def stage_picture(number: int, lines: int) -> tuple[Content, ...]:
    """The picture of a stage by its number, 0 to 31, in so many lines of text; each is `picture_width(lines)` wide."""
    width, height = SIZE
    left, top = number % COLUMNS * width, number // COLUMNS * height
    part = _atlas().crop((left, top, left + width, top + height))
    pixels = part.resize((picture_width(lines), 2 * lines), Image.Resampling.BOX).load()
    assert pixels is not None

    def colour(x: int, y: int) -> str:
        red, green, blue = pixels[x, y]  # type: ignore[misc]
        return f"#{red:02x}{green:02x}{blue:02x}"

    return tuple(
        Content.assemble(
            *(("▀", f"{colour(x, 2 * line)} on {colour(x, 2 * line + 1)}") for x in range(picture_width(lines)))
        )
        for line in range(lines)
    )


def picture_width(lines: int) -> int:
    """How many characters wide a picture of so many lines is."""
    return round(2 * lines * SIZE[0] / SIZE[1])
