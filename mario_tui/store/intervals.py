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


def in_percent(rate: float) -> str:
    """A rate from 0 to 1 in percent, rounded, e.g. `85`; one that is not quite 1 or 0 is neither `100` nor `0`."""
    rounded = f"{100 * rate:.0f}"
    if rounded in ("0", "100") and 0 < rate < 1:
        tenths = min(max(round(1000 * rate), 1), 999)
        return f"{tenths / 10:.1f}"
    return rounded
