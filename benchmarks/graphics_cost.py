"""What a frame of the game costs in a terminal: half blocks, kitty's pictures, sixels.

python benchmarks/graphics_cost.py

Each of some hundred frames of 1-1 is shown at the size that it has in a terminal of 80 by 24 cells of 8 by 16 pixels,
and of 160 by 50: milliseconds of processor time until it is written, and bytes. The game scrolls: most of each frame
is new. No terminal draws it here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from textual.geometry import Region, Size

from mario_tui.game.action_log import ActionLog
from mario_tui.game.replaying import play_log
from mario_tui.store.shipped import WAYS
from mario_tui.tui.graphics import Graphics, Place
from mario_tui.tui.kitty_graphics import KittyGraphics
from mario_tui.tui.sixel_graphics import SixelGraphics
from mario_tui.tui.widgets.game_view import _make_segment, _Picture, _segments, fitted_cells

FRAMES = 240
SIZES = {"80x24": (40, 21), "160x50": (80, 46)}
"""A terminal, and the cells that Watch has for the game in it."""


class Nowhere:
    """Counts what it is given."""

    is_busy = False
    cell_pixels: tuple[float, float] | None = (8, 16)

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: str) -> None:
        self.bytes += len(data)


def half_blocks(width: int, height: int, out: Nowhere) -> Callable[[np.ndarray], None]:
    before: list[np.ndarray | None] = [None]

    def show(frame: np.ndarray) -> None:
        picture = _Picture(frame, width, height)
        for row, runs in enumerate(picture.runs):
            if before[0] is None or (before[0][row] != picture.cells[row]).any():
                segments = [_segments.get(run) or _make_segment(run) for run in runs]
                out.write("".join(segment.style.render(segment.text) for segment in segments if segment.style))
        before[0] = picture.cells

    return show


def pictures(graphics: Graphics, width: int, height: int) -> Callable[[np.ndarray], None]:
    columns, rows = fitted_cells(256, 240, width, height, graphics.cell_ratio)
    picture = graphics.new_picture()
    place = Place(Region(0, 1, columns, rows), (), Size(2 * width, height + 3))

    def show(frame: np.ndarray) -> None:
        picture.show(frame, place)

    return show


def main() -> None:
    steps = play_log(ActionLog.load(WAYS / "1-1.json"))
    frames = [frame for step in steps for frame in step.frames][:FRAMES]
    print(f"{len(frames)} frames\n\n| terminal | how | ms a frame | KB a frame |\n| --- | --- | --- | --- |")
    for name, (width, height) in SIZES.items():
        for how in ("half blocks", "kitty", "sixel"):
            out = Nowhere()
            show = (
                half_blocks(width, height, out)
                if how == "half blocks"
                else pictures(KittyGraphics(out) if how == "kitty" else SixelGraphics(out), width, height)
            )
            for frame in frames[:20]:
                show(frame)
            out.bytes = 0
            began = time.process_time()
            for frame in frames[20:]:
                show(frame)
            taken = time.process_time() - began
            count = len(frames) - 20
            print(f"| {name} | {how} | {1000 * taken / count:.1f} | {out.bytes / count / 1000:.1f} |")


if __name__ == "__main__":
    main()
