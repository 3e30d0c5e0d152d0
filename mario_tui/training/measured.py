"""What the games that measure have shown: how greedy play goes, and a running robust clear rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from mario_tui.store.history import EpisodeRecord
from mario_tui.store.intervals import wilson_interval

ROBUST_WINDOW = 40
"""Episodes that the running robust clear rate is of, at most: with one such game of eight some 90,000 steps."""
LEAST_EPISODES = ROBUST_WINDOW
"""A running rate over fewer episodes is not noted as the best so far."""
TRIAL_WINDOW = 20
"""Episodes that decide whether an agent is tried: fewer, as the agent that is tried is the one of now."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured so far; false if that is nothing.

    Attributes:
        greedy: the newest episode of the greedy game; None before the first.
        greedy_episodes, greedy_clears, greedy_best_x, greedy_best_progress: of all its episodes.
        robust: of the last episodes of the robust game, at most ROBUST_WINDOW, whether they cleared the stage.
        robust_best: the best running rate so far over at least LEAST_EPISODES; None before there was one.
    """

    greedy: EpisodeRecord | None = None
    greedy_episodes: int = 0
    greedy_clears: int = 0
    greedy_best_x: int = 0
    greedy_best_progress: float = 0.0
    robust: tuple[bool, ...] = ()
    robust_best: float | None = None

    def after(self, record: EpisodeRecord) -> Measured:
        """With one more episode, of the kind `greedy` or `robust`."""
        if record.kind == "robust":
            robust = (*self.robust, record.cleared)[-ROBUST_WINDOW:]
            best = self.robust_best
            if len(robust) >= LEAST_EPISODES:
                best = max(best or 0.0, sum(robust) / len(robust))
            return replace(self, robust=robust, robust_best=best)
        return replace(
            self,
            greedy=record,
            greedy_episodes=self.greedy_episodes + 1,
            greedy_clears=self.greedy_clears + record.cleared,
            greedy_best_x=max(self.greedy_best_x, record.max_x),
            greedy_best_progress=max(self.greedy_best_progress, record.progress),
        )

    @property
    def robust_rate(self) -> float:
        """The running robust clear rate, 0 to 1; 0 before the first episode."""
        return sum(self.robust) / max(len(self.robust), 1)

    def worth_a_trial(self, target: float) -> bool:
        """Whether the last TRIAL_WINDOW robust episodes speak for this rate or more, 0 to 1; of 0.97, 19 of 20 do."""
        last = self.robust[-TRIAL_WINDOW:]
        return len(last) == TRIAL_WINDOW and sum(last) >= math.floor(target * TRIAL_WINDOW + 1e-9)

    @property
    def robust_interval(self) -> tuple[float, float]:
        """Its Wilson score interval, 95 %: for an agent that stays as it is, which one that learns does not."""
        return wilson_interval(sum(self.robust), len(self.robust))

    def __bool__(self) -> bool:
        return self.greedy is not None or bool(self.robust)

    def __str__(self) -> str:
        return "; ".join(self.lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each game, of 37 characters at most, which is what Train has at 80 columns."""
        lines = []
        if self.greedy is not None:
            newest, best = (_reached(share) for share in (self.greedy.progress, self.greedy_best_progress))
            lines.append(f"greedy game: {newest}, best {best}")
        if self.robust:
            low, high = (round(100 * bound) for bound in self.robust_interval)
            lines.append(f"robust game: {sum(self.robust)} of {len(self.robust)} ({low}-{high} %)")
        return tuple(lines)

    @property
    def short(self) -> str:
        """The figure that matters most, e.g. `robust 61/100`."""
        if self.robust:
            return f"robust {sum(self.robust)}/{len(self.robust)}"
        return f"greedy {_reached(self.greedy.progress)}" if self.greedy is not None else ""

    def as_json(self) -> dict[str, Any]:
        greedy = self.greedy and {
            "max_x": self.greedy.max_x,
            "cleared": self.greedy.cleared,
            "best_x": self.greedy_best_x,
            "progress": self.greedy.progress,
            "best_progress": self.greedy_best_progress,
            "clears": self.greedy_clears,
            "episodes": self.greedy_episodes,
        }
        low, high = self.robust_interval
        robust = {
            "clears": sum(self.robust),
            "episodes": len(self.robust),
            "low": round(low, 4),
            "high": round(high, 4),
        }
        return {"greedy": greedy, "robust": robust if self.robust else None}


def _reached(progress: float) -> str:
    return "clears" if progress == 1 else f"{100 * progress:.0f} %"
