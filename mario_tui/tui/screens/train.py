"""Train: the settings before a training, its live state while it runs, and what to do after it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

from mario_tui.tui import text
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.screens.dialogs import ConfirmScreen
from mario_tui.tui.widgets.charts import CURVES, Charts
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.numbers import Entry, Numbers
from mario_tui.tui.widgets.train_form import TrainForm

if TYPE_CHECKING:
    from mario_tui.training.session import TrainingSnapshot

ENDED = ("finished", "failed")


class TrainScreen(MarioScreen):
    """Shows the form, or the training that the app owns; leaving the screen leaves the training alone."""

    CSS_PATH = "train.tcss"
    HEADING = "Train"
    AUTO_FOCUS = ""
    ABOUT = (
        "Before a training: its settings, each with its meaning and range. While it runs: the game of the first "
        "emulator, the numbers and the curves. Training goes on while you look at other screens. Until the replay "
        "holds burn-in steps the agent only collects experience; then it learns, and epsilon, the chance of a random "
        "action, falls slowly."
    )
    BINDINGS = [
        Binding("space", "toggle_pause", "Pause", tooltip="Pause the training, or let it go on"),
        Binding("s", "save", "Save", tooltip="Save a checkpoint now; training goes on"),
        Binding("q", "stop", "Stop", tooltip="Stop the training and save a checkpoint (asks first)"),
        Binding("tab", "next_chart", "View", tooltip="Show the next curve large"),
        Binding("w", "watch", "Watch", tooltip="Watch the agent that was just trained"),
        Binding("r", "record", "Record", tooltip="Record the agent that was just trained as MP4"),
        Binding("n", "new", "New", tooltip="Back to the settings, for another training"),
        *(
            Binding(
                str(number), f"chart('{name}')", f"Curve: {title}", show=False, tooltip=f"Show the {title} curve large"
            )
            for number, (name, title) in enumerate(CURVES, 1)
        ),
        Binding("escape", "app.go('home')", "Back", show=False, tooltip="Back to Home; training goes on"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._wants_form = False
        self._mode = ""

    def compose_body(self) -> ComposeResult:
        yield TrainForm(self.mario.services.stages(), id="form")
        with Container(id="live"):
            yield Static("", id="summary")
            with Container(id="live-grid"):
                yield GameView("the game appears here", id="game")
                with Vertical(id="figures"):
                    yield Numbers(id="numbers")
                    yield Static("", id="remark")
                yield Charts(id="charts")

    def on_mount(self) -> None:
        super().on_mount()
        self.every(1 / 15, self.refresh_game)
        self.every(1 / 10, self.refresh_numbers)
        self.every(1 / 3, self.refresh_charts)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.refresh_numbers()
        self.refresh_charts()
        self.run_worker(self._look_at_memory(), group="memory", exclusive=True)

    async def _look_at_memory(self) -> None:
        free_bytes = await asyncio.to_thread(self.mario.services.free_memory_bytes)
        self.query_one(TrainForm).set_free_bytes(free_bytes)

    # which of its states the screen is in

    def _wanted_mode(self) -> str:
        app = self.mario
        if app.session_is_loading:
            return "live"
        snapshot = app.snapshot
        if snapshot is None or self._wants_form:
            return "form"
        return "ended" if snapshot.status in ENDED else "live"

    def _set_mode(self, mode: str) -> None:
        if mode == self._mode:
            return
        self._mode = mode
        self.remove_class("-form", "-live", "-ended", update=False)
        self.add_class(f"-{mode}")
        if mode == "form":
            form = self.query_one(TrainForm)
            form.set_problem(self.mario.start_problem)
            form.focus_first()
        else:
            self.set_focus(None)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        live = self._mode == "live" and self.mario.session is not None
        if action in ("toggle_pause", "save", "stop"):
            return live
        if action in ("next_chart", "chart"):
            return self._mode in ("live", "ended")
        if action in ("watch", "record"):
            snapshot = self.mario.snapshot
            return self._mode == "ended" and snapshot is not None and snapshot.last_checkpoint is not None
        if action == "new":
            return self._mode == "ended"
        return True

    # looking

    def refresh_game(self) -> None:
        snapshot = self.mario.snapshot
        if self._mode != "form" and snapshot is not None and snapshot.frame is not None:
            self.query_one("#game", GameView).frame = snapshot.frame

    def refresh_charts(self) -> None:
        snapshot = self.mario.snapshot
        if self._mode != "form" and snapshot is not None:
            self.query_one(Charts).set_curves(snapshot.curves)

    def refresh_numbers(self) -> None:
        mode = self._wanted_mode()
        with self.app.batch_update():
            if mode != self._mode:
                self._set_mode(mode)
            snapshot = self.mario.snapshot
            if mode == "form":
                self.query_one(TrainForm).set_problem(self.mario.start_problem)
            elif snapshot is None:
                self.query_one("#game", GameView).frame = None
                self._update("#remark", Content.styled("loading PyTorch and the game ...", "$secondary"))
            else:
                self.query_one("#numbers", Numbers).set_entries(numbers_of(snapshot))
                self._update("#remark", remark_of(snapshot))
                if mode == "ended":
                    self._update("#summary", summary_of(snapshot))

    def _update(self, selector: str, content: Content) -> None:
        widget = self.query_one(selector, Static)
        if widget.content != content:
            widget.update(content)

    # asking

    def on_train_form_start(self, event: TrainForm.Start) -> None:
        self._wants_form = False
        self.mario.start_training(event.config, event.run)
        self.refresh_numbers()

    def action_toggle_pause(self) -> None:
        session, snapshot = self.mario.session, self.mario.snapshot
        if session is None or snapshot is None:
            return
        if snapshot.status == "paused":
            session.resume()
        else:
            session.pause()

    def action_save(self) -> None:
        if self.mario.session is not None:
            self.mario.session.save()

    def action_stop(self) -> None:
        self.app.push_screen(
            ConfirmScreen(
                "Stop training?",
                "A checkpoint is saved first. You can go on from it later: c Checkpoints, then c.",
                yes="stop and save",
                no="go on training",
                key="q",
            ),
            self._stop_confirmed,
        )

    def _stop_confirmed(self, yes: bool | None) -> None:
        if yes and self.mario.session is not None:
            self.mario.session.stop()

    def action_next_chart(self) -> None:
        self.query_one(Charts).select_next()
        self.call_after_refresh(self.refresh_charts)

    def action_chart(self, name: str) -> None:
        self.query_one(Charts).selected = name
        self.call_after_refresh(self.refresh_charts)

    def action_watch(self) -> None:
        snapshot = self.mario.snapshot
        if snapshot is not None and snapshot.last_checkpoint is not None:
            self.mario.watch_checkpoint(snapshot.last_checkpoint)

    def action_record(self) -> None:
        snapshot = self.mario.snapshot
        if snapshot is not None and snapshot.last_checkpoint is not None:
            self.mario.record(snapshot.last_checkpoint, ".mp4")
            self.notify("recording in the background; a notice says when it is done")

    def action_new(self) -> None:
        self._wants_form = True
        self.refresh_numbers()


def numbers_of(snapshot: TrainingSnapshot) -> list[Entry]:
    """The numbers of a snapshot with their labels, in the order in which a person asks for them."""
    limit = snapshot.config.steps
    return [
        ("step", text.compact(snapshot.step) + (f"/{text.compact(limit)}" if limit else "")),
        ("episode", text.compact(snapshot.episode)),
        ("steps/s", text.count(snapshot.steps_per_second)),
        ("epsilon", text.epsilon(snapshot.epsilon)),
        ("time", text.duration(snapshot.seconds)),
        ("ETA", text.duration(snapshot.eta_seconds) if snapshot.eta_seconds is not None else "no limit"),
        ("clears", text.count(snapshot.clears)),
        ("best x", text.count(snapshot.best_x)),
        ("replay", text.compact(snapshot.replay_transitions)),
        ("updates", text.compact(snapshot.updates)),
        ("", "means over the last 100 episodes"),
        ("reward", text.decimal(snapshot.mean_reward)),
        ("steps", text.decimal(snapshot.mean_length)),
        ("loss", text.decimal(snapshot.mean_loss) if snapshot.updates else "-"),
        ("Q", text.decimal(snapshot.mean_q) if snapshot.updates else "-"),
    ]


def remark_of(snapshot: TrainingSnapshot) -> Content:
    """One line that explains what goes on: filling the replay, pausing, or how the last episode ended."""
    if snapshot.status == "starting":
        return Content.styled("starting PyTorch and the game ...", "$secondary")
    if snapshot.status == "paused":
        return Content.styled("paused: space goes on", "bold $warning")
    if snapshot.status == "stopping":
        return Content.styled("stopping and saving ...", "$warning")
    burn_in = snapshot.config.burn_in
    if snapshot.status == "running" and snapshot.step < burn_in and not snapshot.updates:
        return Content.styled(f"collecting: learns at step {text.count(burn_in)}", "$secondary")
    last = snapshot.last_episode
    if last is None:
        return Content("")
    return Content.styled(
        f"last: {last.end} at x {text.count(last.max_x)}, reward {text.decimal(last.reward)}", "$foreground 60%"
    )


def summary_of(snapshot: TrainingSnapshot) -> Content:
    """What a training that has ended came to, and what to press next."""
    if snapshot.status == "failed":
        head = Content.assemble(("Training failed. ", "bold $error"), snapshot.problem)
    else:
        head = Content.assemble(
            ("Training has ended: ", "bold $success"),
            f"{text.count(snapshot.step)} steps, {text.count(snapshot.episode)} episodes, "
            f"{text.count(snapshot.clears)} clears in {text.duration(snapshot.seconds)}.",
        )
    if snapshot.last_checkpoint is None:
        return head + Content.from_markup(
            "\n[$foreground 60%]No checkpoint was saved.[/]  [b $secondary]n[/] new training"
        )
    return head + Content.from_markup(
        "\nSaved as $step.  "
        "[b $secondary]w[/] watch it   [b $secondary]r[/] record it   [b $secondary]n[/] new training",
        step=snapshot.last_checkpoint.name,
    )
