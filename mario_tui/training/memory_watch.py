"""Memory that is about to run out, seen before the system ends programs for it."""

from __future__ import annotations

import time

from mario_tui.system import free_memory

PAUSE_BYTES = 300e6
"""Free memory below which a training pauses; the replay fills by a few MB a second at most, so that is in time."""
RESUME_BYTES = 600e6
"""Free memory from which it goes on."""
LOOK_SECONDS = 1.0


class MemoryWatch:
    """Looks at the free memory every second.

    Attributes:
        reason: why to pause, one line; "" where there is no reason.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._looked_at = -LOOK_SECONDS
        self._overruled = False

    def shortage(self) -> str:
        """Why to pause now; "" where there is memory, or where a person said to go on in spite of it."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return self.reason
        self._looked_at = now
        free = free_memory.free_bytes()
        if free >= RESUME_BYTES:
            self._overruled, self.reason = False, ""
        elif free < PAUSE_BYTES and not self._overruled:
            self.reason = (
                f"memory is short: {free / 1e9:.2f} GB are free, and training goes on by itself "
                f"when {RESUME_BYTES / 1e9:.1f} GB are; a smaller replay needs less"
            )
        return self.reason

    def is_over(self) -> bool:
        """Whether there is enough memory again."""
        if free_memory.free_bytes() < RESUME_BYTES:
            return False
        self.reason = ""
        return True

    def overrule(self) -> None:
        """Training goes on: where memory is short still, that is what a person wants, until there was enough again."""
        self._overruled, self.reason = self._overruled or bool(self.reason), ""
