"""The whole game in Watch: stage after stage, each by its best agent or by a log that clears it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from mario_tui.printable import printable
from mario_tui.tui.screens.game_screen import how_it_ended
from mario_tui.tui.screens.watch import WatchScreen

if TYPE_CHECKING:
    from mario_tui.game.step import EpisodeStep
    from mario_tui.play.agent_player import AgentPlayer
    from mario_tui.play.one_go import OneGo
    from mario_tui.play.stage_players import StagePlayer

SECONDS_BETWEEN_STAGES = 3


class WatchGameScreen(WatchScreen):
    """Watches one stage of the game, and goes on with the next one when its episode is over.

    Args:
        players: who plays the stages, in their order.
        number: which of them this screen shows.
        stop: whether to stay where a stage is not cleared.
        before: the screen of the stage before.
    """

    def __init__(
        self,
        players: Sequence[StagePlayer],
        number: int = 0,
        *,
        stop: bool = False,
        leaves_app: bool = False,
        before: WatchGameScreen | None = None,
    ) -> None:
        now = players[number]
        super().__init__(now.path, stage=now.stage if now.is_agent else None, leaves_app=leaves_app)
        self._players, self._number, self._stop = players, number, stop
        self.add_class("-game")
        self._seconds_over = 0
        self._before = before
        self._game: OneGo | None = None
        self._handed_on = False

    def _open_player(self) -> AgentPlayer:
        services = self.app.services
        before, self._before = self._before, None
        if before is not None:
            if before.player is not None:
                before.player.close()  # two players must not move one game
            self._game = before._game
        self._game = self._game or services.open_one_go()
        return services.open_player(self._agent, self._asked_stage, self._game)

    def on_unmount(self) -> None:
        super().on_unmount()
        if not self._handed_on:
            asyncio.get_running_loop().run_in_executor(None, self._close_game)

    def _close_game(self) -> None:
        if self._player is not None:
            self._player.close()
        if self._game is not None:
            self._game.close()

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
        self._handed_on = True
        following = WatchGameScreen(
            self._players, self._number + 1, stop=self._stop, leaves_app=self._leaves_app, before=self
        )
        self.app.switch_screen(following)

    def action_record_from_here(self) -> None:
        moment = None if self._player is None else self._player.latest
        if moment is not None and moment.goes_on is not None:
            self.notify("this stage goes on from the one before it: 'mario-tui record --game' records the whole game")
            return
        super().action_record_from_here()

    _ended = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return True if action == "next_stage" else super().check_action(action, parameters)

    def _state(self, moment: EpisodeStep | None) -> Content:
        place = f"{self._number + 1} of {len(self._players)} stages"
        if self._number and moment is not None:
            before = self._players[self._number - 1].stage
            place += "; from its own start" if moment.goes_on is None else f"; goes on from {before}"
        return Content.styled(f"{place}\n", "$foreground 60%") + super()._state(moment)
