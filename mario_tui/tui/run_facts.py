"""What the preview beside the list of runs says of a run or a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from mario_tui.printable import printable
from mario_tui.store.intervals import interval_in_percent
from mario_tui.tui import text
from mario_tui.tui.run_tree import Row, step_of

if TYPE_CHECKING:
    from mario_tui.store.catalog import CheckpointInfo, RunSummary

_DIM = "$foreground 60%"


def facts(row: Row, settings: str) -> Content:
    """Lines on a row: what it is, how its agent plays, with intervals, and how its settings differ from a preset's."""
    run, one = row.run, row.checkpoint
    subject = row.subject
    if one is None:
        step = step_of(subject) if subject.step == run.step else text.count(run.step)
        head = Content.assemble((printable(run.run), "bold"), f"  stage {run.stage}  step {step}")
    else:
        head = Content.assemble((f"step {step_of(one)}", "bold"), f"  stage {one.stage}")
    lines = [head]
    if trained := _trained(subject):
        lines.append(Content(trained))
    if row.agent is not None:
        of_all = ", at best" if row.several else ""
        measured = one or run
        lines += [_line("greedy", _greedy(measured, of_all)), _line("robust", _robust(measured, of_all))]
    if settings:
        lines.append(_line("preset", settings))
    return Content("\n").join(lines)


def _line(name: str, value: str) -> Content:
    return Content.assemble((f"{name}  ", _DIM), printable(value))


def _trained(info: CheckpointInfo) -> str:
    episodes = "" if info.episodes is None else f"{text.count(info.episodes)} episodes, "
    reward = "" if info.mean_reward is None else f"mean reward {text.count(info.mean_reward)}"
    return f"{episodes}{reward}".removesuffix(", ")


def _greedy(measured: CheckpointInfo | RunSummary, of_all: str) -> str:
    if measured.greedy_clear is None:
        return "not measured: e plays it"
    if measured.greedy_clear:
        return f"clears the stage{of_all}"
    far = measured.greedy_progress
    return "does not clear the stage" if far is None else f"gets through {text.percent(far)}{of_all}"


def _robust(measured: CheckpointInfo | RunSummary, of_all: str) -> str:
    rate, episodes = measured.robust_clear_rate, measured.robust_episodes
    if rate is None:
        return "not measured"
    if not episodes:
        return f"{text.percent(rate)}{of_all}"
    return (
        f"{round(rate * episodes)} of {text.count(episodes)} cleared{of_all}: {text.percent(rate)}, "
        f"95 % interval {interval_in_percent(rate, episodes)}"
    )
