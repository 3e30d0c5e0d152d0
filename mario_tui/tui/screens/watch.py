"""Watch: an agent plays in the terminal, with what it sees in each action and the buttons it presses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from mario_tui.errors import MarioTuiError
from mario_tui.tui import text
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.numbers import Entry, Numbers
from mario_tui.tui.widgets.pad import Pad
from mario_tui.tui.widgets.q_bars import QBars

if TYPE_CHECKING:
    from mario_tui.play.player import RolloutPlayer
    from mario_tui.play.rollout import Moment
    from mario_tui.tui.services import Agent

_ENDS = {
    "clear": ("CLEARED the stage", "$success"),
    "death": ("died", "$error"),
    "stall": ("stopped getting farther", "$warning"),
    "time": ("ran out of time", "$warning"),
}


class WatchScreen(MarioScreen):
    """Plays the greedy episode of an agent; owns the player and closes it with itself."""

    CSS_PATH = "watch.tcss"
    HEADING = "Watch"
    ABOUT = (
        "The agent plays greedily: in each state it takes the action whose Q value, the reward it expects from there "
        "on, is highest. The bars compare the actions: the longest is the best in the agent's eyes, the gold one was "
        "taken. A step holds the same buttons for a few frames."
    )
    BINDINGS = [
        Binding("space", "toggle_pause", "Pause", tooltip="Pause, or go on"),
        Binding("full_stop", "step", "Step", key_display=".", tooltip="Pause, then play one step at each press"),
        Binding("plus,equals_sign", "faster", "Faster", show=False, key_display="+", tooltip="Play faster, up to 8x"),
        Binding("minus", "slower", "Slower", show=False, key_display="-", tooltip="Play slower, down to 1/4"),
        Binding("r", "restart", "Restart", tooltip="Begin the episode again"),
        Binding("n", "next_stage", "Next stage", tooltip="Play the next stage, also one it was not trained on"),
        Binding("v", "record", "Record", tooltip="Record this stage as MP4, in the background"),
        Binding("escape,q", "back", "Back", key_display="esc", tooltip="Back to where you came from"),
        Binding("h", "app.go('home')", "Home", show=False, tooltip="Home: the state of things at a glance"),
        Binding("c", "app.go('checkpoints')", "Checkpoints", show=False, tooltip="Checkpoints: the list"),
    ]

    def __init__(self, agent: Agent, *, stage: str | None = None, leaves_app: bool = False) -> None:
        super().__init__()
        self._agent = agent
        self._leaves_app = leaves_app
        self._player: RolloutPlayer | None = None
        self._problem = ""
        self._stage = stage or ""
        self._asked_stage = stage
        self._named_actions = False
        self._shown: Moment | None = None
        self._gone = False

    @property
    def _agent_name(self) -> str:
        return self._agent.name if isinstance(self._agent, Path) else self._agent.source

    def compose_body(self) -> ComposeResult:
        yield GameView("loading PyTorch and the agent ...", id="game")
        with Vertical(id="panel"):
            yield Static("", id="who")
            yield Static("", id="state")
            yield QBars(id="q-bars")
            yield Pad(id="pad")
            yield Numbers(id="numbers")
            yield Static("", id="watch-jobs", markup=False)

    def on_mount(self) -> None:
        super().on_mount()
        self.every(1 / 30, self.refresh_game)
        self.every(1 / 10, self.refresh_numbers)
        self.run_worker(self._open(), group="player")
        self.refresh_numbers()

    async def _open(self) -> None:
        services = self.mario.services
        try:
            player = await asyncio.to_thread(services.open_player, self._agent, self._asked_stage)
        except MarioTuiError as error:
            self._problem = str(error)
        except Exception as error:
            self._problem = f"{self._agent_name} cannot be played: {type(error).__name__}: {error}"
        else:
            if self._gone:
                return
            self._player = player
            player.start()
        self.refresh_numbers()

    def on_unmount(self) -> None:
        self._gone = True
        if self._player is not None:
            # joins a thread that may still be importing PyTorch
            asyncio.get_running_loop().run_in_executor(None, self._player.close)

    # looking

    def refresh_game(self) -> None:
        player = self._player
        if player is not None and player.latest_frame is not None:
            self.query_one("#game", GameView).frame = player.latest_frame

    def refresh_numbers(self) -> None:
        player = self._player
        moment = None if player is None else player.latest
        policy = None if player is None else player.policy
        with self.app.batch_update():
            if policy is not None and not self._named_actions:
                self._named_actions = True
                self._stage = self._stage or policy.stage
                names = tuple(self.mario.services.action_names(policy.action_set))
                self.query_one(QBars).names = names
                self.set_class(len(names) > 7, "-many-actions")
            who = policy.source if policy is not None else self._agent_name
            self._update("#who", Content.styled(who, "bold"))
            self._update("#state", self._state(moment))
            self._update("#watch-jobs", Content("\n".join(job.line for job in self.mario.jobs)))
            if moment is not None and moment is not self._shown:
                self._shown = moment
                bars = self.query_one(QBars)
                bars.values, bars.chosen = moment.q_values, moment.action
                self.query_one(Pad).buttons = moment.buttons
            if moment is not None:
                self.query_one("#numbers", Numbers).set_entries(self._entries(moment))

    def _update(self, selector: str, content: Content) -> None:
        widget = self.query_one(selector, Static)
        if widget.content != content:
            widget.update(content)

    def _state(self, moment: Moment | None) -> Content:
        player = self._player
        problem = self._problem or (player.problem if player is not None else "")
        if problem:
            self.query_one("#game", GameView).empty_text = "no game: see the message on the right"
            return Content.styled(problem, "bold $error")
        if player is None or moment is None:
            return Content.styled("loading ...", "$secondary")
        stage = (f"stage {self._stage}  ", "")
        if moment.end is not None:
            words, colour = _ENDS[moment.end.value]
            return Content.assemble(
                stage,
                (f"{words} at x {text.count(moment.max_x)}", f"bold {colour}"),
                ("\nr again, n next stage", "$foreground 60%"),
            )
        speed = f"{player.speed:g}x" if player.speed >= 1 else f"1/{1 / player.speed:g}x"
        if player.paused:
            return Content.assemble(
                stage, ("paused", "bold $warning"), ("\n. plays one step, space goes on", "$foreground 60%")
            )
        return Content.assemble(
            stage, ("playing", "bold $success"), (f"\nspeed {speed}  (+ faster, - slower)", "$foreground 60%")
        )

    @staticmethod
    def _entries(moment: Moment) -> list[Entry]:
        return [
            ("reward", f"{moment.reward:+.1f}"),
            ("return", text.decimal(moment.total_reward)),
            ("x", text.count(moment.x)),
            ("farthest x", text.count(moment.max_x)),
            ("step", text.count(moment.step)),
            ("time left", text.count(moment.time)),
            ("Mario is", moment.status),
            ("lives", text.count(moment.life)),
            ("score", text.count(moment.score)),
            ("coins", text.count(moment.coins)),
        ]

    # asking

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (self._leaves_app and action == "go")

    def action_toggle_pause(self) -> None:
        if self._player is not None:
            self._player.toggle_pause()
            self.refresh_numbers()

    def action_step(self) -> None:
        if self._player is not None:
            self._player.step_once()

    def action_faster(self) -> None:
        if self._player is not None:
            self._player.faster()
            self.refresh_numbers()

    def action_slower(self) -> None:
        if self._player is not None:
            self._player.slower()
            self.refresh_numbers()

    def action_restart(self) -> None:
        if self._player is not None:
            self._player.restart()

    def action_next_stage(self) -> None:
        if self._player is None or not self._stage:
            return
        following = self.mario.services.next_stage(self._stage)
        if following is None:
            self.notify("8-4 is the last stage")
            return
        self._stage = following
        self._player.restart(following)
        self.refresh_numbers()

    def action_record(self) -> None:
        if self._player is None or self._player.policy is None:
            return
        trained_on = self._player.policy.stage
        self.mario.record(self._agent, ".mp4", None if self._stage == trained_on else self._stage)

    def action_back(self) -> None:
        if self._leaves_app:
            self.mario.leave(0)
        else:
            self.app.pop_screen()
