"""Corrections: the agent's deaths are labelled by search beside the training, and it learns from what was avoidable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch

from mario_tui.agent.mario import Mario
from mario_tui.buttons import ACTION_SETS
from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason
from mario_tui.play.labelling_process import LabellingProcesses
from mario_tui.play.safe_actions import MOST_STEPS_BACK, Death, DeathLabels, Eyes
from mario_tui.system import processors
from mario_tui.training.awaiting import outcome, wait_for
from mario_tui.training.control import TrainingControl
from mario_tui.training.events import Corrected, EpisodeEnded, Event
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.state_files import MAX_EPISODE_FRAMES

LARGEST_EPSILON = 0.05
"""A game whose epsilon is at most this hardly explores: what it comes to is the agent's own doing.

The deaths of others are not labelled: one that a random move brought about teaches little."""
PLACE_PIXELS = 64
"""Deaths this near to each other are at one place, of which there should be as many labels as of any other."""
REPORT_DEATHS = 10
"""So many labelled deaths between two reports."""
MOST_LOOKS = 8
"""How often one death is labelled, each time by other variants of it, while there is no new one."""
_MOST_WAITING = 100
_MOST_PAST = 40
_FREE_OF_LABELLING = 4  # one of so many processors that the training leaves free


class Labeller(Protocol):
    """Labels deaths beside the training, see `labelling_process.LabellingProcesses`.

    processes: so many at once.
    """

    processes: int

    def submit(self, death: Death, eyes: Eyes) -> Future[DeathLabels | None]: ...

    def close(self) -> None: ...


@dataclass
class CorrectionCount:
    """What came of the deaths that were labelled.

    deaths: labelled; avoidable: of them those before which there was a decisive state; states: these, and those of
    later looks at the same deaths; right: of these the ones in which the agent would have taken a safe action when they
    were labelled, before it learned from them.
    """

    deaths: int = 0
    avoidable: int = 0
    states: int = 0
    right: int = 0

    def add(self, right: np.ndarray, *, look: int) -> None:
        """Counts a look at a death by whether the agent is right in its decisive states, (N,) bool."""
        self.deaths += look == 0
        self.avoidable += look == 0 and len(right) > 0
        self.states += len(right)
        self.right += int(right.sum())

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> CorrectionCount:
        """Of what `asdict` gave; raises KeyError, TypeError or ValueError for anything else."""
        count = cls(**{name: int(content[name]) for name in cls.__dataclass_fields__})
        if not 0 <= count.avoidable <= count.deaths or not 0 <= count.right <= count.states:
            raise ValueError("the counts of corrections are out of range")
        return count


@dataclass(frozen=True, slots=True)
class _Death:
    """A death to label. place: where, in units of PLACE_PIXELS; look, lead: as in `safe_actions.Death`."""

    place: int
    log: ActionLog
    look: int = 0
    lead: int = 0

    def as_json(self) -> list[Any]:
        return [self.place, self.log.as_json(), self.look, self.lead]

    @classmethod
    def from_json(cls, content: Sequence[Any], stage: str) -> _Death:
        """Raises KeyError, TypeError or ValueError for what `as_json` cannot have given for this stage."""
        death = cls(int(content[0]), ActionLog.from_json(content[1]), *map(int, content[2:]))
        if death.log.stage != stage or death.log.frames > MAX_EPISODE_FRAMES:
            raise ValueError("a death that was to be labelled is of another stage, or too long")
        if not 0 <= death.look < MOST_LOOKS or not 0 <= death.lead <= MAX_EPISODE_FRAMES:
            raise ValueError("looks at a death that was to be labelled are out of range")
        return death


class Corrector:
    """Has a death labelled every `corrections_every` steps, and gives the labels to the agent.

    It takes a new death, at the place where the fewest were labelled so far. Where there is no new one, it takes an
    earlier one again, and labels other variants of it.

    What is submitted at one multiple of `corrections_every` is taken at the next one, and waited for if it is not there
    yet: so that a run depends on its seed alone.

    Args:
        config: the settings.
        agent: with labelled states.
        logger: gets a line now and then.
        control: its stop ends the wait for a result.
        labeller: labels beside the training.
        awaited: whether a result is waited for; otherwise it is taken at the first multiple at which it is there, and
            as many deaths are labelled at once as there are processes.

    Attributes:
        due: whether a turn was begun and not ended, as a stop came while a result was waited for.
        total, newest: counts of all deaths that were labelled, and of those since the last report.
    """

    def __init__(
        self,
        config: TrainingConfig,
        agent: Mario,
        logger: MetricLogger,
        control: TrainingControl,
        labeller: Labeller,
        *,
        awaited: bool,
    ) -> None:
        assert agent.labelled is not None
        self._config, self._agent, self._logger, self._control = config, agent, logger, control
        self._labelled, self._labeller, self._awaited = agent.labelled, labeller, awaited
        self._eyes = Eyes(ACTION_SETS[config.action_set], depth=config.frame_stack, show_buttons=config.show_buttons)
        self.due = False
        self.total, self.newest = CorrectionCount(), CorrectionCount()
        self._deaths_at: dict[int, int] = {}  # place -> deaths that were labelled
        self._waiting: list[_Death] = []  # since the last one was submitted
        self._past: list[_Death] = []  # as they would be labelled the next time
        self._under_way: list[tuple[_Death, Future[DeathLabels | None]]] = []

    def observe(self, ended: EpisodeEnded) -> None:
        """Keeps the death of an episode of a game that hardly explores, until one is chosen."""
        measures = ended.record.kind in ("greedy", "robust")
        near_greedy = measures or self._agent.epsilon_of(ended.game) <= LARGEST_EPSILON
        if ended.log is not None and near_greedy and ended.record.end == EndReason.DEATH.value:
            self._waiting = [*self._waiting, _Death(ended.record.max_x // PLACE_PIXELS, ended.log)][-_MOST_WAITING:]

    def take_turn(self, step: int) -> Iterator[Event]:
        """Takes what was labelled, and has more labelled; to be called at multiples of corrections_every, and again at
        the same step, perhaps of a run that goes on, while it is `due`."""
        if step < self._config.corrections_from:
            self._waiting = []
            return
        for under_way in list(self._under_way):
            death, result = under_way
            if self._awaited:
                self.due = True
                if not (yield from wait_for(result, self._control, step, "the labels of a death")):
                    return
            if result.done():
                self._under_way.remove(under_way)
                yield from self._take(step, death, result)
        self.due = False
        at_once = 1 if self._awaited else self._labeller.processes
        while len(self._under_way) < at_once and (chosen := self._choose()) is not None:
            self._submit(chosen)

    def _choose(self) -> _Death | None:
        """What to label next: of the places with the fewest deaths labelled the newest death that waits, or else, of
        the deaths with the fewest looks, the newest."""
        if self._waiting:
            death = min(reversed(self._waiting), key=lambda one: self._deaths_at.get(one.place, 0))
            self._deaths_at[death.place] = self._deaths_at.get(death.place, 0) + 1
            self._waiting = []
            return death
        if not self._past:
            return None
        death = min(reversed(self._past), key=lambda one: one.look)
        self._past.remove(death)
        return death

    def _submit(self, death: _Death) -> None:
        log = death.log
        frames = tuple(byte for byte in log.buttons for _ in range(log.frame_skip))
        asked = Death(log.stage, self._config.frame_skip, frames, death.look, death.lead)
        self._under_way.append((death, self._labeller.submit(asked, self._eyes)))

    def _take(self, step: int, death: _Death, result: Future[DeathLabels | None]) -> Iterator[Event]:
        found = yield from outcome(result, self._logger, step, "a death was not labelled")
        if found is None:
            return
        right = self._right(found)
        for count in (self.total, self.newest):
            count.add(right, look=death.look)
        self._labelled.add(found.states, found.safe)
        lead = death.lead or min(max(found.steps_before.tolist(), default=0), MOST_STEPS_BACK)  # of variants it is more
        if lead and death.look + 1 < MOST_LOOKS:
            self._past = [*self._past, replace(death, look=death.look + 1, lead=lead)][-_MOST_PAST:]
        if self.newest.deaths == REPORT_DEATHS:
            newest, self.newest = self.newest, CorrectionCount()
            event = Corrected(step, **asdict(self.total), newest_states=newest.states, newest_right=newest.right)
            self._logger.note(step, str(event))
            yield event

    @torch.no_grad()
    def _right(self, found: DeathLabels) -> np.ndarray:
        """In which states the agent would take a safe action now: (N,) bool."""
        if not len(found):
            return np.zeros(0, bool)
        greedy = self._agent.net.greedy(torch.from_numpy(found.states).to(self._agent.device)).argmax(dim=1)
        right: np.ndarray = found.safe[np.arange(len(found)), greedy.cpu().numpy()]
        return right

    def state_dict(self) -> dict[str, Any]:
        """Counts, and the deaths that wait or are being labelled, as JSON; the labelled states are the agent's."""
        return {
            "due": self.due,
            "total": asdict(self.total),
            "newest": asdict(self.newest),
            "deaths_at": sorted(self._deaths_at.items()),
            "waiting": [death.as_json() for death in self._waiting],
            "past": [death.as_json() for death in self._past],
            "under_way": [death.as_json() for death, _ in self._under_way],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from `state_dict`, and begins anew what was under way.

        Raises KeyError, TypeError or ValueError for anything else.
        """
        self.due = bool(state.get("due"))  # which older checkpoints have not
        self.total = CorrectionCount.from_json(state["total"])
        self.newest = CorrectionCount.from_json(state["newest"])
        self._deaths_at = {int(place): int(deaths) for place, deaths in state["deaths_at"]}
        stage = self._config.stage
        self._waiting = [_Death.from_json(death, stage) for death in state["waiting"]]
        self._past = [_Death.from_json(death, stage) for death in state.get("past", [])]
        under_way = state["under_way"]
        if not isinstance(under_way, list):  # older checkpoints have one death at most, and no place
            under_way = [[0, under_way]] if under_way else []
        for death in under_way:
            self._submit(_Death.from_json(death, stage))

    def close(self) -> None:
        """Ends what is under way, whose labels are lost."""
        self._labeller.close()


def open_corrector(
    config: TrainingConfig, agent: Mario, logger: MetricLogger, control: TrainingControl
) -> Corrector | None:
    """A corrector with processes of its own; None where the settings want none.

    Raises InputError where the emulator cannot go back to places in an episode.
    """
    if not config.corrections:
        return None
    with open_emulator(config.stage) as emulator:
        if not emulator.has_snapshots():
            raise InputError(
                "corrections need Python 3.13 or newer, whose emulator can go back to any place of an episode: "
                "train there, or with --corrections 0"
            )
    awaited = (
        agent.device.type == "cpu"
    )  # a run on a GPU does not depend on its seed alone: nothing is gained by waiting
    free = processors.count() - config.workers - 1
    labeller = LabellingProcesses(1 if awaited else max(free // _FREE_OF_LABELLING, 1))
    return Corrector(config, agent, logger, control, labeller, awaited=awaited)
