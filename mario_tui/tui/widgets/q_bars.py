"""What the agent expects of each action, as bars."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(fraction: float, width: int) -> str:
    """A horizontal bar of `width` cells, filled to a fraction from 0 to 1, in eighths of a cell."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(width)


class QBars(Widget):
    """One line per action: its name, a bar and its Q value; the action that was taken is lit.

    The bars compare the actions: the highest value has a full bar, and what others lack is what their values are
    below it, measured by the widest span that was shown so far. So two bars that are nearly as long say that it hardly
    matters what is done, and a short one that it matters as much as it ever did.
    """

    DEFAULT_CSS = """
    QBars { height: auto; }
    """

    names: reactive[tuple[str, ...]] = reactive((), layout=True)
    values: reactive[tuple[float, ...]] = reactive(())
    chosen: reactive[int | None] = reactive(None)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._widest = 0.0

    def watch_names(self) -> None:
        self._widest = 0.0  # of another agent

    def watch_values(self, values: tuple[float, ...]) -> None:
        if values:
            self._widest = max(self._widest, max(values) - min(values))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self.names))

    def render(self) -> Content:
        if not self.names:
            return Content.styled("the agent's actions appear here", "$foreground 60%")
        label_width = max(len(name) for name in self.names)
        bar_width = max(4, min(40, self.content_size.width - label_width - 13))
        lines = [
            self._line(name, self._value(index), index == self.chosen, label_width, bar_width)
            for index, name in enumerate(self.names)
        ]
        return Content("\n").join(lines)

    def _value(self, index: int) -> float | None:
        return self.values[index] if index < len(self.values) else None

    def _line(self, name: str, value: float | None, chosen: bool, label_width: int, width: int) -> Content:
        mark, style = ("▶", "bold $secondary") if chosen else (" ", "$foreground 60%")
        if value is None:
            return Content.assemble((f"{mark} {name:<{label_width}} ", style), (" " * width, ""), "        -")
        fraction = relative(value, max(self.values), self._widest)
        bar_style = "$secondary on $surface" if chosen else "$primary on $surface"
        return Content.assemble(
            (f"{mark} {name:<{label_width}} ", style),
            (bar(fraction, width), bar_style),
            (f" {value:8.2f}", "bold" if chosen else ""),
        )


def relative(value: float, highest: float, span: float) -> float:
    """How much of a bar a value has: all of it if it is the highest, an eighth, so that it is seen, if it is by `span`
    below."""
    if span < 1e-9:
        return 1.0
    return 1.0 - 0.875 * min(1.0, (highest - value) / span)
