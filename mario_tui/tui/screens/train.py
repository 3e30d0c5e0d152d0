"""Train: the settings before a training, its live state while it runs, and what to do after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.timer import Timer

from mario_tui.errors import MarioTuiError
from mario_tui.printable import printable
from mario_tui.system import processors
from mario_tui.tui.pace import Pace
from mario_tui.tui.screens.dialogs import ConfirmScreen, LineScreen
from mario_tui.tui.screens.train_charts import TRAIN_CHART_KEYS, TrainCharts
from mario_tui.tui.training_source import TrainingSource
from mario_tui.tui.training_words import (
    KNOB_NAMES,
    KNOBS,
    numbers_of,
    remark_of,
    summary_of,
    turned,
    warnings_of,
)
from mario_tui.tui.widgets.charts import Charts
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.map_strip import MapStrip
from mario_tui.tui.widgets.numbers import Numbers
from mario_tui.tui.widgets.plain_container import PlainContainer
from mario_tui.tui.widgets.train_form import TrainForm
from mario_tui.tui.widgets.words import Words
from mario_tui.video.overlay import side_by_side

if TYPE_CHECKING:
    from mario_tui.tui.services import Agent

T = TypeVar("T")

ENDED = ("finished", "failed")
DRAWING_SHARE = 0.04
"""Of a core's time: Python lets the training wait while the app draws, and training has precedence."""
SLOWEST_GAME = 2
"""Pictures a second, whatever they cost."""


class TrainScreen(TrainCharts):
    """Shows the form, or the training that the app owns; leaving the screen leaves the training alone."""

    CSS_PATH = "train.tcss"
    HEADING = "Train"
    AUTO_FOCUS = ""
    ABOUT = (
        "Before a training: its settings, each with its meaning and range. While it runs: its games, the numbers and "
        "the curves. Under the game lies the stage, from left to right: a dot where each of the last hundred episodes"
        " ended, red for a death, orange for a stall, green for a clear, and a white mark where Mario is. Training "
        "goes on while you look at other screens. Until the replay holds burn-in steps the agent only collects "
        "experience; then it learns, and epsilon, the chance of a random action, falls. 'games busy', 'learning' and "
        "'waiting' say where the time goes: the games play while the agent learns, and it waits for them if it is "
        "faster. + and - change what is marked with +/-. Watching, evaluating and recording take the weights of that "
        "moment; training goes on. x opens a cursor in the charts, which left and right move: it reads their values, "
        "and enter plays that episode again. z and Z zoom, l takes logarithms, m other means."
    )
    BINDINGS = [
        Binding("space", "toggle_pause", "Pause", id="train.pause", tooltip="Pause the training, or let it go on"),
        Binding("s", "save", "Save", id="train.save", tooltip="Save a checkpoint now; training goes on"),
        Binding("q", "stop", "Stop", id="train.stop", tooltip="Stop the training and save a checkpoint (asks first)"),
        Binding("tab", "next_chart", "View", id="train.view", show=False, tooltip="Show the next curve large"),
        Binding("w", "watch", "Watch", id="train.watch", tooltip="Watch the agent play as it is now; training goes on"),
        Binding(
            "M",
            "map",
            "Map",
            id="train.map",
            tooltip="The stage as a map, with the ways of the last hundred episodes; each can be watched again",
        ),
        Binding(
            "r",
            "record",
            "Record",
            id="train.record",
            show=False,
            tooltip="Record the agent as it is now as MP4, in the background",
        ),
        Binding(
            "e",
            "evaluate",
            "Evaluate",
            id="train.evaluate",
            show=False,
            tooltip="Save the agent as it is now and measure its clear rate, in the background",
        ),
        Binding(
            "W",
            "window",
            "Window",
            id="train.window",
            show=False,
            tooltip="Show the first game in a window of the desktop, too",
        ),
        Binding(
            "g",
            "toggle_games",
            "Games",
            id="train.games",
            show=False,
            tooltip="Show the first game, or all of them side by side",
        ),
        Binding("n", "note", "Note", id="train.note", show=False, tooltip="Write a line into the run's log"),
        Binding(
            "plus,equals_sign",
            "turn(1)",
            "More",
            id="train.more",
            show=False,
            key_display="+",
            tooltip="Raise what k chose, the learning rate or epsilon, by half; the log keeps it",
        ),
        Binding(
            "minus", "turn(-1)", "Less", id="train.less", show=False, key_display="-", tooltip="Lower it by a third"
        ),
        Binding(
            "k",
            "next_knob",
            "Knob",
            id="train.knob",
            show=False,
            tooltip="Choose what + and - change: learning rate or epsilon",
        ),
        Binding("n", "new", "New", id="train.new", tooltip="Back to the settings, for another training"),
        *TRAIN_CHART_KEYS,
        Binding(
            "h", "app.go('home')", "Home", id="train.home", show=False, tooltip="Home: the state of things at a glance"
        ),
        Binding(
            "escape", "app.go('home')", "Back", id="train.back", show=False, tooltip="Back to Home; training goes on"
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._wants_form = False
        self._question: Callable[[TrainForm], None] | None = None
        self._mode = ""
        self._had_session = False
        self._start_problem = ""
        self._knob = KNOBS[0]
        self._shown_status = ""
        self._close_look: Timer | None = None

    def compose_body(self) -> ComposeResult:
        services = self.app.services
        yield TrainForm(services.stages(), services.devices(), has_gpu=services.has_gpu(), id="form")
        with PlainContainer(id="live"):
            yield Words("", id="summary")
            with PlainContainer(id="live-grid"):
                with PlainContainer(id="game-side"):
                    yield GameView(
                        "the game appears here", graphics=self.app.graphics, characters=self.app.characters, id="game"
                    )
                    yield MapStrip(services, self.app.graphics, id="strip")
                with PlainContainer(id="figures"):
                    yield Numbers(id="numbers")
                    yield from (Words("", id=name) for name in ("remark", "outlook", "warnings"))
                yield Charts(id="charts")

    def on_mount(self) -> None:
        super().on_mount()
        few_cores = processors.are_few()
        most = min(12 if few_cores else 30, self.app.frames_per_second / 2)  # half of a rollout's
        self._pace = Pace(DRAWING_SHARE, 1 / most, 1 / SLOWEST_GAME)
        self.every(1 / most, self.refresh_status)
        self._game = self.every(1 / most, self.refresh_game)
        self.every(1 / (2 if few_cores else 4), self.refresh_numbers)
        self.every(1 / (1 if few_cores else 2), self.refresh_charts)
        self.every(1, self.refresh_strip)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.refresh_numbers()
        if self._question is not None:
            self._question(self.query_one(TrainForm))
            self._question = None
        self.refresh_charts()
        self.run_newest(partial(self.query_one(TrainForm).look_around, self.app.services), "memory")

    # which of its states the screen is in

    def _wanted_mode(self) -> str:
        app = self.app
        if app.session_is_loading:
            return "live"
        snapshot = app.snapshot
        if snapshot is None or self._wants_form:
            return "form"
        return "ended" if snapshot.status in ENDED else "live"

    def _set_mode(self, mode: str) -> None:
        had_session, self._had_session = self._had_session, self.app.session is not None
        if mode == self._mode:
            if had_session != self._had_session:
                self.refresh_bindings()
            return
        self._leave_end()
        self._mode = mode
        self.remove_class("-form", "-live", "-ended", update=False)
        self.add_class(f"-{mode}")
        if mode == "form":
            form = self.query_one(TrainForm)
            form.set_problem(self.app.start_problem)
            self._start_problem = self.app.start_problem
            form.focus_first()
        else:
            self.set_focus(None)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        live = self._mode == "live" and self.app.session is not None
        snapshot = self.app.snapshot
        if action in ("toggle_pause", "save", "stop", "note", "turn", "next_knob"):
            return live and snapshot is not None and snapshot.status != "stopping"
        if action in ("toggle_games", "window"):
            return live
        if action == "map":
            return self.shows_training
        if action in ("watch", "record", "evaluate"):
            return live or (self._mode == "ended" and snapshot is not None and snapshot.last_checkpoint is not None)
        if action == "new":
            return self._mode == "ended"
        return super().check_action(action, parameters)

    # looking

    def refresh_status(self) -> None:
        """Shows at once that the training paused, or goes on."""
        snapshot = self.app.snapshot
        if self.is_active and snapshot is not None and snapshot.status != self._shown_status:
            self.refresh_numbers()
            self.refresh_top_bar()
            self.refresh_bindings()

    def refresh_game(self) -> None:
        if self._mode == "live":
            self._game.seconds = self._pace.look()
        snapshot = self.app.snapshot
        if self._mode != "form" and snapshot is not None and snapshot.frame is not None:
            wall = snapshot.frames if self._shows_all_games else ()
            self.query_one("#game", GameView).frame = side_by_side(wall) if len(wall) > 1 else snapshot.frame
            self.query_one(MapStrip).move(snapshot, ended=self._mode == "ended")

    def on_game_view_resized(self) -> None:
        self.refresh_strip()

    def refresh_strip(self) -> None:
        if self._mode != "form" and self.app.snapshot is not None:
            self.query_one(MapStrip).look(self.app.snapshot)

    @property
    def shows_training(self) -> bool:
        return self._mode in ("live", "ended")

    @property
    def _shows_all_games(self) -> bool:
        return self.app.session is not None and self.app.session.shows_all_games

    def refresh_numbers(self) -> None:
        mode = self._wanted_mode()
        with self.app.batch_update():
            self._set_mode(mode)
            snapshot = self.app.snapshot
            self._shown_status = "" if snapshot is None else snapshot.status
            if mode == "form":
                if self._start_problem != self.app.start_problem:
                    self._start_problem = self.app.start_problem
                    self.query_one(TrainForm).set_problem(self._start_problem)
            elif snapshot is None:
                self.query_one("#game", GameView).frame = None
                self.update_text("#remark", Content.styled("loading PyTorch and the game ...", "$secondary"))
            else:
                few_lines = self.has_class("-low")
                self.query_one("#numbers", Numbers).set_entries(numbers_of(snapshot, self._knob, few=few_lines))
                left = 0 if self.app.session is None else self.app.session.recordings_left
                self.update_text("#remark", remark_of(snapshot, left))
                self.update_text("#outlook", Content.styled(snapshot.outlook, "$secondary"))
                self.query_one("#outlook").display = bool(snapshot.outlook)
                silent = self.app.session.silent_seconds if self.app.session is not None else 0.0
                self.update_text("#warnings", warnings_of(snapshot, silent))
                if mode == "ended":
                    self.update_text("#summary", summary_of(snapshot))

    # asking

    def on_train_form_start(self, event: TrainForm.Start) -> None:
        self._wants_form = False
        self.app.start_training(event.config, event.run, event.changes, event.resume)
        self.refresh_numbers()

    def ask(self, question: Callable[[TrainForm], None]) -> None:
        """Shows the form, once this screen is on show, and asks it for something."""
        self._wants_form, self._question = True, question

    def _leave_end(self) -> None:
        if self._mode == "ended":
            self.app.seen_to_end = self.app.session

    def on_screen_suspend(self) -> None:
        super().on_screen_suspend()
        self._leave_end()
        if self not in self.app.screen_stack:  # it was left, not covered by a dialog
            self.query_one(TrainForm).ask_for_new_run()

    def action_toggle_pause(self) -> None:
        session, snapshot = self.app.session, self.app.snapshot
        if session is None or snapshot is None:
            return
        if snapshot.status == "paused":
            session.resume()
        else:
            session.pause()
        self._look_closely()

    def _look_closely(self) -> None:
        """For half a second: until the training has heard of a key."""
        if self._close_look is not None:
            self._close_look.stop()
        self._close_look = self.set_interval(1 / 50, self.refresh_status, repeat=25)

    def action_save(self) -> None:
        if self.app.session is not None:
            self.app.session.save()

    def action_stop(self) -> None:
        self.app.push_screen(
            ConfirmScreen(
                "Stop training?",
                "A checkpoint is saved first. You can resume it later: c Checkpoints, then c.",
                yes="stop and save",
                no="go on training",
                key="q",
            ),
            self._stop_confirmed,
        )

    def _stop_confirmed(self, yes: bool | None) -> None:
        if yes and self.app.session is not None:
            self.app.session.stop()

    def _with_agent(self, use: Callable[[Agent], object], *, kept: bool = False) -> None:
        """Calls `use` with the weights of now, `kept` as a checkpoint or not; after the training with its last one."""
        snapshot = self.app.snapshot
        if self._mode == "live":
            self.app.with_live_agent(use, kept=kept)
        elif snapshot is not None and snapshot.last_checkpoint is not None:
            use(snapshot.last_checkpoint)

    def action_watch(self) -> None:
        self._with_agent(self.app.watch_agent)

    def action_record(self) -> None:
        self._with_agent(lambda agent: self.app.jobs.record(agent, ".mp4"))
        self.notify("recording in the background; a notice says when it is done, ctrl+x cancels")

    def action_evaluate(self) -> None:
        self._with_agent(self.app.jobs.evaluate, kept=True)
        self.notify("saved to be measured; a notice says what came out, and Checkpoints keeps it")

    def action_toggle_games(self) -> None:
        session = self.app.session
        if session is None:
            return
        if session.snapshot.config.envs == 1:
            self.notify("this training plays one game")
            return
        session.shows_all_games = not session.shows_all_games

    def action_map(self) -> None:
        snapshot = self.app.snapshot
        if snapshot is not None and snapshot.run:
            self.app.show_map(self.app.services.run_folder(snapshot.run))

    def action_window(self) -> None:
        session = self.app.session
        if session is not None:
            name = f"{session.snapshot.config.stage}  {printable(session.snapshot.run)}"
            self.app.training_window.toggle(lambda: self.app.services.open_window(TrainingSource(session), name))

    def action_note(self) -> None:
        self.app.push_screen(
            LineScreen("Note", "A line for the run's log, with the step that it is written at.", yes="write it"),
            self._write_log_line,
        )

    def _write_log_line(self, line: str | None) -> None:
        if line and self.app.session is not None:
            self._await(self.app.session.note(line), lambda _: "written into the log")

    def action_next_knob(self) -> None:
        self._knob = KNOBS[1 - KNOBS.index(self._knob)]
        self.refresh_numbers()

    def action_turn(self, direction: int) -> None:
        session = self.app.session
        if session is None or session.snapshot.status not in ("running", "paused"):
            return
        knob = self._knob
        self._await(
            session.adjust(knob, lambda now: turned(knob, now, direction)),
            lambda values: f"{KNOB_NAMES[knob]} {values[0]:.2g} -> {values[1]:.2g}, kept in the log",
        )

    def _await(self, future: Future[T], done: Callable[[T], str]) -> None:
        """Notifies the user of the result of a request to the training."""

        async def wait() -> None:
            try:
                words = done(await asyncio.wrap_future(future))
            except (MarioTuiError, OSError) as error:
                self.notify(str(error), severity="error", markup=False)
            else:
                self.notify(words, markup=False)

        self.app.run_worker(wait(), group="asked")

    def action_new(self) -> None:
        self._wants_form = True
        self.query_one(TrainForm).ask_for_new_run()
        self.refresh_numbers()
