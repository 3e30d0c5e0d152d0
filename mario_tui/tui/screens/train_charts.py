"""The curves of Train, and their keys."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual.binding import Binding

from mario_tui.errors import MarioTuiError
from mario_tui.tui.screens.chart_screen import ChartScreen, chart_keys
from mario_tui.tui.widgets.chart_view import ChartView
from mario_tui.tui.widgets.charts import CHARTS, TITLES, Charts
from mario_tui.tui.widgets.metric_chart import MetricChart

CHART_IDS = {
    "reward": "train.chart-reward",
    "length": "train.chart-steps",
    "loss": "train.chart-loss",
    "q": "train.chart-q",
    "epsilon": "train.chart-epsilon",
    "ends": "train.chart-ends",
}
"""Name of a chart -> its binding id."""

TRAIN_CHART_KEYS = [
    *(
        Binding(
            str(number),
            f"chart('{name}')",
            f"Chart: {title}",
            id=CHART_IDS[name],
            show=False,
            tooltip=f"Show {TITLES[name]} large",
        )
        for number, (name, title) in enumerate(CHARTS, 1)
    ),
    *chart_keys("train"),
    Binding(
        "enter",
        "chart_play",
        "Play again",
        id="train.play-again",
        show=False,
        tooltip="Play the training episode under the cursor again",
    ),
]


class TrainCharts(ChartScreen):
    """A screen with the curves of the app's training."""

    def __init__(self) -> None:
        super().__init__()
        self._charted_run = ""

    def refresh_charts(self) -> None:
        """Draws what is new, unless nothing of a training is on show."""
        snapshot = self.app.snapshot
        if snapshot is None or not self.shows_training:
            return
        if snapshot.run != self._charted_run:
            self._charted_run, self.view = snapshot.run, ChartView()
        begins = snapshot.learns_from if snapshot.step < snapshot.learns_from else None
        self.query_one(Charts).set_data(snapshot.curves, snapshot.ends, learning_begins=begins)
        self.refresh_view()

    @property
    def shows_training(self) -> bool:
        """Whether a training is on show, be it under way or at its end."""
        raise NotImplementedError

    def charts_shown(self) -> Sequence[MetricChart]:
        return self.query_one(Charts).shown()

    def mean_window_changed(self) -> None:
        self.query_one(Charts).mean_window = self.mean_window
        self.refresh_charts()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if "chart" in action and not self.shows_training:
            return False
        if action == "chart_play":
            return self.view.cursor is not None
        return super().check_action(action, parameters)

    def action_next_chart(self) -> None:
        self.query_one(Charts).select_next()
        self.call_after_refresh(self.refresh_charts)

    def action_chart(self, name: str) -> None:
        self.query_one(Charts).selected = name
        self.call_after_refresh(self.refresh_charts)

    def action_chart_play(self) -> None:
        """Watches the training episode under the cursor, where it is kept."""
        snapshot, cursor = self.app.snapshot, self.view.cursor
        if snapshot is None or cursor is None or not snapshot.run:
            return
        services = self.app.services
        folder = services.run_folder(snapshot.run)

        async def find() -> None:
            try:
                name = await asyncio.to_thread(services.episode_near, folder, cursor)
            except (MarioTuiError, OSError) as error:
                self.notify(str(error), severity="warning", markup=False)
            else:
                self.app.watch_agent(name)

        self.run_newest(find, "play-again")
