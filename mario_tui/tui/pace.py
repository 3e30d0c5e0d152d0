"""How often a picture is drawn, where what draws takes its time from something that matters more."""

from __future__ import annotations

import time

_SECONDS = 1.0
"""Over which the time that was taken is measured."""
_LARGEST_CHANGE = 1.5


class Pace:
    """Keeps the processor time of the thread that draws at a share of all time.

    A picture costs what the terminal's size makes of it, and how fast the machine is; so its frequency follows from
    what is measured. All that the thread does is counted, not the picture alone.

    Args:
        share: of a core's time.
        fastest, slowest: seconds between two pictures.
    """

    def __init__(self, share: float, fastest: float, slowest: float) -> None:
        self.share, self.fastest, self.slowest = share, fastest, max(slowest, fastest)
        self.seconds = fastest
        self._began: tuple[float, float] | None = None

    def look(self) -> float:
        """To be called in that thread with each picture; returns the seconds until the next."""
        now, used = time.monotonic(), time.thread_time()
        if self._began is None or now - self._began[0] > 3 * _SECONDS:  # it has not been looked at meanwhile
            self._began = now, used
        elif now - self._began[0] >= _SECONDS:
            self.seconds = self.next((used - self._began[1]) / (now - self._began[0]))
            self._began = now, used
        return self.seconds

    def next(self, used: float) -> float:
        """The seconds between two pictures from now on, after this share of a core's time was used."""
        change = min(max(used / self.share, 1 / _LARGEST_CHANGE), _LARGEST_CHANGE)
        return min(max(self.seconds * change, self.fastest), self.slowest)
