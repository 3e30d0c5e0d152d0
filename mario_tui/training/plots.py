"""The curves of a run as four pictures, as the tutorial draws them: moving averages over 100 episodes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path

from mario_tui.store.history import LEARNED
from mario_tui.system.files import write_atomically
from mario_tui.training.curves import Curve
from mario_tui.training.events import EpisodeEnded, Event, Finished, Observer
from mario_tui.training.metrics import METRICS

_TITLES = {"reward": "Reward", "length": "Length (steps)", "loss": "Loss", "q": "Q value"}


class CurvePlots(Observer):
    """Draws the curves every so many episodes, and at the end.

    Args:
        folder: where the pictures are written.
        curves: from `MetricLogger`.
        every: episodes from one time to the next.
    """

    def __init__(self, folder: Path, curves: Mapping[str, Curve], every: int) -> None:
        self._folder, self._curves, self._every = folder, curves, every

    def observe(self, event: Event) -> None:
        due = isinstance(event, EpisodeEnded) and event.record.episode % self._every == 0
        if due or isinstance(event, Finished):
            with contextlib.suppress(OSError):  # they are drawn again
                save_curves(self._folder, self._curves)


def save_curves(folder: Path, curves: Mapping[str, Curve]) -> None:
    """Writes reward_plot.png, length_plot.png, loss_plot.png and q_plot.png into a folder."""
    from matplotlib.figure import Figure  # without pyplot, which keeps global state and is not for threads

    for name in METRICS:
        # Margins that have room for all labels: to compute them takes more than half of the time that a picture does.
        figure = Figure(figsize=(7, 4))
        axes = figure.add_axes((0.15, 0.13, 0.82, 0.82))
        for key, style in (
            (name, {"alpha": 0.3, "label": "episode"}),
            (f"{name}_mean", {"label": "mean over 100"}),
        ):
            points = curves[key].points()
            axes.plot([x for x, _ in points], [y for _, y in points], color="tab:red", **style)
        if name in LEARNED and not curves[name].points():
            axes.text(0.5, 0.5, "nothing learned yet", transform=axes.transAxes, ha="center", va="center")
        axes.set_xlabel("Episode")
        axes.set_ylabel(_TITLES[name])
        axes.grid(alpha=0.3)
        axes.legend(loc="best")
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=100)
        write_atomically(folder / f"{name}_plot.png", picture.getvalue())
