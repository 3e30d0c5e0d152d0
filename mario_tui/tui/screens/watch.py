"""Watch: an agent plays in the terminal, with what it sees in each action and the buttons it presses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content

from mario_tui.errors import MarioTuiError
from mario_tui.game.kept_episodes import EpisodeName
from mario_tui.printable import printable
from mario_tui.tui.ghost_switch import GhostSwitch
from mario_tui.tui.screens.base import VERY_TALL
from mario_tui.tui.screens.episode_panels import EpisodePanels
from mario_tui.tui.screens.game_screen import GameScreen, how_it_ended
from mario_tui.tui.services import is_log, short_name
from mario_tui.tui.widgets.game_view import GameView, rgb
from mario_tui.tui.widgets.numbers import Numbers
from mario_tui.tui.widgets.pad import Pad
from mario_tui.tui.widgets.q_bars import QBars
from mario_tui.tui.widgets.reward_ledger import RewardLedger
from mario_tui.tui.widgets.timeline import EpisodeTimeline
from mario_tui.tui.widgets.words import Words
from mario_tui.video.overlay import side_by_side

if TYPE_CHECKING:
    from mario_tui.game.step import EpisodeStep
    from mario_tui.play.agent_player import AgentPlayer
    from mario_tui.play.clocked_player import ClockedPlayer
    from mario_tui.play.pad import Controls
    from mario_tui.tui.services import Watched

EPSILONS = (0.0, 0.05, 0.1, 0.25)
STICKY = 0.25
MOST_GHOST_ROWS = 5
ROWS_WITH_LEDGER, ROWS_WITHOUT = 48, 37
"""From so many rows on, and one for each action, there is room for what the network sees, too."""
SHOWN_FRAME_SKIP = 4
"""Frames in a step of a log that is shown, if its first step has not been played; see `log_steps`."""

_AGENT_ACTIONS = (
    "change_hands", "next_stage", "record_from_here", "record", "next_epsilon", "toggle_sticky", "toggle_ghosts",
)  # fmt: skip


LOG_ABOUT = (
    "A recording is played again from its action log, exactly as it was: the buttons are those that were pressed, and "
    "no agent decides anything. Left and right go back to a moment and on from there."
)


EPISODE_ABOUT = (
    "An episode of a training is played again from what was pressed in it, exactly as it was, random actions and all. "
    "Left and right go back to a moment and on from there; r records from there, v records all of it."
)


class WatchScreen(GameScreen):
    """Plays the greedy episode of an agent; owns the player and closes it with itself."""

    CSS_PATH = "watch.tcss"
    HEADING = "Watch"
    ABOUT = (
        "The agent plays greedily: in each state it takes the action whose Q value, the reward it expects from there "
        "on, is highest. The bars compare the actions: the longest is the best in the agent's eyes, the gold one was "
        "taken. A step holds the same buttons for a few frames. What was played can be gone back to and on again. The "
        "timeline (l) holds what the agent expected, V, against the return: the rewards that came from there on, of "
        "which later ones count less. Where V lies higher it expected too much. A click there goes to a moment. With "
        "epsilon or sticky actions chance disturbs the play, as it does in training and in the robust clear rate. "
        "Where the terminal shows pictures one sees every pixel of the game, elsewhere a few in each character."
    )
    BINDINGS = [
        Binding("space", "toggle_pause", "Pause", id="watch.pause", tooltip="Pause, or go on"),
        Binding(
            "full_stop",
            "step",
            "Step",
            id="watch.step",
            show=False,
            key_display=".",
            tooltip="Pause, then play one step at each press",
        ),
        Binding(
            "left", "seek(-1)", "Rewind", id="watch.rewind", key_display="←", tooltip="Pause, and go back by one step"
        ),
        Binding(
            "right", "seek(1)", "Step on", id="watch.step-on", show=False, key_display="→", tooltip="Go on by one step"
        ),
        Binding(
            "pageup,shift+left",
            "seek(-15)",
            "Second back",
            id="watch.second-back",
            show=False,
            tooltip="Go back by a second of play",
        ),
        Binding(
            "pagedown,shift+right",
            "seek(15)",
            "Second on",
            id="watch.second-on",
            show=False,
            tooltip="Go on by a second of what was played",
        ),
        Binding("home", "seek(-1000000)", "First", id="watch.first", show=False, tooltip="Go back to the beginning"),
        Binding(
            "end",
            "seek(1000000)",
            "Newest",
            id="watch.newest",
            show=False,
            tooltip="Go to the newest step that was played",
        ),
        Binding(
            "plus,equals_sign",
            "faster",
            "Faster",
            id="watch.faster",
            show=False,
            key_display="+",
            tooltip="Play faster, up to 8x",
        ),
        Binding(
            "minus",
            "slower",
            "Slower",
            id="watch.slower",
            show=False,
            key_display="-",
            tooltip="Play slower, down to 1/4",
        ),
        Binding("a", "restart", "Again", id="watch.again", tooltip="Begin the episode again"),
        Binding(
            "p",
            "change_hands",
            "Take over",
            id="watch.take-over",
            show=False,
            tooltip="Take over from the agent, or hand back to it",
        ),
        Binding(
            "n",
            "next_stage",
            "Next",
            id="watch.next",
            show=False,
            tooltip="Play the next stage, also one it was not trained on",
        ),
        Binding(
            "r",
            "record_from_here",
            "Record",
            id="watch.record",
            tooltip="Record from here on as MP4, until r or the end",
        ),
        Binding("v", "record", "Video", id="watch.video", show=False, tooltip="Record the whole greedy episode as MP4"),
        Binding("w", "window", "Window", id="watch.window", tooltip="Show the game in a window of the desktop, too"),
        Binding(
            "i",
            "toggle_input",
            "Input",
            id="watch.input",
            show=False,
            tooltip="Show the game, or what the network sees of it",
        ),
        Binding(
            "e",
            "next_epsilon",
            "Epsilon",
            id="watch.epsilon",
            show=False,
            tooltip="Play 0, 5, 10 or 25 of 100 actions at random",
        ),
        Binding(
            "s",
            "toggle_sticky",
            "Sticky",
            id="watch.sticky",
            show=False,
            tooltip="Sticky actions (the buttons before may stay, chance 0.25 a frame), as in robust episodes",
        ),
        Binding(
            "l",
            "toggle_timeline",
            "Timeline",
            id="watch.timeline",
            show=False,
            tooltip="Show what was expected and what came, over all steps",
        ),
        Binding(
            "y",
            "toggle_ledger",
            "Reward",
            id="watch.reward",
            show=False,
            tooltip="Show what the reward is made of, in this step and so far",
        ),
        Binding(
            "g",
            "toggle_ghosts",
            "Ghosts",
            id="watch.ghosts",
            show=False,
            tooltip="Show the run's other checkpoints as ghosts in the picture, at the same time of their episodes",
        ),
        Binding("escape,q", "back", "Back", id="watch.back", key_display="q", tooltip="Back to where you came from"),
        Binding(
            "h", "app.go('home')", "Home", id="watch.home", show=False, tooltip="Home: the state of things at a glance"
        ),
        Binding(
            "c",
            "app.go('checkpoints')",
            "Checkpoints",
            id="watch.checkpoints",
            show=False,
            tooltip="Checkpoints: the list",
        ),
    ]

    OVER = "the episode is over: ← goes back to a moment to record from, v records all of it"

    def __init__(self, agent: Watched, *, stage: str | None = None, leaves_app: bool = False) -> None:
        super().__init__(stage or "", leaves_app=leaves_app)
        self._agent = agent
        self._player: AgentPlayer | None = None
        self._asked_stage = stage
        self._named_actions = False
        self._shown: EpisodeStep | None = None
        self._shows_input = False
        self._input_of: EpisodeStep | None = None
        self._stack_of: EpisodeStep | None = None
        self._episode_panels: EpisodePanels | None = None
        self._ghosts: GhostSwitch | None = None
        if self._is_log:
            self.ABOUT = EPISODE_ABOUT if self._is_episode else LOG_ABOUT
            self.add_class("-log")

    @property
    def player(self) -> ClockedPlayer | None:
        return self._player

    @property
    def who(self) -> str:
        if self._player is not None and self._player.policy is not None:
            return printable(self._player.policy.source)
        return printable(self._agent.name if isinstance(self._agent, Path) else short_name(self._agent))

    @property
    def controls(self) -> Controls | None:
        return self._player.controls if self._player is not None and self._player.by_hand else None

    @property
    def recording_name(self) -> str:
        return (
            short_name(self._agent)
            .replace("/", "_")
            .replace(", step ", "_step-")
            .replace(", episode ", "-episode-")
            .replace(",", "")
        )

    @property
    def frame_skip(self) -> int:
        assert self._player is not None
        if self._player.policy is not None:
            return self._player.policy.spec.frame_skip
        assert self._player.latest is not None
        return len(self._player.latest.frame_buttons) or SHOWN_FRAME_SKIP

    @property
    def _is_log(self) -> bool:
        """Whether this is a recording, or an episode of a training, which is replayed without an agent."""
        return is_log(self._agent)

    @property
    def _is_episode(self) -> bool:
        return isinstance(self._agent, EpisodeName)

    def compose_body(self) -> ComposeResult:
        yield GameView(
            "loading PyTorch and the game ...", graphics=self.app.graphics, characters=self.app.characters, id="game"
        )
        with Vertical(id="panel"):
            yield Words("", id="who")
            yield Words("", id="state")
            yield Words("", id="ghosts")
            yield QBars(id="q-bars")
            yield Pad(id="pad")
            yield Numbers(id="numbers")
            yield RewardLedger(id="ledger")
            yield EpisodeTimeline(id="timeline")
            yield Words("", id="watch-jobs", markup=False)
            yield Words("what the network sees, the newest picture last", id="stack-title")
            yield GameView(graphics=self.app.graphics, characters=self.app.characters, id="stack")

    def on_mount(self) -> None:
        super().on_mount()
        self._episode_panels = EpisodePanels(self.query_one(EpisodeTimeline), self.query_one(RewardLedger))
        self.every(1 / 4, self.refresh_timeline)
        self.run_worker(self._open(), group="player")
        self.refresh_numbers()

    async def _open(self) -> None:
        try:
            player = await asyncio.to_thread(self._open_player)
        except MarioTuiError as error:
            self._problem = str(error)
        except Exception as error:
            self._problem = printable(f"{self.who} cannot be played: {type(error).__name__}: {error}")
        else:
            if self._gone:
                return
            self._player = player
            player.start()
        self.refresh_numbers()

    def on_unmount(self) -> None:
        super().on_unmount()
        if self._ghosts is not None:
            self._ghosts.close()

    def _open_player(self) -> AgentPlayer:
        return self.app.services.open_player(self._agent, self._asked_stage)

    # looking

    def refresh_game(self) -> None:
        player = self._player
        if player is None or player.latest_frame is None:
            return
        game = self.query_one("#game", GameView)
        if self._shows_input and player.latest is not None:
            if player.latest is not self._input_of:
                self._input_of = player.latest
                game.frame = side_by_side(rgb(player.latest.stack), gap=4)
        else:
            game.frame = player.latest_frame

    def on_resize(self) -> None:
        self._find_room()

    def _find_room(self) -> None:
        """Leaves out what the network sees where it would cut off the timeline above it."""
        rows = self.size.height
        needed = ROWS_WITH_LEDGER if rows >= VERY_TALL or self.has_class("-shows-ledger") else ROWS_WITHOUT
        if self._ghosts is not None and self._ghosts.line(self._stage).plain:
            needed += MOST_GHOST_ROWS
        for bars in self.query(QBars):
            self.set_class(rows >= needed + len(bars.names), "-with-stack")

    def refresh_numbers(self) -> None:
        player = self._player
        moment = None if player is None else player.latest
        policy = None if player is None else player.policy
        with self.app.batch_update():
            if player is not None:
                self._stage = self._stage or player.stage
            if policy is not None and not self._named_actions:
                self._named_actions = True
                names = tuple(self.app.services.action_names(policy.spec.action_set))
                self.query_one(QBars).names = names
                self.set_class(len(names) > 7, "-many-actions")
                self._find_room()
            self.update_text("#who", Content.styled(self.who, "bold"))
            self.update_text("#state", self._state(moment))
            self._update_ghosts(player)
            self.update_text("#watch-jobs", Content("\n".join(job.line for job in self.app.jobs.running)))
            if moment is not None and moment is not self._shown:
                self._shown = moment
                bars = self.query_one(QBars)
                bars.values, bars.chosen = moment.q_values, moment.action
                self.query_one(Pad).buttons = moment.buttons
                self.follow_recording(moment)
            stack = self.query_one("#stack", GameView)
            if moment is not None and stack.size and moment is not self._stack_of:
                self._stack_of = moment
                in_a_row = stack.size.width > 4 * stack.size.height
                stack.frame = side_by_side(rgb(moment.stack), columns=len(moment.stack) if in_a_row else 0, gap=4)
            self.report_closed_window()
            if self._episode_panels is not None and player is not None and moment is not None:
                self._episode_panels.show_step(player, moment.step)
            if moment is not None:
                self.query_one("#numbers", Numbers).set_entries(self.entries(moment))

    def refresh_timeline(self) -> None:
        if self._episode_panels is not None and self._player is not None:
            self._episode_panels.refresh_timeline(self._player)

    def _state(self, moment: EpisodeStep | None) -> Content:
        """Three lines, whatever happens: the stage and what disturbs the play, how it stands, what to press."""
        player = self._player
        problem = self._problem or (player.problem if player is not None else "")
        self.set_class(bool(problem), "-problem")
        if problem:
            self.query_one("#game", GameView).empty_text = "no game: see the message on the right"
            return Content.styled(problem, "bold $error")
        if player is None or moment is None:
            return Content.styled("loading ...", "$secondary")
        chances = player.chances
        disturbed = (f"  ε {chances.epsilon:g}" if chances.epsilon else "") + (
            f"  sticky {chances.sticky:g}" if chances.sticky else ""
        )
        words, colour, hint = self._how_it_stands(player, moment)
        return Content.assemble(
            f"stage {self._stage}",
            (f"{disturbed}\n", "$secondary"),
            (f"{words}\n", f"bold {colour}"),
            (self.recording_words.strip(), "$secondary") if self.recording_words else (hint, "$foreground 60%"),
        )

    def _how_it_stands(self, player: AgentPlayer, moment: EpisodeStep) -> tuple[str, str, str]:
        """In a few words, the colour for them, and what to press: each fits into the narrowest panel."""
        if moment.end is not None:
            following = "" if self._is_log else "n next stage, "
            return *how_it_ended(moment), f"a again, {following}← back"
        if player.finished:
            return "the recording ends here", "$warning", "a again, ← back"
        if player.paused:
            back = moment.step < player.newest_step
            words = f"paused at step {moment.step} of {player.newest_step}" if back else "paused"
            return words, "$warning", ". → step on, ← back, space goes on"
        if player.by_hand:
            return "you play", "$success", "arrows, x jump, z run; p hands back"
        words = f"playing at speed {self.speed_words}{self.reached_words}"
        return words, "$success", "+ faster, - slower, space pauses"

    def _update_ghosts(self, player: AgentPlayer | None) -> None:
        if player is not None and self._ghosts is not None:
            self._ghosts.update(player, self._stage)
            self.update_text("#ghosts", self._ghosts.line(self._stage))
            shown = bool(self._ghosts.line(self._stage).plain)
            if self.query_one("#ghosts").display != shown:
                self.query_one("#ghosts").display = shown
                self._find_room()

    # asking

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "toggle_ledger" and self.size.height >= VERY_TALL:
            return self.has_class("-shows-timeline")  # elsewhere it is there already
        records = self._is_episode and action in ("record", "record_from_here")
        return records or not (self._is_log and action in _AGENT_ACTIONS)

    def action_change_hands(self) -> None:
        player = self._player
        if player is None or player.latest is None:
            return
        player.change_hands()
        if player.by_hand:
            self.take_pad()
        else:
            self.give_pad()
        if player.by_hand and player.paused:
            player.toggle_pause()
        self.refresh_numbers()

    def action_seek(self, steps: int) -> None:
        if self._player is not None:
            self._player.move(steps)

    def on_episode_timeline_sought(self, message: EpisodeTimeline.Sought) -> None:
        if self._player is not None:
            self._player.seek(message.step)

    def action_toggle_timeline(self) -> None:
        self._show_instead("-shows-timeline")

    def action_toggle_ledger(self) -> None:
        self._show_instead("-shows-ledger")

    def _show_instead(self, panel: str) -> None:
        """Shows one of these instead of what stands there otherwise, or that again."""
        for one in ("-shows-timeline", "-shows-ledger"):
            self.set_class(one == panel and not self.has_class(one), one)
        self._find_room()
        self.call_after_refresh(self.refresh_timeline)
        self.call_after_refresh(self.refresh_numbers)

    def action_next_epsilon(self) -> None:
        if self._player is not None:
            chances = self._player.chances
            chances.epsilon = next((rate for rate in EPSILONS if rate > chances.epsilon), EPSILONS[0])
            self.refresh_numbers()

    def action_toggle_sticky(self) -> None:
        if self._player is not None:
            self._player.chances.sticky = 0.0 if self._player.chances.sticky else STICKY
            self.refresh_numbers()

    def action_toggle_ghosts(self) -> None:
        if isinstance(self._agent, EpisodeName):
            return
        self._ghosts = self._ghosts or GhostSwitch(self.app, self._agent)
        self._ghosts.toggle()
        self.refresh_numbers()

    def action_toggle_input(self) -> None:
        self._shows_input = not self._shows_input
        self._input_of = None
        self.refresh_game()

    def action_record(self) -> None:
        if self._player is None:
            return
        if isinstance(self._agent, EpisodeName):
            self.app.jobs.record_episode(self._agent)
            return
        if self._player.policy is None:
            return
        trained_on = self._player.policy.stage
        stage = None if self._stage == trained_on else self._stage
        self.app.jobs.record(self._agent, ".mp4", stage, self._player.ghosts)
