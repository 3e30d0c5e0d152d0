"""A line that shows which part of a run is on show, and where a click chooses another."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.events import MouseDown, MouseMove, MouseUp
from textual.message import Message
from textual.widget import Widget

from mario_tui.tui import text


@dataclass(frozen=True, slots=True)
class Span:
    """Steps of a run.

    Attributes:
        first: where what can be shown begins.
        start, at: of what is on show.
        newest: the run's end so far.
    """

    first: int
    start: int
    at: int
    newest: int


class StepSlider(Widget):
    """Asks for another step by a `Chosen` message, where it is clicked or dragged; the keys are the screen's."""

    DEFAULT_CSS = """
    StepSlider { height: 1; padding: 0 1; background: $surface; }
    """

    @dataclass
    class Chosen(Message):
        """A step that should be on show."""

        step: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._span: Span | None = None
        self._is_dragged = False

    @property
    def span(self) -> Span | None:
        """What is shown; None for nothing."""
        return self._span

    @span.setter
    def span(self, span: Span | None) -> None:
        if span != self._span:
            self._span = span
            self.refresh()

    def render(self) -> Content:
        span = self._span
        if span is None:
            return Content("")
        left, width = self._bar
        first, start, at = (_column(step, span.newest, width) for step in (span.first, span.start, span.at))
        start = min(start, at)
        return Content.assemble(
            _label(span).ljust(left),
            ("·" * min(first, start), "$foreground 40%"),  # episodes of before are kept no more
            ("─" * (start - min(first, start)), "$foreground 40%"),
            ("━" * (at - start), "$secondary"),
            ("●", "bold $secondary"),
            ("─" * (width - 1 - at), "$foreground 40%"),
        )

    @property
    def _bar(self) -> tuple[int, int]:
        """The first column of the bar, and its width."""
        assert self._span is not None
        left = len(_label(self._span, at=self._span.newest)) + 2
        return left, max(2, self.content_size.width - left)

    def on_mouse_down(self, event: MouseDown) -> None:
        if self._span is not None:
            self._is_dragged = True
            self.capture_mouse()
            self._choose(event)

    def on_mouse_move(self, event: MouseMove) -> None:
        if self._is_dragged:
            self._choose(event)

    def on_mouse_up(self, event: MouseUp) -> None:
        self._is_dragged = False
        self.release_mouse()

    def _choose(self, event: MouseDown | MouseMove) -> None:
        event.stop()
        if self._span is None:
            return
        left, width = self._bar
        column = min(max(event.x - self.gutter.left - left, 0), width - 1)
        self.post_message(self.Chosen(round(column * self._span.newest / (width - 1))))


def _label(span: Span, at: int | None = None) -> str:
    return f"step {text.count(span.at if at is None else at)} of {text.count(span.newest)}"


def _column(step: int, newest: int, width: int) -> int:
    return min(round(step * (width - 1) / max(newest, 1)), width - 1)
