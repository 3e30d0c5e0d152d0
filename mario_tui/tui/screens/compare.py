"""Compare: the curves of several runs in one chart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

from mario_tui.errors import MarioTuiError
from mario_tui.printable import printable
from mario_tui.store.history import COMPARED, WINDOW, Curve
from mario_tui.tui import text
from mario_tui.tui.screens.chart_screen import ChartScreen, chart_keys
from mario_tui.tui.widgets.metric_chart import Line, MetricChart

if TYPE_CHECKING:
    from mario_tui.store.comparison import Compared

MOST_COMPARED = 4
"""Colours: so many runs, or groups of runs that differ by their seed alone."""
COLOURS = ("$accent", "$success", "$primary", "$foreground")
_POINTS = 1000
CHART_IDS = (
    "compare.chart-how-far",
    "compare.chart-reward",
    "compare.chart-clear-rate",
    "compare.chart-loss",
    "compare.chart-q",
)
"""Binding ids of COMPARED's charts."""
_IN_PERCENT = ("progress", "clear rate")


class CompareScreen(ChartScreen):
    """Means over 100 episodes, or another number of them, by step: one line a run, or one for all seeds of a run.

    Args:
        runs: as many as there are colours, or more where these differ by their seed alone.
    """

    CSS_PATH = "compare.tcss"
    HEADING = "Compare"
    ABOUT = (
        "The curves of the marked runs over their steps, each point the mean of 100 episodes in training: how far they "
        "got, their reward, the share that cleared the stage, the loss and the Q value. A disc marks where a run ends. "
        "s shows runs that differ by their seed alone as one: the line is their mean, and the band goes from the "
        "lowest to the highest of them. x opens a cursor, which left and right move: it reads the values of all runs "
        "at a step. z and Z zoom, l takes logarithms, m other means."
    )
    BINDINGS = [
        Binding("tab", "next_chart", "View", id="compare.view", tooltip="Show the next curve large"),
        Binding(
            "s",
            "seeds",
            "Seeds",
            id="compare.seeds",
            tooltip="Show runs that differ by their seed alone as their mean, or each by itself",
        ),
        *chart_keys("compare"),
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
        self._groups: Sequence[tuple[Path, ...]] = ()
        self._shown: Sequence[Compared] = ()
        self._by_seed = len(runs) > MOST_COMPARED
        self.selected = 0

    def compose_body(self) -> ComposeResult:
        yield Static("", id="legend")
        with Container(id="compare-grid"):
            for number, name in enumerate(COMPARED):
                yield MetricChart(
                    f"{number + 1} {name}{' (%)' if name in _IN_PERCENT else ''}",
                    x_label="step",
                    empty_text="reading the episodes ...",
                    id=f"compare-{number}",
                    classes="chart",
                )

    def on_mount(self) -> None:
        super().on_mount()
        self._select(0)
        self.query_one("#legend", Static).update(self._legend())
        self.look()

    def charts_shown(self) -> Sequence[MetricChart]:
        numbers = sorted(range(len(COMPARED)), key=lambda number: number != self.selected)
        charts = [self.query_one(f"#compare-{number}", MetricChart) for number in numbers]
        return [chart for chart in charts if chart.display]

    def mean_window_changed(self) -> None:
        self.look()

    def look(self) -> None:
        """Reads the runs, in a thread, and draws their curves."""
        self.run_newest(self._look, "compare")

    async def _look(self) -> None:
        services = self.app.services
        try:
            if not self._groups:
                self._groups = await asyncio.to_thread(services.seed_groups, self._runs)
            shown = self._groups if self._by_seed else [(run,) for run in self._runs]
            self._shown = await asyncio.to_thread(services.compare, shown, _POINTS, self.mean_window)
        except (MarioTuiError, OSError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.query_one("#legend", Static).update(self._legend())
        for number, name in enumerate(COMPARED):
            chart = self.query_one(f"#compare-{number}", MetricChart)
            chart.explain_empty(
                ", ".join(dict.fromkeys(one.missing[name] for one in self._shown if name in one.missing))
            )
            chart.set_lines(
                [
                    Line(
                        _in_units(name, one.curves[name]),
                        self._colour(one.runs[0]),
                        _in_units(name, one.low.get(name, [])),
                        _in_units(name, one.high.get(name, [])),
                    )
                    for one in self._shown
                ]
            )
        self.refresh_view()
        self.refresh_bindings()

    def _colour(self, run: Path) -> int:
        """The number of a run's colour: that of its group, where there are more runs than colours."""
        if not self._by_seed and len(self._runs) <= MOST_COMPARED:
            return self._runs.index(run)
        return next(number for number, group in enumerate(self._groups) if run in group) % MOST_COMPARED

    def _legend(self) -> Content:
        """The runs in their colours, and how far their lines go: a short one is hard to see beside a long one."""
        if not self._shown:
            names = "   ".join(printable(run.name) for run in self._runs[:MOST_COMPARED])
            return Content.styled(names, "$foreground 60%")
        of_colours: dict[int, list[Compared]] = {}
        for one in self._shown:
            of_colours.setdefault(self._colour(one.runs[0]), []).append(one)
        parts = []
        for number, lines in of_colours.items():
            name, more = printable(lines[0].runs[0].name), sum(len(one.runs) for one in lines) - 1
            ends = [one.curves[COMPARED[0]][-1][0] for one in lines if one.curves[COMPARED[0]]]
            others = f" and {more} of other seeds" if more else ""
            mean = ": mean, lowest to highest" if lines[0].low else ""
            end = f" to step {text.compact(max(ends))}" if ends else f" {lines[0].missing.get(COMPARED[0], '')}"
            parts.append((f"━━ {name}{others}{mean}{end}   ", COLOURS[number]))
        if self.mean_window != WINDOW:
            over = f"means over {text.count(self.mean_window)} episodes" if self.mean_window > 1 else "every episode"
            parts.append((over, "$foreground 60%"))
        return Content.assemble(*parts)

    def _select(self, number: int) -> None:
        self.selected = number
        for other in range(len(COMPARED)):
            self.query_one(f"#compare-{other}").set_class(other == number, "-selected")
        self.query_one("#compare-grid").move_child(self.query_one(f"#compare-{number}"), before=0)
        self.call_after_refresh(self.refresh_view)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "seeds":
            return len(self._groups) < len(self._runs) and bool(self._groups)
        return super().check_action(action, parameters)

    def action_seeds(self) -> None:
        self._by_seed = not self._by_seed
        self.look()

    def action_next_chart(self) -> None:
        self._select((self.selected + 1) % len(COMPARED))

    def action_chart(self, number: int) -> None:
        self._select(number)


def _in_units(name: str, curve: Curve) -> Curve:
    """A curve in the units of its chart: a clear rate is a share, and shown in percent."""
    return [(step, 100 * rate) for step, rate in curve] if name == "clear rate" else curve
