"""What a frame of the game costs in a terminal: as characters and as pictures.

python benchmarks/graphics_cost.py

Some hundred frames of 1-1 are shown by the app's own view, at the size that Watch has for it in a terminal of 80 by 24
cells of 8 by 16 pixels, and of 160 by 50, and what is written for each is counted: the processor's milliseconds,
Textual's part included, and bytes in UTF-8. The game scrolls: most of each frame is new. No terminal draws it here. The
ways take turns, a frame each in changing order, and the median of each is taken: what else the machine does hits all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import time
from itertools import pairwise
from typing import Any

import numpy as np
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver

from mario_tui.game.action_log import ActionLog
from mario_tui.game.replaying import play_log
from mario_tui.store.shipped import WAYS
from mario_tui.tui.cells import BY_NAME, QUADRANTS
from mario_tui.tui.graphics import Graphics
from mario_tui.tui.iterm_graphics import ItermGraphics
from mario_tui.tui.kitty_graphics import KittyGraphics
from mario_tui.tui.sixel_graphics import SixelGraphics
from mario_tui.tui.widgets.game_view import GameView

FRAMES = slice(60, 260)
SCROLLING = slice(200, 240)
"""The rows of the ground: where they change, the picture moves."""
WARM_UP = 20
SIZES = {"80x24": (40, 21), "160x50": (80, 46)}
"""A terminal, and the cells that Watch has for the game in it."""
PICTURES: dict[str, Any] = {"kitty": KittyGraphics, "iterm": ItermGraphics, "sixel": SixelGraphics}


class CountingDriver(HeadlessDriver):
    """A terminal that takes everything and draws nothing."""

    is_headless = False  # Textual would not write anything
    is_busy = False
    cell_pixels: tuple[float, float] | None = (8, 16)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.bytes = 0
        self.has_written = asyncio.Event()

    def write(self, data: str) -> None:
        self.bytes += len(data.encode())
        self.has_written.set()


class OneView(App[None]):
    """Nothing but the game."""

    def __init__(self, how: str, size: tuple[int, int]) -> None:
        super().__init__(driver_class=CountingDriver)
        self.how, self.cells = how, size
        self.milliseconds: list[float] = []
        self.kilobytes: list[float] = []
        self.is_ready = asyncio.Event()

    def compose(self) -> ComposeResult:
        graphics: Graphics | None = PICTURES[self.how](self._driver) if self.how in PICTURES else None
        self.view = GameView(graphics=graphics, characters=BY_NAME.get(self.how, QUADRANTS))
        yield self.view

    def on_ready(self) -> None:
        self.is_ready.set()

    async def show(self, frame: np.ndarray) -> None:
        """Shows a frame, and measures until it is written."""
        driver = self._driver
        assert isinstance(driver, CountingDriver)
        before, began = driver.bytes, time.process_time()
        driver.has_written.clear()
        self.view.frame = frame
        await driver.has_written.wait()
        self.milliseconds.append(1000 * (time.process_time() - began))
        self.kilobytes.append((driver.bytes - before) / 1000)


async def measure(frames: list[np.ndarray], size: tuple[int, int]) -> list[OneView]:
    apps = [OneView(how, size) for how in (*BY_NAME, *PICTURES)]
    running = []
    for app in apps:
        running.append(asyncio.create_task(app.run_async(size=size, mouse=False)))
        await app.is_ready.wait()
    for number, frame in enumerate(frames):
        first = number % len(apps)  # whoever comes after the costliest one finds its caches empty
        for app in (*apps[first:], *apps[:first]):
            await app.show(frame)
    for app in apps:
        app.exit()
    await asyncio.gather(*running)
    return apps


def main() -> None:
    os.environ["COLORTERM"] = "truecolor"
    steps = play_log(ActionLog.load(WAYS / "1-1.json"))
    played = [frame for step in steps for frame in step.frames][FRAMES]
    frames = [frame for before, frame in pairwise(played) if (frame[SCROLLING] != before[SCROLLING]).any()]
    print(f"{len(frames) - WARM_UP} frames\n")
    print("| terminal | how | ms a frame | of half blocks | KB a frame | of half blocks |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, size in SIZES.items():
        # each app has put its own in their place, and may have left another's
        with contextlib.redirect_stdout(sys.stdout), contextlib.redirect_stderr(sys.stderr):
            apps = asyncio.run(measure(frames, size))
        measured = [
            (app.how, statistics.median(app.milliseconds[WARM_UP:]), statistics.mean(app.kilobytes[WARM_UP:]))
            for app in apps
        ]
        (_, first_time, first_bytes), *_ = measured
        for how, taken, written in measured:
            print(
                f"| {name} | {how} | {taken:.2f} | {taken / first_time:.2f} | {written:.1f} "
                f"| {written / first_bytes:.2f} |"
            )


if __name__ == "__main__":
    main()
