"""The five curves of a training run: one large, and the others beside it where there is room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from mario_tui.tui.widgets.metric_chart import MetricChart

CURVES = (
    ("reward", "reward"),
    ("length", "length"),
    ("loss", "loss"),
    ("q", "Q"),
    ("epsilon", "epsilon"),
)
"""The name of a curve in a snapshot, and what it is called on the screen."""

TITLES = {
    "reward": "reward per episode",
    "length": "steps per episode",
    "loss": "loss",
    "q": "mean Q value",
    "epsilon": "epsilon (chance of a random action)",
}


class Charts(Container):
    """All curves by episode, with their means over 100 episodes; `selected` is the large one."""

    selected: reactive[str] = reactive("reward", init=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: dict[str, tuple[Any, Any]] = {}

    def compose(self) -> ComposeResult:
        yield Static(self._tabs(), id="chart-tabs")
        with Container(id="chart-grid"):
            for name, _ in CURVES:
                classes = "-selected" if name == self.selected else None
                yield MetricChart(TITLES[name], id=f"chart-{name}", classes=classes)

    def _tabs(self) -> Content:
        parts: list[tuple[str, str]] = []
        for number, (name, title) in enumerate(CURVES, 1):
            label = "ε" if name == "epsilon" else title
            style = "bold $background on $secondary" if name == self.selected else "$foreground 60%"
            parts += [(f"{number} {label}", style), (" " if number < len(CURVES) else "", "")]
        return Content.assemble(*parts)

    def select_next(self) -> None:
        names = [name for name, _ in CURVES]
        self.selected = names[(names.index(self.selected) + 1) % len(names)]

    def watch_selected(self) -> None:
        self.query_one("#chart-tabs", Static).update(self._tabs())
        for name, _ in CURVES:
            self.query_one(f"#chart-{name}").set_class(name == self.selected, "-selected")
        grid = self.query_one("#chart-grid")
        for name, _ in reversed(CURVES):
            if name != self.selected:
                grid.move_child(self.query_one(f"#chart-{name}"), before=0)
        grid.move_child(self.query_one(f"#chart-{self.selected}"), before=0)

    def set_curves(self, curves: Mapping[str, Any]) -> None:
        """Draws the curves of a snapshot; a chart that is not on the screen, or has not changed, is left alone."""
        for name, _ in CURVES:
            chart = self.query_one(f"#chart-{name}", MetricChart)
            if not chart.size:
                continue
            new = (curves.get(name, ()), curves.get(f"{name}_mean", ()))
            old = self._shown.get(name)
            if old is not None and old[0] is new[0] and old[1] is new[1]:
                continue
            self._shown[name] = new
            chart.set_data(*new)
