"""How well a share is known from a number of trials."""

from __future__ import annotations

import math

Z_95 = 1.96
"""The normal distribution's quantile for two-sided 95 %."""


def wilson_interval(successes: float, trials: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a probability, 0 to 1 (Wilson 1927, Probable inference; Brown, Cai and DasGupta
    2001 recommend it for few trials); the whole of [0, 1] without trials."""
    if not trials:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def rate_in_percent(rate: float, episodes: int) -> str:
    """A measured rate, 0 to 1, with the 95 % interval that so many episodes leave, e.g. `62 % (52-71)`.

    Without the interval where their number is not known.
    """
    return f"{in_percent(rate)} %" + (f" ({interval_in_percent(rate, episodes)})" if episodes else "")


def interval_in_percent(rate: float, episodes: int) -> str:
    """The 95 % interval of a rate, 0 to 1, that was measured over so many episodes, in percent, e.g. `52-71`."""
    low, high = wilson_interval(round(rate * episodes), episodes)
    return f"{100 * low:.0f}-{100 * high:.0f}"


def in_percent(rate: float) -> str:
    """A rate from 0 to 1 in percent, rounded, e.g. `85`; one that is not quite 1 or 0 is neither `100` nor `0`."""
    rounded = f"{100 * rate:.0f}"
    if rounded in ("0", "100") and 0 < rate < 1:
        tenths = min(max(round(1000 * rate), 1), 999)
        return f"{tenths / 10:.1f}"
    return rounded
