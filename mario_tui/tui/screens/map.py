"""Map: the stage of a run, with the ways of its episodes and where they ended; each can be watched again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static

from mario_tui.errors import MarioTuiError
from mario_tui.game.kept_episodes import EpisodeName
from mario_tui.printable import printable
from mario_tui.tui import text
from mario_tui.tui.cells import BLOCKS
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.screens.game_screen import ENDS
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.game_view import GameView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mario_tui.play.run_map import MapEpisode, RunMap

SHOWN = 100
"""Episodes on the map at a time."""
KINDS = ("", "death", "clear", "stall")
"""Which ends `f` shows alone."""
_CELL_PIXELS = (8, 16)
"""Of the map in a cell, where the terminal shows pictures; with half blocks it is 1 x 2."""


class MapScreen(MarioScreen):
    """The newest episodes of a run, as they come, or earlier ones; one of them is chosen.

    Args:
        run: the run's folder.
    """

    CSS_PATH = "map.tcss"
    HEADING = "Map"
    READ_SECONDS = 1.0
    ABOUT = (
        "The stage as the game shows it, and a hundred episodes of a training on it: their ways, the newest brightest, "
        "and a dot where each ended. Red is a death, green a clear, orange a stall: no new ground for too long. The "
        "yellow episode is the chosen one: left and right choose by place, up and down by time; enter plays it again "
        "as it was. While the training runs new episodes appear by themselves."
    )
    BINDINGS = [
        Binding(
            "enter", "watch", "Watch", id="map.watch", key_display="enter", tooltip="Play the chosen episode again"
        ),
        Binding("r", "record", "Record", id="map.record", tooltip="Record it as MP4, in the background"),
        Binding(
            "left",
            "by_place(-1)",
            "Before",
            id="map.before",
            key_display="←",
            tooltip="The episode that ended before it on the stage",
        ),
        Binding(
            "right",
            "by_place(1)",
            "Beyond",
            id="map.beyond",
            key_display="→",
            tooltip="The episode that ended beyond it",
        ),
        Binding(
            "up",
            "by_time(-1)",
            "Earlier",
            id="map.earlier",
            key_display="↑",
            show=False,
            tooltip="The episode before it in time",
        ),
        Binding(
            "down",
            "by_time(1)",
            "Later",
            id="map.later",
            key_display="↓",
            show=False,
            tooltip="The episode after it in time",
        ),
        Binding("pageup", "move(-1)", "Older", id="map.older", tooltip="The hundred episodes before these"),
        Binding("pagedown", "move(1)", "Newer", id="map.newer", show=False, tooltip="The hundred episodes after these"),
        Binding("home", "first", "First", id="map.first", show=False, tooltip="The first hundred episodes of the run"),
        Binding(
            "end", "newest", "Newest", id="map.newest", show=False, tooltip="The newest hundred, and those that come"
        ),
        Binding("f", "next_kind", "Only", id="map.only", tooltip="All of them, or only deaths, clears or stalls"),
        Binding(
            "escape,q", "app.pop_screen", "Back", id="map.back", key_display="q", tooltip="Back to where you came from"
        ),
    ]

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.run_folder = run
        self._map: RunMap | None = None
        self._last: int | None = None  # how many episodes come before the end of those on show; None for the newest
        self._kind = ""
        self._chosen: MapEpisode | None = None
        self._drawn: object = None
        self._problem = ""
        self._busy = False

    def compose_body(self) -> ComposeResult:
        # ways are a pixel wide: with half blocks each has its own colour, with finer characters they would fade
        yield GameView("reading the episodes ...", graphics=self.app.graphics, characters=BLOCKS, id="map")
        yield Static("", id="map-shown")
        yield Static("", id="map-chosen")

    def on_mount(self) -> None:
        super().on_mount()
        self.every(self.READ_SECONDS, self.look)
        self.call_after_refresh(self.look)

    def on_resize(self) -> None:
        self.look()

    @property
    def shown(self) -> Sequence[MapEpisode]:
        """The episodes on the map, the newest last."""
        known = self._map.episodes if self._map is not None else []
        part = known[: self._last]
        if self._kind:
            part = [one for one in part if one.record.end == self._kind]
        return part[-SHOWN:]

    @property
    def chosen(self) -> MapEpisode | None:
        """The chosen episode, or the newest of those on show."""
        shown = self.shown
        if self._chosen is not None and any(one is self._chosen for one in shown):
            return self._chosen
        return shown[-1] if shown else None

    def look(self) -> None:
        """Reads what is new, and draws the map again where anything has changed; in a thread."""
        if not self._busy and self.query("#map"):
            self._busy = True
            self.run_worker(self._look(), group="map")

    async def _look(self) -> None:
        services, view = self.app.services, self.query_one("#map", GameView)
        try:
            if self._map is None:
                self._map = services.open_map(self.run_folder)
            await asyncio.to_thread(self._map.read)
            wanted = self._wanted(view)
            if wanted != self._drawn:
                self._drawn = wanted
                self._refresh_words()
                view.frame = await asyncio.to_thread(self._picture, *wanted[:2])
        except MarioTuiError as error:
            self._problem = str(error)
            self._refresh_words()
        finally:
            self._busy = False
        if self.is_attached and self._problem == "" and self._wanted(view) != self._drawn:  # a key meanwhile
            self.look()

    def _wanted(self, view: GameView) -> tuple[int, int, tuple[object, ...]]:
        """Width and height of the map's picture in pixels, and what else it depends on."""
        width, height = view.size
        across, down = (1, 2) if self.app.graphics is None else _CELL_PIXELS
        shown, chosen = self.shown, self.chosen
        return width * across, height * down, (len(shown), id(shown[-1]) if shown else 0, id(chosen), self._kind)

    def _picture(self, width: int, height: int) -> NDArray[np.uint8] | None:
        shown = self.shown
        if not shown or width < 1 or height < 1:
            return None
        return self.app.services.draw_map(shown, self.chosen, width, height)

    def _refresh_words(self) -> None:
        view = self.query_one("#map", GameView)
        shown, chosen = self.shown, self.chosen
        words, line = Content(""), Content("")
        if self._problem:
            words = Content.styled(self._problem, "bold $error")
        elif not shown:
            if self._kind:
                view.empty_text = f"no episode that ended by {self._kind}"
            else:
                view.empty_text = "no episode that is kept yet\n(runs of older versions, and exports, have none)"
        else:
            words = self._words_of(shown)
        if chosen is not None:
            line = words_of(chosen)
        self.query_one("#map-shown", Static).update(words)
        self.query_one("#map-chosen", Static).update(line)
        self.refresh_bindings()

    def _words_of(self, shown: Sequence[MapEpisode]) -> Content:
        first, last = shown[0].record, shown[-1].record
        counts = Counter(one.record.end for one in shown)
        ends = [
            (f"{text.count(counts[end])} {word}  ", colour) for end, (word, colour) in SHORT_ENDS.items() if counts[end]
        ]
        newest = " (newest)" if self._last is None else ""
        return Content.assemble(
            (f"{printable(self.run_folder.name)}  ", "bold"),
            f"{last.stage}  episodes {text.count(first.episode)} to {text.count(last.episode)}{newest}  ",
            *ends,
        )

    # asking

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("watch", "record", "by_place", "by_time"):
            return self.chosen is not None
        return True

    def _choose(self, episodes: Sequence[MapEpisode], by: int) -> None:
        """Chooses the episode that lies so many places after the chosen one."""
        if not episodes:
            return
        now = next((number for number, one in enumerate(episodes) if one is self.chosen), 0)
        self._chosen = episodes[min(max(now + by, 0), len(episodes) - 1)]
        self._refresh_words()
        self.look()

    def action_by_place(self, by: int) -> None:
        self._choose(sorted(self.shown, key=lambda one: (one.record.progress, one.record.episode)), by)

    def action_by_time(self, by: int) -> None:
        self._choose(self.shown, by)

    def action_move(self, by: int) -> None:
        """Shows earlier or later episodes."""
        if self._map is None:
            return
        count = len(self._map.episodes)
        last = (count if self._last is None else self._last) + by * SHOWN
        self._last = None if last >= count else max(last, min(SHOWN, count))
        self._chosen = None
        self.look()

    def action_first(self) -> None:
        self._last = SHOWN
        self._chosen = None
        self.look()

    def action_newest(self) -> None:
        self._last = self._chosen = None
        self.look()

    def action_next_kind(self) -> None:
        self._kind = KINDS[(KINDS.index(self._kind) + 1) % len(KINDS)]
        self._chosen = None
        self.notify(f"shown: {'only ' + self._kind + 's' if self._kind else 'all'}", timeout=2)
        self.look()

    def _chosen_name(self) -> EpisodeName | None:
        chosen = self.chosen
        return None if chosen is None else EpisodeName(self.run_folder, chosen.record.episode)

    def action_watch(self) -> None:
        if (name := self._chosen_name()) is not None:
            self.app.push_screen(WatchScreen(name))

    def action_record(self) -> None:
        if (name := self._chosen_name()) is not None:
            self.app.jobs.record_episode(name)
            self.notify(f"recording episode {name.episode:,} in the background; a notice says when it is done")


SHORT_ENDS = {
    "clear": ("cleared", "$success"),
    "death": ("died", "$error"),
    "stall": ("stalled", "$warning"),
    "loop": ("led back", "$accent"),
    "left": ("left the stage", "$accent"),
    "time": ("out of time", "$foreground 60%"),
}
"""An end -> its word after a count, and its colour."""


def words_of(episode: MapEpisode) -> Content:
    """An episode in a line."""
    record = episode.record
    words, colour = ENDS[record.end]
    at = "" if record.cleared else f" at {text.percent(record.progress)}"
    practice = "" if record.kind == "training" else f", {record.kind}"
    return Content.assemble(
        (f"episode {text.count(record.episode)}  ", "bold"),
        (f"{words}{at}", f"bold {colour}"),
        f"  {text.count(record.length)} steps, reward {text.decimal(record.reward)}{practice}, "
        f"step {text.count(record.step)}",
    )
