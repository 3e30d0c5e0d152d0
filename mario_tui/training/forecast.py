"""What is to be expected of a training, from how earlier runs of its preset went."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mario_tui.config import TrainingConfig
from mario_tui.training.pace import in_words
from mario_tui.training.preset_curves import PresetCurves, Reached, Spread, curves_of


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected; built by `forecast`.

    Attributes:
        goal: what the steps are about, in words, such as `first clear`; "" if all goals are behind.
        near_step: where it is expected: the median of the other runs that had it later than now; None if none had.
        low, high: the first and the last step at which any of the other runs had it; None if none had.
        seconds: to `near_step`; None where it or the speed is not known.
        runs: how many other runs there are, of which `before` had it by now and `never` did not have it.
        here: what the other runs had at this step, in words; "" where that is not known.
    """

    preset: str
    goal: str
    near_step: int | None
    low: int | None
    high: int | None
    seconds: float | None
    runs: int
    before: int
    never: int
    here: str

    def __str__(self) -> str:
        return "; ".join(part for part in (self._when(), self.here) if part)

    def _when(self) -> str:
        if not self.goal:
            return ""
        of = f"{self.runs} other run{'s' * (self.runs != 1)}"
        if self.low is None or self.high is None:
            return f"no {self.goal} in {of}"
        span = " to ".join(dict.fromkeys(f"{rounded(step):,}" for step in (self.low, self.high)))
        without = f", {self.never} had none" if self.never else ""
        if self.near_step is None:
            return f"{self.goal} later than in {of} ({span}{without})"
        about = "" if self.seconds is None else f", in about {in_words(self.seconds)}"
        known = f", {self.before} of them by now" if self.before else ""
        return f"{self.goal} expected near step {rounded(self.near_step):,}{about} ({of}: {span}{known}{without})"

    def as_json(self) -> dict[str, Any]:
        seconds = None if self.seconds is None else round(self.seconds)
        return {**asdict(self), "seconds": seconds}


def forecast(config: TrainingConfig, step: int, *, cleared: bool, steps_per_second: float) -> Forecast | None:
    """What is to be expected of a run with these settings, which is at a step; None where that is not known.

    Args:
        cleared: whether greedy play has cleared the stage.
        steps_per_second: 0 where it is not known yet.
    """
    curves = curves_of(config)
    if curves is None:
        return None
    goal, reached = _goal(config, curves, cleared=cleared)
    later = [one.step for one in reached if one.step > step]
    near = round(statistics.median(later)) if later else None
    here = _here(curves, step, cleared=cleared)
    if not (goal or here):
        return None
    return Forecast(
        preset=curves.preset,
        goal=goal,
        near_step=near,
        low=reached[0].step if reached else None,
        high=reached[-1].step if reached else None,
        seconds=(near - step) / steps_per_second if near is not None and steps_per_second > 0 else None,
        runs=curves.runs,
        before=len(reached) - len(later),
        never=curves.runs - len(reached),
        here=here,
    )


def _goal(config: TrainingConfig, curves: PresetCurves, *, cleared: bool) -> tuple[str, Sequence[Reached]]:
    """What comes next, and when other runs had it."""
    if not cleared:
        return "first clear", curves.first_clears
    if config.until_robust and config.until_robust == curves.target:
        return f"{100 * curves.target:g} % of robust episodes", curves.targets
    return "", ()


def _here(curves: PresetCurves, step: int, *, cleared: bool) -> str:
    if spread := _at(curves.robust, step):
        low, median, high = (f"{100 * value:.0f}" for value in (spread.low, spread.median, spread.high))
        return f"others were at {median} % robust here{_of(spread, curves, f'{low} to {high}')}"
    if not cleared and (spread := _at(curves.greedy, step)):
        span = f"{spread.low:,.0f} to {spread.high:,.0f}"
        return f"others' greedy play got to x {spread.median:,.0f} here{_of(spread, curves, span)}"
    return ""


def _of(spread: Spread, curves: PresetCurves, span: str) -> str:
    if spread.runs == 1:
        return " (one run)" if curves.runs > 1 else ""
    return f" ({span})" if spread.runs == curves.runs else f" ({span}; {spread.runs} runs)"


def _at(spreads: Sequence[Spread], step: int) -> Spread | None:
    """What there is of the steps among which this one is; None after the last."""
    return next((one for one in spreads if step <= one.step), None)


def rounded(step: int) -> int:
    """To two or three digits: no run says more about another."""
    return round(step, -3) if step >= 10_000 else round(step, -2)
