"""The app around its screens: ways between them, help, palette, notices, background work, and leaving."""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.app import ComposeResult
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Static
from textual.worker import WorkerFailed

from mario_tui.config import TrainingConfig
from mario_tui.training.watcher import Notice
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.jobs import Job
from mario_tui.tui.keymap import doubled_keys
from mario_tui.tui.preferences import Preferences
from mario_tui.tui.run import run_app
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.dialogs import ConfirmScreen, HelpScreen, LeavingScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.too_small import TooSmall
from mario_tui.tui.widgets.top_bar import TopBar
from mario_tui.video.record import RecordingCancelledError
from tui.fakes import RUN, FakeSession, World, checkpoint, typical_checkpoints, until


def messages(app: MarioTuiApp) -> list[str]:
    return [notification.message for notification in app._notifications]


async def test_every_way_between_the_screens() -> None:
    world = World(typical_checkpoints())
    app = world.app()
    async with app.run_test() as pilot:
        assert isinstance(app.screen, HomeScreen)
        for key, screen in (
            ("c", CheckpointsScreen),
            ("h", HomeScreen),
            ("t", TrainScreen),
            ("escape", HomeScreen),
            ("c", CheckpointsScreen),
            ("t", TrainScreen),
            ("escape", HomeScreen),
        ):
            await pilot.press(key)
            await until(pilot, lambda screen=screen: isinstance(app.screen, screen))  # type: ignore[misc]
            assert len(app.screen_stack) <= 3


async def test_help_lists_the_keys_of_the_screen_and_closes() -> None:
    app = World().app()
    async with app.run_test() as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        shown = {line.split()[0] for line in str(app.screen.query_one("#keys", Static).content).splitlines()}
        assert {"t", "q", "c", "?", "^q"} <= shown
        assert "w" not in shown, "there is no best agent to watch yet"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


@pytest.mark.parametrize("screen", ["h", "t", "c", "v", "w"])
async def test_no_footer_has_more_than_eight_keys(screen: str) -> None:
    world = World(typical_checkpoints())
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(screen)
        await pilot.pause()
        for session in (None, world.session):
            app.session = session
            await pilot.pause()
            shown = {a.binding.action for a in app.screen.active_bindings.values() if a.binding.show}
            assert len(shown) + 1 <= 8, shown  # and the palette


async def test_nor_has_the_footer_of_the_map(tmp_path: Path) -> None:
    app = World().app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.show_map(tmp_path)
        await pilot.pause()
        shown = {a.binding.action for a in app.screen.active_bindings.values() if a.binding.show}
        assert "watch" in shown
        assert len(shown) + 1 <= 8, shown


async def test_the_palette_starts_every_action_by_name() -> None:
    app = World().app()
    async with app.run_test() as pilot:
        await pilot.pause()
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        assert {"Train (t)", "Checkpoints (c)", "Quit (q)", "Theme"} <= set(commands)
        await commands["Checkpoints (c)"].callback()
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))


async def test_of_work_that_is_begun_anew_the_newest_alone_runs(recwarn: pytest.WarningsRecorder) -> None:
    app = World().app()
    begun: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)

    async with app.run_test() as pilot:
        assert isinstance(app.screen, HomeScreen)
        for number in range(3):
            app.screen.run_newest(partial(work, number), "numbers")
        await until(pilot, lambda: bool(begun))
    gc.collect()
    assert begun == [2]
    assert [str(one.message) for one in recwarn if "never awaited" in str(one.message)] == []


async def test_a_small_terminal_names_the_size_that_is_needed() -> None:
    app = World().app()
    async with app.run_test(size=(79, 30)) as pilot:
        await pilot.pause()
        visible = [child for child in app.screen.children if child.display]
        assert len(visible) == 1
        assert isinstance(visible[0], TooSmall)
        assert "80x24" in visible[0].render()
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: not app.screen.query_one(TooSmall).display)


async def test_training_is_owned_by_the_app_and_shown_on_every_screen() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        app.start_training(TrainingConfig(), "mine")
        await until(pilot, lambda: app.session is world.session)
        assert world.started == [(TrainingConfig(), "mine")]
        assert world.session.calls == ["start"]
        for key in ("c", "h"):
            await pilot.press(key)
            await until(pilot, lambda: app.screen.query_one(TopBar).status == "running")
        world.session.end()
        app.show_notices()
        await until(pilot, lambda: app.screen.query_one(TopBar).status == "finished")
        await pilot.press("t")
        await until(pilot, lambda: app.screen.has_class("-ended"))
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await until(pilot, lambda: app.screen.query_one(TopBar).status == "")


async def test_a_second_training_is_refused_while_one_runs() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        app.start_training(TrainingConfig(), None)
        await until(pilot, lambda: app.session is not None)
        app.start_training(TrainingConfig(), None)
        await pilot.pause()
        assert len(world.started) == 1
        assert any("stop the training" in message for message in messages(app))
        world.session.end()


async def test_a_training_that_cannot_start_says_why() -> None:
    world = World()
    world.start_problem = "the replay needs 9 TB"
    app = world.app()
    async with app.run_test() as pilot:
        app.start_training(TrainingConfig(), None)
        await until(pilot, lambda: app.start_problem != "")
        assert app.start_problem == "the replay needs 9 TB"
        await until(pilot, lambda: "the replay needs 9 TB" in messages(app))
        assert not app.is_training


async def test_rare_events_become_notices_once() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        app.session = world.session
        world.session.start()
        world.session.notice("cleared", "episode 7 cleared 1-1")
        world.session.notice("paused", "paused")
        version = app.files_version
        world.session.notice("saved", "saved it")
        app.show_notices()
        app.show_notices()
        await pilot.pause()
        assert messages(app) == ["episode 7 cleared 1-1", "saved it"]
        assert app.files_version > version
        world.session.end()


async def test_recording_and_its_failure_are_told() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        app.jobs.record(Path("/checkpoints/run/step-000000001"), ".gif", "1-2")
        await until(pilot, lambda: not app.jobs.running)
        assert world.recorded == [(Path("/checkpoints/run/step-000000001"), "1-2", ".gif")]
        assert any("recordings/agent.gif" in message for message in messages(app))
        world.job_problem = "ffmpeg is missing"
        app.jobs.record(Path("/checkpoints/run/step-000000001"), ".mp4")
        await until(pilot, lambda: not app.jobs.running)
        assert "recording MP4 failed: ffmpeg is missing" in messages(app)


async def test_a_verdict_that_could_not_be_stored_is_told_all_the_same() -> None:
    world = World()
    world.store_problem = "Read-only file system"
    app = world.app()
    async with app.run_test() as pilot:
        app.jobs.evaluate(Path("/checkpoints/run/step-000000001"))
        await until(pilot, lambda: not app.jobs.running)
        await until(pilot, lambda: bool(messages(app)))
        (message,) = messages(app)
        assert "4 of 10 cleared" in message
        assert message.endswith("not kept with the checkpoint: Read-only file system")


async def test_the_work_begun_last_is_cancelled_by_a_key_and_another_goes_on() -> None:
    world = World()
    app = world.app()
    asked: list[Callable[[], bool]] = []
    shown: list[Job] = []
    told: list[str] = []
    let_go = threading.Event()

    def record(agent: Any, stage: Any, suffix: str, ghosts: Any, progress: Any, cancelled: Callable[[], bool]) -> Any:
        asked.append(cancelled)
        progress(600, 1200 if suffix == ".mp4" else None)
        while not (cancelled() or let_go.is_set()):
            time.sleep(0.005)
        if cancelled():
            raise RecordingCancelledError("cancelled")
        return SimpleNamespace(path=Path(f"/recordings/agent{suffix}"), seconds=10.0, cleared=True, max_x=3161)

    app.services.record = record  # type: ignore[method-assign]
    app.notify = lambda message, **_: told.append(message)  # type: ignore[method-assign]
    async with app.run_test() as pilot:
        assert not app.check_action("cancel_job", ())
        app.jobs.record(Path("/checkpoints/run/step-000000001"), ".gif")
        await until(pilot, lambda: len(asked) == 1)
        app.jobs.record(Path("/checkpoints/run/step-000000001"), ".mp4")
        await until(pilot, lambda: all(job.progress for job in app.jobs.running) and len(app.jobs.running) == 2)
        shown += app.jobs.running
        assert [job.line for job in shown] == [
            "recording GIF: 600 frames, 10 s of play",
            "recording MP4: 600 of 1,200 frames, 10 s of play",
        ]
        await pilot.press("ctrl+x")
        await until(pilot, lambda: app.jobs.running == shown[:1])
        assert [cancelled() for cancelled in asked] == [False, True]
        assert told == ["recording MP4 cancelled"]
        let_go.set()
        await until(pilot, lambda: not app.jobs.running)
        assert "recordings/agent.gif" in told[1]


# leaving


async def test_quitting_without_training_leaves_at_once() -> None:
    app = World().app()
    async with app.run_test() as pilot:
        await pilot.press("q")
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == 0


async def quit_while_training(app: MarioTuiApp, session: FakeSession, pilot: Pilot[int], key: str) -> None:
    session.stops_when_asked = False
    app.session = session
    session.start()
    await pilot.press(key)
    if key == "q":
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "stop" not in session.calls, "it asks first"
        await pilot.press("q")
    await until(pilot, lambda: "stop" in session.calls and isinstance(app.screen, LeavingScreen))
    assert app.return_code is None, "it waits for the training to save"


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_quitting_while_training_stops_saves_joins_and_says_so(key: str) -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        await quit_while_training(app, world.session, pilot, key)
        world.session.end()
        await until(pilot, lambda: app.return_code is not None)
    assert world.session.calls.count("stop") == 1
    assert world.session.calls[-1] == "join"
    assert not app.leaving.abandoned


async def test_what_is_announced_runs_the_users_command() -> None:
    world = World()
    world.user_preferences = Preferences(on_event="mail me", notify="bell")
    told: list[tuple[str, ...]] = []
    world.run_on_event = lambda *event: told.append(event) or "it cannot be started"  # type: ignore[method-assign]
    app = world.app()
    async with app.run_test() as pilot:
        app.session = world.session
        world.session._notices += [Notice("cleared", "episode 3 cleared 1-1", "first-clear"), Notice("saved", "saved")]
        app.show_notices()
        await pilot.pause()
        assert told == [("mail me", "first-clear", "episode 3 cleared 1-1", world.session.snapshot.run)]
        assert any("it cannot be started" in note.message for note in app._notifications)


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_what_is_given_up_is_named_and_asked_for(key: str) -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        app.jobs.running.append(Job("recording MP4", "hill, step 9"))
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "Given up: recording MP4 (hill, step 9)." in str(app.screen.query_one(".about", Static).content)
        assert app.return_code is None
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen))
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        app.jobs.running.clear()
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app.return_code is not None)


async def test_where_the_terminal_is_too_small_keys_do_nothing_but_leave() -> None:
    world = World(typical_checkpoints())
    app = world.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: bool(app.screen.query(TooSmall)))
        home = app.screen
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: "ctrl+q quits" in str(app.screen.query_one(TooSmall).render()))
        await pilot.press("t", "c", "p", "q", "w", "?")
        await pilot.pause()
        assert app.screen is home
        assert world.session.calls == []
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app.return_code is not None)


async def test_leaving_says_that_recordings_are_waited_for() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        await quit_while_training(app, world.session, pilot, "ctrl+q")
        world.session.recordings_left = 1
        await until(pilot, lambda: "Finishing its recordings" in str(app.screen.query_one(".about", Static).content))
        world.session.end()
        await until(pilot, lambda: app.return_code is not None)


@pytest.mark.parametrize("key", ["escape", "n"])
async def test_home_asks_before_it_stops_what_runs_and_takes_no_for_an_answer(key: str) -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        app.session = world.session
        world.session.start()
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        assert world.session.calls == ["start"]
        world.session.end()
        app.jobs.running.append(Job("recording MP4", "agent"))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        app.jobs.running.clear()
        await pilot.press("y")
        await until(pilot, lambda: app.return_code == 0)


async def test_why_a_training_paused_is_told_on_every_screen() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        app.session = world.session
        world.session.start()
        world.session.notice("warning", "paused: memory is short")
        await until(pilot, lambda: "paused: memory is short" in messages(app))


async def test_asked_to_leave_a_second_time_it_does_not_wait() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        await quit_while_training(app, world.session, pilot, "ctrl+q")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app.return_code is not None)
        world.session.end()
    assert app.leaving.abandoned


@pytest.mark.parametrize("answer", ["n", "y"])
async def test_a_training_that_cannot_be_saved_is_not_left_without_asking(answer: str) -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        await quit_while_training(app, world.session, pilot, "ctrl+q")
        world.session.snapshot = replace(world.session.snapshot, pause_reason="step 7 could not be saved: no room")
        world.session.awaiting_user = True
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen) and bool(app.screen.query("#yes")))
        assert "step 7 could not be saved: no room" in " ".join(str(one.content) for one in app.screen.query(Static))
        world.session.awaiting_user = False
        await pilot.press(answer)
        await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen))
        if answer == "n":
            assert app.return_code is None
            assert app.is_training
            assert world.session.calls.count("stop") == 1
            await pilot.press("ctrl+q")
        await until(pilot, lambda: world.session.calls.count("stop") > 1)
        world.session.end()
        await until(pilot, lambda: app.return_code is not None)
    assert not app.leaving.abandoned


@pytest.mark.parametrize("code", [143, 129, 130])
async def test_a_signal_stops_saves_and_gives_its_exit_code(code: int) -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        app.session = world.session
        world.session.start()
        app.leaving.on_signal(code)
        await until(pilot, lambda: app.return_code is not None)
    assert world.session.calls[:2] == ["start", "stop"]
    assert app.return_code == code


async def test_ctrl_c_twice_leaves_and_once_only_tells_how() -> None:
    world = World()
    app = world.app()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+c")
        await until(pilot, lambda: any("again" in message for message in messages(app)))
        world.seconds += 10
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert app.return_code is None, "ten seconds later it counts as the first again"
        world.seconds += 1
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == 130


async def test_watching_from_the_command_line_leaves_with_escape() -> None:
    world = World()
    app = world.app(watch=Path("/checkpoints/run/step-000000001"), stage="1-2")
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and "start" in world.player.calls)
        assert world.player.calls[0] == "open step-000000001 1-2"
        await pilot.press("escape")
        await until(pilot, lambda: app.return_code is not None)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert world.player.calls[-1] == "close"


async def test_continuing_a_checkpoint_shows_the_training() -> None:
    world = World([checkpoint(1000)])
    app = world.app()
    async with app.run_test() as pilot:
        app.continue_training(world.checkpoints[0].path)
        await until(pilot, lambda: app.session is not None and isinstance(app.screen, TrainScreen))
        assert world.started == [(Path(f"/checkpoints/{RUN}/step-000001000"),)]
        world.session.end()


def test_threads_change_often_while_the_app_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen = sys.getswitchinterval(), []
    monkeypatch.setattr(MarioTuiApp, "run", lambda app: seen.append(sys.getswitchinterval()))
    run_app()
    assert seen[0] < 0.002
    assert sys.getswitchinterval() == before


async def test_a_notice_leaves_the_buttons_of_a_dialog_to_be_seen() -> None:
    app = World().app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        for text in ("short", "long " * 40, "another"):
            app.notify(text, timeout=100)
        app.push_screen(ConfirmScreen("Leave?", "A question.", yes="leave", no="stay", key="q"))
        await until(pilot, lambda: len(app.screen.query("Toast")) == 3)
        await until(pilot, lambda: "short" in drawn(app))
        assert "leave (q)" in drawn(app)
        assert "stay (esc)" in drawn(app)


async def test_where_there_are_few_lines_notices_take_one_and_problems_three() -> None:
    app = World().app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        body = app.screen.query_one("#body").region
        app.notify("an older one", timeout=100)
        app.notify("22 s, cleared: recordings/a.mp4 " * 4, title="recording MP4: done", timeout=100, markup=False)
        await until(pilot, lambda: "recording MP4: done: 22 s" in drawn(app))
        shown = next(toast for toast in app.screen.query("Toast") if toast.size)
        assert shown.region == (0, body.bottom - 1, 80, 1)
        assert "an older one" not in drawn(app)
        app.notify("it cannot be kept: no room is left on the device " * 3, severity="error", timeout=100)
        await until(pilot, lambda: "it cannot be kept" in drawn(app))
        shown = next(toast for toast in app.screen.query("Toast") if toast.size)
        assert (shown.region.height, shown.region.bottom) == (2, body.bottom)
        await pilot.resize_terminal(120, 45)
        await until(pilot, lambda: "an older one" in drawn(app))


def drawn(app: MarioTuiApp) -> str:
    """All that is on the screen, the topmost of what lies there."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def test_keys_that_two_of_a_screen_share_are_told() -> None:
    assert list(doubled_keys({})) == []
    assert list(doubled_keys({"train.pause": "p"})) == []
    (problem,) = doubled_keys({"train.pause": "s"})
    assert problem == "settings: 's' is the key of both train.pause and train.save"
    assert list(doubled_keys({"train.pause": "f9, s", "train.save": "f8"})) == []


@pytest.mark.parametrize("leaves", [True, False])
async def test_work_beside_a_screen_that_is_left_may_find_nothing_there_any_more(leaves: bool) -> None:
    """Its widgets go before its workers are cancelled; on a screen that is there, one that is missing is an error."""
    ending, looked = asyncio.Event(), asyncio.Event()

    class Slow(Static):
        """Its end takes a while, as where there is much to end."""

        async def on_unmount(self) -> None:
            ending.set()
            await looked.wait()

    class Left(MarioScreen):
        def compose_body(self) -> ComposeResult:
            yield Slow()

        def on_mount(self) -> None:
            self.run_newest(self.work, "beside")

        async def work(self) -> None:
            await ending.wait()
            try:
                self.query_one("#gone")
            finally:
                looked.set()

    app = World().app()
    with nullcontext() if leaves else pytest.raises(WorkerFailed, match="gone"):
        async with app.run_test() as pilot:
            await app.push_screen(Left())
            await pilot.pause()
            if leaves:
                await app.pop_screen()
            else:
                ending.set()
                await until(pilot, looked.is_set)
    assert looked.is_set()
