"""Where the time of a training step goes."""

from __future__ import annotations

import time
from collections import Counter


class PhaseClock(Counter[str]):
    """Where the time of a step goes: phase -> seconds, each from the mark before to its own.

    `act`, `cache`, `sample`, `update`, `wait` (for the emulators) and `preprocess` follow one another; `emulate`, the
    time in which the busiest emulator process played, goes on beside all but the first and the last.
    """

    def start(self) -> None:
        self._last = time.perf_counter()

    def mark(self, phase: str) -> None:
        now = time.perf_counter()
        self[phase] += now - self._last  # type: ignore[assignment]
        self._last = now

    def shares(self) -> dict[str, float]:
        """Phase -> its share of the time since the first step."""
        total = sum(seconds for phase, seconds in self.items() if phase != "emulate")
        return {phase: seconds / total for phase, seconds in self.items()} if total else {}


class RunClock:
    """How long a run was trained, without pauses.

    Attributes:
        before: seconds before this process started or resumed it.
    """

    def __init__(self) -> None:
        self.before = 0.0
        self._active = 0.0
        self._since: float | None = None

    def start(self) -> None:
        self._since = time.monotonic()

    def pause(self) -> None:
        self._active, self._since = self.seconds, None

    @property
    def seconds(self) -> float:
        """Since this process started or resumed the run."""
        return self._active + (time.monotonic() - self._since if self._since is not None else 0.0)

    @property
    def total(self) -> float:
        """Since the run began."""
        return self.before + self.seconds
