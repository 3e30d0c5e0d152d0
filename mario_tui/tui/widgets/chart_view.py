"""What is seen of the x axis of charts, and where their cursor stands: the same for all charts of a screen."""

from __future__ import annotations

from dataclasses import dataclass, replace

Range = tuple[float, float]

ZOOM = 2.0
"""How much a press of the key zooms in."""
MOST_ZOOM = 256.0
"""The smallest part that is seen is the whole by this."""


@dataclass(frozen=True, slots=True)
class ChartView:
    """A part of the x axis, which may follow the newest point, and a cursor.

    Attributes:
        span: the width of what is seen; None for all there is.
        end: its right edge; None for the newest point, also where newer ones come.
        cursor: the x where the cursor stands; None without one.
        depth: how many presses nearer than all there is; as many back show all again, also what has come meanwhile.
    """

    span: float | None = None
    end: float | None = None
    cursor: float | None = None
    depth: int = 0

    def window(self, whole: Range) -> Range | None:
        """What is seen of the whole; None for all of it."""
        if self.span is None:
            return None
        end = whole[1] if self.end is None else self.end
        return end - self.span, end

    def zoomed(self, presses: int, whole: Range) -> ChartView:
        """Nearer (1) or farther (-1), around the cursor where it is seen, otherwise around the right edge."""
        if self.depth + presses <= 0:
            return self.all()
        low, high = self.window(whole) or whole
        everything = whole[1] - whole[0]
        span = max((high - low) / ZOOM**presses, everything / MOST_ZOOM)
        if span >= everything * (1 - 1e-9):
            return self.all()
        deeper = self if span == high - low else replace(self, depth=self.depth + presses)
        if self.cursor is not None and low <= self.cursor <= high:
            left = (self.cursor - low) / (high - low) * span
            return deeper._placed(span, self.cursor - left + span, whole)
        return deeper._placed(span, high, whole)

    def all(self) -> ChartView:
        """All there is, with the cursor where it was."""
        return replace(self, span=None, end=None, depth=0)

    def without_cursor(self) -> ChartView:
        return replace(self, cursor=None)

    def at_edge(self, whole: Range, *, newest: bool) -> ChartView:
        """The last part, which then follows newer points, or the first one."""
        return self if self.span is None else self._placed(self.span, whole[1] if newest else whole[0], whole)

    def panned(self, share: float, whole: Range) -> ChartView:
        """By a share of what is seen to the right, as far as there is something."""
        window = self.window(whole)
        if window is None:
            return self
        span = window[1] - window[0]
        return self._placed(span, window[1] + share * span, whole)

    def with_cursor(self, x: float | None, whole: Range) -> ChartView:
        """With the cursor there, and panned as far as is needed to see it."""
        moved, window = replace(self, cursor=x), self.window(whole)
        if x is None or window is None or window[0] <= x <= window[1]:
            return moved
        span = window[1] - window[0]
        return moved._placed(span, x if x > window[1] else x + span, whole)

    def _placed(self, span: float, end: float, whole: Range) -> ChartView:
        end = max(end, whole[0] + span)
        return replace(self, span=span, end=None if end >= whole[1] - 1e-9 * span else end)
