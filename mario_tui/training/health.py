"""What interrupts a training: memory that runs out, numbers that are not finite, emulators that die."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from mario_tui.system import free_memory

PAUSE_BYTES = 300e6
"""Free memory below which training pauses; the replay fills by a few MB a second at most, so that is in time."""
RESUME_BYTES = 600e6
"""Free memory above which training resumes."""
LOOK_SECONDS = 1.0

BAD_REWARD = "a reward was not finite; 0 was taken in its place"
BAD_UPDATE = "loss or gradient were not finite; the update was left out, and the weights are as before"


class MemoryWatch:
    """Checks the free memory every `check_seconds`.

    Attributes:
        reason: why to pause, one line; "" without a reason.
    """

    def __init__(self, check_seconds: float | None = None) -> None:
        self.reason = ""
        self.check_seconds = LOOK_SECONDS if check_seconds is None else check_seconds
        self._checked_at = -self.check_seconds
        self._overruled = False

    def shortage(self) -> str:
        """Why to pause now; "" if there is enough memory, or if the user resumed the training in spite of it."""
        now = time.monotonic()
        if now - self._checked_at < self.check_seconds:
            return self.reason
        self._checked_at = now
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
        """Training resumed: if memory is still short, the user wants that, until there was enough of it again."""
        self._overruled, self.reason = self._overruled or bool(self.reason), ""


@dataclass
class Health:
    """What went wrong since this process started or resumed the run.

    Attributes:
        dropped_episodes: lost with emulator processes that died or hung.
        skipped_updates: left out because the loss or a gradient was not finite.
    """

    memory: MemoryWatch = field(default_factory=MemoryWatch)
    dropped_episodes: int = 0
    skipped_updates: int = 0
