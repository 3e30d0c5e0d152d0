"""Board: the 32 stages, how far one is on each, and what can be done there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content

from mario_tui.errors import MarioTuiError
from mario_tui.printable import printable
from mario_tui.stage_settings import STEPS_OF_A_STAGE
from mario_tui.store.intervals import interval_in_percent
from mario_tui.tui import text
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.screens.dialogs import ConfirmScreen
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.stage_grid import StageGrid
from mario_tui.tui.widgets.words import Words

if TYPE_CHECKING:
    from mario_tui.play.board import StageState

PICTURE_AFTER_SECONDS = 0.15
"""How long a stage is selected before its picture is asked for."""
NARROW_CELL, ROOMY_CELL = 18, 25
"""From these widths on a cell has room for a word before its figure, and for one after it."""
_DIM = "$foreground 60%"


class BoardScreen(MarioScreen):
    """All stages at a glance."""

    CSS_PATH = "board.tcss"
    HEADING = "Board"
    ABOUT = (
        "The 32 stages of the game, a line for each world. A stage is cleared by an agent, by hand, or by a search, "
        "which plays on at random from places that it reached before and needs no agent. Of an agent the board shows "
        "how often it clears the stage with sticky actions and no-op starts (robust), or whether its greedy play does, "
        "or how far that gets, and after how many steps."
    )
    BINDINGS = [
        Binding(
            "enter", "watch", "Watch", id="board.watch", key_display="enter",
            tooltip="Watch the stage's best agent, or the log that clears it",
        ),
        Binding("t", "train", "Train", id="board.train", tooltip="Set up a training on this stage"),
        Binding("s", "search", "Search", id="board.search", tooltip="Search a way through it, in the background"),
        Binding("p", "play", "Play", id="board.play", tooltip="Play this stage by hand"),
        Binding(
            "space", "mark", "Mark", id="board.mark", show=False, tooltip="Mark this stage for a campaign, or no longer"
        ),
        Binding(
            "C",
            "campaign",
            "Campaign",
            id="board.campaign",
            tooltip="Train the marked stages one after another, or all that no agent clears",
        ),
        Binding("escape,q", "app.pop_screen", "Back", id="board.back", key_display="q", tooltip="Back"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._states: tuple[StageState, ...] = ()
        self._pictures: dict[str, NDArray[np.uint8]] = {}
        self._asked: set[str] = set()
        self._version = -1

    def compose_body(self) -> ComposeResult:
        yield Words("", id="board-line")
        with Horizontal(id="board-body"):
            yield StageGrid(id="grid")
            with Vertical(id="stage-side"):
                yield GameView(graphics=self.app.graphics, characters=self.app.characters, id="stage-game")
                yield Words("", id="stage-about")
        yield Words("", id="stage-line")
        yield Words("", id="board-jobs")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(StageGrid).focus()
        self.every(0.25, self.refresh_list)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._version = -1
        self.refresh_list()

    def on_resize(self) -> None:
        self._show()
        self._ask_for_picture()

    @property
    def selected(self) -> StageState | None:
        return self._states[self.query_one(StageGrid).selected] if self._states else None

    def refresh_list(self) -> None:
        """Shows the work in the background, and reads the board again if it may have changed."""
        self.update_text("#board-jobs", Content("\n".join(self._job_lines())))
        self.set_class(bool(self.app.jobs.running), "-busy")
        if self._version != self.app.files_version:
            self._version = self.app.files_version
            self.run_newest(self._load, "board")

    def _job_lines(self) -> Iterator[str]:
        for job in self.app.jobs.running[-2:]:
            yield f"{job.line} ({text.shortened(job.target, 20)})  ctrl+x cancels"

    async def _load(self) -> None:
        try:
            self._states = tuple(await asyncio.to_thread(self.app.services.board))
        except (MarioTuiError, OSError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._show()
        self._ask_for_picture()
        self.refresh_bindings()

    def _show(self) -> None:
        if not self._states:
            return
        counts = {by: sum(by in state.cleared_by for state in self._states) for by in ("agent", "hand", "search")}
        self.update_text(
            "#board-line",
            Content.from_markup(
                f"[b]{counts['agent']} of 32[/] cleared by an agent  ·  [b]{counts['hand']}[/] by hand  ·  "
                f"[b]{counts['search']}[/] by search"
            ),
        )
        states = self._states
        self.query_one(StageGrid).set_texts(
            lambda width: {number: cell(state, width) for number, state in enumerate(states)}
        )
        self._show_selected()

    def on_stage_grid_selected(self) -> None:
        self._show_selected()
        self.refresh_bindings()
        self._ask_for_picture()

    def on_stage_grid_opened(self) -> None:
        if self.check_action("watch", ()):
            self.action_watch()

    def _show_selected(self) -> None:
        if (state := self.selected) is None:
            return
        lines = Content("\n").join(about(state))
        self.update_text("#stage-about", lines)
        self.update_text("#stage-line", lines)

    def _ask_for_picture(self) -> None:
        self.set_timer(PICTURE_AFTER_SECONDS, self._show_picture)

    def _show_picture(self) -> None:
        state = self.selected
        if state is None or not self.is_attached or not self.query_one("#stage-side").display:
            return
        self.query_one("#stage-game", GameView).frame = self._pictures.get(state.stage)
        if state.stage not in self._asked:
            self._asked.add(state.stage)
            self.run_worker(self._load_picture(state.stage), group="picture")

    async def _load_picture(self, stage: str) -> None:
        try:
            self._pictures[stage] = await asyncio.to_thread(self.app.services.stage_picture, stage)
        except MarioTuiError as error:
            self.query_one("#stage-game", GameView).empty_text = str(error)
            return
        if self.selected is not None and self.selected.stage == stage:
            self.query_one("#stage-game", GameView).frame = self._pictures[stage]

    # actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "watch":
            state = self.selected
            return state is not None and (state.best is not None or state.way is not None)
        return True

    def action_watch(self) -> None:
        state = self.selected
        if state is None:
            return
        if state.best is not None and ("agent" in state.cleared_by or state.way is None):
            self.app.watch_agent(state.best.path)
        elif state.way is not None:
            self.app.watch_agent(state.way.path)

    def action_play(self) -> None:
        if (state := self.selected) is not None:
            self.app.play(state.stage)

    def action_train(self) -> None:
        if (state := self.selected) is not None:
            self.app.ask_for_stage(state.stage)

    def action_mark(self) -> None:
        self.query_one(StageGrid).mark()

    def action_campaign(self) -> None:
        marked = self.query_one(StageGrid).marked
        states = [state for number, state in enumerate(self._states) if number in marked] or [
            state for state in self._states if "agent" not in state.cleared_by
        ]
        if not states:
            self.notify("every stage is cleared by an agent; space marks those to train again")
            return
        stages = [state.stage for state in states]
        named = ", ".join(stages) if len(stages) < 9 else f"{len(stages)} stages that no agent clears yet"
        self.app.push_screen(
            ConfirmScreen(
                "Train one after another?",
                f"{named}. Each until greedy play clears it, for at most {text.count(STEPS_OF_A_STAGE)} steps, in the "
                "background. ctrl+x stops the campaign and saves; begun again it goes on. 'mario-tui campaign' does it "
                "without the app.",
                yes="train them",
                no="not now",
                key="C",
            ),
            lambda yes: self.app.jobs.campaign(stages) if yes else None,
        )

    def action_search(self) -> None:
        if (state := self.selected) is not None:
            self.app.jobs.search(state.stage)


def cell(state: StageState, width: int) -> tuple[Content, ...]:
    """The lines about a stage in the grid, the most important first; `width`: for them."""
    best = state.best
    first, style = "", _DIM
    if best is not None and best.robust_clear_rate:
        rate = text.percent(best.robust_clear_rate)
        first, style = f"robust {rate}" if width >= NARROW_CELL else rate, "$success"
    elif best is not None and best.greedy_clear:
        first, style = "greedy clears" if width >= NARROW_CELL else "clears", "$success"
    elif best is not None:
        first, style = ("trained" if state.best_progress is None else text.percent(state.best_progress)), "$warning"
    elif not state.ways:
        first = "-"
    others = " ".join(way.by for way in state.ways)
    second = ""
    if best is not None:
        steps = f"{best.step / 1000:.0f}k" if best.step >= 10_000 and width < ROOMY_CELL else text.compact(best.step)
        second = steps + (" steps" if width >= ROOMY_CELL else "")
    lines = [Content.assemble((f" {state.stage} ", "bold"), (first, style))]
    if best is None and others:
        lines[0] = Content.assemble((f" {state.stage} ", "bold"), (others, "$secondary"))
    elif second or others:
        indent, gap = (" " * 5, "  ") if width >= NARROW_CELL else (" ", " ")  # a picture is beside it
        lines.append(Content.assemble((indent + second, _DIM), (gap + others if others else "", "$secondary")))
    return tuple(lines)


def about(state: StageState) -> list[Content]:
    """What is known of the selected stage, in sentences, one a line."""
    best = state.best
    runs = f"{state.runs} run{'' if state.runs == 1 else 's'}"
    lines = [Content.assemble((state.stage, "bold"), f"  {runs}" if state.runs else "  no agent was trained here yet")]
    if best is not None:
        greedy = {
            True: "greedy play clears the stage",
            False: f"greedy play gets through {text.percent(state.best_progress)} of the stage",
            None: "greedy play not measured",
        }[best.greedy_clear]
        robust = "robust not measured"
        if best.robust_clear_rate is not None and best.robust_episodes:
            clears = round(best.robust_clear_rate * best.robust_episodes)
            interval = interval_in_percent(best.robust_clear_rate, best.robust_episodes)
            robust = f"robust {clears} of {best.robust_episodes} ({interval} %)"
        elif best.robust_clear_rate is not None:
            robust = f"robust {text.percent(best.robust_clear_rate)}"
        time = "" if state.seconds is None else f", {text.duration(state.seconds)} of training"
        lines += [
            Content(printable(f"best: {best.run}, {text.count(best.step)} steps{time}")),
            Content(f"{greedy}; {robust}"),
        ]
    for way in state.ways:
        where = "comes with mario-tui" if way.is_shipped else f"plays/{way.path.name}"
        lines.append(Content(printable(f"by {way.by}: {way.frames / 60:.0f} s, {where}")))
    if best is None and not state.ways:
        lines.append(Content.styled("t trains an agent, s searches a way, p plays it", _DIM))
    return lines
