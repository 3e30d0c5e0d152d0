"""Work that goes on in the background of the app: recordings and evaluations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class Job:
    """One piece of work in a thread; the thread writes `progress`, screens show it, the app sets `cancelled`."""

    title: str
    target: str
    progress: str = ""
    cancelled: bool = False

    @property
    def line(self) -> str:
        return f"{self.title}: {'cancelled' if self.cancelled else self.progress or 'starting ...'}"

    def is_cancelled(self) -> bool:
        return self.cancelled
