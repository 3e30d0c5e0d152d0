"""What every screen has: the line at the top, the footer, sizes, and the notice where the terminal is too small."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.screen import Screen
from textual.timer import Timer
from textual.worker import Worker

from mario_tui.tui.widgets.key_line import KeyLine
from mario_tui.tui.widgets.plain_container import PlainContainer
from mario_tui.tui.widgets.too_small import MIN_HEIGHT, MIN_WIDTH, TooSmall
from mario_tui.tui.widgets.top_bar import TopBar
from mario_tui.tui.widgets.words import Words

if TYPE_CHECKING:
    from textual import getters

    from mario_tui.tui.app import MarioTuiApp


VERY_TALL = 45
"""From so many rows on a screen shows all that it has."""
KEYS_THAT_LEAVE = ("ctrl+q", "ctrl+c", "ctrl+z")


class Key(NamedTuple):
    """An action that a key starts now."""

    keys: tuple[str, ...]
    name: str
    explanation: str
    action: str
    node: DOMNode


@dataclass
class Refresh:
    """What a screen does again and again, about every so many seconds; `due` is a time of time.monotonic."""

    seconds: float
    call: Callable[[], None]
    due: float


class MarioScreen(Screen[None], inherit_bindings=False):
    """A full screen of the app; subclasses give `HEADING`, `ABOUT` and `compose_body`.

    Each binding that the help lists has a tooltip and an id, `<screen>.<action>`. Settings files name keys by ids, so
    an id stays as it is where a label changes.
    """

    HEADING = ""
    ABOUT = ""
    """What the screen is for, in a sentence or two; the help panel shows it."""

    BINDINGS = [Binding("ctrl+c,super+c", "screen.copy_text", "Copy selected text", show=False)]

    HORIZONTAL_BREAKPOINTS = [(0, "-too-narrow"), (MIN_WIDTH, "-narrow"), (110, "-medium"), (140, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-too-low"), (MIN_HEIGHT, "-low"), (38, "-tall"), (VERY_TALL, "-very-tall")]
    TOP_BAR_SECONDS = 0.5

    if TYPE_CHECKING:
        app = getters.app(MarioTuiApp)

    def __init__(self) -> None:
        super().__init__()
        self._refreshes: list[Refresh] = []
        self._clock: Timer | None = None
        self._clock_seconds = math.inf

    def compose(self) -> ComposeResult:
        yield TopBar(self.HEADING)
        with PlainContainer(id="body"):
            yield from self.compose_body()
        yield KeyLine()
        yield TooSmall()

    def compose_body(self) -> ComposeResult:
        raise NotImplementedError

    @property
    def is_too_small(self) -> bool:
        """Whether only the size that is needed is to be seen."""
        return self.has_class("-too-narrow") or self.has_class("-too-low")

    def on_key(self, event: events.Key) -> None:
        # Before the bindings: nobody sees what a key would do here.
        if self.is_too_small and event.key not in KEYS_THAT_LEAVE:
            event.stop()
            event.prevent_default()

    def on_mount(self) -> None:
        self.every(self.TOP_BAR_SECONDS, self.refresh_top_bar)

    def every(self, seconds: float, refresh: Callable[[], None]) -> Refresh:
        """Calls `refresh` about every so many seconds while this screen is the active one.

        All that is due comes at one tick of the screen's clock, the most frequent of them, and so is drawn at once.
        What it returns can be made less frequent.
        """
        added = Refresh(seconds, refresh, time.monotonic() + seconds)
        self._refreshes.append(added)
        if seconds < self._clock_seconds:
            if self._clock is not None:
                self._clock.stop()
            self._clock_seconds = seconds
            self._clock = self.set_interval(seconds, self._tick)
        return added

    def _tick(self) -> None:
        if not self.is_active or not self.is_attached:
            return
        now = time.monotonic()
        for one in self._refreshes:
            if now >= one.due - self._clock_seconds / 2:
                one.due += one.seconds
                if one.due <= now:  # it was not looked at meanwhile
                    one.due = now + one.seconds
                one.call()

    def on_screen_suspend(self) -> None:
        if self._clock is not None:
            self._clock.pause()

    def on_screen_resume(self) -> None:
        if self._clock is not None:
            self._clock.resume()
        self.refresh_top_bar()

    def refresh_top_bar(self) -> None:
        bar = self.query_one(TopBar)
        bar.status, bar.details = self.app.training_line()

    def run_worker(self, work: Any, *arguments: Any, **settings: Any) -> Worker[Any]:
        """As any widget does.

        A screen that is left loses its widgets before its workers are cancelled: one that goes on in between, as a
        thread of its has returned, finds none, and that is no error.
        """

        async def while_it_is_there() -> Any:
            try:
                return await (work() if callable(work) else work)
            except NoMatches:
                if self.is_attached and not self._pruning:
                    raise
            return None

        return super().run_worker(while_it_is_there, *arguments, **settings)

    def run_newest(self, work: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
        """Runs `work` beside the screen, and cancels what else of its group still runs.

        It takes a function, as a coroutine that is cancelled before it begins makes Python print a warning.
        """
        self.run_worker(work, group=group, exclusive=True)

    def update_text(self, selector: str, content: Content) -> None:
        self.query_one(selector, Words).update(content)

    def keys_now(self) -> Iterator[Key]:
        """The actions of this screen that are possible now, its own first; for the help panel and the palette."""
        found: dict[tuple[int, str], Key] = {}
        for active in self.active_bindings.values():
            binding: Binding = active.binding
            if not active.enabled or not binding.tooltip:
                continue
            place = (id(active.node), binding.action)
            display = self.app.get_key_display(binding)
            if place in found:
                old = found[place]
                found[place] = old._replace(keys=tuple(dict.fromkeys((*old.keys, display))))
            else:
                found[place] = Key((display,), binding.description, binding.tooltip, binding.action, active.node)
        own = [key for key in found.values() if key.node is not self.app]
        yield from own
        yield from (key for key in found.values() if key.node is self.app)
