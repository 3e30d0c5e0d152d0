"""Checkpoints: every run with its saved agents, and what can be done with them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.text import Text
from textual.content import Content
from textual.widgets import DataTable, Static

from mario_tui.paths import RUN_NAME_RULE
from mario_tui.printable import printable
from mario_tui.tui import run_columns, run_tree
from mario_tui.tui.run_facts import facts
from mario_tui.tui.run_tree import BEST_FIRST, ORDERS, Row
from mario_tui.tui.screens.checkpoint_keys import CHECKPOINT_KEYS
from mario_tui.tui.screens.compare import MOST_COMPARED, CompareScreen
from mario_tui.tui.screens.dialogs import LineScreen
from mario_tui.tui.screens.list import ListScreen
from mario_tui.tui.widgets.preview import Sight

CURVE_POINTS = 200
"""Of the curve beside the list."""

VERIFY_AFTER_SECONDS = 0.2
"""How long nothing else must be selected until checkpoints are read through."""


class CheckpointsScreen(ListScreen[Row]):
    """A tree of all runs and their checkpoints as a table, the runs with the best of a stage first."""

    HEADING = "Checkpoints"
    WIDE_COLUMN = 0
    NUMERIC = run_columns.NUMERIC
    TRASH = "checkpoints/.trash"
    EMPTY = (
        "[b $secondary]No checkpoint yet.[/]\n\nPress [b $secondary]t[/] to train an agent: "
        "a checkpoint is saved\nwhen it stops, at intervals, and whenever you press [b]s[/b]."
    )
    ABOUT = (
        "Every run and its saved agents. The right arrow opens a run with several of them, the left one closes it. On "
        "a run the keys mean its best checkpoint, 'continue' its newest, and 'delete' the whole run. 'greedy' says "
        "whether an agent clears the stage when it always takes the action with the highest Q value; 'robust' is its "
        "clear rate over ten episodes with sticky actions and no-op starts; e measures both. 'reward' is the mean "
        "reward of the last 100 training episodes before it was saved. A run has the best 'greedy' and 'robust' of its"
        " checkpoints, the size of all, and the rest of its newest. The star marks its best: its newest while none "
        "clears the stage. A step that was saved twice has a (2) the second time. A rate has its 95 % interval beside "
        "it. In a wide terminal a picture shows where the newest episodes of the run end. Runs that are marked with "
        "space can be compared: their curves are drawn in one chart."
    )
    BINDINGS = [*CHECKPOINT_KEYS]

    def __init__(self) -> None:
        super().__init__()
        self._order = BEST_FIRST
        self._filter = ""
        self._open: set[Path] = set()  # runs
        self._marked: list[Path] = []  # runs

    def read(self) -> Sequence[Row]:
        return [Row(run) for run in self.app.services.catalog().trained_runs]

    def shown(self) -> Sequence[Row]:
        return run_tree.visible_rows(self._infos, order=self._order, words=self._filter, opened=self._open)

    def row_instead(self, gone: Path, row_before: int) -> int:
        """A row of the same run while it is listed: its own, or one of its checkpoints."""
        same = [number for number, row in enumerate(self._shown) if row.run.path in (gone, gone.parent)]
        if not same:
            return super().row_instead(gone, row_before)
        return min(max(row_before, same[0]), same[-1])

    def fill(self, select: Path | None = None) -> None:
        super().fill(select)
        sorting = "" if self._order == BEST_FIRST else f"sorted by {self._order}"
        shown = self._filter.replace("[", r"\[")  # also where it is no tag, which `escape` leaves as it is
        words = f"only with '{shown}' (/ changes it, esc shows all)" if shown else ""
        self.query_one("#table").border_subtitle = "  ".join(filter(None, (sorting, words)))
        self.query_one("#table").set_class(bool(sorting or words), "-told")
        if self._filter and not self._shown and self._infos:
            nothing = Content.from_markup(
                "Nothing here has the word [b]$words[/].\n\n"
                "[b $secondary]/[/] changes it, [b $secondary]esc[/] shows all.",
                words=self._filter,
            )
            self.query_one("#nothing", Static).update(nothing)

    def columns(self) -> Sequence[tuple[str, int]]:
        return run_columns.columns(self.list_width, preview=self.has_preview)

    def cells(self, info: Row, wide: int) -> Sequence[Text]:
        marked, opened, now = info.path in self._marked, info.path in self._open, self.app.services.now()
        return run_columns.cells(
            info, self.columns(), wide=wide, now=now, marked=marked, opened=opened, colour=self.colour
        )

    def look_at(self, info: Row, pixels: tuple[int, int]) -> Sight:
        services, run, subject = self.app.services, info.run.path, info.subject
        curve = services.run_curve(run, "progress", CURVE_POINTS)
        if info.checkpoint is not None:
            curve = [point for point in curve if point[0] <= subject.step]
        settings = services.run_settings(run)
        return Sight(facts(info, settings), services.run_picture(run, info.run.stage, *pixels), curve)

    def choose(self, path: Path) -> None:
        self._filter = ""
        super().choose(path)

    def describe(self, info: Row) -> tuple[str, bool]:
        return run_tree.describe(info, opened=info.run.path in self._open, brief=self.has_preview)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        row = self.selected
        if action in ("watch", "record", "evaluate", "export", "begin"):
            return row is not None and row.agent is not None
        if action in ("grid", "race"):
            return row is not None and len(row.run.checkpoints) - row.run.damaged > 1
        if action in ("continue", "change"):
            return row is not None and row.resumable is not None
        if action in ("trash", "mark", "note", "rename"):
            return row is not None
        if action == "open":
            return row is not None and row.several and row.path not in self._open
        if action == "close":
            return row is not None and row.run.path in self._open and (row.several or row.checkpoint is not None)
        if action == "compare":
            return len(self._compared()) > 1
        return True

    # the tree

    def action_open(self) -> None:
        if self.selected is not None:
            self._open_or_close(self.selected.path)

    def action_close(self) -> None:
        """From a checkpoint back to its run; on an open run closes it."""
        row = self.selected
        if row is not None and row.checkpoint is not None:
            self.fill(select=row.run.path)
            self.refresh_bindings()
        elif row is not None:
            self._open_or_close(row.path)

    def action_open_or_close(self, run: str) -> None:
        """Opens or closes a run by its name: what a click on its mark does."""
        for row in self._infos:
            if row.run.run == run:
                self._open_or_close(row.path)

    def _open_or_close(self, run: Path) -> None:
        self._open ^= {run}
        self.fill()
        self.refresh_bindings()

    # asking

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        if self.check_action("watch", ()):
            self.action_watch()

    def action_watch(self) -> None:
        if self.selected is not None and self.selected.agent is not None:
            self.app.watch_agent(self.selected.agent.path)

    def action_record(self, suffix: str) -> None:
        if self.selected is not None and self.selected.agent is not None:
            self.app.jobs.record(self.selected.agent.path, suffix)
            self.refresh_list()

    def action_grid(self) -> None:
        if self.selected is not None:
            self.app.jobs.record_grid(self.selected.run)
            self.refresh_list()

    def action_race(self) -> None:
        if self.selected is not None:
            self.app.jobs.record_race(self.selected.run)
            self.refresh_list()

    def action_evaluate(self) -> None:
        if self.selected is not None and self.selected.agent is not None:
            self.app.jobs.evaluate(self.selected.agent.path)
            self.refresh_list()

    def action_continue(self) -> None:
        if self.selected is not None and self.selected.resumable is not None and self._may_change(self.selected):
            self.app.continue_training(self.selected.path)

    def action_change(self) -> None:
        if self.selected is not None and self.selected.resumable is not None and self._may_change(self.selected):
            self.app.ask_to_continue(self.selected.path)

    def action_begin(self) -> None:
        if self.selected is not None and self.selected.agent is not None:
            self.app.ask_for_new_run(self.selected.agent.path)

    # damage

    def _show_selected(self) -> None:
        super()._show_selected()
        row = self.selected
        offered = () if row is None else (row.agent, row.resumable)
        all_of_them = (info for one in self._infos for info in one.run.checkpoints if info.whole)
        for infos in (offered, all_of_them):
            if unread := dict.fromkeys(info.path for info in infos if info and not info.verified):
                self.run_newest(partial(self._verify, tuple(unread)), "verify")
                return

    async def _verify(self, unread: Sequence[Path]) -> None:
        """Looks for damage that sizes do not reveal, then has the list read again."""
        await asyncio.sleep(VERIFY_AFTER_SECONDS)
        try:
            for path in unread:
                await asyncio.to_thread(self.app.services.verify, path)
        finally:
            self.app.files_version += 1

    # order, and what stands beside

    def action_next_order(self) -> None:
        names = [BEST_FIRST, *ORDERS]
        self._order = names[(names.index(self._order) + 1) % len(names)]
        self.fill()

    def action_back(self) -> None:
        if self._filter:
            self._show_only("")
        else:
            self.app.action_go("home")

    def _show_only(self, words: str) -> None:
        self._filter = words
        self.fill()
        self.refresh_bindings()

    def action_filter(self) -> None:
        before = self._filter

        def accept(words: str | None) -> None:
            if words is not None:
                self._open |= run_tree.partly_matching(self._infos, words)
            self._show_only(before if words is None else words)

        question = "Words that a run's name, its stage or its note must have; without any, all are shown."
        self.app.push_screen(
            LineScreen("Filter", question, value=before, yes="show these", on_change=self._show_only), accept
        )

    def _compared(self) -> tuple[Path, ...]:
        """The marked runs that are still there."""
        runs = {row.path for row in self._infos}
        return tuple(run for run in self._marked if run in runs)

    def action_mark(self) -> None:
        if self.selected is None:
            return
        run = self.selected.run.path
        if run in self._marked:
            self._marked.remove(run)
        elif len(self.app.services.seed_groups((*self._compared(), run))) > MOST_COMPARED:
            self.notify(f"{MOST_COMPARED} runs are marked: only further seeds of these fit into one chart")
        else:
            self._marked.append(run)
            if len(self._compared()) == 1:
                self.notify("marked; mark another run, then m compares them")
        self.fill()
        self.refresh_bindings()

    def action_compare(self) -> None:
        self.app.push_screen(CompareScreen(self._compared()))

    def action_map(self) -> None:
        if self.selected is not None:
            self.app.show_map(self.selected.run.path)

    def _may_change(self, row: Row) -> bool:
        """Whether a row is the user's to change; says so if it is not."""
        if row.run.shipped:
            stays = f"{row.run.run} is shipped with mario-tui and stays as it is"
            self.notify(f"{stays}: x makes a copy of your own, b begins a new run with its weights")
        return not row.run.shipped

    def action_note(self) -> None:
        if self.selected is None or not self._may_change(self.selected):
            return
        info = self.selected.agent or self.selected.subject

        def accept(line: str | None) -> None:
            if line is not None:
                self.do(lambda: self.app.services.annotate(info.path, line))

        question = f"A line to keep with {printable(info.run)}, step {run_tree.step_of(info)}."
        self.app.push_screen(LineScreen("Note", question, value=info.note, yes="keep it"), accept)

    def action_rename(self) -> None:
        if self.selected is None or not self._may_change(self.selected):
            return
        run = self.selected.run

        def rename(name: str) -> None:
            renamed = self.app.services.rename_run(run.path, name)
            if self.app.session is not None:
                self.app.session.moved(run.path, renamed)
            self._marked = [renamed if marked == run.path else marked for marked in self._marked]
            self._open |= {renamed} if run.path in self._open else set()

        def accept(name: str | None) -> None:
            if name and name != before:
                self.do(lambda: rename(name), f"{before} is now {name}")

        before = printable(run.run)
        question = f"Another name for this run and all its checkpoints: {RUN_NAME_RULE}."

        def problem_of(name: str) -> str:
            return "" if name == before else self.app.services.run_name_problem(name)

        screen = LineScreen("Rename run", question, value=before, yes="rename", problem_of=problem_of)
        self.app.push_screen(screen, accept)

    def action_export(self) -> None:
        info = None if self.selected is None else self.selected.agent
        if info is None:
            return

        def accept(name: str | None) -> None:
            if name:
                self.do(lambda: self.app.services.export(info.path, name), f"exported as {name}")

        question = f"A name for a copy of step {run_tree.step_of(info)}: what plays, a few MB, not what training needs."
        name_problem = self.app.services.run_name_problem
        value = f"{printable(info.run)}-agent"
        self.app.push_screen(LineScreen("Export", question, value=value, yes="export", problem_of=name_problem), accept)

    def action_trash(self) -> None:
        row = self.selected
        if row is None or not self._may_change(row):
            return
        if row.checkpoint is not None:
            what, name = "checkpoint", f"{printable(row.run.run)}, step {run_tree.step_of(row.checkpoint)}"
        else:
            count = len(row.run.checkpoints)
            all_of_it = f"all of its {count} checkpoints" if count > 1 else "its checkpoint"
            what, name = "run", f"{printable(row.run.run)} with {all_of_it}, its log and its curves"
        self.ask_to_trash(what, name, row.path, self.app.services.trash)

    def take_back(self, trashed: Path, path: Path) -> None:
        self.app.services.take_back(trashed, path)
