"""The stage of a training as a strip under its game: where the last episodes ended, and where Mario is now."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.content import Content

from mario_tui.errors import MarioTuiError
from mario_tui.play.map_strip import dot_of, draw_strip, with_mario
from mario_tui.tui import text
from mario_tui.tui.cells import BLOCKS
from mario_tui.tui.graphics import USUAL_CELL_PIXELS
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.plain_container import PlainContainer
from mario_tui.tui.widgets.words import Words, fitting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mario_tui.play.run_map import MapEpisode, RunMap
    from mario_tui.training.snapshot import TrainingSnapshot
    from mario_tui.tui.graphics import Graphics
    from mario_tui.tui.services import Services

SHOWN = 100
"""Episodes whose ends are shown."""
SHORT_ENDS = {
    "clear": ("cleared", "$success"),
    "death": ("died", "$error"),
    "stall": ("stalled", "$warning"),
    "loop": ("led back", "$accent"),
    "left": ("left the stage", "$accent"),
    "time": ("out of time", "$foreground 60%"),
}
"""An end -> its word after a count, and its colour."""


class MapStrip(PlainContainer):
    """Reads the run's files when an episode has ended, in a thread; Mario's mark moves with `move`."""

    def __init__(self, services: Services, graphics: Graphics | None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._services, self._graphics = services, graphics
        self._map: RunMap | None = None
        self._strip: NDArray[np.uint8] | None = None
        self._dot: tuple[int, int] | None = None
        self._drawn: object = None
        self._busy = False
        # kept: a reading may end after the screen was left, where nothing can be found any more
        self._view = GameView(graphics=graphics, characters=BLOCKS, id="strip-map")
        self._line = Words("", id="strip-words")

    def compose(self) -> ComposeResult:
        yield self._view
        yield self._line

    def look(self, snapshot: TrainingSnapshot) -> None:
        """Draws the ends of the training's last episodes anew where there are more of them, or there is more room."""
        if not self._busy and self._wanted(snapshot) != self._drawn and self._pixels[0] and snapshot.run:
            self._busy = True
            self.run_worker(self._look(snapshot), group="strip")

    async def _look(self, snapshot: TrainingSnapshot) -> None:
        try:
            wanted, stage, (width, height) = self._wanted(snapshot), snapshot.config.stage, self._pixels
            run = self._services.run_folder(snapshot.run)
            if self._map is None or self._map.run != run:
                self._map = self._services.open_map(run, SHOWN)
            known = self._map
            await asyncio.to_thread(known.read)
            ended = [one for one in known.episodes[-SHOWN:] if one.record.stage == stage]
            self._strip = await asyncio.to_thread(draw_strip, stage, ended, width, height)
            self._drawn = wanted
        except (MarioTuiError, OSError):  # the training is more than its strip; the Map tells what is wrong
            return
        finally:
            self._busy = False
        if self.is_attached:
            words = _words(ended, kept=snapshot.config.keep_episodes > 0)
            hint = Content.styled("  M map", "$foreground 60%")
            self._line.update(fitting(self.size.width - 2, words + hint, words) if ended else words)
            self._show()
            self.look(snapshot)  # its place may have changed meanwhile

    def move(self, snapshot: TrainingSnapshot, *, ended: bool) -> None:
        """Shows where Mario is in the first game; nowhere after the end."""
        width, height = self._pixels
        seen = width > 0 and height > 0 and not ended
        dot = dot_of(snapshot.config.stage, snapshot.place, width, height) if seen else None
        if dot != self._dot:
            self._dot = dot
            self._show()

    @property
    def fits(self) -> bool:
        """Whether it is drawn for the place that it has."""
        return self._strip is not None and self._pixels == self._strip.shape[1::-1]

    def _show(self) -> None:
        if self._strip is not None and self.fits:
            self._view.frame = with_mario(self._strip, self._dot)

    @property
    def _pixels(self) -> tuple[int, int]:
        """Width and height of the strip."""
        size = self._view.size
        across, down = (1, 2) if self._graphics is None else USUAL_CELL_PIXELS
        return size.width * across, size.height * down

    def _wanted(self, snapshot: TrainingSnapshot) -> object:
        return snapshot.run, snapshot.config.stage, snapshot.episode, self._pixels


def ends_in_words(episodes: Sequence[MapEpisode]) -> list[tuple[str, str]]:
    """How many episodes ended in which way, each with its colour."""
    counts = Counter(one.record.end for one in episodes)
    return [
        (f"{text.count(counts[end])} {word}  ", colour) for end, (word, colour) in SHORT_ENDS.items() if counts[end]
    ]


def _words(ended: Sequence[MapEpisode], *, kept: bool) -> Content:
    if not kept:
        return Content.styled("no ends are shown: keep_episodes is 0", "$foreground 60%")
    if not ended:
        return Content.styled("ends of episodes appear here", "$foreground 60%")
    none = [] if any(one.record.cleared for one in ended) else [("0 cleared  ", "$foreground 60%")]
    return Content.assemble(f"last {text.count(len(ended))}: ", *none, *ends_in_words(ended)).rstrip()
