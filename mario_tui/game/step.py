"""What was seen and done in one step of an episode."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mario_tui.game.emulator import Emulator
from mario_tui.game.episode import EndReason, Episode
from mario_tui.game.view import View, view_of
from mario_tui.rewards import FrameChange

_NO_STACK = np.empty((0, 84, 84), np.uint8)


@dataclass(frozen=True, slots=True)
class EpisodeStep:
    """What was seen and done in one step.

    Attributes:
        step: steps taken so far; 0 is the first frame, before anything was done.
        frame: (240, 256, 3) uint8, the screen after the step.
        frames: every frame of the step, the last one being `frame`; empty unless asked for.
        frame_count: emulator frames played so far.
        buttons: the NES button byte of the step's last frame, with sticky actions perhaps not the action's.
        frame_buttons: that byte for every frame of the step, those after the end of the episode included; empty at
            step 0.
        reward, total_reward: of this step, and of the episode so far.
        x, max_x: where Mario is and the farthest he was in this episode, pixels.
        progress: how far through the stage the episode came, 0 to 1.
        time, coins, score, life, status: as in Emulator.
        end: why the episode is over, or None while it goes on.
        goes_on: None where the episode began with a reset; otherwise it went on from the clear of the stage before,
            after so many frames of no button.
        ram_crc32: zlib.crc32 chained over the 2,048 bytes of RAM after every frame so far; 0 unless all frames were
            asked for.
        screen_crc32: the same over every (240, 256, 3) picture.
        frame_changes: what each frame that was played changed, which the reward is made of; empty unless all frames
            were asked for.
        action: index of the action that was chosen; None at step 0, in no-op starts and where a human plays.
        q_values: Q of each action in the state that this step began in; empty where the policy was not asked.
        views: of every frame of the step, see View; empty at step 0, and unless all frames or the views were asked for.
        stack: (depth, 84, 84) uint8, the state after the step, as the network sees it; depth 0 where none plays.
    """

    step: int
    frame: np.ndarray
    frames: tuple[np.ndarray, ...]
    frame_count: int
    buttons: int
    frame_buttons: tuple[int, ...]
    reward: float
    total_reward: float
    x: int
    max_x: int
    progress: float
    time: int
    coins: int
    score: int
    life: int
    status: str
    end: EndReason | None
    goes_on: int | None = None
    ram_crc32: int = 0
    screen_crc32: int = 0
    frame_changes: tuple[FrameChange, ...] = ()
    action: int | None = None
    q_values: tuple[float, ...] = ()
    views: tuple[View | None, ...] = ()
    stack: np.ndarray = field(default_factory=lambda: _NO_STACK)


def without_pictures(step: EpisodeStep, *, stack: bool = True) -> EpisodeStep:
    """The step without its frames, to be kept for every step of an episode; `stack`: with the 28 KB that the network
    saw."""
    return replace(step, frame=np.empty(0, np.uint8), frames=(), stack=step.stack if stack else _NO_STACK)


class StepPlayer:
    """Plays an episode and describes each of its steps.

    Args:
        episode: at its start; it may be moved by `Episode.load_state` between steps.
        all_frames: whether the steps have every frame with what it changed, the checksums and the views.
        views: whether they have the views in any case.
    """

    def __init__(self, episode: Episode, *, all_frames: bool = False, views: bool = False) -> None:
        self.episode = episode
        self._all_frames, self._has_views = all_frames, all_frames or views
        self._frames: list[np.ndarray] = []
        self._changes: list[FrameChange] = []
        self._views: list[View | None] = []
        self._ram: np.ndarray | None = None
        self._ram_crc32 = self._screen_crc32 = 0

    def start(self) -> EpisodeStep:
        """The first frame, before anything is done."""
        return self._describe((), 0.0)

    def play(self, frame_buttons: Sequence[int]) -> EpisodeStep:
        """Plays a step with these buttons, a byte for each frame; see `Episode.step`."""
        self._frames.clear()
        self._changes.clear()
        self._views.clear()
        if self._has_views:
            self._ram = self.episode.emulator.ram
        if self._all_frames:
            emulator = self.episode.emulator
            self._x, self._time, self._frontiers = emulator.x_position, emulator.time, dict(self.episode.frontiers)
        result = self.episode.step(frame_buttons, self._add_frame if self._has_views else None)
        return self._describe(tuple(frame_buttons), result.reward)

    def _add_frame(self, emulator: Emulator) -> None:
        assert self._ram is not None
        before, ram = self._ram, emulator.ram
        self._ram = ram
        self._views.append(view_of(before, ram))
        if not self._all_frames:
            return
        screen = emulator.screen
        self._frames.append(screen)
        self._ram_crc32 = zlib.crc32(ram.data, self._ram_crc32)
        self._screen_crc32 = zlib.crc32(screen.data, self._screen_crc32)
        self._changes.append(self._change(emulator))

    def _change(self, emulator: Emulator) -> FrameChange:
        """What the frame that was just played changed."""
        x, time, area = emulator.x_position, emulator.time, emulator.area
        new_pixels = 0
        if area is not None and (frontier := self.episode.frontiers.get(area)) is not None:
            new_pixels = frontier - self._frontiers.get(area, frontier)
            self._frontiers[area] = frontier
        change = FrameChange(x - self._x, new_pixels, time - self._time, emulator.dead)
        self._x, self._time = x, time
        return change

    def _describe(self, frame_buttons: tuple[int, ...], reward: float) -> EpisodeStep:
        episode, emulator = self.episode, self.episode.emulator
        return EpisodeStep(
            step=episode.steps,
            frame=self._frames[-1] if self._frames else emulator.screen,
            frames=tuple(self._frames),
            frame_count=episode.frames,
            buttons=frame_buttons[-1] if frame_buttons else 0,
            frame_buttons=frame_buttons,
            reward=reward,
            total_reward=episode.total_reward,
            x=emulator.x_position,
            max_x=episode.max_x,
            progress=episode.progress,
            time=emulator.time,
            coins=emulator.coins,
            score=emulator.score,
            life=emulator.life,
            status=emulator.status,
            end=episode.end,
            goes_on=episode.goes_on,
            ram_crc32=self._ram_crc32,
            screen_crc32=self._screen_crc32,
            frame_changes=tuple(self._changes),
            views=tuple(self._views),
        )
