"""What happens during a training, as `Trainer.run` yields it. This file is light: to import it loads no PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mario_tui.store.intervals import in_percent, wilson_interval

if TYPE_CHECKING:
    from mario_tui.game.action_log import ActionLog
    from mario_tui.play.evaluation import Evaluation
    from mario_tui.store.history import EpisodeRecord
    from mario_tui.training.demo_data import DemonstrationCount
    from mario_tui.training.forecast import Forecast
    from mario_tui.training.measured import Measured

What = Literal["first-clear", "best"]
_NAMES: dict[What, str] = {"first-clear": "the first clear", "best": "the best episode so far"}


class Event:
    """Something that happened. `str()` gives one line for the user, "" for an event that is not worth one."""

    __slots__ = ()

    def __str__(self) -> str:
        return ""

    def as_json(self) -> dict[str, Any] | None:
        """The line that `mario-tui train --json` prints; None for an event that it leaves out."""
        return None


@dataclass(frozen=True, slots=True)
class Started(Event):
    """The games run, and the first step is next."""

    run: Path
    step: int
    demonstrations: DemonstrationCount | None = None

    def __str__(self) -> str:
        return str(self.demonstrations or "")

    def as_json(self) -> dict[str, Any]:
        shown = {"demonstrations": self.demonstrations.as_json()} if self.demonstrations else {}
        return {"event": "started", "run": str(self.run), "step": self.step, **shown}


@dataclass(frozen=True, slots=True)
class Stepped(Event):
    """Every game took a step; `step` counts the steps of all games."""

    step: int


@dataclass(frozen=True, slots=True)
class EpisodeEnded(Event):
    """`log` replays the episode, which was one of game number `game`."""

    record: EpisodeRecord
    log: ActionLog | None = None
    game: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"event": "episode", **asdict(self.record)}


@dataclass(frozen=True, slots=True)
class Measurement(Event):
    """What the games that measure have shown, after an episode of one of them."""

    step: int
    measured: Measured

    def as_json(self) -> dict[str, Any]:
        return {"event": "measured", "step": self.step, **self.measured.as_json()}


@dataclass(frozen=True, slots=True)
class Forecasted(Event):
    """What is to be expected of this training, from how others of its preset went."""

    step: int
    forecast: Forecast

    def __str__(self) -> str:
        return str(self.forecast)

    def as_json(self) -> dict[str, Any]:
        return {"event": "forecast", "step": self.step, **self.forecast.as_json()}


@dataclass(frozen=True, slots=True)
class Saved(Event):
    """A checkpoint was written."""

    path: Path
    step: int

    def __str__(self) -> str:
        return f"saved {self.path}"

    def as_json(self) -> dict[str, Any]:
        return {"event": "saved", "path": str(self.path), "step": self.step}


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something that the user should know, or do something about: one line."""

    step: int
    text: str

    def __str__(self) -> str:
        return f"warning: {self.text}"

    def as_json(self) -> dict[str, Any]:
        return {"event": "warning", "step": self.step, "text": self.text}


@dataclass(frozen=True, slots=True)
class Waiting(Event):
    """No step is taken until the result of work beside the training is there."""

    step: int
    what: str

    def __str__(self) -> str:
        return f"waiting for {self.what}"

    def as_json(self) -> dict[str, Any]:
        return {"event": "waiting", "step": self.step, "for": self.what}


@dataclass(frozen=True, slots=True)
class Evaluated(Event):
    """The result of an evaluation of the weights of step `step`: greedy play, or the robust protocol."""

    step: int
    evaluation: Evaluation
    robust: bool = False

    def __str__(self) -> str:
        result = self.evaluation
        if self.robust:
            return f"step {self.step:,} clears {result.clears} of {result.episodes} robust episodes"
        outcome = "clears the stage" if result.clears else f"gets through {in_percent(result.progress)} % of it"
        return f"greedy play at step {self.step:,} {outcome}"

    def as_json(self) -> dict[str, Any]:
        return {"event": "evaluated", "step": self.step, "robust": self.robust, **self.evaluation.as_json()}


@dataclass(frozen=True, slots=True)
class Corrected(Event):
    """What came of the deaths that were labelled so far, see `corrector.CorrectionCount`.

    `newest_states` and `newest_right` are of those since the last of these events.
    """

    step: int
    deaths: int
    avoidable: int
    states: int
    right: int
    newest_states: int
    newest_right: int

    def __str__(self) -> str:
        return (
            f"{self.deaths:,} deaths labelled, {self.avoidable:,} avoidable, {self.states:,} states; of the newest "
            f"{self.newest_states} the agent was right in {self.newest_right}"
        )

    def as_json(self) -> dict[str, Any]:
        return {"event": "corrected", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Paused(Event):
    """Training paused. `reason`: why the trainer paused by itself, one line; "" if the user paused it."""

    step: int
    reason: str = ""
    goes_on: bool = False
    """Whether training resumes by itself as soon as it can."""

    def __str__(self) -> str:
        return f"paused at step {self.step:,}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        return {"event": "paused", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Resumed(Event):
    """Training resumed after a pause."""

    step: int

    def __str__(self) -> str:
        return "training goes on"

    def as_json(self) -> dict[str, Any]:
        return {"event": "resumed", "step": self.step}


@dataclass(frozen=True, slots=True)
class Adjusted(Event):
    """The user changed the learning rate or epsilon."""

    step: int


@dataclass(frozen=True, slots=True)
class Restarted(Event):
    """An emulator process died or hung and was started again; `dropped` episodes were lost with it."""

    step: int
    problem: str
    dropped: int

    def __str__(self) -> str:
        lost = f"{self.dropped} episode{'s' * (self.dropped != 1)}"
        return f"{self.problem}: started again at step {self.step:,}, {lost} dropped"

    def as_json(self) -> dict[str, Any]:
        return {"event": "restarted", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Recorded(Event):
    """A video of an episode of this training is complete."""

    what: What
    path: Path
    stage: str
    max_x: int
    cleared: bool

    def __str__(self) -> str:
        outcome = f"clears {self.stage}" if self.cleared else f"x {self.max_x:,}"
        return f"recorded {_NAMES[self.what]} ({outcome}): {self.path.parent.name}/{self.path.name}"

    def as_json(self) -> dict[str, Any]:
        values = {"what": self.what, "path": str(self.path), "stage": self.stage}
        return {"event": "recorded", **values, "max_x": self.max_x, "cleared": self.cleared}


@dataclass(frozen=True, slots=True)
class NotRecorded(Event):
    """A recording failed; training continues."""

    what: What
    problem: str

    def __str__(self) -> str:
        return f"{_NAMES[self.what]} was not recorded: {self.problem}"

    def as_json(self) -> dict[str, Any]:
        return {"event": "not_recorded", "what": self.what, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class FinishingRecordings(Event):
    """The training has ended and is saved; `count` recordings are still to be finished."""

    count: int

    def __str__(self) -> str:
        videos = "a video" if self.count == 1 else f"{self.count} videos"
        return f"saved; finishing {videos} of it"


@dataclass(frozen=True, slots=True)
class FirstClear:
    """When greedy play first cleared the stage."""

    step: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RobustTrial:
    """An agent of the run in the robust protocol; `checkpoint` is the name of its folder."""

    step: int
    clears: int
    episodes: int
    checkpoint: str

    @property
    def clear_rate(self) -> float:
        return self.clears / self.episodes

    @property
    def low(self) -> float:
        """The lower end of the clear rate's 95 % interval, which shows how much the trial vouches for."""
        return wilson_interval(self.clears, self.episodes)[0]

    def __str__(self) -> str:
        return f"{self.clears} of {self.episodes} robust episodes (step {self.step:,})"

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> RobustTrial:
        """What `asdict` made of one; raises KeyError, TypeError or ValueError for anything else."""
        trial = cls(int(state["step"]), int(state["clears"]), int(state["episodes"]), str(state["checkpoint"]))
        if not 0 <= trial.clears <= trial.episodes or trial.episodes == 0:
            raise ValueError("its best robust trial is out of range")
        return trial


@dataclass(frozen=True, slots=True)
class RobustOutcome:
    """How a run with the setting `until_robust` ended.

    Attributes:
        target: the clear rate that was asked for, 0 to 1.
        reached: whether a trial had it.
        best: the best trial; None without one.
        running_rate: the best running rate of the game that measures; None before there was one.
    """

    target: float
    reached: bool
    best: RobustTrial | None
    running_rate: float | None

    def __str__(self) -> str:
        if self.reached and self.best is not None:
            return f"the robust clear rate {self.target:g} is reached: {self.best.checkpoint} clears {self.best}"
        running = "too few episodes" if self.running_rate is None else f"{self.running_rate:.2f} at best"
        tried = f"; the best agent that was tried cleared {self.best}" if self.best else ""
        return f"the robust clear rate {self.target:g} was not reached: while training it was {running}{tried}"


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """The training ended, and this is the last event.

    `seconds` is the time trained since this process started or resumed the run, without pauses.
    """

    steps: int
    episodes: int
    clears: int
    seconds: float
    steps_per_second: float
    checkpoint: Path
    first_greedy_clear: FirstClear | None
    robust: RobustOutcome | None = None

    def __str__(self) -> str:
        return (
            f"done: {self.steps:,} steps, {self.episodes:,} episodes, {self.clears:,} clears; "
            f"{self.steps_per_second:.1f} steps/s{f'; {self.robust}' if self.robust else ''}"
        )

    def as_json(self) -> dict[str, Any]:
        values = {**asdict(self), "checkpoint": str(self.checkpoint)}
        if self.robust is None:
            del values["robust"]
        return {"event": "finished", **values}


class Observer:
    """Watches a training without being part of its loop, e.g. to draw it or to record videos."""

    def observe(self, event: Event) -> None:
        """Is called with every event but `Stepped` and those of observers."""

    def poll(self) -> Iterator[Event]:
        """What the observer itself has to report; is called after every tick."""
        yield from ()

    def finish(self, in_a_hurry: Callable[[], bool]) -> Iterator[Event]:
        """Completes its work after the training has ended and is saved; in a hurry it gives up what is not done."""
        yield from ()

    def close(self) -> None:
        """Gives up what is not done."""
