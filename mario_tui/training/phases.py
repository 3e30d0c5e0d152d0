"""Where the time of a training step goes."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Protocol


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


class DeviceEvent(Protocol):
    """A point in what a device does, as `torch.cuda.Event(enable_timing=True)`."""

    def record(self) -> None:
        """Puts it behind all that the device was asked for so far."""

    def query(self) -> bool:
        """Whether the device has got there."""

    def elapsed_time(self, end_event: Any) -> float:
        """Milliseconds from this event to a later one."""


class DevicePhaseClock(PhaseClock):
    """A PhaseClock for a device that works on while Python goes on: a phase ends when the device is done with it.

    Otherwise the time of an update would be counted as that of what next waits for it.

    Args:
        new_event: makes events of the device.
    """

    def __init__(self, new_event: Callable[[], DeviceEvent]) -> None:
        super().__init__()
        self._new_event = new_event
        self._marks: deque[tuple[str, DeviceEvent]] = deque()  # the first one is counted, those after it not yet

    def start(self) -> None:
        self.mark("")

    def mark(self, phase: str) -> None:
        event = self._new_event()
        event.record()
        self._marks.append((phase, event))
        self._count()

    def clear(self) -> None:
        """Forgets all that was asked of the device so far."""
        super().clear()
        self._marks.clear()

    def finish(self, synchronize: Callable[[], None]) -> None:
        """Counts what the device still has to do; `synchronize` waits until it is done."""
        synchronize()
        self._count()

    def _count(self) -> None:
        while len(self._marks) > 1 and self._marks[1][1].query():
            _, before = self._marks.popleft()
            phase, event = self._marks[0]
            if phase:  # not from a tick's end to the next one's start
                self[phase] += before.elapsed_time(event) / 1000  # type: ignore[assignment]


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
