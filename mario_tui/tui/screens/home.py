"""Home: what trains now, the best agent of each stage, the latest runs, and which key to press."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import set_cell_size
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from mario_tui.errors import MarioTuiError
from mario_tui.printable import printable
from mario_tui.tui import text
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.numbers import Numbers

if TYPE_CHECKING:
    from mario_tui.store.catalog import CheckpointInfo, RunSummary
    from mario_tui.video.library import RecordingInfo

SPARKS = 16
"""Characters of a run's sparkline."""
MOST_RUNS = 12

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
        "watch it play in this terminal, and record what it does."
    )
    BINDINGS = [
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
        self._version = -1
        self._loaded = False

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="welcome"):
            yield Static(block_picture(), id="block")
            yield Static("", id="invitation")
        with Horizontal(id="training", classes="box") as tile:
            tile.border_title = "Training now"
            yield GameView(characters=self.app.characters, id="home-game")
            with Vertical(id="training-text"):
                yield Static("", id="training-line")
                yield Numbers(id="home-numbers")
        with Horizontal(id="lists"):
            with Vertical(id="best-box", classes="box") as best:
                best.border_title = "Best agent per stage"
                yield Static("", id="best")
            with Vertical(id="latest"):
                with Vertical(id="runs-box", classes="box") as runs:
                    runs.border_title = "Latest runs"
                    yield Static("", id="runs")
                with Vertical(id="recordings-box", classes="box") as recordings:
                    recordings.border_title = "Latest recordings (v)"
                    yield Static("", id="recordings")

    def on_mount(self) -> None:
        super().on_mount()
        self.every(0.1, self.refresh_numbers)
        self.every(1 / 15, self.refresh_game)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._version = -1
        self.refresh_numbers()

    def on_resize(self) -> None:
        self._show_lists()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self._best) if action == "watch_best" else True

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
            self.run_worker(self._load(), group="lists", exclusive=True)
        snapshot = app.snapshot
        self.set_class(snapshot is not None or app.session_is_loading, "-training")
        if app.session_is_loading:
            self.query_one("#training-line", Static).update("loading PyTorch and the game ...")
        if snapshot is None:
            return
        with app.batch_update():
            last = "last training" if snapshot.status in ("finished", "failed") else "training now"
            self.query_one("#training").border_title = last.capitalize()
            line = Content.assemble((printable(snapshot.run), "bold"), f"  stage {snapshot.config.stage}  ")
            hint = ("press [b]t[/b] to see it", f"[b]{snapshot.status}[/b]")
            self.query_one("#training-line", Static).update(
                line + Content.from_markup(f"[$foreground 60%]{hint[1]} · {hint[0]}[/]")
            )
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
            self._runs = catalog.runs
            self._recordings = tuple(await asyncio.to_thread(services.list_recordings))
            self._progress = {
                summary.run: tuple(await asyncio.to_thread(services.run_progress, summary.path, SPARKS))
                for summary in self._runs[:MOST_RUNS]
            }
        except (MarioTuiError, OSError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._best = catalog.best_of_stages
        self._loaded = True
        self._show_lists()
        self.refresh_bindings()

    def _show_lists(self) -> None:
        if not self._loaded:
            return
        self.set_class(not self._runs, "-empty")
        self.set_class(len(self._runs) < 2 and not self._recordings, "-new")
        invitation = (
            "[b $secondary]No run yet.[/]\n\nPress [b $secondary]t[/] to train an agent on stage 1-1:\n"
            "you see its game, its curves and its progress live,\nand can pause, save and stop at any time.\n\n"
            "[$foreground 60%]? shows all keys, q quits.[/]"
            if not self._runs
            else "[b $primary]mario-tui[/]\nAn agent learns Super Mario Bros.\n\n"
            "[b $secondary]w[/] watch the best one play   [b $secondary]p[/] play yourself\n"
            "[b $secondary]t[/] train one   [b $secondary]b[/] all stages   [b $secondary]c[/] checkpoints   "
            "[b $secondary]v[/] recordings   "
            "[b $secondary]?[/] help"
        )
        self.query_one("#invitation", Static).update(Content.from_markup(invitation))
        self.query_one("#best", Static).update(self._best_table(self._best))
        self.query_one("#runs", Static).update(self._runs_table(self._runs))
        self.query_one("#recordings", Static).update(self._recordings_table(self._recordings))

    def _rows(self, box: str) -> int:
        return max(1, self.query_one(box).content_size.height)

    def _best_table(self, best: Sequence[CheckpointInfo]) -> Content:
        if not best:
            return Content.styled("no checkpoint yet: a training saves one when it stops", "$foreground 60%")
        lines = [Content.styled("stage  clear  robust       step", "$foreground 60%")]
        for info in best[: max(1, self._rows("#best-box") - 1)]:
            clear = {True: "yes", False: "no", None: "-"}[info.greedy_clear]
            style = "$success" if info.greedy_clear else ""
            lines.append(
                Content.assemble(
                    (f"{info.stage:<5}  ", "bold"),
                    (f"{clear:<5}  ", style),
                    (f"{text.percent(info.robust_clear_rate):>6}", style),
                    f"{text.compact(info.step):>11}",
                )
            )
        return Content("\n").join(lines)

    def _runs_table(self, runs: Sequence[RunSummary]) -> Content:
        now = self.app.services.now()
        width = self.query_one("#runs-box").content_size.width
        sparks = SPARKS if width >= 60 else 0
        room = max(12, width - 23 - (sparks + 2 if sparks else 0))
        gap = "  " + "progress".ljust(sparks) if sparks else ""
        lines = [Content.styled(f"{'run':<{room}}{gap}  stage     step    age", "$foreground 60%")]
        for summary in runs[: max(1, self._rows("#runs-box") - 1)]:
            step = max((info.step for info in summary.checkpoints), default=0)
            marked = f"{summary.run} (shipped)"
            name = marked if summary.shipped and len(marked) <= room else text.shortened(summary.run, room)
            spark = "  " + text.sparkline(self._progress.get(summary.run, ())).ljust(sparks) if sparks else ""
            line = f"  {summary.stage:<5}{text.compact(step):>9}{text.age(summary.created, now):>7}"
            lines.append(Content.assemble(set_cell_size(name, room), (spark, "$secondary"), (line, "$foreground 60%")))
        return Content("\n").join(lines)

    def _recordings_table(self, recordings: Sequence[RecordingInfo]) -> Content:
        if not recordings:
            return Content.styled("none yet: r records while you watch", "$foreground 60%")
        now = self.app.services.now()
        room = max(12, self.query_one("#recordings-box").content_size.width - 25)
        lines = []
        for info in recordings[: max(1, self._rows("#recordings-box"))]:
            length = "-" if info.seconds is None else f"{info.seconds:.0f} s"
            outcome = "clears" if info.cleared else "" if info.max_x is None else f"x {info.max_x}"
            name = f"{text.shortened(info.path.stem, room - 4)}{info.path.suffix}"
            line = f"{length:>7}{text.age(info.created, now):>7}"
            lines.append(
                Content.assemble(
                    set_cell_size(name, room),
                    (f"  {outcome:<8}", "$success" if info.cleared else ""),
                    (line, "$foreground 60%"),
                )
            )
        return Content("\n").join(lines)
