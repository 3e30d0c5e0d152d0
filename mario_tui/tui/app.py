"""The app: owns the training, the work in the background and the way out; the screens only look and ask."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.screen import Screen

from mario_tui import paths
from mario_tui.errors import InputError, MarioTuiError
from mario_tui.store import lookup
from mario_tui.system import crash, guard
from mario_tui.tui import kitty_graphics, text
from mario_tui.tui.jobs import Job
from mario_tui.tui.keyboard import KeyReleased
from mario_tui.tui.kitty_graphics import KittyGraphics
from mario_tui.tui.screens.base import MarioScreen, named
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.compare import CompareScreen
from mario_tui.tui.screens.dialogs import ConfirmScreen, HelpScreen, LeavingScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.play import PlayScreen
from mario_tui.tui.screens.player import PlayerScreen
from mario_tui.tui.screens.recordings import RecordingsScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.services import ROBUST_EPISODES, Services, Verdict, short_name
from mario_tui.tui.terminal import TerminalDriver, let_go_if_gone
from mario_tui.tui.theme import MARIO_DARK, MARIO_LIGHT
from mario_tui.tui.window_switch import WindowSwitch

if TYPE_CHECKING:
    from mario_tui.config import TrainingConfig
    from mario_tui.store.catalog import RunSummary
    from mario_tui.training.session import TrainingSession, TrainingSnapshot
    from mario_tui.tui.services import Agent
    from mario_tui.video.library import RecordingInfo
    from mario_tui.video.recorder import Progress, Recording

SWITCH_INTERVAL_SECONDS = 0.0005
"""How often Python changes threads: a key is answered at once beside a busy trainer, and no frame of a game is late."""

_INTERRUPTED, _HUNG_UP, _TERMINATED = (
    128 + signal.SIGINT,
    128 + getattr(signal, "SIGHUP", 1),
    128 + signal.SIGTERM,
)


_BINDINGS = [
    Binding("h", "go('home')", "Home", tooltip="Home: the state of things at a glance"),
    Binding("t", "go('train')", "Train", show=False, tooltip="Train: settings, or the training that runs"),
    Binding("c", "go('checkpoints')", "Checkpoints", tooltip="Checkpoints: watch, record, evaluate, continue"),
    Binding("v", "go('recordings')", "Recordings", show=False, tooltip="Recordings: play, convert and delete videos"),
    Binding("question_mark", "help", "Help", key_display="?", tooltip="This help"),
    Binding(
        "ctrl+q",
        "quit",
        "Quit",
        show=False,
        priority=True,
        tooltip="Quit; a training that runs is stopped and saved first",
    ),
    Binding(
        "ctrl+x",
        "cancel_job",
        "Cancel",
        show=False,
        tooltip="Cancel the recording or evaluation in the background that was begun last; nothing of it stays",
    ),
    Binding("ctrl+c", "help_quit", show=False, system=True),
]


class MarioTuiApp(App[int]):
    """Train, watch and record a Double-DQN agent that plays Super Mario Bros.

    Args:
        services: what the app asks of the floors below.
        watch: a checkpoint to watch at once; leaving that screen leaves the app.
        stage: where to watch it; the stage it was trained on by default.
        play: a stage to play by hand at once; leaving that screen leaves the app.
        start_screen: `train` or `checkpoints` to begin there instead of Home.
        handle_signals: stop, save and restore the terminal on SIGTERM, SIGHUP and SIGINT, also where it is gone.
    """

    TITLE = "mario-tui"
    CSS_PATH = "app.tcss"
    SCREENS = {
        "home": HomeScreen,
        "train": TrainScreen,
        "checkpoints": CheckpointsScreen,
        "recordings": RecordingsScreen,
        "help": HelpScreen,
    }
    COMMAND_PALETTE_DISPLAY = "^p"
    BINDINGS = named(_BINDINGS, "app")

    def __init__(
        self,
        services: Services | None = None,
        *,
        watch: Path | None = None,
        stage: str | None = None,
        play: str | None = None,
        start_screen: str | None = None,
        handle_signals: bool = False,
    ) -> None:
        in_terminal = handle_signals and "TEXTUAL_DRIVER" not in os.environ
        super().__init__(driver_class=TerminalDriver if in_terminal else None)
        self.services = services or Services()
        self.session: TrainingSession | None = None
        self.session_is_loading = False
        self.start_problem = ""
        self.jobs: list[Job] = []
        self.frames_per_second = 30 if os.environ.get("SSH_CONNECTION") else 60
        """Of a rollout on the screen: a line to another machine is spared half of them."""
        self.graphics: KittyGraphics | None = None
        """For pictures in the terminal, where it can show them; the game is drawn with characters otherwise."""
        self.training_window = WindowSwitch(self)
        """Shows the training's game; it stays while one looks at other screens."""
        self.files_version = 0
        """Grows whenever the lists of checkpoints and recordings may have changed."""
        self._watch_first = watch
        self._watch_stage = stage
        self._play_first = play
        self._start_screen = start_screen
        self._handle_signals = handle_signals
        self._leaving: LeavingScreen | None = None
        self._interrupted_at: float | None = None
        self._signals: set[int] = set()  # the exit codes of those that came
        self.keys: dict[str, str] = {}
        """Name of a binding -> the keys that the settings give it."""
        self.releases_reported = False
        """Whether the terminal tells when a key is let go, while Play is on show."""
        self.abandoned = False
        """Whether the app had to leave without the training's end, because it was told twice."""

    # start

    def on_mount(self) -> None:
        self.register_theme(MARIO_DARK)
        self.register_theme(MARIO_LIGHT)
        self._use_settings()
        if self._handle_signals:
            loop = asyncio.get_running_loop()
            for name, code in (("SIGTERM", _TERMINATED), ("SIGHUP", _HUNG_UP), ("SIGINT", _INTERRUPTED)):
                if hasattr(signal, name):
                    loop.add_signal_handler(getattr(signal, name), self._on_signal, code)
        self.push_screen("home")
        if self._watch_first is not None:
            self.push_screen(WatchScreen(self._watch_first, stage=self._watch_stage, leaves_app=True))
        elif self._play_first is not None:
            self.push_screen(PlayScreen(self._play_first, leaves_app=True))
        elif self._start_screen not in (None, "home"):
            self.action_go(self._start_screen)
        self.set_interval(0.25, self.look_at_session)

    def _use_settings(self) -> None:
        settings = self.services.settings()
        problems = list(settings.problems)
        known = {binding.id for binding in all_bindings()}
        self.keys = {name: key for name, key in settings.keys.items() if name in known}
        problems += [
            f"settings: no key is called {name!r}; 'mario-tui keys' lists them"
            for name in settings.keys
            if name not in known
        ]
        problems += doubled_keys(self.keys)
        self.set_keymap(self.keys)
        if settings.theme and settings.theme not in self.available_themes:
            problems.append(f"settings: there is no theme {settings.theme!r}; ctrl+p, Theme shows them")
        self.theme = settings.theme if settings.theme in self.available_themes else "mario"
        driver = self._driver
        if isinstance(driver, TerminalDriver) and not self.no_color:
            self.graphics = driver.graphics if kitty_graphics.is_used(settings.graphics, os.environ) else None
        self.watch(self, "theme", self._keep_theme, init=False)
        self.watch(self, "app_focus", self._focus_changed, init=False)  # a screen that watched it would never be freed
        for problem in problems:
            self.notify(problem, severity="warning", timeout=15, markup=False)

    def _focus_changed(self, focus: bool) -> None:
        if not focus and isinstance(self.screen, PlayerScreen):
            self.screen.focus_is_lost()

    def _keep_theme(self, theme: str) -> None:
        try:
            self.services.keep_theme(theme)
        except (OSError, InputError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.notify(f"the theme cannot be kept: {reason}", severity="warning", markup=False)

    # moving around

    def action_go(self, name: str) -> None:
        """Shows one of the main screens; Home lies at the bottom of the stack, so that esc leads there."""
        target = self.get_screen(name)
        while self.screen is not target and len(self.screen_stack) > 2:
            self.pop_screen()
        if self.screen is not target and name != "home":
            self.push_screen(name)

    def watch_agent(self, agent: Agent) -> None:
        self.push_screen(WatchScreen(agent))

    def play(self, stage: str) -> None:
        self.push_screen(PlayScreen(stage))

    def report_releases(self, on: bool) -> None:
        """Asks the terminal to tell when keys are let go, or no longer to."""
        self.releases_reported = False
        if isinstance(self._driver, TerminalDriver):
            self._driver.report_releases(on)

    def on_releases_reported(self) -> None:
        if isinstance(self.screen, PlayerScreen):
            self.releases_reported = True
            self.screen.releases_are_reported()

    def on_key_released(self, event: KeyReleased) -> None:
        if isinstance(self.screen, PlayerScreen):
            self.screen.post_message(KeyReleased(event.key))  # after the keys that were pressed before

    def with_live_agent(self, use: Callable[[Agent], object]) -> None:
        """Calls `use` with the weights of the training that runs, as they are between two of its steps."""
        session = self.session
        if session is None:
            return

        async def take() -> None:
            try:
                agent = await asyncio.to_thread(session.live_policy)
            except MarioTuiError as error:
                self.notify(str(error), severity="warning", markup=False)
            else:
                use(agent)

        self.run_worker(take(), group="live-agent")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "go":
            alone = self._watch_first is not None or self._play_first is not None
            return not alone and not (parameters and self.get_screen(str(parameters[0])) is self.screen)
        if action == "cancel_job":
            return any(not job.cancelled for job in self.jobs)
        return True

    def action_help(self) -> None:
        if isinstance(self.screen, MarioScreen):
            screen = self.screen
            help_screen = self.get_screen("help", HelpScreen)
            help_screen.explain(screen.HEADING, screen.ABOUT, list(screen.keys_now()))
            self.push_screen("help")

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action that is possible on this screen, by name, and what Textual offers that is of use here."""
        if isinstance(screen, MarioScreen):
            names = set()
            for key in screen.keys_now():
                if key.name not in names:
                    names.add(key.name)
                    command = f"{key.name} ({' '.join(key.keys)})"
                    yield SystemCommand(command, key.explanation, self._action(key.action, key.node))
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)
        yield SystemCommand(
            "Screenshot", "Save a picture of this screen as SVG", lambda: self.set_timer(0.1, self._take_screenshot)
        )

    def _take_screenshot(self) -> None:
        """In a browser a download; otherwise beside the recordings, as many a machine has no folder of downloads."""
        if self.is_web:
            self.deliver_screenshot()
            return
        path = self.services.new_recording_path("screenshot", ".svg")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.export_screenshot(), encoding="utf-8")
        except OSError as error:
            self.notify(f"no picture can be kept in {path.parent}: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(f"saved {path}", title="Screenshot", markup=False)

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        if self.graphics is None:
            return super().export_screenshot(title=title, simplify=simplify)
        self.graphics.are_left_out = True  # an SVG of the cells has no picture
        try:
            return super().export_screenshot(title=title, simplify=simplify)
        finally:
            self.graphics.are_left_out = False

    def _action(self, action: str, node: object) -> Callable[[], object]:
        return lambda: self.run_action(action, node)  # type: ignore[arg-type]

    # training

    @property
    def snapshot(self) -> TrainingSnapshot | None:
        """The state of the training that runs or ran last."""
        return None if self.session is None else self.session.snapshot

    @property
    def is_training(self) -> bool:
        return self.session_is_loading or (self.session is not None and self.session.alive)

    def start_training(self, config: TrainingConfig, run: str | None) -> None:
        self._open_session(lambda: self.services.new_session(config, run))

    def continue_training(self, checkpoint: Path) -> None:
        """Goes on from a checkpoint, and shows it."""
        if self._open_session(lambda: self.services.resume_session(checkpoint)):
            self.action_go("train")

    def _open_session(self, open_session: Callable[[], TrainingSession]) -> bool:
        if self.is_training:
            self.notify("stop the training that runs first (t shows it, q stops it)", severity="warning")
            return False
        self.session = None
        self.start_problem = ""
        self.session_is_loading = True
        self.run_worker(self._start_session(open_session), group="session")
        return True

    async def _start_session(self, open_session: Callable[[], TrainingSession]) -> None:
        try:
            session = await asyncio.to_thread(open_session)
            if self._leaving is None:
                await asyncio.to_thread(session.start)
                self.session = session
        except MarioTuiError as error:
            self.start_problem = str(error)
        except Exception as error:
            self.start_problem = f"training could not start: {type(error).__name__}: {error}"
        finally:
            self.session_is_loading = False
        if self.start_problem:
            self.notify(self.start_problem, severity="error", timeout=15, markup=False)

    def look_at_session(self) -> None:
        """Turns the rare events of the training into notices."""
        self.training_window.look()
        session = self.session
        if session is None:
            return
        for notice in session.notices():
            severity = {"failed": "error", "warning": "warning", "not_recorded": "warning"}.get(
                notice.kind, "information"
            )
            if notice.kind in ("saved", "evaluated", "recorded", "finished", "failed"):
                self.files_version += 1
            seen = notice.kind in ("paused", "resumed") or (
                notice.kind in ("finished", "failed") and isinstance(self.screen, TrainScreen)
            )
            if self._leaving is None and not seen:
                timeout = 15 if notice.kind in ("failed", "warning", "not_recorded") else 5
                self.notify(notice.text, severity=severity, timeout=timeout, markup=False)  # type: ignore[arg-type]

    def training_line(self) -> tuple[str, tuple[str, ...]]:
        """Status and details for the line at the top of every screen."""
        if self.session_is_loading:
            return "loading", ("PyTorch and the game",)
        snapshot = self.snapshot
        if snapshot is None:
            return "", ()
        return snapshot.status, (
            f"stage {snapshot.config.stage}",
            f"step {text.count(snapshot.step)}",
            snapshot.run,
            snapshot.device,
        )

    # work in the background

    def record(self, agent: Agent, suffix: str, stage: str | None = None) -> None:
        """Records the greedy episode of an agent, `.mp4` or `.gif`, while the app goes on."""

        self._record(
            Job(f"recording {suffix[1:].upper()}", short_name(agent)),
            lambda progress, cancelled: self.services.record(agent, stage, suffix, progress, cancelled),
        )

    def record_play(
        self, name: str, title: str, stage: str, frame_skip: int, held: Sequence[int], first_frame: int
    ) -> None:
        """Records what was played on the screen, from one of its frames on, while the app goes on."""
        self._record(
            Job("recording MP4", title),
            lambda progress, cancelled: self.services.record_play(
                name, stage, frame_skip, held, first_frame, progress, cancelled
            ),
        )

    def record_grid(self, run: RunSummary) -> None:
        """Records several checkpoints of a run side by side, while the app goes on."""
        self._record(
            Job("recording a grid", run.run),
            lambda progress, cancelled: self.services.record_grid(run, progress, cancelled),
        )

    def convert(self, info: RecordingInfo, suffix: str, scale: int = 2) -> None:
        """Makes a recording's video again under a new name, in another format or size, while the app goes on."""
        log = info.log
        if log is None:
            return
        output = self.services.new_recording_path(info.path.stem, suffix)
        self._record(
            Job(f"recording {suffix[1:].upper()}", info.path.name),
            lambda progress, cancelled: self.services.convert(log, output, scale, progress, cancelled),
        )

    def _record(self, job: Job, record: Callable[[Progress, Callable[[], bool]], Recording]) -> None:
        def work(job: Job) -> str:
            def progress(frames: int, total: int | None) -> None:
                of = "" if total is None else f" of {text.count(total)}"
                job.progress = f"{text.count(frames)}{of} frames, {frames / 60:.0f} s of play"

            made = record(progress, job.is_cancelled)
            outcome = "cleared" if made.cleared else f"got to x {text.count(made.max_x)}"
            return f"{made.seconds:.0f} s, {outcome}: {made.path.parent.name}/{made.path.name}"

        self._run_job(job, work)

    def evaluate(self, agent: Agent) -> None:
        """Finds out how good an agent is: one greedy episode, and several with noise."""

        def work(job: Job) -> str:
            played: list[object] = []

            def on_episode(result: object) -> None:
                played.append(result)
                job.progress = f"{len(played)} of {1 + ROBUST_EPISODES} episodes"

            verdict: Verdict = self.services.evaluate(agent, on_episode, job.is_cancelled)
            greedy, robust = verdict.greedy, verdict.robust
            outcome = "clears the stage" if greedy.clears else f"gets to x {text.count(greedy.max_x)}"
            return f"greedy play {outcome}; robust: {robust.clears} of {robust.episodes} cleared"

        self._run_job(Job("evaluating", short_name(agent)), work)

    def action_cancel_job(self) -> None:
        """Gives up the work in the background that was begun last."""
        for job in reversed(self.jobs):
            if not job.cancelled:
                job.cancelled = True
                self.notify(f"{job.title} cancelled", markup=False)
                return

    def _run_job(self, job: Job, work: Callable[[Job], str]) -> None:
        self.jobs.append(job)
        self.run_worker(self._finish_job(job, work), group="jobs")

    async def _finish_job(self, job: Job, work: Callable[[Job], str]) -> None:
        try:
            result = await asyncio.to_thread(work, job)
        except MarioTuiError as error:
            if not job.cancelled:
                self.notify(str(error), title=f"{job.title} failed", severity="error", timeout=15, markup=False)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            self.notify(problem, title=f"{job.title} failed", severity="error", timeout=15, markup=False)
        else:
            if not job.cancelled:
                self.notify(result, title=f"{job.title}: done", timeout=10, markup=False)
        finally:
            self.jobs.remove(job)
            self.files_version += 1

    # leaving

    def _fatal_error(self) -> None:
        if not self._handle_signals:
            super()._fatal_error()
            return
        self._close_messages_no_wait()  # the error is `failure`; run_app says it when the terminal is as it was

    @property
    def failure(self) -> Exception | None:
        """What ended the app, where it was an error."""
        return self._exception

    def action_ask_to_quit(self) -> None:
        """Leaves, and asks before where something runs that leaving would stop."""
        if not (self.is_training or self.jobs):
            self.leave(0)
            return
        ended = "The training stops and is saved first." if self.is_training else ""
        given_up = "A recording or an evaluation that runs is given up." if self.jobs else ""
        self.push_screen(
            ConfirmScreen("Leave?", " ".join(filter(None, (ended, given_up))), yes="leave", no="stay", key="q"),
            lambda yes: self.leave(0) if yes else None,
        )

    async def action_quit(self) -> None:
        self.leave(0)

    def action_help_quit(self) -> None:
        """Ctrl+C: twice within three seconds leaves, as a person expects who does not know this app."""
        now = self.services.now().timestamp()
        if self._interrupted_at is not None and now - self._interrupted_at < 3:
            self.leave(_INTERRUPTED)
            return
        self._interrupted_at = now
        self.notify("Press ctrl+c again, or ctrl+q, to quit" + (" (saves first)" if self.is_training else ""))

    def _stay(self, session: TrainingSession) -> None:
        """Does not leave: the training cannot be saved, and a person may be able to help it."""
        if self._leaving is not None and self._leaving.is_attached:
            self._leaving.dismiss()
        self._leaving = None

        def answer(leave: bool | None) -> None:
            if leave:
                session.stop(in_a_hurry=True)
                self.leave(0)

        reason = session.snapshot.pause_reason or "it cannot be saved"
        self.push_screen(ConfirmScreen("Leave without saving?", reason, yes="leave", no="stay", key="q"), answer)

    def _on_signal(self, code: int) -> None:
        """A terminal that closes is told of by the shell and by the system, a machine that stops by several: the same
        signal a second time is what a person sends who does not want to wait."""
        let_go_if_gone()
        again = code in self._signals and code != _HUNG_UP
        self._signals.add(code)
        if self._leaving is None or again:
            self.leave(code)

    def leave(self, code: int) -> None:
        """Stops the training, which saves, and ends the app; asked a second time, it does not wait any longer."""
        if self._leaving is not None:
            self.abandoned = True
            self.exit(code, return_code=code)
            return
        self._leaving = LeavingScreen("Stopping and saving the training ..." if self.is_training else "Finishing ...")
        if self.is_training or self.jobs:
            self.push_screen(self._leaving)
        self.run_worker(self._leave(code), group="leave")

    async def _leave(self, code: int) -> None:
        for job in self.jobs:
            job.cancelled = True
        while self.session_is_loading:
            await asyncio.sleep(0.02)
        session = self.session
        if session is not None and session.alive:
            session.stop(in_a_hurry=code != 0)  # a signal's sender does not wait long
            while not await asyncio.to_thread(session.join, 0.25):
                if session.held:
                    self._stay(session)
                    return
                if session.recordings_left and self._leaving is not None:
                    self._leaving.say("The training is saved. Finishing its recordings; ctrl+q leaves without ...")
        while self.jobs:
            await asyncio.sleep(0.02)
        self.training_window.close()
        self.exit(code, return_code=code)


def all_bindings() -> list[Binding]:
    """Every key that a settings file can change, the app's own first."""
    return [binding for bindings in _bindings_by_place() for binding in bindings]


def _bindings_by_place() -> list[list[Binding]]:
    """The app's, and those of each screen."""
    screens = (HomeScreen, TrainScreen, WatchScreen, PlayScreen, CheckpointsScreen, CompareScreen, RecordingsScreen)
    return [
        [binding for binding in place.BINDINGS if isinstance(binding, Binding) and binding.id]
        for place in (MarioTuiApp, *screens)
    ]


def doubled_keys(changed: Mapping[str, str]) -> Iterator[str]:
    """Those that two of a screen share; `changed`: name of a key -> the user's keys for it, with commas between."""
    for bindings in _bindings_by_place():
        owners: dict[str, str] = {}
        for binding in bindings:
            assert binding.id is not None
            for key in changed.get(binding.id, binding.key).split(","):
                owner = owners.setdefault(key.strip(), binding.id)
                if owner != binding.id and {owner, binding.id} & changed.keys():
                    yield f"settings: {key.strip()!r} is the key of both {owner} and {binding.id}"


def run_app(
    start_screen: str | None = None,
    *,
    watch: Path | None = None,
    stage: str | None = None,
    play: str | None = None,
    services: Services | None = None,
) -> int:
    """Runs the app in this terminal until it is left; returns the exit code."""
    _start_resource_tracker()
    app = MarioTuiApp(services, watch=watch, stage=stage, play=play, start_screen=start_screen, handle_signals=True)
    with guard.guarded(full_screen="TEXTUAL_DRIVER" not in os.environ):
        switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        try:
            app.run()
        finally:
            sys.setswitchinterval(switch_interval)
            session = app.session
            if session is not None and session.alive and not app.abandoned:  # an error, or a browser that has gone
                session.stop()
                session.join()
    code = app.return_code or 0
    with contextlib.suppress(OSError):  # a terminal that is gone
        _say_goodbye(app)
    if app.abandoned:
        os._exit(code)
    if app.failure is not None:
        raise app.failure
    return code


def _start_resource_tracker() -> None:
    """Python's own helper process; it can only be started while sys.stderr is a real file: Textual puts an object
    without one there. After a crash it would write warnings over the terminal, so it gets no terminal."""
    from multiprocessing import resource_tracker

    terminal = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        resource_tracker.ensure_running()
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def _say_goodbye(app: MarioTuiApp) -> None:
    """Says what became of the training, and of the app where it failed: lines on the terminal as it was before."""
    session = app.session
    run = None if session is None else paths.checkpoints_dir() / session.snapshot.run
    if app.failure is not None:
        log = crash.write_log(run, app.failure)
        print("mario-tui: the app failed" + (f"; the log is {crash.shown(log)}" if log else ""), file=sys.stderr)
    if session is not None and run is not None:
        snapshot = session.snapshot
        if snapshot.status == "failed":
            name = f" {snapshot.run}" if snapshot.run else ""
            print(f"mario-tui: the training{name} failed: {snapshot.problem}", file=sys.stderr)
        elif app.abandoned and session.alive:
            print(f"mario-tui: left at step {snapshot.step:,} of {snapshot.run} without saving", file=sys.stderr)
        steps = lookup.step_folders(run)
        if steps:
            print(crash.go_on(steps[-1]))
    sys.stdout.flush()
