"""What Watch and Play share: a game that can be paused, slowed down, recorded, and shown in a window as well."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import events
from textual.actions import parse
from textual.binding import Binding

from mario_tui.buttons import DOWN, LEFT, RIGHT, UP, A, B
from mario_tui.tui import text
from mario_tui.tui.keyboard import KeyReleased
from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.window_switch import WindowSwitch

if TYPE_CHECKING:
    from mario_tui.game.step import EpisodeStep
    from mario_tui.play.clocked_player import ClockedPlayer
    from mario_tui.play.pad import Controls
    from mario_tui.tui.widgets.numbers import Entry

ENDS = {
    "clear": ("CLEARED the stage", "$success"),
    "death": ("died", "$error"),
    "stall": ("stopped getting farther", "$warning"),
    "loop": ("wrong way in the maze", "$warning"),
    "left": ("left for another stage", "$warning"),
    "time": ("ran out of time", "$warning"),
}

BUTTONS = {"left": LEFT, "right": RIGHT, "up": UP, "down": DOWN, "a": A, "b": B}

PAD_BINDINGS = [
    Binding("left", "press('left')", "Left", id="play.left", show=False, key_display="←", tooltip="Walk to the left"),
    Binding(
        "right", "press('right')", "Right", id="play.right", show=False, key_display="→", tooltip="Walk to the right"
    ),
    Binding(
        "down",
        "press('down')",
        "Down",
        id="play.down",
        show=False,
        key_display="↓",
        tooltip="Crouch, enter a pipe; stop",
    ),
    Binding("up", "press('up')", "Up", id="play.up", show=False, key_display="↑", tooltip="Climb; stop"),
    Binding("x,space", "press('a')", "Jump", id="play.jump", tooltip="Button A: jump, swim"),
    Binding("z", "press('b')", "Run", id="play.run", tooltip="Button B: run, throw fire"),
]
"""The keys of the pad, wherever a game is played by hand."""


def how_it_ended(moment: EpisodeStep) -> tuple[str, str]:
    """How an episode ended, in a few words and the colour for them."""
    assert moment.end is not None
    words, colour = ENDS[moment.end.value]
    return (words if moment.progress == 1 else f"{words} at {text.percent(moment.progress)}"), colour


class GameScreen(MarioScreen):
    """Owns a player and the window that mirrors it, and closes both with itself; subclasses open the player."""

    def __init__(self, stage: str, *, leaves_app: bool = False) -> None:
        super().__init__()
        self._leaves_app = leaves_app
        self._stage = stage
        self._problem = ""
        self._records_from: EpisodeStep | None = None
        self._records_to = 0
        self._window: WindowSwitch | None = None
        self._pad_keys: dict[str, int] = {}  # key -> button, while the user plays
        self._gone = False

    @property
    def player(self) -> ClockedPlayer | None:
        """The player, once it is there."""
        raise NotImplementedError

    @property
    def controls(self) -> Controls | None:
        """The pad in the user's hands; None while the agent plays."""
        return None

    @property
    def who(self) -> str:
        """The player's name in the window's title."""
        raise NotImplementedError

    @property
    def recording_name(self) -> str:
        """The stem of the names of recordings made here."""
        raise NotImplementedError

    @property
    def frame_skip(self) -> int:
        """Frames in a step of the player."""
        raise NotImplementedError

    def refresh_numbers(self) -> None:
        raise NotImplementedError

    def on_mount(self) -> None:
        super().on_mount()
        self.every(1 / self.app.frames_per_second, self.refresh_game)
        self.every(1 / 10, self.refresh_numbers)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self._pad_keys:
            self.app.report_releases(True)

    def on_screen_suspend(self) -> None:
        super().on_screen_suspend()
        if self._pad_keys:
            self.app.report_releases(False)
            self._release_all()

    def on_unmount(self) -> None:
        if self._pad_keys:
            self.app.report_releases(False)
        self._end_recording()
        self._gone = True
        loop = asyncio.get_running_loop()
        if self.player is not None:
            loop.run_in_executor(None, self.player.close)  # joins a thread that may still be importing PyTorch
        if self._window is not None:
            self._window.close()

    def refresh_game(self) -> None:
        raise NotImplementedError

    @property
    def speed_words(self) -> str:
        speed = 1.0 if self.player is None else self.player.speed
        return f"{speed:g}x" if speed >= 1 else f"1/{1 / speed:g}x"

    @property
    def reached_words(self) -> str:
        """What the speed really is, where the machine does not reach the one that was asked for."""
        player = self.player
        reached = None if player is None else player.speed_reached
        if player is None or reached is None or reached > 0.8 * player.speed:
            return ""
        return f", now {reached:.1f}x"

    @property
    def recording_words(self) -> str:
        start = self._records_from
        return "" if start is None else f"  ● recording since step {text.count(start.step)}"

    @staticmethod
    def entries(moment: EpisodeStep) -> list[Entry]:
        return [
            ("reward", f"{moment.reward:+.1f}"),
            ("return", text.decimal(moment.total_reward)),
            ("x", text.count(moment.x)),
            ("progress", text.percent(moment.progress)),
            ("step", text.count(moment.step)),
            ("time left", text.count(moment.time)),
            ("Mario", moment.status),
            ("lives", text.count(moment.life)),
            ("score", text.count(moment.score)),
            ("coins", text.count(moment.coins)),
        ]

    # playing by hand

    def take_pad(self) -> None:
        """From now on the pad's keys are the user's."""
        keys = self.app.keys
        self._pad_keys = {
            key: BUTTONS[str(parse(binding.action)[2][0])]
            for binding in PAD_BINDINGS
            for key in keys.get(str(binding.id), binding.key).split(",")
        }
        self.app.report_releases(True)

    def give_pad(self) -> None:
        """The pad's keys are no longer the user's."""
        self._release_all()
        self._pad_keys = {}
        self.app.report_releases(False)

    def press_pad(self, button: int) -> None:
        if self.controls is None:
            return
        if self.app.releases_reported:
            self.controls.press(button)
        else:
            self.controls.tap(button)

    def action_press(self, name: str) -> None:
        self.press_pad(BUTTONS[name])

    def on_key(self, event: events.Key) -> None:
        # Before the bindings, which are a way round through the app: a release must never overtake its press.
        super().on_key(event)
        if self.is_too_small:
            return
        if button := self._pad_keys.get(event.key):
            event.stop()
            self.press_pad(button)

    def on_key_released(self, event: KeyReleased) -> None:
        event.stop()
        if self.controls is not None and (button := self._pad_keys.get(event.key)):
            self.controls.release(button)

    def releases_are_reported(self) -> None:
        """From now on keys are held; buttons that were tapped before are released."""
        self._release_all()
        self.refresh_numbers()

    def focus_is_lost(self) -> None:
        """The terminal's window lost the focus: key releases are not reported any more."""
        self._release_all()

    def _release_all(self) -> None:
        if self.controls is not None:
            self.controls.release_all()

    # asking

    def action_toggle_pause(self) -> None:
        if self.player is not None:
            self.player.toggle_pause()
            self.refresh_numbers()

    def action_step(self) -> None:
        if self.player is not None:
            self.player.step_once()

    def action_faster(self) -> None:
        if self.player is not None:
            self.player.faster()
            self.refresh_numbers()

    def action_slower(self) -> None:
        if self.player is not None:
            self.player.slower()
            self.refresh_numbers()

    def action_restart(self) -> None:
        if self.player is not None:
            self._end_recording()
            self.player.restart()

    def action_next_stage(self) -> None:
        if self.player is None or not self._stage:
            return
        following = self.app.services.next_stage(self._stage)
        if following is None:
            self.notify("8-4 is the last stage")
        else:
            self.go_to_stage(following)

    def go_to_stage(self, stage: str) -> None:
        if self.player is not None:
            self._end_recording()
            self._stage = stage
            self.player.restart(stage)
            self.refresh_numbers()

    def action_back(self) -> None:
        if self._leaves_app:
            self.app.leaving.ask()
        else:
            self.app.pop_screen()

    # the window

    def action_window(self) -> None:
        player = self.player
        if player is not None:
            self._window = self._window or WindowSwitch(self.app)
            self._window.toggle(lambda: self.app.services.open_window(player, f"{self._stage}  {self.who}"))

    def report_closed_window(self) -> None:
        if self._window is not None:
            self._window.report_closed()

    # recording what is played

    def action_record_from_here(self) -> None:
        player = self.player
        if player is None or player.latest is None:
            return
        if self._records_from is not None:
            self._end_recording()
        elif player.latest.end is not None:
            self.notify(self.OVER)
        else:
            self._records_from, self._records_to = player.latest, player.latest.step
        self.refresh_numbers()

    OVER = "the episode is over"
    """What to do instead of recording it from here."""

    def follow_recording(self, moment: EpisodeStep) -> None:
        """Ends a recording with the episode, or when the user goes back to before its first step."""
        start = self._records_from
        if start is None:
            return
        if moment.step >= start.step:
            self._records_to = moment.step if self.forgets else max(self._records_to, moment.step)
        if moment.end is not None or moment.step < start.step:
            self._end_recording()

    forgets = False
    """Whether going back to a step discards what was played after it."""

    def _end_recording(self) -> None:
        start, self._records_from = self._records_from, None
        player = self.player
        if start is not None and player is not None:
            self.record(player, start.step, self._records_to)

    def record(self, player: ClockedPlayer, first_step: int, last_step: int) -> None:
        """Makes a video of what was played between two steps, in the background."""
        held = player.frame_buttons(last_step)
        first_frame = first_step * self.frame_skip
        if len(held) <= first_frame:
            self.notify("nothing was played since r: no recording was made")
            return
        self.app.jobs.record_play(
            self.recording_name, self.who, self._stage, self.frame_skip, held, first_frame, player.ghosts
        )
        self.notify(
            "recording in the background (ctrl+x cancels); a notice says when it is done, "
            "and Recordings makes a GIF of it"
        )
