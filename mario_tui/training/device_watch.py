"""What a training says of its device, and what is kept of it in case the device is lost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from mario_tui.agent.mario import Mario
from mario_tui.training.checkpointing import Checkpointer, Snapshot
from mario_tui.training.events import Event, Observer, Warned

COPY_SECONDS = 300.0
"""From one copy of the weights to the next: what may be lost with a device."""


class DeviceWatch(Observer):
    """Reports what the agent has to say, and keeps copies of the weights on the host.

    A GPU may be lost, e.g. when a laptop was suspended, and nothing can be read from it any more.

    Args:
        agent: what trains.
        checkpointer: is given the copies.
        take: a snapshot of the training without its replay.
        copy_seconds: from one copy to the next; None makes them where the device is not the processor.
    """

    def __init__(
        self,
        agent: Mario,
        checkpointer: Checkpointer,
        take: Callable[[], Snapshot],
        *,
        copy_seconds: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._agent, self._checkpointer, self._take = agent, checkpointer, take
        by_device = math.inf if agent.device.type == "cpu" else COPY_SECONDS
        self._copy_seconds = by_device if copy_seconds is None else copy_seconds
        self._now = now
        self._copied_at = now()

    def poll(self) -> Iterator[Event]:
        while self._agent.notices:
            yield Warned(self._agent.curr_step, self._agent.notices.pop(0))
        if self._now() - self._copied_at >= self._copy_seconds:
            self._checkpointer.in_reserve = self._take()
            self._copied_at = self._now()
