"""The NES pad, with the pressed buttons lit."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from mario_tui.buttons import DOWN, LEFT, RIGHT, SELECT, START, UP, A, B

_MIDDLE = (
    *((" ", 0), (" ◀ ", LEFT), ("   ", 0), (" ▶ ", RIGHT), ("  ", 0)),
    *((" sel ", SELECT), (" ", 0), (" sta ", START), ("  ", 0), (" B ", B), (" ", 0), (" A ", A)),
)
_LINES: tuple[tuple[tuple[str, int], ...], ...] = (
    (("    ", 0), (" ▲ ", UP)),
    _MIDDLE,
    (("    ", 0), (" ▼ ", DOWN)),
)


class Pad(Widget):
    """Four directions, select, start, B and A; `buttons` is the NES button byte."""

    DEFAULT_CSS = """
    Pad { height: 3; width: 33; }
    """

    buttons: reactive[int] = reactive(0)

    def render(self) -> Content:
        lines = [
            Content.assemble(
                *(
                    (
                        text,
                        ("bold $background on $secondary" if self.buttons & bit else "on $panel") if bit else "",
                    )
                    for text, bit in line
                )
            )
            for line in _LINES
        ]
        return Content("\n").join(lines)
