"""The whole game in Watch: stage after stage, each by its best agent or by a log that clears it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from mario_tui.printable import printable
from mario_tui.tui.screens.game_screen import how_it_ended
from mario_tui.tui.screens.watch import WatchScreen

if TYPE_CHECKING:
    from mario_tui.play.stage_players import StagePlayer

SECONDS_BETWEEN_STAGES = 3


class WatchGameScreen(WatchScreen):
    """Watches one stage of the game, and goes on with the next one when its episode is over.

    Args:
        players: who plays the stages, in their order.
        number: which of them this screen shows.
        stop: whether to stay where a stage is not cleared.
    """

    def __init__(
        self, players: Sequence[StagePlayer], number: int = 0, *, stop: bool = False, leaves_app: bool = False
    ) -> None:
        now = players[number]
        super().__init__(now.path, stage=now.stage if now.is_agent else None, leaves_app=leaves_app)
        self._players, self._number, self._stop = players, number, stop
        self._seconds_over = 0

    def on_mount(self) -> None:
        super().on_mount()
        self.every(1.0, self.go_on)

    def go_on(self) -> None:
        """Goes on with the next stage some seconds after the end of this one, unless the user looks back."""
        player = self._player
        moment = None if player is None else player.latest
        if player is None or moment is None or player.paused or player.by_hand or not player.finished:
            self._seconds_over = 0
            return
        self._seconds_over += 1
        if self._seconds_over < SECONDS_BETWEEN_STAGES or (self._stop and moment.end != "clear"):
            return
        self.action_next_stage()

    def action_next_stage(self) -> None:
        """The next stage with its own player."""
        now = self._players[self._number]
        moment = None if self._player is None else self._player.latest
        if moment is not None and moment.end is not None:
            words, _ = how_it_ended(moment)
            self.notify(f"{now.stage}: {printable(now.who)} {words}", markup=False)
        if self._number + 1 == len(self._players):
            if not self._ended:
                self._ended = True
                self.notify(
                    f"{now.stage} is the last stage with an agent or a log: train on the next one, or search it"
                )
            return
        following = WatchGameScreen(self._players, self._number + 1, stop=self._stop, leaves_app=self._leaves_app)
        self.app.switch_screen(following)

    _ended = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return True if action == "next_stage" else super().check_action(action, parameters)

    def _state(self, moment: object) -> Content:
        place = f"{self._number + 1} of {len(self._players)} stages\n"
        return Content.styled(place, "$foreground 60%") + super()._state(moment)  # type: ignore[arg-type]
