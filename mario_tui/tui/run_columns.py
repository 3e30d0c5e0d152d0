"""The columns of the list of runs and checkpoints: which there is room for, and what stands in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from rich.style import Style
from rich.text import Text

from mario_tui.store.intervals import interval_in_percent
from mario_tui.tui import run_tree, text
from mario_tui.tui.run_tree import Row
from mario_tui.tui.text import shortened

ROOMY_WIDTH = 110
"""From this width of the list on all columns are shown."""
NUMERIC = ("step", "robust", "reward", "size", "age")

_ALL = (
    ("   run", 24),
    ("stage", 5),
    ("step", 11),
    ("greedy", 6),
    ("robust", 13),
    ("reward", 7),
    ("size", 7),
    ("age", 6),
    ("state", 9),
)
_NARROW = (("   run", 24), ("stage", 5), ("step", 10), ("greedy", 6), ("robust", 6), ("reward", 6), ("age", 6))
_BESIDE = (("   run", 24), ("stage", 5), ("step", 10), ("greedy", 6), ("robust", 13), ("age", 6))
"""Beside a preview, which has the rest."""
_WIDE_BESIDE = (*_BESIDE[:-1], ("reward", 7), ("age", 6), ("state", 9))
_WIDE = 94


def columns(width: int, *, preview: bool) -> Sequence[tuple[str, int]]:
    """Heading and width of the columns that a list of that width has room for, with a preview beside it or without."""
    if width >= ROOMY_WIDTH:
        return _ALL
    if not preview:
        return _NARROW
    return _WIDE_BESIDE if width >= _WIDE else _BESIDE


def cells(
    row: Row,
    shown: Sequence[tuple[str, int]],
    *,
    wide: int,
    now: datetime,
    marked: bool,
    opened: bool,
    colour: Callable[[str, str], str],
) -> Sequence[Text]:
    """What stands in these columns for a row; the first has `wide` characters, `colour` is `ListScreen.colour`."""
    good, bad, dim = colour("success", "green"), colour("error", "red"), "dim"
    widths = dict(shown)
    subject, measured = row.subject, row.checkpoint or row.run
    reached = "no" if measured.greedy_progress is None else text.percent(measured.greedy_progress)
    state, kind = run_tree.state_of(row), "shipped" if row.run.shipped else ""
    has_state = "state" in widths
    reward = "-" if subject.mean_reward is None else text.count(subject.mean_reward)
    made = {
        "stage": Text("" if row.checkpoint is not None else row.run.stage),
        "step": Text(run_tree.step_of(subject, widths["step"]), justify="right"),
        "greedy": {True: Text("clears", good), False: Text(reached), None: Text("-", dim)}[measured.greedy_clear],
        "robust": _robust(measured.robust_clear_rate, measured.robust_episodes, widths["robust"], good),
        "reward": Text(reward, dim if subject.mean_reward is None else "", justify="right"),
        "size": Text(text.size(measured.size_bytes), dim, justify="right"),
        "age": Text(text.age(subject.created, now), dim, justify="right"),
        "state": Text(state or kind or "whole" * subject.verified, bad if state else dim),
    }
    first = _first(row, *(("", "") if has_state else (state, kind)), wide, marked, opened, colour)
    return (first, *(made[heading] for heading, _ in shown[1:]))


def _robust(rate: float | None, episodes: int, width: int, good: str) -> Text:
    """A rate, and its interval where that fits: 62 and 68 of 100 are the same."""
    shown = Text(text.percent(rate), good if rate else "dim", justify="right")
    if rate is not None and episodes:
        interval = f" {interval_in_percent(rate, episodes)}"
        if len(shown) + len(interval) <= width:
            shown.append(interval, "dim")
    return shown


def _first(
    row: Row, state: str, kind: str, wide: int, marked: bool, opened: bool, colour: Callable[[str, str], str]
) -> Text:
    """The first column: where the row stands in the tree, its name or note, how many are below it."""
    gold, bad = colour("secondary", "yellow"), colour("error", "red")
    if row.checkpoint is not None:
        info = row.checkpoint
        start = Text.assemble(("  └ " if row.last else "  ├ ", "dim"), ("★ " if info.best else "", gold))
        end = Text(f"{state} " if state else "", bad)
        note = Text(shortened(info.note, max(0, wide - len(start) - len(end))), "dim")
        return Text.assemble(start, end, note)
    start = Text("✓" if marked else " ", gold)
    click = Style.from_meta({"@click": f"screen.open_or_close({row.run.run!r})"}) if row.several else ""
    start.append(("▾ " if opened else "▸ ") if row.several else "  ", click)
    count = Text(f" ({len(row.run.checkpoints)})" if row.several and not state else "", "dim")
    end = Text.assemble((f" {state}" if state else "", bad), (f" {kind}" if kind else "", "dim"))
    name = shortened(row.run.run, max(6, wide - len(start) - len(count) - len(end)))
    return Text.assemble(start, (name, "bold" if row.agent else "dim"), count, end)
