"""Runs and their checkpoints as the rows of a tree: what a row stands for, in which order, and which match a filter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario_tui.printable import printable
from mario_tui.store.evaluations import NEVER_CLEARED
from mario_tui.store.intervals import rate_in_percent
from mario_tui.system import times
from mario_tui.tui import text

if TYPE_CHECKING:
    from mario_tui.store.catalog import CheckpointInfo, RunSummary


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a run, or a checkpoint below its run."""

    run: RunSummary
    checkpoint: CheckpointInfo | None = None
    """None on the line of a run."""
    last: bool = False
    """Whether it is the last of its run's checkpoints on show."""

    @property
    def path(self) -> Path:
        return self.run.path if self.checkpoint is None else self.checkpoint.path

    @property
    def agent(self) -> CheckpointInfo | None:
        """The one that is watched, recorded, measured and exported: of a run its best; None if all are damaged."""
        if self.checkpoint is None:
            return self.run.best
        return self.checkpoint if self.checkpoint.whole else None

    @property
    def resumable(self) -> CheckpointInfo | None:
        """The checkpoint that training resumes from: of a run, where it stopped."""
        return self.run.resumable if self.checkpoint is None else self.agent

    @property
    def subject(self) -> CheckpointInfo:
        """The checkpoint that columns and notes are about: of a run its newest, a damaged one if none is intact."""
        return self.checkpoint or self.run.newest or self.run.checkpoints[0]

    @property
    def several(self) -> bool:
        """Whether this is a run with more than one checkpoint: one that can be opened."""
        return self.checkpoint is None and len(self.run.checkpoints) > 1


BEST_FIRST = "best"
"""The order in which runs are listed: those with the best checkpoint of a stage first, then the newest."""

ORDERS: Mapping[str, Callable[[RunSummary | CheckpointInfo, CheckpointInfo], Any]] = {
    "age": lambda _, newest: times.order(newest.created),
    "steps": lambda _, newest: newest.step,
    "clear rate": lambda one, newest: (one.rank, newest.step),
    "mean reward": lambda _, newest: float("-inf") if newest.mean_reward is None else newest.mean_reward,
    "size": lambda one, _: one.size_bytes,
}
"""Sort keys of runs and of checkpoints, from (run or checkpoint, the run's newest or the same checkpoint)."""


def visible_rows(runs: Sequence[Row], *, order: str, words: str, opened: Collection[Path]) -> list[Row]:
    """The rows to show of these runs: those that match the filter's words, with the checkpoints below opened runs."""
    rows: list[Row] = []
    for row in _ordered(runs, order):
        found = matching(row.run, words)
        if not found:
            continue
        rows.append(row)
        if row.several and row.path in opened:
            *others, last = _ordered([Row(row.run, info) for info in found], order)
            rows += [*others, replace(last, last=True)]
    return rows


def _ordered(rows: Sequence[Row], order: str) -> Sequence[Row]:
    if order == BEST_FIRST:
        return rows
    key = ORDERS[order]
    return sorted(rows, key=lambda row: key(row.checkpoint or row.run, row.subject), reverse=True)


def matching(run: RunSummary, words: str) -> list[CheckpointInfo]:
    """The checkpoints of a run that have every word in their run's name, stage or note."""
    wanted = words.lower().split()
    return [
        info
        for info in run.checkpoints
        if all(word in f"{info.run} {info.stage} {info.note}".lower() for word in wanted)
    ]


def partly_matching(runs: Sequence[Row], words: str) -> set[Path]:
    """The runs of which some checkpoints match, and not all: those whose note has the words are to be seen."""
    return {row.path for row in runs if 0 < len(matching(row.run, words)) < len(row.run.checkpoints)}


def state_of(row: Row) -> str:
    """What is wrong with a row, in a word or two."""
    if row.checkpoint is not None:
        return "" if row.checkpoint.whole else "damaged"
    damaged = row.run.damaged
    return f"{damaged} damaged" if damaged and row.several else "damaged" if damaged else ""


def step_of(info: CheckpointInfo, width: int | None = None) -> str:
    """A checkpoint's step, in so many characters; with its number if it was not the first of that step."""
    number = f" ({info.number})" if info.number > 1 else ""
    step = f"{text.count(info.step)}{number}"
    return step if width is None or len(step) <= width else f"{text.compact(info.step)}{number}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def describe(row: Row, *, opened: bool, brief: bool = False) -> tuple[str, bool]:
    """The text about the selected row, and whether it is a problem; `brief` without what a preview says."""
    one = row.checkpoint or (None if row.several else row.subject)
    if one is not None:
        if not one.whole:
            problem = one.problem.replace(f"{one.path}/", "")
            what = f"{problem}. {_sentence(one.advice or 'it cannot be used')}"
            return printable(f"{what}." if one.shipped else f"{what}; d moves it to the trash."), True
        measured = ""
        if one.robust_clear_rate is not None and one.robust_episodes and not brief:
            rate = rate_in_percent(one.robust_clear_rate, one.robust_episodes)
            measured = f"  ·  robust: {rate} of {one.robust_episodes} episodes"
        where = "shipped with mario-tui" if one.shipped else printable(one.path)
        place = f"{where}  ·  {text.size(one.size_bytes)}{', whole' * one.verified}{measured}"
        return place + (f"\n{one.note}" if one.note else "  ·  ? shows all that can be done with it"), False
    run, best, newest = row.run, row.run.best, row.run.newest
    place = f"{printable(run.path)}  ·  {text.size(run.size_bytes)}"
    damaged = f", {run.damaged} of them damaged" if run.damaged else ""
    shows = "← hides" if opened else "→ shows"
    below = f"{shows} its {len(run.checkpoints)} checkpoints{damaged}"
    if best is None or newest is None:
        advice = f". {_sentence(row.subject.advice)}" if row.subject.advice else ""
        return printable(f"{below}: none can be used{advice}; d moves the run to the trash"), True
    which = "its newest" if best is newest and best.rank == NEVER_CLEARED else "its best"
    keys = [below, f"enter plays step {step_of(best)}, {which}"]
    if (resumable := run.resumable) is not None and resumable is not best:
        keys.append(f"c continues from step {step_of(resumable)}")
    unread = f"{run.unread} is damaged: notes and clear rates in it are not shown" if run.unread else ""
    return "\n".join(filter(None, (place, "  ·  ".join(keys), unread, best.note))), bool(unread)
