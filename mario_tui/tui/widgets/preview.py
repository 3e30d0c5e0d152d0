"""What a list shows beside itself of the selected row: a picture, a few facts, a curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from mario_tui.tui.cells import Characters
from mario_tui.tui.graphics import USUAL_CELL_PIXELS, Graphics
from mario_tui.tui.widgets.chart_drawing import Points
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.metric_chart import MetricChart

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Sight:
    """What there is to see of a row.

    Attributes:
        facts: lines of text.
        picture: (H, W, 3) uint8; None without one.
        curve: (step, mean progress in percent) points; None where the row is of a kind that has none.
    """

    facts: Content
    picture: NDArray[np.uint8] | None = None
    curve: Points | None = None


class Preview(Vertical):
    """Shows a `Sight`; the picture has the room that is left over by the facts, and half of it beside a curve."""

    DEFAULT_CSS = """
    Preview {
        padding: 0 1 0 2;
        height: 1fr;
    }
    Preview > #preview-facts {
        height: auto;
        max-height: 60%;
        margin-bottom: 1;
    }
    Preview > #preview-picture { max-height: 26; margin-bottom: 1; }
    Preview > #preview-curve { min-height: 7; max-height: 16; }
    Preview.-without-curve > #preview-curve { display: none; }
    """

    def __init__(self, graphics: Graphics | None, characters: Characters, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._graphics, self._characters = graphics, characters
        self.sight: Sight | None = None
        """What is on show."""

    def compose(self) -> ComposeResult:
        yield Static("", id="preview-facts")
        yield GameView(graphics=self._graphics, characters=self._characters, id="preview-picture")
        yield MetricChart(
            "progress in training (%)", x_label="step", empty_text="no episodes are kept with it", id="preview-curve"
        )

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height of a picture that fills its place; both 0 before it is laid out."""
        characters = self._characters
        across, down = (characters.across, characters.down) if self._graphics is None else USUAL_CELL_PIXELS
        for picture in self.query("#preview-picture"):  # a size may come before it is composed
            return picture.size.width * across, picture.size.height * down
        return 0, 0

    def show(self, sight: Sight) -> None:
        self.sight = sight
        self.query_one("#preview-facts", Static).update(sight.facts)
        self.query_one("#preview-picture", GameView).frame = sight.picture
        self.set_class(sight.curve is None, "-without-curve")
        self.query_one("#preview-curve", MetricChart).set_data(sight.curve or ())
