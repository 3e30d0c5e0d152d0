"""What the agent expects of each action, as bars."""

from __future__ import annotations

from collections.abc import Sequence

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

    The bars compare the actions: the lowest value has the shortest bar, the highest a full one, because the values of
    all actions in a state differ by little beside their size.
    """

    DEFAULT_CSS = """
    QBars { height: auto; }
    """

    names: reactive[tuple[str, ...]] = reactive((), layout=True)
    values: reactive[tuple[float, ...]] = reactive(())
    chosen: reactive[int | None] = reactive(None)

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
        fraction = relative(value, self.values)
        bar_style = "$secondary on $surface" if chosen else "$primary on $surface"
        return Content.assemble(
            (f"{mark} {name:<{label_width}} ", style),
            (bar(fraction, width), bar_style),
            (f" {value:8.2f}", "bold" if chosen else ""),
        )


def relative(value: float, values: Sequence[float]) -> float:
    """Where a value lies between the lowest (an eighth of the bar, so that it is seen) and the highest (all of it)."""
    low, high = min(values), max(values)
    if high - low < 1e-9:
        return 1.0
    return 0.125 + 0.875 * (value - low) / (high - low)
