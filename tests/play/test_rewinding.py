"""Many moves at once: where they lead, and what is shown of the way there."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from mario_tui.buttons import RIGHT
from mario_tui.game.emulator import SCREEN_SHAPE
from mario_tui.game.episode import EndReason
from mario_tui.game.step import EpisodeStep
from mario_tui.game.view import View
from mario_tui.play.agent_player import AgentPlayer


class Recorded(AgentPlayer):
    """A player of an episode without a game, which writes down the steps that it shows."""

    def __init__(self, length: int = 120, first: int = 0) -> None:
        super().__init__(lambda: pytest.fail("no policy is needed"))
        self.shown: list[int] = []
        self._steps = range(first, first + length + 1)

    def _open(self) -> None:
        pass

    def _episode(self) -> Iterator[EpisodeStep]:
        for number in self._steps:
            frame = np.full(SCREEN_SHAPE, number, np.uint8)
            end = EndReason.DEATH if number == self._steps[-1] else None
            yield EpisodeStep(
                step=number, frame=frame, frames=(), frame_count=4 * number, buttons=RIGHT, frame_buttons=(RIGHT,) * 4,
                reward=1.0, total_reward=float(number), x=0, max_x=0, progress=0.0, time=400, coins=0, score=0, life=2,
                status="small", end=end,
            )  # fmt: skip

    def _show_frame(self, frame: np.ndarray, view: View | None, number: int) -> None:
        self.shown.append(int(frame[0, 0, 0]))
        super()._show_frame(frame, view, number)

    def _wait_until(self, due: float, interrupted: Callable[[], bool]) -> float:
        return due  # as fast as it can


def poll(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def at(player: AgentPlayer, step: int) -> Callable[[], bool]:
    return lambda: player.latest is not None and player.latest.step == step


@pytest.fixture
def player() -> Iterator[Recorded]:
    player = Recorded()
    player.start()
    poll(lambda: player.finished)
    yield player
    player.close()


def test_thirty_presses_at_once_are_one_jump(player: Recorded) -> None:
    player.shown.clear()
    with player._wake:  # as if all came before it looks
        for _ in range(30):
            player.move(-1)
    poll(at(player, 90))
    assert player.shown == [90]
    assert player.paused


def test_presses_are_counted_whenever_they_come(player: Recorded) -> None:
    for _ in range(30):
        player.move(-1)
    poll(at(player, 90))
    assert player.shown[-1] == 90
    for steps in (-15, 1, 1, -1, 15):
        player.move(steps)
    poll(at(player, 91))


def test_a_press_beyond_the_end_is_not_counted(player: Recorded) -> None:
    player.move(1)
    player.move(1)
    player.move(-1)
    poll(at(player, 119))


def test_the_newest_wish_wins(player: Recorded) -> None:
    player.shown.clear()
    with player._wake:
        player.seek(3)
        player.seek(50)
        player.move(-1)
    poll(at(player, 49))
    assert player.shown == [49]
    with player._wake:
        player.move(-1000)
        player.move(1)
    poll(at(player, 1))
    with player._wake:
        player.move(1000)
        player.move(-2)
    poll(at(player, 118))


def test_steps_on_beyond_what_was_played_are_played_one_by_one() -> None:
    player = Recorded()
    player.toggle_pause()
    player.start()
    poll(at(player, 0))
    with player._wake:
        for _ in range(5):
            player.move(1)
    poll(at(player, 5))
    player.shown.clear()
    with player._wake:
        player.move(-2)
        for _ in range(4):  # two that are known, and two new ones
            player.move(1)
    poll(at(player, 7))
    assert player.shown == [5, 6, 7]
    with player._wake:
        for _ in range(3):
            player.move(1)
        player.move(-1)  # takes back what was not played yet
    poll(at(player, 7))
    player.move(-1)
    poll(at(player, 6))
    assert [one.step for one in player.played] == list(range(8))
    assert all(not one.frame.size for one in player.played)
    player.close()


def test_an_episode_that_begins_later_counts_its_own_steps() -> None:
    player = Recorded(length=20, first=40)
    player.start()
    poll(lambda: player.finished)
    player.move(-5)
    poll(at(player, 55))
    player.move(-1000)
    poll(at(player, 40))
    player.restart()
    poll(lambda: player.latest is not None and player.latest.step == 40 and len(player.played) == 1)
    player.toggle_pause()
    poll(lambda: player.finished)
    player.close()
