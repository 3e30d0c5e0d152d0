"""The app on a training of another process: it is seen and steered, and goes on when the app is left."""

from typing import Any, Literal

from mario_tui.tui.screens.dialogs import ConfirmScreen
from mario_tui.tui.screens.train import TrainScreen
from tui.fakes import FakeSession, World, running, until


class FakeAttached(FakeSession):
    """Of a training in another process."""

    is_attached: Literal[True] = True  # type: ignore[assignment]

    def detach(self) -> None:
        self.calls.append("detach")
        self.alive = False


async def test_it_opens_on_train_and_leaving_lets_it_go_on() -> None:
    session: Any = FakeAttached(running())
    app = World().app(attach=session)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen._mode == "live")
        assert session.calls == ["start"]
        await pilot.press("space")
        await until(pilot, lambda: session.snapshot.status == "paused")
        await pilot.press("space", "s")
        assert session.calls[1:] == ["pause", "resume", "save"]
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit)
    assert session.calls[-1] == "detach"
    assert "stop" not in session.calls


async def test_home_asks_nothing_when_the_app_is_left() -> None:
    session: Any = FakeAttached(running())
    app = World().app(attach=session)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        await pilot.press("h", "q")
        await until(pilot, lambda: app._exit)
        assert not isinstance(app.screen, ConfirmScreen)
    assert session.calls[-1] == "detach"


async def test_stop_is_asked_for_and_meant() -> None:
    session: Any = FakeAttached(running())
    app = World().app(attach=session)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen._mode == "live")
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("q")
        await until(pilot, lambda: "stop" in session.calls)
