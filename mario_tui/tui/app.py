"""The app: its screens and the ways between them, and the training session, which belongs to no screen."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App, SystemCommand
from textual.screen import Screen

from mario_tui.errors import InputError, MarioTuiError
from mario_tui.printable import printable
from mario_tui.tui import cells, text
from mario_tui.tui.graphics import Abilities, Graphics, characters_of, kind_of
from mario_tui.tui.jobs import Jobs
from mario_tui.tui.keyboard import KeyReleased
from mario_tui.tui.keymap import APP_BINDINGS, all_bindings, doubled_keys
from mario_tui.tui.leaving import Leaving
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.screens.board import BoardScreen
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.dialogs import HelpScreen
from mario_tui.tui.screens.game_screen import GameScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.map import MapScreen
from mario_tui.tui.screens.play import PlayScreen
from mario_tui.tui.screens.recordings import RecordingsScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.screens.watch_game import WatchGameScreen
from mario_tui.tui.services import Services
from mario_tui.tui.terminal import TerminalDriver
from mario_tui.tui.theme import MARIO_DARK, MARIO_LIGHT
from mario_tui.tui.window_switch import WindowSwitch

if TYPE_CHECKING:
    from mario_tui.config import TrainingConfig
    from mario_tui.play.stage_players import StagePlayer
    from mario_tui.training.attached_session import AttachedSession
    from mario_tui.training.session import TrainingSession
    from mario_tui.training.snapshot import TrainingSnapshot
    from mario_tui.tui.services import Agent, Session, Watched


class MarioTuiApp(App[int]):
    """Train, watch and record a Double-DQN agent that plays Super Mario Bros.

    Args:
        services: what the app asks of the floors below.
        watch: a checkpoint to watch at once; leaving that screen leaves the app.
        stage: where to watch it; the stage it was trained on by default.
        play: a stage to play by hand at once; leaving that screen leaves the app.
        game: who plays the stages of the whole game, to watch at once; with `stop`, to the first one not cleared.
        handle_signals: on SIGTERM, SIGHUP and SIGINT stop, save and restore the terminal, even one that was closed.
    """

    TITLE = "mario-tui"
    CSS_PATH = "app.tcss"
    SCREENS = {
        "home": HomeScreen,
        "train": TrainScreen,
        "board": BoardScreen,
        "checkpoints": CheckpointsScreen,
        "recordings": RecordingsScreen,
        "help": HelpScreen,
    }
    COMMAND_PALETTE_DISPLAY = "^p"
    BINDINGS = [*APP_BINDINGS]

    def __init__(
        self,
        services: Services | None = None,
        *,
        watch: Watched | None = None,
        stage: str | None = None,
        play: str | None = None,
        game: Sequence[StagePlayer] = (),
        stop: bool = False,
        attach: AttachedSession | None = None,
        handle_signals: bool = False,
        abilities: Abilities | None = None,
    ) -> None:
        in_terminal = handle_signals and "TEXTUAL_DRIVER" not in os.environ
        super().__init__(driver_class=TerminalDriver if in_terminal else None)
        self.services = services or Services()
        self.session: Session | None = None
        self.session_is_loading = False
        self.seen_to_end: Session | None = None
        """The training whose end the user has seen: nothing more is told of it."""
        self.start_problem = ""
        self.jobs = Jobs(self)
        self.leaving = Leaving(self)
        self.frames_per_second = 30 if os.environ.get("SSH_CONNECTION") else 60
        """Of a rollout on the screen: a line to another machine is spared half of them."""
        self.graphics: Graphics | None = None
        """For pictures in the terminal, where it can show them; the game is drawn with characters otherwise."""
        self.characters = cells.QUADRANTS
        """What those are."""
        self.training_window = WindowSwitch(self)
        """Shows the training's game; it stays while one looks at other screens."""
        self.files_version = 0
        """Grows whenever the lists of checkpoints and recordings may have changed."""
        self._watch_first = watch
        self._watch_stage = stage
        self._play_first = play
        self._game_first, self._stops = tuple(game), stop
        self._attach_first = attach
        self._handle_signals = handle_signals
        self._abilities = abilities or Abilities()
        self.keys: dict[str, str] = {}
        """Name of a binding -> the keys that the settings give it."""
        self.releases_reported = False
        """Whether the terminal reports key releases, while a game is played by hand."""

    # start

    def on_mount(self) -> None:
        self.register_theme(MARIO_DARK)
        self.register_theme(MARIO_LIGHT)
        self._use_preferences()
        if self._handle_signals:
            self.leaving.handle_signals()
        self.push_screen("home")
        if (attached := self._attach_first) is not None:
            attached.start()
            self.session = attached
            self.push_screen("train")
        if self._watch_first is not None:
            self.push_screen(WatchScreen(self._watch_first, stage=self._watch_stage, leaves_app=True))
        elif self._game_first:
            self.push_screen(WatchGameScreen(self._game_first, stop=self._stops, leaves_app=True))
        elif self._play_first is not None:
            self.push_screen(PlayScreen(self._play_first, leaves_app=True))
        self.set_interval(0.25, self.show_notices)

    def _use_preferences(self) -> None:
        preferences = self.services.preferences()
        problems = list(preferences.problems)
        known = {binding.id for binding in all_bindings()}
        self.keys = {name: key for name, key in preferences.keys.items() if name in known}
        problems += [
            f"settings: no key is called {name!r}; 'mario-tui keys' lists them"
            for name in preferences.keys
            if name not in known
        ]
        problems += doubled_keys(self.keys)
        self.set_keymap(self.keys)
        if preferences.theme and preferences.theme not in self.available_themes:
            problems.append(f"settings: there is no theme {preferences.theme!r}; ctrl+p, Theme shows them")
        self.theme = preferences.theme if preferences.theme in self.available_themes else "mario"
        driver = self._driver
        term = os.environ.get("TERM", "") if isinstance(driver, TerminalDriver) else ""
        self.characters = characters_of(preferences.graphics, term)
        if isinstance(driver, TerminalDriver) and not self.no_color:
            self.graphics = driver.use_graphics(
                kind_of(preferences.graphics, os.environ, self._abilities), self._abilities
            )
        self.watch(self, "theme", self._save_theme, init=False)
        self.watch(self, "app_focus", self._focus_changed, init=False)  # a screen that watched it would never be freed
        for problem in problems:
            self.notify(problem, severity="warning", timeout=15, markup=False)

    def _focus_changed(self, focus: bool) -> None:
        if not focus and isinstance(self.screen, GameScreen):
            self.screen.focus_is_lost()

    def _save_theme(self, theme: str) -> None:
        try:
            self.services.save_theme(theme)
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

    def watch_agent(self, agent: Watched) -> None:
        self.push_screen(WatchScreen(agent))

    def show_run(self, run: Path) -> None:
        """Shows a run, or a checkpoint, on Checkpoints."""
        self.get_screen("checkpoints", CheckpointsScreen).choose(run)
        self.action_go("checkpoints")

    def show_recording(self, video: Path) -> None:
        """Shows a recording on Recordings."""
        self.get_screen("recordings", RecordingsScreen).choose(video)
        self.action_go("recordings")

    def show_map(self, run: Path) -> None:
        self.push_screen(MapScreen(run))

    def play(self, stage: str) -> None:
        self.push_screen(PlayScreen(stage))

    def report_releases(self, on: bool) -> None:
        """Asks the terminal to report key releases, or to stop."""
        self.releases_reported = False
        if isinstance(self._driver, TerminalDriver):
            self._driver.report_releases(on)

    def on_releases_reported(self) -> None:
        if isinstance(self.screen, GameScreen):
            self.releases_reported = True
            self.screen.releases_are_reported()

    def on_key_released(self, event: KeyReleased) -> None:
        if isinstance(self.screen, GameScreen):
            self.screen.post_message(KeyReleased(event.key))  # after the keys that were pressed before

    def with_live_agent(self, use: Callable[[Agent], object], *, kept: bool = False) -> None:
        """Calls `use` with the weights of the training that runs, as they are between two of its steps.

        `kept`: as a checkpoint of the run, so that what comes out stays with it.
        """
        session = self.session
        if session is None:
            return
        ask: Callable[[], Agent] = session.keep_agent().result if kept else session.live_policy

        async def take_weights() -> None:
            try:
                agent = await asyncio.to_thread(ask)
            except (MarioTuiError, OSError) as error:
                self.notify(str(error), severity="warning", markup=False)
            else:
                self.files_version += kept
                use(agent)

        self.run_worker(take_weights(), group="live-agent")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "go":
            alone = bool(self._watch_first or self._play_first or self._game_first)
            shown = next((screen for screen in reversed(self.screen_stack) if isinstance(screen, MarioScreen)), None)
            return not alone and not (parameters and self.get_screen(str(parameters[0])) is shown)
        if action == "cancel_job":
            return self.jobs.can_cancel
        if action == "suspend_process":
            return isinstance(self._driver, TerminalDriver) and self._driver.can_suspend
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
        try:
            path = self.services.save_screenshot(self.export_screenshot())
        except OSError as error:
            folder = self.services.recordings_dir()
            self.notify(f"no picture can be kept in {folder}: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(f"saved {path}", title="Screenshot", markup=False)

    def notify(self, message: str, **options: Any) -> None:
        if self.screen.has_class("-low") and (title := options.pop("title", "")):
            message = f"{title}: {message}"  # in one line, see app.tcss
        super().notify(text.printable_lines(message), **options)

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
        """The state of the current training, or of the last one."""
        return None if self.session is None else self.session.snapshot

    @property
    def is_training(self) -> bool:
        return self.session_is_loading or (self.session is not None and self.session.alive)

    @property
    def owns_training(self) -> bool:
        """Whether a training ends where the app does; one that it is attached to goes on."""
        return self.is_training and not (self.session is not None and self.session.is_attached)

    def start_training(
        self,
        config: TrainingConfig,
        run: str | None,
        changes: Mapping[str, Any] | None = None,
        resume: Path | None = None,
    ) -> None:
        """Trains a new run, or with `resume` one from a checkpoint; `changes`: the settings that the user chose."""
        if resume is None:
            self._open_session(lambda: self.services.new_session(config, run, changes or ()))
        else:
            self._open_session(lambda: self.services.resume_session(resume, changes))

    def continue_training(self, checkpoint: Path) -> None:
        """Resumes training from a checkpoint, and shows it."""
        if self._open_session(lambda: self.services.resume_session(checkpoint)):
            self.action_go("train")

    def ask_to_continue(self, checkpoint: Path) -> None:
        """Shows the settings of a training that is to be resumed: those that can change can be changed."""

        async def ask() -> None:
            try:
                config = await asyncio.to_thread(self.services.resume_settings, checkpoint)
            except MarioTuiError as error:
                self.notify(str(error), severity="error", timeout=15, markup=False)
            else:
                self.get_screen("train", TrainScreen).ask(lambda form: form.ask_to_continue(checkpoint, config))
                self.action_go("train")

        if not self._is_busy():
            self.run_worker(ask(), group="asked")

    def ask_for_new_run(self, checkpoint: Path) -> None:
        """Shows the form of a new training that begins with the weights of a checkpoint."""
        if not self._is_busy():
            name = self.services.checkpoint_name(checkpoint)
            self.get_screen("train", TrainScreen).ask(lambda form: form.ask_for_new_run(name))
            self.action_go("train")

    def ask_for_stage(self, stage: str) -> None:
        """Shows the form of a new training on a stage, with the settings that it needs."""
        if not self._is_busy():
            self.get_screen("train", TrainScreen).ask(lambda form: form.ask_for_stage(stage))
            self.action_go("train")

    def _is_busy(self) -> bool:
        if self.is_training:
            self.notify("stop the training that runs first (t shows it, q stops it)", severity="warning")
        return self.is_training

    def _open_session(self, open_session: Callable[[], TrainingSession]) -> bool:
        if self._is_busy():
            return False
        self.session = None
        self.start_problem = ""
        self.session_is_loading = True
        self.run_worker(self._start_session(open_session), group="session")
        return True

    async def _start_session(self, open_session: Callable[[], TrainingSession]) -> None:
        try:
            session = await asyncio.to_thread(open_session)
            if not self.leaving.begun:
                await asyncio.to_thread(session.start)
                self.session = session
        except MarioTuiError as error:
            self.start_problem = str(error)
        except Exception as error:
            self.start_problem = printable(f"training could not start: {type(error).__name__}: {error}")
        finally:
            self.session_is_loading = False
        if self.start_problem:
            self.notify(self.start_problem, severity="error", timeout=15, markup=False)

    def save_training(self) -> None:
        """Has the training that runs write a checkpoint and go on; without one does nothing."""
        if self.session is not None and self.session.alive:
            self.session.save()

    def show_notices(self) -> None:
        """Turns the rare events of the training into notices."""
        self.training_window.report_closed()
        session = self.session
        if session is None:
            return
        for notice in session.notices():
            if notice.announces:
                self._announce(notice.announces, notice.text, session.snapshot.run)
            severity = {"failed": "error", "warning": "warning", "not_recorded": "warning"}.get(
                notice.kind, "information"
            )
            if notice.kind in ("saved", "evaluated", "recorded", "finished", "failed"):
                self.files_version += 1
            seen = notice.kind in ("paused", "resumed") or (
                notice.kind in ("finished", "failed") and isinstance(self.screen, TrainScreen)
            )
            if not self.leaving.begun and not seen:
                timeout = 15 if notice.kind in ("failed", "warning", "not_recorded") else 5
                self.notify(notice.text, severity=severity, timeout=timeout, markup=False)

    def _announce(self, event: str, text: str, run: str) -> None:
        """Tells somebody who does not look, as the settings say."""
        preferences = self.services.preferences()
        if preferences.notify != "off" and isinstance(self._driver, TerminalDriver):
            self._driver.announce(printable(text), on_desktop=preferences.notify == "desktop")
        if problem := self.services.run_on_event(preferences.on_event, event, text, run):
            self.notify(problem, severity="warning", markup=False)

    def training_line(self) -> tuple[str, tuple[str, ...]]:
        """Status and details for the line at the top of every screen."""
        if self.session_is_loading:
            return "loading", ("PyTorch and the game",)
        snapshot = self.snapshot
        if snapshot is None or self.session is self.seen_to_end:
            return "", ()
        return snapshot.status, (
            f"stage {snapshot.config.stage}",
            f"step {text.count(snapshot.step)}",
            printable(snapshot.run),
            snapshot.device,
        )

    # to the shell, and back

    def action_suspend_process(self) -> None:
        self.suspend_program(job=True)

    def suspend_program(self, *, job: bool = False) -> None:
        """Stops the program as a terminal's Ctrl+Z does, and with `job` all of its group, until the shell's `fg`."""
        if not isinstance(self._driver, TerminalDriver):
            return
        if isinstance(self.screen, GameScreen):
            self.screen.focus_is_lost()
        if not self._driver.suspend(job=job):
            self.notify("there is no shell to go to")
        if self.session is not None:
            self.session.was_stopped()
        self.refresh(layout=True)

    # leaving

    def action_cancel_job(self) -> None:
        self.jobs.cancel_newest()

    def _fatal_error(self) -> None:
        if not self._handle_signals:
            super()._fatal_error()
            return
        self._close_messages_no_wait()  # the error is `failure`; run_app reports it once the terminal is restored

    @property
    def failure(self) -> Exception | None:
        """The error that ended the app, if one did."""
        return self._exception

    async def action_quit(self) -> None:
        self.leaving.quit()

    def action_ask_to_quit(self) -> None:
        self.leaving.ask()

    def action_help_quit(self) -> None:
        self.leaving.on_ctrl_c()
