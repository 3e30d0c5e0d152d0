"""Play: the user plays in the terminal, against the agent's ghost."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content

from mario_tui.errors import MarioTuiError
from mario_tui.tui import text
from mario_tui.tui.screens.game_screen import PAD_BINDINGS, GameScreen, how_it_ended
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.numbers import Entry, Numbers
from mario_tui.tui.widgets.pad import Pad
from mario_tui.tui.widgets.q_bars import bar
from mario_tui.tui.widgets.words import Words

if TYPE_CHECKING:
    from mario_tui.game.step import EpisodeStep
    from mario_tui.play.clocked_player import ClockedPlayer
    from mario_tui.play.ghost import Ghost
    from mario_tui.play.ghost_trail import GhostTrail
    from mario_tui.play.human_player import HumanPlayer
    from mario_tui.play.pad import Controls

_HELD = "keys hold as long as you hold them"
_LATCHED = "no key releases here: ← → stay held, ↓ lets go, x jump, s hop, z run on and off"

_STAGE_X = 3200
"""Assumed length of a stage, in pixels, until the user or the agent has been farther."""


class PlayScreen(GameScreen):
    """A game played by hand; owns the player and the ghost, and closes them with itself."""

    CSS_PATH = "play.tcss"
    HEADING = "Play"
    ABOUT = (
        "You play. The stage begins with your first key. The agent plays beside you, as a ghost in the picture, and a "
        "bar says how far its greedy play is after the same time. Where the terminal speaks the kitty keyboard "
        "protocol, keys are held as on a real pad; elsewhere a terminal never tells when a key is let go, so a "
        "direction stays held until another one is pressed, a jump is held for half a second, and running is switched "
        "on and off. k keeps this place of the game, l goes back to it. 'frame time' is what 95 of the last 100 "
        "frames took at most: 17 ms is the real game's speed."
    )
    OVER = "the game is over: v records all of it"
    BINDINGS = [
        *PAD_BINDINGS,
        Binding("s", "hop", "Hop", id="play.hop", show=False, tooltip="Button A for a moment only: a low jump"),
        Binding("p", "toggle_pause", "Pause", id="play.pause", tooltip="Pause, or go on"),
        Binding(
            "full_stop",
            "step",
            "Step",
            id="play.step",
            show=False,
            key_display=".",
            tooltip="Pause, then play one frame at each press",
        ),
        Binding(
            "plus,equals_sign",
            "faster",
            "Faster",
            id="play.faster",
            show=False,
            key_display="+",
            tooltip="Play faster, up to 8x",
        ),
        Binding(
            "minus",
            "slower",
            "Slower",
            id="play.slower",
            show=False,
            key_display="-",
            tooltip="Slow motion, down to 1/4",
        ),
        Binding("a", "restart", "Again", id="play.again", tooltip="Begin the stage again"),
        Binding("n", "next_stage", "Next", id="play.next", tooltip="Play the next stage"),
        Binding(
            "b", "stage_before", "Stage before", id="play.stage-before", show=False, tooltip="Play the stage before"
        ),
        Binding("k", "keep", "Keep", id="play.keep", show=False, tooltip="Keep this place of the game"),
        Binding("l", "go_back", "Load", id="play.load", show=False, tooltip="Go back to the place that was kept"),
        Binding(
            "r",
            "record_from_here",
            "Record",
            id="play.record",
            tooltip="Record from here on as MP4, until r or the end",
        ),
        Binding(
            "v",
            "record_all",
            "Video",
            id="play.video",
            show=False,
            tooltip="Record what was played, from the beginning, as MP4",
        ),
        Binding(
            "w",
            "window",
            "Window",
            id="play.window",
            show=False,
            tooltip="Show the game in a window of the desktop, too",
        ),
        Binding("escape,q", "back", "Back", id="play.back", key_display="q", tooltip="Back to where you came from"),
        Binding(
            "h", "app.go('home')", "Home", id="play.home", show=False, tooltip="Home: the state of things at a glance"
        ),
        Binding(
            "c",
            "app.go('checkpoints')",
            "Checkpoints",
            id="play.checkpoints",
            show=False,
            tooltip="Checkpoints: the list",
        ),
    ]
    forgets = True
    frame_skip = 1
    who = "you"

    def __init__(self, stage: str, *, leaves_app: bool = False) -> None:
        super().__init__(stage, leaves_app=leaves_app)
        self._player: HumanPlayer | None = None
        self._told_of_logs = False
        self._ghost: Ghost | None = None
        self._shown_ghosts: tuple[GhostTrail, ...] = ()
        self._ghost_stage = ""

    @property
    def player(self) -> ClockedPlayer | None:
        return self._player

    @property
    def controls(self) -> Controls | None:
        return None if self._player is None else self._player.controls

    @property
    def recording_name(self) -> str:
        return f"play_{self._stage}"

    def compose_body(self) -> ComposeResult:
        yield GameView("loading the game ...", graphics=self.app.graphics, characters=self.app.characters, id="game")
        with Vertical(id="panel"):
            yield Words("", id="stage")
            yield Words("", id="state")
            yield Pad(id="pad")
            yield Words("", id="race")
            yield Numbers(id="numbers")
            yield Words("", id="jobs", markup=False)
            yield Words("", id="badge")

    def on_mount(self) -> None:
        super().on_mount()
        self._player = self.app.services.open_game(self._stage)
        self._player.start()
        self.take_pad()
        self.refresh_numbers()

    def on_screen_suspend(self) -> None:
        super().on_screen_suspend()
        if self._player is not None and not self._player.paused:  # the game would run on unseen behind another screen
            self._player.toggle_pause()

    def on_unmount(self) -> None:
        super().on_unmount()
        self._close_ghost()

    # looking

    def refresh_game(self) -> None:
        player = self._player
        if player is not None and player.latest_frame is not None:
            self.query_one("#game", GameView).frame = player.latest_frame
            if player.latest is not None:
                self.query_one(Pad).buttons = player.latest.buttons

    def refresh_numbers(self) -> None:
        player = self._player
        if player is None:
            return
        moment = player.latest
        self._look_for_ghost()
        trails = () if self._ghost is None else self._ghost.trails
        if trails != self._shown_ghosts:
            self._shown_ghosts = trails
            player.show_ghosts(trails, names=False)
        if player.logs and not self._told_of_logs:
            self._told_of_logs = True
            self.notify(f"the game is kept; {text.HOW_TO_LEARN_FROM}", timeout=8, markup=False)
        with self.app.batch_update():
            self.update_text("#stage", Content.assemble("stage ", (self._stage, "bold"), "  by hand"))
            self.update_text("#state", self._state(player, moment))
            self.update_text("#jobs", Content("\n".join(job.line for job in self.app.jobs.running)))
            held = self.app.releases_reported
            self.update_text("#badge", Content.styled(_HELD if held else _LATCHED, "$foreground 60%"))
            if moment is not None:
                self.follow_recording(moment)
                self.update_text("#race", self._race(moment))
                self.query_one("#numbers", Numbers).set_entries(self._entries(player, moment))
        self.report_closed_window()

    def _state(self, player: HumanPlayer, moment: EpisodeStep | None) -> Content:
        if self._problem or player.problem:
            return Content.styled(self._problem or player.problem, "bold $error")
        if moment is None:
            return Content.styled("loading ...", "$secondary")
        more = (self.recording_words, "$secondary")
        if moment.end is not None:
            words, colour = how_it_ended(moment)
            hint = "\na again, n next stage" + (", l back" if player.has_kept else "")
            return Content.assemble((words, f"bold {colour}"), (hint, "$foreground 60%"))
        if player.waits:
            begins = "begins" if not moment.step else "continues from here"
            return Content.assemble(("ready", "bold $warning"), more, (f"\narrow or x: {begins}", "$foreground 60%"))
        kept = "\nk keeps this place" + (", l: back" if player.has_kept else "")
        speed = "" if player.speed == 1 else f"  {self.speed_words}"
        if player.paused:
            return Content.assemble(
                ("paused", "bold $warning"),
                (speed, "$secondary"),
                more,
                ("\np goes on, . plays a frame", "$foreground 60%"),
            )
        return Content.assemble(("playing", "bold $success"), (speed, "$secondary"), more, (kept, "$foreground 60%"))

    def _race(self, moment: EpisodeStep) -> Content:
        ghost = self._ghost
        width = max(8, self.query_one("#race").content_size.width - 14)
        x = None if ghost is None else ghost.x_at(moment.step)
        length = max(_STAGE_X, moment.max_x, x or 0)
        you = Content.assemble(
            ("you   ", "bold"), (bar(moment.x / length, width), "$primary on $surface"), f"{text.count(moment.x):>8}"
        )
        if ghost is None or ghost.problem:
            why = "none for this stage" if ghost is None else ghost.problem
            return Content("\n").join([you, Content.styled(f"agent {why}", "$foreground 60%")])
        if x is None:
            return Content("\n").join([you, Content.styled("agent loading ...", "$foreground 60%")])
        end = ghost.end_at(moment.step)
        mark = "" if end is None else "⚑" if end.value == "clear" else "†"
        agent = Content.assemble(
            ("agent ", "bold"), (bar(x / length, width), "$secondary on $surface"), f"{mark + text.count(x):>8}"
        )
        return Content("\n").join([you, agent])

    @staticmethod
    def _entries(player: HumanPlayer, moment: EpisodeStep) -> list[Entry]:
        pace = player.pace()
        shown = ("x", "progress", "time left", "Mario", "return", "lives", "score", "coins")
        entries = dict(GameScreen.entries(moment))
        frame_time = "-" if pace is None else f"{pace[1]:.0f} ms"
        return [*((name, entries[name]) for name in shown), ("frame time", frame_time)]

    def _look_for_ghost(self) -> None:
        if self._ghost_stage != self._stage:
            self._ghost_stage = self._stage
            self._close_ghost()
            self.run_newest(partial(self._open_ghost, self._stage), "ghost")

    async def _open_ghost(self, stage: str) -> None:
        try:
            ghost = await asyncio.to_thread(self.app.services.open_ghost, stage)
        except (MarioTuiError, OSError):
            return  # shown as "no agent"; Checkpoints says more
        if ghost is not None and not self._gone and stage == self._stage:
            self._ghost = ghost
            ghost.start()

    def _close_ghost(self) -> None:
        ghost, self._ghost = self._ghost, None
        if ghost is not None:
            asyncio.get_running_loop().run_in_executor(None, ghost.close)

    # playing

    def press_pad(self, button: int) -> None:
        if self._player is not None:
            self._player.begin()
        super().press_pad(button)

    def action_hop(self) -> None:
        if self._player is not None:
            self._player.hop()

    # asking

    def action_stage_before(self) -> None:
        stages = list(self.app.services.stages())
        place = stages.index(self._stage)
        if place == 0:
            self.notify(f"{self._stage} is the first stage")
        else:
            self.go_to_stage(stages[place - 1])

    def action_keep(self) -> None:
        if self._player is not None and not self._player.finished:
            self._player.keep()
            self.notify("this place is kept; l goes back to it", timeout=2)

    def action_go_back(self) -> None:
        player = self._player
        if player is None or player.kept_step is None:
            self.notify("no place was kept yet: k keeps one")
            return
        if self._records_from is not None and player.kept_step < self._records_from.step:
            self._end_recording()  # as soon as it is gone back, what was played is forgotten
        player.go_back()

    def action_restart(self) -> None:
        if self._player is not None and self._player.has_kept:
            self.notify("begun again; the place that was kept is gone", timeout=3)
        super().action_restart()

    def action_record_all(self) -> None:
        player = self._player
        if player is None or player.latest is None or not player.latest.step:
            self.notify("nothing was played yet")
        else:
            self.record(player, 0, player.latest.step)
