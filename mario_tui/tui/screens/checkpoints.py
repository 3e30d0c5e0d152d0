"""Checkpoints: every saved agent, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.binding import Binding
from textual.content import Content
from textual.markup import escape
from textual.widgets import DataTable, Static

from mario_tui.tui import text
from mario_tui.tui.screens.compare import MOST_COMPARED, CompareScreen
from mario_tui.tui.screens.dialogs import LineScreen
from mario_tui.tui.screens.list import ListScreen, shortened

if TYPE_CHECKING:
    from mario_tui.checkpoint import CheckpointInfo


_ORDERS: dict[str, Callable[[CheckpointInfo], Any]] = {
    "age": lambda info: info.created,
    "steps": lambda info: info.step,
    "clear rate": lambda info: (info.robust_clear_rate or 0.0, info.greedy_clear is True, info.step),
    "size": lambda info: info.size_bytes,
}


class CheckpointsScreen(ListScreen["CheckpointInfo"]):
    """A table of all checkpoints, the best of each stage first."""

    HEADING = "Checkpoints"
    COLUMNS = (
        ("", 1),
        ("run", 24),
        ("stage", 5),
        ("step", 10),
        ("greedy", 6),
        ("robust", 6),
        ("size", 7),
        ("age", 6),
        ("", 7),
    )
    NUMERIC = ("step", "robust", "size", "age")
    EMPTY = (
        "[b $secondary]No checkpoint yet.[/]\n\nPress [b $secondary]t[/] to train an agent: "
        "a checkpoint is saved\nwhen it stops, at intervals, and whenever you press [b]s[/b]."
    )
    ABOUT = (
        "Every saved agent. 'greedy' says whether it clears the stage when it always takes the action with the "
        "highest Q value; 'robust' is its clear rate over ten episodes with sticky buttons and random starts; "
        "e measures both. The star marks the best of each run. Runs that are marked with space can be compared: their "
        "curves are drawn in one chart."
    )
    BINDINGS = [
        Binding("enter", "watch", "Watch", key_display="enter", tooltip="Watch this agent play in the terminal"),
        Binding("r", "record('.mp4')", "Record", tooltip="Record its greedy episode as MP4, in the background"),
        Binding("g", "record('.gif')", "GIF", show=False, tooltip="Record its greedy episode as GIF"),
        Binding("e", "evaluate", "Evaluate", tooltip="Measure its clear rate: one greedy episode, ten robust ones"),
        Binding("c", "continue", "Continue", tooltip="Go on training from this checkpoint"),
        Binding(
            "o", "next_order", "Order", show=False, tooltip="Sort by: the best of each stage, age, steps, clear rate"
        ),
        Binding(
            "slash", "filter", "Filter", key_display="/", show=False, tooltip="Show only runs or stages with a word"
        ),
        Binding("space", "mark", "Mark", show=False, tooltip="Mark this run for a comparison, or no longer"),
        Binding("m", "compare", "Compare", show=False, tooltip="Compare the curves of the marked runs"),
        Binding("n", "note", "Note", show=False, tooltip="Keep a line of your own with this checkpoint"),
        Binding("f2", "rename", "Rename", show=False, tooltip="Give this checkpoint's run another name"),
        Binding("x", "export", "Export", show=False, tooltip="Copy what plays, a few MB, into a run of its own"),
        Binding("d", "trash", "Delete", tooltip="Move this checkpoint to the trash folder (asks first)"),
        Binding("escape,q", "app.go('home')", "Back", show=False, tooltip="Back to Home"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._order = "best"
        self._filter = ""
        self._marked: list[Path] = []  # runs

    def read(self) -> Sequence[CheckpointInfo]:
        return self.mario.services.list_checkpoints()

    def shown(self) -> Sequence[CheckpointInfo]:
        words = self._filter.lower().split()
        infos = [
            info
            for info in self._infos
            if all(word in f"{info.run} {info.stage} {info.note}".lower() for word in words)
        ]
        return sorted(infos, key=_ORDERS[self._order], reverse=True) if self._order != "best" else infos

    def fill(self) -> None:
        super().fill()
        sorting = "" if self._order == "best" else f"sorted by {self._order}"
        words = f"only with '{escape(self._filter)}' (/ changes it)" if self._filter else ""
        self.query_one("#table").border_subtitle = "  ".join(filter(None, (sorting, words)))
        self.query_one("#table").set_class(bool(sorting or words), "-told")
        if self._filter and not self.shown() and self._infos:
            nothing = Content.from_markup(
                "Nothing here has the word [b]$words[/].\n\n[b $secondary]/[/] changes it.", words=self._filter
            )
            self.query_one("#nothing", Static).update(nothing)

    def cells(self, info: CheckpointInfo, wide: int) -> Sequence[Text]:
        good, bad = self.colour("success", "green"), self.colour("error", "red")
        gold, dim = self.colour("secondary", "yellow"), "dim"
        run = shortened(info.run, wide)
        greedy = {True: Text("clears", good), False: Text("no", ""), None: Text("-", dim)}[info.greedy_clear]
        robust = Text(text.percent(info.robust_clear_rate), good if info.robust_clear_rate else dim, justify="right")
        return (
            Text("▶" if info.path.parent in self._marked else "★" if info.best else " ", gold),
            Text(run, "bold" if info.whole else dim),
            Text(info.stage),
            Text(text.count(info.step), justify="right"),
            greedy,
            robust,
            Text(text.size(info.size_bytes), dim, justify="right"),
            Text(text.age(info.created, self.mario.services.now()), dim, justify="right"),
            Text("whole", dim) if info.whole else Text("damaged", bad),
        )

    def describe(self, info: CheckpointInfo) -> tuple[str, bool]:
        if info.whole:
            return f"{info.path}" + (
                f"\n{info.note}" if info.note else "  ·  ? shows all that can be done with it"
            ), False
        return f"{info.problem}. It cannot be used; d moves it to the trash.", True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("watch", "record", "evaluate", "continue", "export"):
            return self.selected is not None and self.selected.whole
        if action in ("trash", "mark", "note", "rename"):
            return self.selected is not None
        if action == "compare":
            return len(self._marked) > 1
        return True

    # asking

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        if self.check_action("watch", ()):
            self.action_watch()

    def action_watch(self) -> None:
        if self.selected is not None:
            self.mario.watch_agent(self.selected.path)

    def action_record(self, suffix: str) -> None:
        if self.selected is not None:
            self.mario.record(self.selected.path, suffix)
            self.refresh_list()

    def action_evaluate(self) -> None:
        if self.selected is not None:
            self.mario.evaluate(self.selected.path)
            self.refresh_list()

    def action_continue(self) -> None:
        if self.selected is not None:
            self.mario.continue_training(self.selected.path)

    # order, and what stands beside

    def action_next_order(self) -> None:
        names = ["best", *_ORDERS]
        self._order = names[(names.index(self._order) + 1) % len(names)]
        self.fill()

    def action_filter(self) -> None:
        def take(words: str | None) -> None:
            self._filter = words or ""
            self.fill()
            self.refresh_bindings()

        question = "Words that a run's name, its stage or its note must have; esc shows all."
        self.app.push_screen(LineScreen("Filter", question, value=self._filter, yes="show these"), take)

    def action_mark(self) -> None:
        if self.selected is None:
            return
        run = self.selected.path.parent
        if run in self._marked:
            self._marked.remove(run)
        elif len(self._marked) == MOST_COMPARED:
            self.notify(f"{MOST_COMPARED} runs are marked: that is as many as one chart can show")
        else:
            self._marked.append(run)
            if len(self._marked) == 1:
                self.notify("marked; mark another run, then m compares them")
        self.fill()
        self.refresh_bindings()

    def action_compare(self) -> None:
        self.app.push_screen(CompareScreen(tuple(self._marked)))

    def action_note(self) -> None:
        info = self.selected
        if info is None:
            return

        def take(line: str | None) -> None:
            if line is not None:
                self.do(lambda: self.mario.services.annotate(info.path, line))

        question = f"A line to keep with {info.run}, step {text.count(info.step)}."
        self.app.push_screen(LineScreen("Note", question, value=info.note, yes="keep it"), take)

    def action_rename(self) -> None:
        info = self.selected
        if info is None:
            return

        def take(name: str | None) -> None:
            if name and name != info.run:
                self.do(lambda: self.mario.services.rename_run(info.path.parent, name), f"{info.run} is now {name}")

        question = "Another name for this run and all its checkpoints: letters, digits, '.', '_' and '-'."
        self.app.push_screen(LineScreen("Rename run", question, value=info.run, yes="rename"), take)

    def action_export(self) -> None:
        info = self.selected
        if info is None:
            return

        def take(name: str | None) -> None:
            if name:
                self.do(lambda: self.mario.services.export(info.path, name), f"exported as {name}")

        question = "A name for the copy: only what plays, a few MB, without what training needs."
        self.app.push_screen(LineScreen("Export", question, value=f"{info.run}-agent", yes="export"), take)

    def action_trash(self) -> None:
        info = self.selected
        if info is not None:
            self.ask_to_trash(
                "checkpoint", f"{info.run}, step {text.count(info.step)}", lambda: self.mario.services.trash(info.path)
            )
