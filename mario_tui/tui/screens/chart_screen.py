"""What Train and Compare share: charts with a cursor, zoom, logarithms, and means over more or fewer episodes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.binding import Binding

from mario_tui.store.history import WINDOW, WINDOWS
from mario_tui.tui import text
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.widgets.chart_view import ChartView, Range
from mario_tui.tui.widgets.metric_chart import MetricChart

FAR = 10
"""Columns that the cursor moves with shift."""
_NAMES = ("cursor", "left", "right", "far-left", "far-right", "first", "last", "close-cursor")
_MORE_NAMES = ("zoom-in", "zoom-out", "see-all", "log", "mean")


def chart_keys(place: str) -> list[Binding]:
    """The keys of the charts on a screen; `place`: how their ids begin."""
    ids = {name: f"{place}.{name}" for name in (*_NAMES, *_MORE_NAMES)}
    return [
        Binding(
            "x",
            "chart_cursor",
            "Cursor",
            id=ids["cursor"],
            show=False,
            tooltip="Read values in the charts: a cursor that left and right move",
        ),
        Binding(
            "left",
            "chart_move(-1)",
            "Left",
            id=ids["left"],
            key_display="←",
            show=False,
            tooltip="Move the cursor a column to the left, or what is seen of the charts",
        ),
        Binding(
            "right",
            "chart_move(1)",
            "Right",
            id=ids["right"],
            key_display="→",
            show=False,
            tooltip="Move the cursor a column to the right, or what is seen of the charts",
        ),
        Binding(
            "shift+left",
            f"chart_move(-{FAR})",
            "Far left",
            id=ids["far-left"],
            show=False,
            tooltip="Move the cursor ten columns to the left",
        ),
        Binding(
            "shift+right",
            f"chart_move({FAR})",
            "Far right",
            id=ids["far-right"],
            show=False,
            tooltip="Move the cursor ten columns to the right",
        ),
        Binding(
            "home",
            "chart_end(False)",
            "First",
            id=ids["first"],
            show=False,
            tooltip="Move the cursor to the first point",
        ),
        Binding(
            "end", "chart_end(True)", "Last", id=ids["last"], show=False, tooltip="Move the cursor to the newest point"
        ),
        Binding(
            "escape",
            "chart_close",
            "Close",
            id=ids["close-cursor"],
            show=False,
            tooltip="Take the cursor away, then show all again",
        ),
        Binding(
            "z",
            "chart_zoom(1)",
            "Zoom in",
            id=ids["zoom-in"],
            show=False,
            tooltip="See half as much of the charts, around the cursor or the newest point",
        ),
        Binding(
            "Z", "chart_zoom(-1)", "Zoom out", id=ids["zoom-out"], show=False, tooltip="See twice as much of the charts"
        ),
        Binding("0", "chart_all", "All", id=ids["see-all"], show=False, tooltip="See all of the charts again"),
        Binding(
            "l",
            "chart_log",
            "Logarithm",
            id=ids["log"],
            show=False,
            tooltip="Draw the large chart on a logarithmic scale, where all of its values are positive, or as before",
        ),
        Binding(
            "m",
            "chart_mean",
            "Mean",
            id=ids["mean"],
            show=False,
            tooltip="Take the means over 100, 1,000, 1 or 10 episodes",
        ),
    ]


class ChartScreen(MarioScreen):
    """A screen with charts of one x axis: they show the same part of it, and the cursor at the same place."""

    def __init__(self) -> None:
        super().__init__()
        self.view = ChartView()
        self.mean_window = WINDOW
        """Episodes that means are taken over."""

    def charts_shown(self) -> Sequence[MetricChart]:
        """Those that are on the screen, the large one first."""
        raise NotImplementedError

    def mean_window_changed(self) -> None:
        """Shows means over `mean_window` episodes."""
        raise NotImplementedError

    def _large(self) -> MetricChart | None:
        """The large chart, or the first that has points."""
        return next((chart for chart in self.charts_shown() if chart.whole), None)

    def _whole(self) -> Range | None:
        """The x of the first and the last point of all charts."""
        ends = [chart.whole for chart in self.charts_shown() if chart.whole]
        return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None

    def refresh_view(self) -> None:
        """Has each chart show what is to be seen of it; after new points, too, as a view may follow them."""
        whole = self._whole()
        window = None if whole is None else self.view.window(whole)
        for chart in self.query(MetricChart):  # also those that are on show once the terminal is larger
            chart.look(window, self.view.cursor)

    def _show(self, view: ChartView) -> None:
        self.view = view
        self.refresh_view()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "chart_close":
            return self.view.cursor is not None or self.view.span is not None
        if action == "chart_all":
            return self.view.span is not None
        if action in ("chart_move", "chart_end"):
            return self.view.cursor is not None or self.view.span is not None
        return super().check_action(action, parameters)

    def action_chart_cursor(self) -> None:
        whole, chart = self._whole(), self._large()
        if self.view.cursor is not None:
            self.action_chart_close()
        elif whole is not None and chart is not None:
            window = self.view.window(whole) or whole
            self._show(self.view.with_cursor(chart.point_beside(window[1], 0), whole))
        elif chart is None:
            self.notify("the chart that is on show has no cursor: 1 to 5 have one")
        else:
            self.notify("there is nothing to read in the charts yet")

    def action_chart_close(self) -> None:
        self._show(self.view.all() if self.view.cursor is None else self.view.without_cursor())

    def action_chart_move(self, columns: int) -> None:
        whole, chart = self._whole(), self._large()
        if whole is None or chart is None:
            return
        if self.view.cursor is None:
            self._show(self.view.panned(columns / FAR / 2, whole))
        else:
            self._show(self.view.with_cursor(chart.point_beside(self.view.cursor, columns), whole))

    def action_chart_end(self, newest: bool) -> None:
        whole = self._whole()
        if whole is None:
            return
        if self.view.cursor is None:
            self._show(self.view.at_edge(whole, newest=newest))
        else:
            self._show(self.view.with_cursor(whole[1] if newest else whole[0], whole))

    def action_chart_zoom(self, presses: int) -> None:
        whole = self._whole()
        if whole is not None:
            self._show(self.view.zoomed(presses, whole))

    def action_chart_all(self) -> None:
        self._show(self.view.all())

    def action_chart_log(self) -> None:
        chart = self._large()
        if chart is None:
            return
        if not chart.can_be_logarithmic:
            self.notify("no logarithmic scale here: not all values of the large chart are positive")
        else:
            chart.logarithmic = not chart.logarithmic

    def action_chart_mean(self) -> None:
        self.mean_window = WINDOWS[(WINDOWS.index(self.mean_window) + 1) % len(WINDOWS)]
        self.mean_window_changed()
        self.notify(
            "no means: every episode by itself"
            if self.mean_window == 1
            else f"means over {text.count(self.mean_window)} episodes",
            timeout=2,
        )

    def on_metric_chart_picked(self, event: MetricChart.Picked) -> None:
        whole, chart = self._whole(), self._large()
        if whole is not None and chart is not None:
            self._show(self.view.with_cursor(chart.point_beside(event.x, 0), whole))
