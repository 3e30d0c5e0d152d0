"""What a reward is made of, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

if TYPE_CHECKING:
    from mario_tui.rewards import LearnedReward, RewardParts

_LABEL, _COLUMN = 15, 10


class RewardLedger(Widget):
    """The parts of the reward of the step on show, and of the episode up to it."""

    DEFAULT_CSS = """
    RewardLedger { height: auto; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[LearnedReward, RewardParts, RewardParts] | None = None

    def show(self, learned: LearnedReward, step: RewardParts, episode: RewardParts) -> None:
        shown = (learned, step, episode)
        if shown != self._shown:
            same_shape = self._shown is not None and self._shown[0] == learned
            self._shown = shown
            self.refresh(layout=not same_shape)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines())

    def render(self) -> Content:
        return Content("\n").join(self._lines())

    def _lines(self) -> list[Content]:
        if self._shown is None:
            return [Content.styled("what the reward is made of appears here", "$foreground 60%")]
        learned, step, episode = self._shown
        forward = "new ground" if learned.reward == "frontier" else "pixels forward"
        rows = [
            (forward, step.forward, episode.forward),
            ("clock", step.clock, episode.clock),
            ("death", step.death, episode.death),
            ("clip at ±15", step.clip, episode.clip),
        ]
        if learned.clear_bonus:
            rows.append(("clear bonus", step.bonus, episode.bonus))
        lines = [_row("the reward", "this step", "so far", "$foreground 60% underline")]
        lines += [_row(label, _signed(one), _signed(all_)) for label, one, all_ in rows]
        lines.append(_row("together", _signed(step.total), _signed(episode.total), "bold"))
        if learned.scale != 1:
            scaled = [f"{parts.total / learned.scale:+.2f}" for parts in (step, episode)]
            lines.append(_row(f"learned, / {learned.scale:g}", scaled[0], scaled[1], "$accent"))
        return lines


def _signed(value: float) -> str:
    return f"{value:+,.0f}" if value else "0"


def _row(label: str, step: str, episode: str, style: str = "") -> Content:
    return Content.styled(f"{label:<{_LABEL}}{step:>{_COLUMN}}{episode:>{_COLUMN}}", style)
