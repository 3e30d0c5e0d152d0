"""What was seen and done in one step of an episode; no torch here, so that a person's game begins at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mario_tui.game.episode import EndReason, Episode

NO_STACK = np.empty((0, 84, 84), np.uint8)


@dataclass(frozen=True, slots=True)
class EpisodeStep:
    """What was seen and done in one step.

    Attributes:
        step: steps taken so far; 0 is the first frame, before anything was done.
        frame: (240, 256, 3) uint8, the screen after the step.
        frames: every frame of the step, the last one being `frame`; empty unless asked for.
        action: index of the action that was chosen; None at step 0, in no-op starts and where a person plays.
        buttons: the NES button byte that was held at the end of the step, in a sticky game perhaps not the action's.
        held: that byte of every frame of the step; empty at step 0.
        q_values: Q of each action in the state that this step began in; empty where the policy was not asked.
        ram_crc32: zlib.crc32 chained over the RAM after every frame so far; 0 unless all frames were asked for.
        stack: (depth, 84, 84) uint8, the state after the step, as the network sees it; depth 0 where none plays.
        end: why the episode is over, or None while it goes on.
    """

    step: int
    frame: np.ndarray
    frames: tuple[np.ndarray, ...]
    action: int | None
    buttons: int
    held: tuple[int, ...]
    q_values: tuple[float, ...]
    reward: float
    total_reward: float
    x: int
    max_x: int
    time: int
    coins: int
    score: int
    life: int
    status: str
    end: EndReason | None
    stack: np.ndarray
    ram_crc32: int = 0

    @classmethod
    def of(
        cls,
        episode: Episode,
        *,
        frame: np.ndarray,
        frames: tuple[np.ndarray, ...] = (),
        action: int | None = None,
        held: tuple[int, ...] = (),
        q_values: tuple[float, ...] = (),
        reward: float = 0.0,
        stack: np.ndarray = NO_STACK,
        ram_crc32: int = 0,
    ) -> EpisodeStep:
        """The moment that an episode is at."""
        emulator = episode.emulator
        return cls(
            step=episode.steps,
            frame=frame,
            frames=frames,
            action=action,
            buttons=held[-1] if held else 0,
            held=held,
            q_values=q_values,
            reward=reward,
            total_reward=episode.total_reward,
            x=emulator.x_position,
            max_x=episode.max_x,
            time=emulator.time,
            coins=emulator.coins,
            score=emulator.score,
            life=emulator.life,
            status=emulator.status,
            end=episode.end,
            stack=stack,
            ram_crc32=ram_crc32,
        )
