"""Why episodes of the robust protocol fail: how late each death could still have been avoided, without chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mario_tui.agent.policy import Policy
from mario_tui.buttons import ACTION_SETS
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import Episode
from mario_tui.game.survival import MARGIN_STEPS, Goal, SurvivalSearch, places_along
from mario_tui.play.evaluation import (
    ROBUST_NOOPS,
    ROBUST_STICKY,
    EpisodeResult,
    Evaluation,
    evaluate,
    play_episode,
)
from mario_tui.store.intervals import wilson_interval

BACK = (4, 8, 12, 20)
"""How many steps before the end of an episode the searches begin."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An episode without a clear.

    Attributes:
        episode: how it went.
        avoidable: the fewest steps before its end, of those asked for, from which there is a way on; None if from none.
        unknown: the numbers of steps from which the search gave up.
    """

    episode: EpisodeResult
    avoidable: int | None
    unknown: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        return {**self.episode.as_json(), "avoidable": self.avoidable, "unknown": self.unknown}


@dataclass(frozen=True, slots=True)
class Audit:
    """What `audit` found; `back` in steps, ascending."""

    evaluation: Evaluation
    failures: tuple[Failure, ...]
    back: tuple[int, ...]

    def avoidable(self, steps: int) -> int:
        """How many failures could be avoided so many steps before their end, or later."""
        return sum(one.avoidable is not None and one.avoidable <= steps for one in self.failures)

    def unknown(self, steps: int) -> int:
        """Of how many failures that was not found out."""
        return sum(steps in one.unknown for one in self.failures)

    def as_json(self) -> dict[str, Any]:
        """The keys that `mario-tui audit --json` promises."""
        failed, played, clears = len(self.failures), self.evaluation.episodes, self.evaluation.clears
        return {
            "episodes": played,
            "clears": clears,
            "clear_rate": self.evaluation.clear_rate,
            "clear_rate_interval": wilson_interval(clears, played),
            "avoidable": [
                {
                    "steps_before": steps,
                    "failures": failed,
                    "avoidable": self.avoidable(steps),
                    "unknown": self.unknown(steps),
                    "interval": wilson_interval(self.avoidable(steps), failed),
                }
                for steps in self.back
            ],
            "per_failure": [one.as_json() for one in self.failures],
        }


def audit(
    policy: Policy,
    *,
    stage: str | None = None,
    actions: str | None = None,
    episodes: int = 100,
    seed: int = 0,
    back: Sequence[int] = BACK,
    threads: int = 1,
    on_episode: Callable[[EpisodeResult, Failure | None], None] | None = None,
) -> Audit:
    """Plays episodes with sticky actions and no-op starts; searches ways on from places before the end of each failure.

    A way on is survived as `Goal` says, `MARGIN_STEPS` after the end of the episode, and past its farthest x.

    Args:
        policy, stage, episodes, seed, threads: see `evaluate`.
        actions: the action set of the search; the policy's own by default.
        back: how many steps before the end the searches begin.
        on_episode: called with each episode, in their order, and with its failure if it is one.

    Raises:
        InputError: an argument is out of range.
    """
    back = check_back(back)
    buttons = ACTION_SETS[actions or policy.spec.action_set]
    failures: dict[int, Failure] = {}

    def play(policy: Policy, **settings: Any) -> EpisodeResult | None:
        result = play_episode(policy, **settings)
        if result is not None and not result.cleared:
            failures[result.seed] = _examine(result, buttons, policy.spec.frame_skip, back)
        return result

    evaluation = evaluate(
        policy,
        stage=stage,
        episodes=episodes,
        sticky=ROBUST_STICKY,
        noops=ROBUST_NOOPS,
        seed=seed,
        threads=threads,
        play=play,
        on_episode=None if on_episode is None else lambda result: on_episode(result, failures.get(result.seed)),
    )
    return Audit(evaluation, tuple(failures[one] for one in sorted(failures)), back)


def check_back(back: Sequence[int]) -> tuple[int, ...]:
    """In ascending order, each once; raises InputError for what are no numbers of steps before an end."""
    if not back or not all(1 <= steps <= 200 for steps in back):
        raise InputError(f"back = {','.join(map(str, back))} cannot be used: it should be numbers of steps, 1 to 200")
    return tuple(sorted(set(back)))


def frame_buttons(log: ActionLog) -> list[int]:
    """The button byte for each frame of a log."""
    return [byte for byte in log.buttons for _ in range(log.frame_skip)]


def _examine(result: EpisodeResult, buttons: tuple[int, ...], frame_skip: int, back: tuple[int, ...]) -> Failure:
    assert result.log is not None
    with open_emulator(result.log.stage) as emulator:
        episode = Episode(emulator, frame_skip=frame_skip)
        starts = [max(result.length - steps, 0) for steps in back]
        places = {place.steps: place for place in places_along(episode, frame_buttons(result.log), starts)}
        goal = Goal(step=result.length + MARGIN_STEPS, x=result.max_x + 1)
        search = SurvivalSearch(episode, buttons, goal)
        unknown: list[int] = []
        for steps, start in zip(back, starts, strict=True):
            survives = search.survives(places[start])
            if survives:
                return Failure(result, steps, tuple(unknown))
            if survives is None:
                unknown.append(steps)
    return Failure(result, None, tuple(unknown))
