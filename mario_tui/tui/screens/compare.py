"""Compare: the curves of several runs in one chart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

from mario_tui.errors import MarioTuiError
from mario_tui.printable import printable
from mario_tui.store.history import COMPARED
from mario_tui.tui import text
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.widgets.metric_chart import MetricChart

MOST_COMPARED = 4
COLOURS = ("$accent", "$success", "$primary", "$foreground")
_POINTS = 200
CHART_IDS = (
    "compare.chart-how-far",
    "compare.chart-reward",
    "compare.chart-clear-rate",
    "compare.chart-loss",
    "compare.chart-q",
)
"""Binding ids of COMPARED's charts."""


class CompareScreen(MarioScreen):
    """Means over 100 episodes by step, one line a run."""

    CSS_PATH = "compare.tcss"
    HEADING = "Compare"
    ABOUT = (
        "The curves of the marked runs over their steps, each point the mean of 100 episodes in training: how far they "
        "got, their reward, the share that cleared the stage, the loss and the Q value."
    )
    BINDINGS = [
        Binding("tab", "next_chart", "View", id="compare.view", tooltip="Show the next curve large"),
        *(
            Binding(
                str(number),
                f"chart({number - 1})",
                f"Chart: {name}",
                id=chart_id,
                show=False,
                tooltip=f"Show {name} large",
            )
            for number, (name, chart_id) in enumerate(zip(COMPARED, CHART_IDS, strict=True), 1)
        ),
        Binding(
            "escape,q", "app.pop_screen", "Back", id="compare.back", key_display="q", tooltip="Back to the checkpoints"
        ),
    ]

    def __init__(self, runs: tuple[Path, ...]) -> None:
        super().__init__()
        self._runs = runs
        self.selected = 0

    def compose_body(self) -> ComposeResult:
        yield Static(self._legend(()), id="legend")
        with Container(id="compare-grid"):
            for number, name in enumerate(COMPARED):
                yield MetricChart(
                    f"{number + 1} {name}",
                    x_label="step",
                    empty_text="no episodes",
                    id=f"compare-{number}",
                    classes="chart",
                )

    def on_mount(self) -> None:
        super().on_mount()
        self._select(0)
        self.run_worker(self._load())

    def _legend(self, lines: Sequence[Sequence[tuple[float, float]]]) -> Content:
        """The runs in their colours, and how far their lines go: a short one is hard to see beside a long one."""
        lengths = [f" to step {text.compact(line[-1][0])}" if line else " no episodes" for line in lines]
        return Content.assemble(
            *(
                (f"━━ {printable(run.name)}{lengths[number] if lengths else ''}   ", COLOURS[number])
                for number, run in enumerate(self._runs)
            )
        )

    async def _load(self) -> None:
        curve = self.app.services.run_curve
        ran = False
        for number, name in enumerate(COMPARED):
            try:
                lines = [await asyncio.to_thread(curve, run, name, _POINTS) for run in self._runs]
            except (MarioTuiError, OSError) as error:
                self.notify(str(error), severity="error", markup=False)
                return
            if number == 0:
                self.query_one("#legend", Static).update(self._legend(lines))
                ran = any(lines)
            chart = self.query_one(f"#compare-{number}", MetricChart)
            if ran:  # episodes there are
                chart.explain_empty("nothing learned yet")
            chart.set_lines(lines)

    def _select(self, number: int) -> None:
        self.selected = number
        for other in range(len(COMPARED)):
            self.query_one(f"#compare-{other}").set_class(other == number, "-selected")
        self.query_one("#compare-grid").move_child(self.query_one(f"#compare-{number}"), before=0)

    def action_next_chart(self) -> None:
        self._select((self.selected + 1) % len(COMPARED))

    def action_chart(self, number: int) -> None:
        self._select(number)
