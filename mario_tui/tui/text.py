"""Numbers, durations, sizes and ages as the screens write them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from mario_tui.printable import printable
from mario_tui.store.intervals import in_percent
from mario_tui.system import times

HOW_TO_LEARN_FROM = "an agent learns from it with 'mario-tui train --demonstrations plays/'"
"""What follows where a game played by hand was kept."""


def count(number: float) -> str:
    """A whole number with thousands separated: `12,345`."""
    return f"{number:,.0f}"


def compact(number: float) -> str:
    """A whole number in at most six characters: `12,345`, `1.23M`, `123M`."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if abs(number) >= limit:
            scaled = number / (1e3 if unit == "k" else limit)
            digits = 0 if abs(scaled) >= 100 else 1 if abs(scaled) >= 10 else 2
            return f"{scaled:.{digits}f}{unit}"
    return count(number)


def decimal(number: float) -> str:
    """A measured value with its significant digits: `1,234`, `56.7`, `0.0123`; `-` if it is not finite."""
    if not math.isfinite(number):
        return "-"
    size = abs(number)
    if size >= 1000:
        return f"{number:,.0f}"
    if size >= 10:
        return f"{number:.1f}"
    if size >= 1 or size == 0:
        return f"{number:.2f}"
    return f"{number:.4f}"


def epsilon(number: float) -> str:
    """Epsilon with enough digits to see it move: `0.9999975` falls by a quarter of a millionth a step."""
    return f"{number:.5f}" if number > 0.99 else f"{number:.4f}"


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds: `0:12:33`, `3 d 04:05`; `-` if unknown."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days >= 1000:
        return "years"
    if days:
        return f"{days} d {hours:02d}:{minutes:02d}"
    return f"{hours}:{minutes:02d}:{left:02d}"


def seconds(number: float) -> str:
    """The length of a video: `21.4 s`, `1,234 s`."""
    return f"{number:.1f} s" if number < 999.95 else f"{number:,.0f} s"


def size(number_bytes: float) -> str:
    """Bytes in the unit that fits: `812 B`, `7.1 MB`, `1.2 GB`."""
    value = float(number_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def printable_lines(text: str) -> str:
    """Each line as it can be shown, see `printable`."""
    return "\n".join(map(printable, text.split("\n")))


def age(created: str, now: datetime) -> str:
    """How long ago an ISO time was: `now`, `5 min`, `3 h`, `2 d`, `4 mo`; `?` where the time cannot be read."""
    then = times.parse(created)
    if then is None:
        return "?"
    seconds = (now.astimezone() - then).total_seconds()
    for limit, divisor, unit in ((90, 0, ""), (5400, 60, "min"), (129_600, 3600, "h"), (5_184_000, 86_400, "d")):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {unit}" if divisor else "now"
    return f"{seconds / 2_592_000:.0f} mo"


def percent(rate: float | None) -> str:
    """A rate from 0 to 1 as `85 %`, or `99.7 %`; `-` where it has not been measured."""
    return "-" if rate is None else f"{in_percent(rate)} %"


def shortened(name: str, width: int) -> str:
    """A name as it can be shown in so many cells; a longer one without its middle, since names differ at their ends."""
    from rich.cells import cell_len

    name = printable(name)
    if cell_len(name) <= width:
        return name
    tail = (width - 1) // 2
    head, end = name[: width - 1 - tail], name[len(name) - tail :]
    while cell_len(head) > width - 1 - tail:  # some letters take two cells
        head = head[:-1]
    while cell_len(end) > tail:
        end = end[1:]
    return f"{head}…{end}"


def sparkline(values: Sequence[float]) -> str:
    """Values as bars one character wide, from the lowest to the highest of them."""
    if not values:
        return ""
    low, high = min(values), max(values)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * (value - low) / (high - low)) if high > low else 0] for value in values)
