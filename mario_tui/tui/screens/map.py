"""Map: the stage of a run, with the ways of its episodes and where they ended; each can be watched again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content

from mario_tui.errors import MarioTuiError
from mario_tui.game.kept_episodes import EpisodeName
from mario_tui.play.run_map import up_to
from mario_tui.printable import printable
from mario_tui.tui import text
from mario_tui.tui.cells import BLOCKS
from mario_tui.tui.graphics import USUAL_CELL_PIXELS
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.screens.game_screen import ENDS
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.map_strip import ends_in_words
from mario_tui.tui.widgets.step_slider import Span, StepSlider
from mario_tui.tui.widgets.words import Words, fitting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mario_tui.game.kept_episodes import Place
    from mario_tui.play.run_map import MapEpisode, RunMap

SHOWN = 100
"""Episodes on the map at a time."""
FEWER = 10
"""By so many shift and an arrow move."""
KINDS = ("", "death", "clear", "stall")
"""Which ends `f` shows alone."""


class MapScreen(MarioScreen):
    """The newest episodes of a run, as they come, or earlier ones; one of them is chosen.

    Args:
        run: the run's folder.
    """

    CSS_PATH = "map.tcss"
    HEADING = "Map"
    READ_SECONDS = 1.0
    MARK_SECONDS = 1 / 8
    ABOUT = (
        "The stage as the game shows it, and a hundred episodes of a training on it: their ways, the newest brightest, "
        "and a dot where each ended. Red is a death, green a clear, orange a stall: no new ground for too long. The "
        "yellow episode is the chosen one: left and right choose by place, up and down by time; enter plays it again "
        "as it was. The line at the bottom says which part of the run is shown: page up and page down go a hundred "
        "episodes back and forth, shift with left and right ten, and a click on it goes there. While the training runs "
        "new episodes appear by themselves, and a white mark is where its first game is now."
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
        Binding("pageup", "move(-100)", "Older", id="map.older", tooltip="The hundred episodes before these"),
        Binding(
            "pagedown", "move(100)", "Newer", id="map.newer", show=False, tooltip="The hundred episodes after these"
        ),
        Binding(
            "shift+left",
            "move(-10)",
            "Ten older",
            id="map.ten-older",
            key_display="shift+←",
            show=False,
            tooltip="The same back by ten episodes",
        ),
        Binding(
            "shift+right",
            "move(10)",
            "Ten newer",
            id="map.ten-newer",
            key_display="shift+→",
            show=False,
            tooltip="Forth by ten episodes",
        ),
        Binding("home", "first", "First", id="map.first", show=False, tooltip="The first hundred episodes of the run"),
        Binding(
            "end", "newest", "Newest", id="map.newest", show=False, tooltip="The newest hundred, and those that come"
        ),
        Binding(
            "f",
            "next_kind",
            "Filter",
            id="map.only",
            show=False,
            tooltip="All of them, or only deaths, clears or stalls",
        ),
        Binding(
            "escape,q", "app.pop_screen", "Back", id="map.back", key_display="q", tooltip="Back to where you came from"
        ),
        Binding(
            "h", "app.go('home')", "Home", id="map.home", show=False, tooltip="Home: the state of things at a glance"
        ),
        Binding(
            "c",
            "app.go('checkpoints')",
            "Checkpoints",
            id="map.checkpoints",
            show=False,
            tooltip="Checkpoints: the list",
        ),
    ]

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.run_folder = run
        self._map: RunMap | None = None
        self._to_step: int | None = None  # of the last episode on show; None for the newest
        self._kind = ""
        self._chosen: MapEpisode | None = None
        self._drawn: object = None
        self._newest: object = None  # record that was read
        self._picture_size = (0, 0)
        self._ground: NDArray[np.uint8] | None = None  # the map without the mark
        self._place: Place | None = None
        self._problem = ""
        self._busy = False

    def compose_body(self) -> ComposeResult:
        # ways are a pixel wide: with half blocks each has its own colour, with finer characters they would fade
        yield GameView("reading the episodes ...", graphics=self.app.graphics, characters=BLOCKS, id="map")
        yield Words("", id="map-shown")
        yield Words("", id="map-chosen")
        yield StepSlider(id="map-steps")

    def on_mount(self) -> None:
        super().on_mount()
        self.every(self.READ_SECONDS, self.look)
        graphics = self.app.graphics  # a picture of the terminal's own takes longer
        self.every(self.MARK_SECONDS if graphics is None else 1.0 if graphics.is_costly else 0.5, self.move_mario)
        self.call_after_refresh(self.look)

    def on_resize(self) -> None:
        self.look()

    @property
    def shown(self) -> Sequence[MapEpisode]:
        """The episodes on the map, the newest last."""
        return up_to(self._known, self._to_step, SHOWN)

    @property
    def _known(self) -> Sequence[MapEpisode]:
        """All episodes that can be on show."""
        known = self._map.episodes if self._map is not None else []
        return [one for one in known if one.record.end == self._kind] if self._kind else known

    @property
    def chosen(self) -> MapEpisode | None:
        """The chosen episode, or the newest of those on show."""
        shown = self.shown
        if self._chosen is not None and any(one is self._chosen for one in shown):
            return self._chosen
        return shown[-1] if shown else None

    def look(self) -> None:
        """Reads what is new, and draws the map again where anything has changed; in a thread."""
        if not self._busy and self.is_attached:
            for view in self.query("#map").results(GameView):
                self._busy = True
                self.run_worker(self._look(view), group="map")

    async def _look(self, view: GameView) -> None:
        services = self.app.services
        try:
            if self._map is None:
                self._map = services.open_map(self.run_folder)
            await asyncio.to_thread(self._map.read)
            if not view.is_attached:  # the screen was left meanwhile
                return
            wanted = self._wanted(view)
            newest = self._map.episodes[-1].record if self._map.episodes else None
            if wanted != self._drawn or newest != self._newest:  # the run grows, also while an earlier part is on show
                self._newest = newest
                self._refresh_words()
            if wanted != self._drawn:
                self._drawn = wanted
                self._ground = await asyncio.to_thread(self._picture, *wanted[:2])
                if not view.is_attached:
                    return
                self._picture_size = wanted[:2]
                self._show_mario(self._live_place())
        except MarioTuiError as error:
            self._problem = str(error)
            self._refresh_words()
        finally:
            self._busy = False
        if view.is_attached and self._problem == "" and self._wanted(view) != self._drawn:  # a key meanwhile
            self.look()

    def _wanted(self, view: GameView) -> tuple[int, int, tuple[object, ...]]:
        """Width and height of the map's picture in pixels, and what else it depends on."""
        width, height = view.size
        across, down = (1, 2) if self.app.graphics is None else USUAL_CELL_PIXELS
        shown, chosen = self.shown, self.chosen
        return width * across, height * down, (len(shown), id(shown[-1]) if shown else 0, id(chosen), self._kind)

    def _picture(self, width: int, height: int) -> NDArray[np.uint8] | None:
        shown = self.shown
        if not shown or width < 1 or height < 1:
            return None
        return self.app.services.draw_map(shown, self.chosen, width, height)

    def move_mario(self) -> None:
        """Marks where the first game of the run is, while it is trained."""
        if (place := self._live_place()) != self._place:
            if (place is None) != (self._place is None):
                self._refresh_words()
            self._show_mario(place)

    def _show_mario(self, place: Place | None) -> None:
        self._place, picture, shown = place, self._ground, self.shown
        if picture is not None and shown:
            stage = shown[-1].record.stage
            picture = self.app.services.mark_on_map(picture, stage, place, *self._picture_size)
        self.query_one("#map", GameView).frame = picture

    def _live_place(self) -> Place | None:
        snapshot = self.app.snapshot
        if snapshot is None or not self.app.is_training or not snapshot.run:
            return None
        return snapshot.place if self.app.services.run_folder(snapshot.run) == self.run_folder else None

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
            now = Content.styled("" if self._live_place() is None else "  white: Mario now", "$foreground 60%")
            whole, short = words_of(chosen), words_of(chosen, short=True)
            line = fitting(self.size.width - 2, whole + now, whole, short + now, short)
        self.update_text("#map-shown", words)
        self.update_text("#map-chosen", line)
        slider = self.query_one(StepSlider)
        slider.set_class(bool(shown), "-shown")
        slider.span = self._span() if shown else None
        self.refresh_bindings()

    def _words_of(self, shown: Sequence[MapEpisode]) -> Content:
        first, last = shown[0].record, shown[-1].record
        newest = " (newest)" if self._to_step is None else ""
        here, clears = (sum(one.record.cleared for one in part) for part in (shown, self._known))
        of_all = f" ({text.count(clears)} in all)"
        episodes = f"{text.count(first.episode)} to {text.count(last.episode)}"

        def words(of_all: str, episodes: str) -> Content:
            ends = ends_in_words(shown)
            if self._kind in ("", "clear"):
                ends = [(f"{text.count(here)} cleared{of_all}  ", "$success"), *ends[bool(here) :]]
            return Content.assemble(
                (f"{printable(self.run_folder.name)}  ", "bold"),
                (f"only {self._kind}s  " if self._kind else "", "bold $secondary"),
                f"{last.stage}  {episodes}  ",
                *ends,
            ).rstrip()

        return fitting(
            self.size.width - 2,
            words(of_all, f"episodes {episodes}{newest}"),
            words("", f"episodes {episodes}{newest}"),
            words("", f"episodes {episodes}"),
            words("", episodes),
            words("", f"to {text.count(last.episode)}"),
        )

    def _span(self) -> Span:
        assert self._map is not None
        known, shown = self._map.episodes, self.shown
        return Span(known[0].record.step, shown[0].record.step, shown[-1].record.step, known[-1].record.step)

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
        """Shows so many episodes earlier or later ones."""
        known, shown = self._known, self.shown
        if shown:
            self._show_up_to(len(up_to(known, shown[-1].record.step, len(known))) + by)

    def action_first(self) -> None:
        self._show_up_to(SHOWN)

    def action_newest(self) -> None:
        self._show_up_to(len(self._known))

    def on_step_slider_chosen(self, event: StepSlider.Chosen) -> None:
        self._show_up_to(len(up_to(self._known, event.step, len(self._known))))

    def _show_up_to(self, count: int) -> None:
        """Shows the last ones of the first so many episodes."""
        known = self._known
        newest = count >= len(known)
        self._to_step = None if newest else known[max(count, min(SHOWN, len(known))) - 1].record.step
        self.look()

    def action_next_kind(self) -> None:
        self._kind = KINDS[(KINDS.index(self._kind) + 1) % len(KINDS)]
        if not self.shown:  # all of that kind come later in the run
            self._to_step = None
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


KINDS_OF_GAMES = {"practice": "practice", "greedy": "a greedy game", "robust": "a disturbed game"}
"""What an episode that is not of the training proper is."""
CHOSEN_COLOUR = "$secondary"
"""Near the yellow that the chosen episode has on the map."""


def words_of(episode: MapEpisode, *, short: bool = False) -> Content:
    """An episode in a line; a short one leaves out its reward and in which of the games it was."""
    record = episode.record
    words, colour = ENDS[record.end]
    at = "" if record.cleared else f" at {text.percent(record.progress)}"
    kind = "" if record.kind == "training" else f", {KINDS_OF_GAMES.get(record.kind, printable(record.kind))}"
    reward = "" if short else f" reward {text.decimal(record.reward)}{kind},"
    return Content.assemble(
        (f"episode {text.count(record.episode)}  ", f"bold {CHOSEN_COLOUR}"),
        (f"{words}{at}", f"bold {colour}"),
        f"  {text.count(record.length)} steps,{reward} step {text.count(record.step)}",
    )
