"""What every screen has: the line at the top, the footer, sizes, and the notice where the terminal is too small."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen
from textual.timer import Timer

from mario_tui.tui.widgets.ground import Ground
from mario_tui.tui.widgets.key_line import KeyLine
from mario_tui.tui.widgets.too_small import MIN_HEIGHT, MIN_WIDTH, TooSmall
from mario_tui.tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from mario_tui.tui.app import MarioTuiApp


class Key(NamedTuple):
    """An action that a key starts now."""

    keys: tuple[str, ...]
    name: str
    explanation: str
    action: str
    node: DOMNode


def named(bindings: Iterable[Binding], place: str) -> list[BindingType]:
    """The bindings with ids that a settings file can name, e.g. `train.pause`; those without a tooltip have none."""

    def name(binding: Binding) -> str:
        return f"{place}.{re.sub('[^a-z0-9]+', '-', binding.description.lower()).strip('-')}"

    return [replace(binding, id=name(binding)) if binding.tooltip else binding for binding in bindings]


class MarioScreen(Screen[None], inherit_bindings=False):
    """A full screen of the app; subclasses give `HEADING`, `ABOUT` and `compose_body`."""

    HEADING = ""
    ABOUT = ""
    """What the screen is for, in a sentence or two; the help panel shows it."""

    BINDINGS = [Binding("ctrl+c,super+c", "screen.copy_text", "Copy selected text", show=False)]

    HORIZONTAL_BREAKPOINTS = [(0, "-too-narrow"), (MIN_WIDTH, "-narrow"), (110, "-medium"), (140, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-too-low"), (MIN_HEIGHT, "-low"), (38, "-tall"), (45, "-very-tall")]
    TOP_BAR_SECONDS = 0.5

    def __init_subclass__(cls, **arguments: Any) -> None:
        if cls.HEADING and "BINDINGS" in cls.__dict__:
            cls.BINDINGS = named(cast("list[Binding]", cls.BINDINGS), cls.HEADING.lower())
        super().__init_subclass__(**arguments)

    def __init__(self) -> None:
        super().__init__()
        self._looks: list[Timer] = []

    @property
    def mario(self) -> MarioTuiApp:
        """The app, by its own type."""
        from mario_tui.tui.app import MarioTuiApp

        assert isinstance(self.app, MarioTuiApp)
        return self.app

    def compose(self) -> ComposeResult:
        yield TopBar(self.HEADING)
        with Ground(id="body"):
            yield from self.compose_body()
        yield KeyLine()
        yield TooSmall()

    def compose_body(self) -> ComposeResult:
        raise NotImplementedError

    def on_mount(self) -> None:
        self.every(self.TOP_BAR_SECONDS, self.refresh_top_bar)

    def every(self, seconds: float, look: Callable[[], None]) -> None:
        """Calls `look` again and again while this screen is the one on show."""

        def tick() -> None:
            if self.is_active and self.is_attached:
                look()

        self._looks.append(self.set_interval(seconds, tick))

    def on_screen_suspend(self) -> None:
        for timer in self._looks:
            timer.pause()

    def on_screen_resume(self) -> None:
        for timer in self._looks:
            timer.resume()
        self.refresh_top_bar()

    def refresh_top_bar(self) -> None:
        bar = self.query_one(TopBar)
        bar.status, bar.details = self.mario.training_line()

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
