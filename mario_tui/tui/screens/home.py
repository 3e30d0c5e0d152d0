"""Home: what trains now, the best agent of each stage, the latest trainings, and which key to press."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import OptionList, Static

from mario_tui.errors import MarioTuiError
from mario_tui.printable import printable
from mario_tui.store.catalog import evenly_spaced
from mario_tui.store.intervals import interval_in_percent
from mario_tui.tui import text
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.screens.recordings import outcome_of
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.metric_chart import MetricChart
from mario_tui.tui.widgets.numbers import Numbers
from mario_tui.tui.widgets.row_list import RowList, Rows
from mario_tui.tui.widgets.words import Words

if TYPE_CHECKING:
    from mario_tui.store.catalog import CheckpointInfo, RunSummary
    from mario_tui.video.library import RecordingInfo

SPARKS, MOST_SPARKS = 16, 48
"""Characters of a run's sparkline, at least where there is room for one, and at most."""
MOST_ROWS = 40
"""Of a list: Checkpoints and Recordings have all."""
_DIM = "$foreground 60%"

_BLOCK = (
    "rooooooooooooor",
    "oyyyyyyyyyyyyyo",
    "oykyyyyyyyyykyo",
    "oyyyykkkkkyyyyo",
    "oyyykkyyykkyyyo",
    "oyyykkyyykkyyyo",
    "oyyyyyyykkkyyyo",
    "oyyyyyykkkyyyyo",
    "oyyyyyykkyyyyyo",
    "oyyyyyyyyyyyyyo",
    "oyyyyyykkyyyyyo",
    "oykyyyykkyyykyo",
    "oyyyyyyyyyyyyyo",
    "rooooooooooooor",
)
"""A question-mark block, one letter a pixel."""

_BLOCK_COLOURS = {"o": "#9a5a10", "y": "#f8c630", "k": "#5a2f08", "r": "#5a2f08"}


def block_picture() -> Content:
    """The block, two pixels to a character."""
    lines = [
        Content.assemble(
            *(("▀", f"{_BLOCK_COLOURS[top]} on {_BLOCK_COLOURS[low]}") for top, low in zip(*pair, strict=True))
        )
        for pair in zip(_BLOCK[::2], _BLOCK[1::2], strict=True)
    ]
    return Content("\n").join(lines)


class HomeScreen(MarioScreen):
    """The first screen; the bottom of every way back."""

    CSS_PATH = "home.tcss"
    HEADING = "Home"
    ABOUT = (
        "An agent learns Super Mario Bros by trial and error (Double DQN). Train one here, look at its checkpoints, "
        "watch it play in this terminal, and record what it does. tab and the arrows choose from the lists, and enter "
        "opens: the agent of a stage plays, a run is shown among the checkpoints, a recording plays again."
    )
    AUTO_FOCUS = "#runs Rows"
    BINDINGS = [
        Binding(
            "enter",
            "open",
            "Open",
            id="home.open",
            key_display="enter",
            tooltip="Watch the chosen agent, show the chosen run, or play the chosen recording",
        ),
        Binding("tab", "app.focus_next", "Next list", id="home.next-list", show=False, tooltip="To the next list"),
        Binding(
            "shift+tab",
            "app.focus_previous",
            "List before",
            id="home.list-before",
            show=False,
            tooltip="To the list before",
        ),
        Binding(
            "t", "app.go('train')", "Train", id="home.train", tooltip="Set up a training, or look at the one that runs"
        ),
        Binding(
            "w", "watch_best", "Watch best", id="home.watch-best", tooltip="Watch the best agent play in this terminal"
        ),
        Binding("p", "play", "Play", id="home.play", tooltip="Play by hand, against the agent"),
        Binding(
            "c",
            "app.go('checkpoints')",
            "Checkpoints",
            id="home.checkpoints",
            tooltip="Checkpoints: watch, record, evaluate, continue",
        ),
        Binding(
            "b",
            "app.go('board')",
            "Board",
            id="home.board",
            show=False,  # the footer holds eight keys; the box of the stages names this one
            tooltip="Board: the 32 stages, and how far you are",
        ),
        Binding(
            "v",
            "app.go('recordings')",
            "Recordings",
            id="home.recordings",
            show=False,  # the footer holds eight keys; the box of recordings names this one
            tooltip="Recordings: play, convert and delete videos",
        ),
        Binding(
            "q", "app.ask_to_quit", "Quit", id="home.quit", tooltip="Leave; asks where a training runs, and saves it"
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._best: tuple[CheckpointInfo, ...] = ()
        self._runs: tuple[RunSummary, ...] = ()
        self._progress: dict[str, tuple[float, ...]] = {}
        self._recordings: tuple[RecordingInfo, ...] = ()
        self._are_runs = False  # also exported agents, which nobody trained here
        self._curves: object = None  # those on show
        self._version = -1
        self._loaded = False

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="welcome"):
            yield Static(block_picture(), id="block")
            yield Static("", id="invitation")
        with Horizontal(id="training", classes="box") as tile:
            tile.border_title = "Training now"
            yield GameView(graphics=self.app.graphics, characters=self.app.characters, id="home-game")
            with Vertical(id="training-text"):
                yield Words("", id="training-line")
                yield Numbers(id="home-numbers")
                yield MetricChart("reward per episode", id="home-curve")
        with Horizontal(id="lists"):
            with Vertical(id="best-box", classes="box") as best:
                best.border_title = "Best agent per stage (b: all)"
                yield RowList(id="best")
            with Vertical(id="latest"):
                with Vertical(id="runs-box", classes="box") as runs:
                    runs.border_title = "Latest trainings (c: all)"
                    yield RowList(id="runs")
                with Vertical(id="recordings-box", classes="box") as recordings:
                    recordings.border_title = "Latest recordings (v: all)"
                    yield RowList(id="recordings")

    def on_mount(self) -> None:
        super().on_mount()
        self.every(0.1, self.refresh_numbers)
        costly = self.app.graphics is not None and self.app.graphics.is_costly
        self.every(1 / (4 if costly else 15), self.refresh_game)
        self.every(0.5, self._show_runs)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._version = -1
        self.refresh_numbers()

    def on_resize(self) -> None:
        self._show_lists()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "open":
            return self._chosen is not None
        return bool(self._best) if action == "watch_best" else True

    @property
    def _chosen(self) -> tuple[str, Path] | None:
        """The list with the focus, and what its cursor is on."""
        for name in ("best", "runs", "recordings"):
            rows = self.query_one(f"#{name}", RowList)
            if rows.has_cursor and rows.selected is not None:
                return name, rows.selected
        return None

    def on_descendant_focus(self) -> None:
        self.refresh_bindings()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_open()  # a click

    def action_open(self) -> None:
        if self._chosen is None:
            return
        name, path = self._chosen
        if name == "runs":
            self.app.show_run(path)
        elif name == "best":
            self.app.watch_agent(path)
        else:
            log = next((info.log for info in self._recordings if info.path == path), None)
            if log is not None:
                self.app.watch_agent(log)
            else:
                self.app.show_recording(path)

    def action_watch_best(self) -> None:
        self.app.watch_agent(self._best[0].path)

    def action_play(self) -> None:
        self.app.play(self._best[0].stage if self._best else "1-1")

    def refresh_game(self) -> None:
        game = self.query_one("#home-game", GameView)
        snapshot = self.app.snapshot
        if snapshot is not None and snapshot.frame is not None and game.size:
            game.frame = snapshot.frame

    def refresh_numbers(self) -> None:
        """Shows the state of the training, and reads the lists again where they may have changed."""
        app = self.app
        if self._version != app.files_version:
            self._version = app.files_version
            self.run_newest(self._load, "lists")
        snapshot = app.snapshot
        self.set_class(snapshot is not None or app.session_is_loading, "-training")
        if app.session_is_loading:
            self.update_text("#training-line", Content("loading PyTorch and the game ..."))
        if snapshot is None:
            return
        if snapshot.curves is not self._curves:
            self._curves = snapshot.curves
            curves = snapshot.curves
            self.query_one("#home-curve", MetricChart).set_data(curves.get("reward", ()), curves.get("reward_mean", ()))
        with app.batch_update():
            last = "last training" if snapshot.status in ("finished", "failed") else "training now"
            self.query_one("#training").border_title = last.capitalize()
            line = Content.assemble((printable(snapshot.run), "bold"), f"  stage {snapshot.config.stage}  ")
            hint = ("press [b]t[/b] to see it", f"[b]{snapshot.status}[/b]")
            line += Content.from_markup(f"[$foreground 60%]{hint[1]} · {hint[0]}[/]")
            self.update_text("#training-line", line)
            self.query_one("#home-numbers", Numbers).set_entries(
                [
                    ("step", text.count(snapshot.step)),
                    ("episode", text.count(snapshot.episode)),
                    ("epsilon", text.epsilon(snapshot.epsilon)),
                    ("steps/s", text.count(snapshot.steps_per_second)),
                    ("clears", text.count(snapshot.clears)),
                    ("best", "clear" if snapshot.best_progress == 1 else text.percent(snapshot.best_progress)),
                    ("mean rew.", text.decimal(snapshot.mean_reward)),
                    ("time", text.duration(snapshot.seconds)),
                ]
            )

    async def _load(self) -> None:
        services = self.app.services
        try:
            catalog = await asyncio.to_thread(services.catalog)
            self._are_runs = bool(catalog.runs)
            self._runs = tuple(run for run in catalog.runs if not (run.shipped or run.is_export))[:MOST_ROWS]
            self._recordings = tuple(await asyncio.to_thread(services.list_recordings))
            self._progress = {
                summary.run: await asyncio.to_thread(self._progress_of, summary) for summary in self._runs
            }
        except (MarioTuiError, OSError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._best = catalog.best_of_stages
        self._loaded = True
        self._show_lists()
        self.refresh_bindings()

    def _progress_of(self, summary: RunSummary) -> tuple[float, ...]:
        try:
            return tuple(self.app.services.run_progress(summary.path, MOST_SPARKS))
        except OSError:  # Checkpoints tells what is wrong with it
            return ()

    def _show_lists(self) -> None:
        if not self._loaded:
            return
        self.set_class(not self._are_runs, "-empty")
        self.set_class(len(self._runs) < 2 and not self._recordings, "-new")
        invitation = (
            "[b $secondary]No run yet.[/]\n\nPress [b $secondary]t[/] to train an agent on stage 1-1:\n"
            "you see its game, its curves and its progress live,\nand can pause, save and stop at any time.\n\n"
            "[$foreground 60%]? shows all keys, q quits.[/]"
            if not self._are_runs
            else "[b $primary]mario-tui[/]\nAn agent learns Super Mario Bros.\n\n"
            "[b $secondary]w[/] watch the best one play   [b $secondary]p[/] play yourself\n"
            "[b $secondary]t[/] train one   [b $secondary]b[/] all stages   [b $secondary]c[/] checkpoints   "
            "[b $secondary]v[/] recordings   "
            "[b $secondary]?[/] help"
        )
        self.query_one("#invitation", Static).update(Content.from_markup(invitation))
        self.query_one("#best", RowList).show(*self._best_rows())
        self._show_runs()
        self.query_one("#recordings", RowList).show(*self._recording_rows())
        if self.is_active and self.app.focused is None:  # e.g. as a list that had the cursor has no rows
            for rows in self.query(Rows):
                if not rows.disabled and rows.display:
                    rows.focus()
                    break

    def _show_runs(self) -> None:
        """Again and again, as the step of the one that trains grows."""
        if self._loaded:
            self.query_one("#runs", RowList).show(*self._run_rows())

    def _width(self, box: str) -> int:
        """Of the rows in a box, beside a scroll bar."""
        return self.query_one(box).content_size.width - 1

    def _best_rows(self) -> tuple[Content, list[tuple[Path, Content]]]:
        if not self._best:
            return Content("no checkpoint yet: a training saves one when it stops"), []
        rows = []
        for info in self._best:
            clear = {True: "yes", False: "no", None: "-"}[info.greedy_clear]
            style = "$success" if info.greedy_clear else ""
            rate, episodes = info.robust_clear_rate, info.robust_episodes
            interval = f" {interval_in_percent(rate, episodes)}" if rate is not None and episodes else ""
            robust = text.percent(rate) + interval
            row = Content.assemble(
                (f"{info.stage:<6}", "bold"),
                (f"{clear:<5}", style),
                " " * (13 - len(robust)),
                (robust.removesuffix(interval), style),
                (interval, _DIM),
                f"{text.compact(info.step):>7}",
            )
            rows.append((info.path, row))
        return Content("stage clear       robust   step"), rows

    def _run_rows(self) -> tuple[Content, list[tuple[Path, Content]]]:
        if not self._runs:
            return Content("none yet: t trains one"), []
        now, snapshot = self.app.services.now(), self.app.snapshot
        width = self._width("#runs-box")
        longest = max(cell_len(printable(summary.run)) for summary in self._runs)
        sparks = width >= 58
        room = max(12, min(longest, width - 23 - (SPARKS + 2 if sparks else 0)))
        points = min(MOST_SPARKS, width - room - 25) if sparks else 0
        gap = "  " + "progress".ljust(points) if sparks else ""
        rows = []
        for summary in self._runs:
            trains = snapshot is not None and snapshot.run == summary.run
            step = snapshot.step if snapshot is not None and trains else summary.step
            curve = evenly_spaced(self._progress.get(summary.run, ()), points) if sparks else ()
            spark = "  " + text.sparkline(curve).ljust(points) if sparks else ""
            name = set_cell_size(text.shortened(summary.run, room), room)
            steps = text.count(step) if step < 10_000_000 else text.compact(step)
            line = f"  {summary.stage:<5}{steps:>9}{text.age(summary.created, now):>7}"
            rows.append((summary.path, Content.assemble(name, (spark, "$secondary"), (line, _DIM))))
        return Content(f"{'run':<{room}}{gap}  stage     step    age"), rows

    def _recording_rows(self) -> tuple[Content, list[tuple[Path, Content]]]:
        if not self._recordings:
            return Content("none yet: r records while you watch"), []
        now, infos = self.app.services.now(), self._recordings[:MOST_ROWS]
        longest = max(cell_len(printable(info.path.name)) for info in infos)
        room = max(12, min(longest, self._width("#recordings-box") - 24))
        rows = []
        for info in infos:
            length = "-" if info.seconds is None else f"{info.seconds:.0f} s"
            outcome = outcome_of(info)
            name = f"{text.shortened(info.path.stem, room - 4)}{info.path.suffix}"
            row = Content.assemble(
                set_cell_size(name, room),
                (f"  {outcome:<8}", "$success" if info.cleared else ""),
                (f"{length:>6}{text.age(info.created, now):>8}", _DIM),
            )
            rows.append((info.path, row))
        return Content(""), rows
