"""Points in time: as files state them, in order, and as people read them.

Files hold ISO 8601 with an offset, which means the same everywhere. People read the time of the place where they are.
"""

from __future__ import annotations

import math
from datetime import datetime, timezone


def now() -> str:
    """The time, as files state it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def of_timestamp(seconds: float) -> str:
    """A time of the system, in seconds since 1970, as files state it."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def parse(stated: str) -> datetime | None:
    """The time that a file states, with an offset; None if it cannot be read.

    One without an offset is taken to be of this place.
    """
    try:
        then = datetime.fromisoformat(stated.replace("Z", "+00:00"))
        return then.astimezone() if then.tzinfo is None else then
    except (ValueError, OverflowError, OSError):
        return None


def order(stated: str) -> float:
    """What to sort by, so that later comes after earlier, whatever the offsets; what cannot be read comes first."""
    then = parse(stated)
    return -math.inf if then is None else then.timestamp()


def local(stated: str) -> str:
    """The time of the place where it is read, e.g. `2026-11-22 08:30`; "" if it cannot be read."""
    then = parse(stated)
    try:
        return "" if then is None else then.astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):  # at the ends of the calendar
        return ""
