"""The whole game in Watch: it goes on by itself, and says who did what."""

import asyncio
from pathlib import Path
from typing import Any

from textual.widgets import Static

from mario_tui.game.episode import EndReason
from mario_tui.play.stage_players import StagePlayer
from mario_tui.tui.screens.watch_game import SECONDS_BETWEEN_STAGES, WatchGameScreen
from tui.fakes import FakePlayer, World, moment, until

PLAYERS = (
    StagePlayer("1-1", Path("/checkpoints/a/step-000000009"), "a, step 9", is_agent=True),
    StagePlayer("1-2", Path("/plays/1-2_found.json"), "a log by search", is_agent=False),
)


def messages(app: Any) -> list[str]:
    return [one.message for one in app._notifications]


async def shown(pilot: Any, number: int) -> WatchGameScreen:
    def there() -> bool:
        screen = pilot.app.screen
        return isinstance(screen, WatchGameScreen) and screen._number == number and screen._player is not None

    await until(pilot, there)
    return pilot.app.screen


def end(world: World, reason: EndReason) -> None:
    world.player.latest = moment(end=reason, progress=1.0 if reason is EndReason.CLEAR else 0.59)


def wait_for_it(screen: WatchGameScreen) -> None:
    for _ in range(SECONDS_BETWEEN_STAGES):
        screen.go_on()


async def test_it_goes_on_with_the_next_stage_and_its_player() -> None:
    world = World()
    app = world.app(game=PLAYERS)
    async with app.run_test(size=(100, 40)) as pilot:
        screen = await shown(pilot, 0)
        assert world.player.calls[0] == "open step-000000009 1-1 in one go"
        screen.go_on()
        assert screen is app.screen, "the episode goes on"
        end(world, EndReason.CLEAR)
        screen.go_on()
        assert screen is app.screen, "a moment to look"
        world.player.paused = True
        wait_for_it(screen)
        assert screen is app.screen, "who looks back is left in peace"
        world.player.paused = False
        old, world.player = world.player, FakePlayer()
        wait_for_it(screen)
        screen = await shown(pilot, 1)
        await until(pilot, lambda: "close" in old.calls)
        assert world.player.calls[0] == "open 1-2_found.json in one go"
        assert "1-1: a, step 9 CLEARED the stage" in messages(app)
        end(world, EndReason.DEATH)
        wait_for_it(screen)
        wait_for_it(screen)
        await pilot.pause()
        assert screen is app.screen
        assert sum("1-2 is the last stage with an agent or a log" in message for message in messages(app)) == 1


async def test_the_stages_share_one_game_which_is_closed_with_the_last_screen() -> None:
    world = World()
    agent = StagePlayer("1-2", Path("/checkpoints/b/step-000000009"), "b, step 9", is_agent=True)
    app = world.app(game=(PLAYERS[0], agent))
    async with app.run_test(size=(100, 40)) as pilot:
        await shown(pilot, 0)
        await pilot.pause()
        assert "in one go" in world.player.calls[0]
        old, world.player = world.player, FakePlayer()
        world.player.latest = moment(goes_on=3)
        await pilot.press("n")
        screen = await shown(pilot, 1)
        await until(pilot, lambda: "2 of 2 stages; goes on from 1-1" in str(screen.query_one("#state", Static).content))
        assert old.calls[-1] == "close", "before the next one moves the game"
        assert not world.one_go.closed
        await pilot.press("r")
        assert any("goes on from the one before it" in message for message in messages(app))
        world.player.latest = moment()
        screen.refresh_numbers()
        assert "2 of 2 stages; from its own start" in str(screen.query_one("#state", Static).content)
    for _ in range(1_000):  # in a thread
        if world.one_go.closed:
            break
        await asyncio.sleep(0.01)
    assert world.one_go.closed


async def test_n_goes_on_at_once_and_stop_stays_where_it_failed() -> None:
    world = World()
    app = world.app(game=PLAYERS, stop=True)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await shown(pilot, 0)
        end(world, EndReason.DEATH)
        wait_for_it(screen)
        wait_for_it(screen)
        assert screen is app.screen
        await pilot.press("n")
        await shown(pilot, 1)
