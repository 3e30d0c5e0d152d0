"""The curves of a training run and where its episodes end: one large, the others beside it if there is room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from mario_tui.store.history import LEARNED, WINDOW
from mario_tui.training.curves import END_BUCKET_PIXELS, Ends, mean_name
from mario_tui.tui import text
from mario_tui.tui.widgets.ends_chart import EndsChart
from mario_tui.tui.widgets.metric_chart import WAITS, MetricChart
from mario_tui.tui.widgets.plain_container import PlainContainer

CURVES = (
    ("reward", "reward"),
    ("length", "steps"),
    ("loss", "loss"),
    ("q", "Q"),
    ("epsilon", "epsilon"),
)
"""The name of a curve in a snapshot, and what it is called on the screen."""

ENDS = "ends"
CHARTS = (*CURVES, (ENDS, "ends"))

TITLES = {
    "reward": "reward per episode",
    "length": "steps per episode",
    "loss": "loss",
    "q": "mean Q value",
    "epsilon": "epsilon (chance of a random action)",
    ENDS: "where episodes end",
}


class Charts(PlainContainer):
    """All curves by episode, with their means over 100 episodes or another number of them, and the map of ends.

    `selected` is the large one.
    """

    selected: reactive[str] = reactive("reward", init=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mean_window = WINDOW
        self._shown: dict[str, tuple[Any, Any]] = {}
        self._shown_ends: Ends | None = None

    def compose(self) -> ComposeResult:
        yield Static(self._tabs(), id="chart-tabs")
        with PlainContainer(id="chart-grid"):
            for name, _ in CURVES:
                yield MetricChart(TITLES[name], id=f"chart-{name}", classes=self._marks(name))
            yield EndsChart(TITLES[ENDS], END_BUCKET_PIXELS, id=f"chart-{ENDS}", classes=self._marks(ENDS))

    def _marks(self, name: str) -> str:
        last = [other for other, _ in CHARTS if other != self.selected][-1]
        return "chart" + (" -selected" if name == self.selected else " -last" if name == last else "")

    def _tabs(self) -> Content:
        parts: list[tuple[str, str]] = []
        for number, (name, title) in enumerate(CHARTS, 1):
            label = "ε" if name == "epsilon" else title
            style = "bold $background on $secondary" if name == self.selected else "$foreground 60%"
            parts += [(f"{number} {label}", style), (" " if number < len(CHARTS) else "", "")]
        return Content.assemble(*parts)

    def select_next(self) -> None:
        names = [name for name, _ in CHARTS]
        self.selected = names[(names.index(self.selected) + 1) % len(names)]

    def watch_selected(self) -> None:
        self.query_one("#chart-tabs", Static).update(self._tabs())
        grid = self.query_one("#chart-grid")
        for name, _ in reversed([chart for chart in CHARTS if chart[0] != self.selected]):
            grid.move_child(self.query_one(f"#chart-{name}"), before=0)
        grid.move_child(self.query_one(f"#chart-{self.selected}"), before=0)
        for name, _ in CHARTS:
            self.query_one(f"#chart-{name}").set_classes(self._marks(name))

    def shown(self) -> list[MetricChart]:
        """The curves that are on the screen, the large one first."""
        names = sorted((name for name, _ in CURVES), key=lambda name: name != self.selected)
        charts = [self.query_one(f"#chart-{name}", MetricChart) for name in names]
        return [chart for chart in charts if chart.display and chart.size]

    def set_data(self, curves: Mapping[str, Any], ends: Ends | None, *, learning_begins: int | None = None) -> None:
        """Draws what a snapshot has; a chart that is not on the screen, or has not changed, is left alone.

        `learning_begins`: the step at which it will, where nothing is learned yet.
        """
        for name, _ in CURVES:
            chart = self.query_one(f"#chart-{name}", MetricChart)
            if not chart.size:
                continue
            if name in LEARNED:
                begins = None if learning_begins is None else f"learning begins at step {text.count(learning_begins)}"
                chart.explain_empty(begins or WAITS)
            new = (curves.get(name, ()), curves.get(mean_name(name, self.mean_window), ()))
            old = self._shown.get(name)
            if old is not None and old[0] is new[0] and old[1] is new[1]:
                continue
            self._shown[name] = new
            chart.set_data(*new, "mean" if self.mean_window == WINDOW else f"mean of {self.mean_window}")
        heat_map = self.query_one(EndsChart)
        if heat_map.size and ends is not None and self._shown_ends is not ends:
            self._shown_ends = ends
            heat_map.set_data(ends.deaths, ends.clears, ends.off_course)
