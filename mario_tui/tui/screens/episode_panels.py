"""The timeline and the ledger of the episode that Watch shows, kept up with its player."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mario_tui.play.ledger import Ledger
from mario_tui.play.timeline import timeline

if TYPE_CHECKING:
    from mario_tui.game.step import EpisodeStep
    from mario_tui.play.agent_player import AgentPlayer
    from mario_tui.tui.widgets.reward_ledger import RewardLedger
    from mario_tui.tui.widgets.timeline import EpisodeTimeline


FEWEST_NEW = 0.02
"""Of the steps of an episode that is played: the timeline of a long one takes a while, and shows no fewer."""


class EpisodePanels:
    """Gives both widgets what a player has played, as far as they are to be seen."""

    def __init__(self, line: EpisodeTimeline, reward: RewardLedger) -> None:
        self._line, self._reward = line, reward
        self._ledger: Ledger | None = None
        self._drawn: tuple[EpisodeStep, EpisodeStep] | None = None  # first and last step of the timeline

    def refresh_timeline(self, player: AgentPlayer) -> None:
        """Draws what was played since."""
        played = player.played if self._line.size else []
        if not played:
            return
        drawn = self._drawn
        if drawn is not None and drawn[0] is played[0]:
            new = played[-1].step - drawn[1].step
            stands = player.paused or played[-1].end is not None
            if not new or (not stands and 0 < new < FEWEST_NEW * len(played)):
                return
        if drawn is None or drawn[0] is not played[0] or drawn[1] is not played[-1]:
            self._drawn = played[0], played[-1]
            self._line.set_timeline(timeline(played, player.learned))

    def show_step(self, player: AgentPlayer, step: int) -> None:
        """Follows the step on show."""
        if self._line.size:
            self._line.set_step(step)
        if self._reward.size:
            if self._ledger is None or self._ledger.learned != player.learned:
                self._ledger = Ledger(player.learned)
            self._reward.show(player.learned, *self._ledger.parts(player.played, step))
