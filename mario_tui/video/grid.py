"""Several agents on one stage at the same time, side by side in one video: how training progresses, at a glance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mario_tui.agent.policy import Policy
from mario_tui.errors import InputError
from mario_tui.game.emulator import SCREEN_SHAPE
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import ReplayResult
from mario_tui.play.rollout import rollout
from mario_tui.video.log_beside import log_path_of, put_log_beside
from mario_tui.video.overlay import label, side_by_side
from mario_tui.video.record import Progress, RecordedEpisode, Recording, RecordingCancelledError
from mario_tui.video.writer import EMULATOR_FPS, VideoWriter, check_video

MOST_PANELS = 16
GAP = 4
"""Pixels between two games."""
LAST_PICTURE_FRAMES = 60
"""How long the grid stands after the last game is over."""


def record_grid(
    policies: Sequence[Policy],
    output: Path,
    *,
    stage: str | None = None,
    scale: int = 1,
    fps: int | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Recording:
    """Writes the greedy play of several agents to one video; games that are over stand dimmed until the last is.

    The action log beside it is that of the agent that got farthest; those of all are in it, under video.grid.

    Args:
        policies: who plays, 2 to 16 of them, in rows from the left.
        stage: where; each agent's own stage by default.
        scale, fps, output: see VideoWriter.

    Raises InputError or RecordingError; then nothing is left of the video.
    """
    if not 2 <= len(policies) <= MOST_PANELS:
        raise InputError(f"{len(policies)} agents cannot be recorded side by side: take 2 to {MOST_PANELS}")
    check_video(output, scale=scale, fps=fps)
    log_path = log_path_of(output)
    panels = [_Panel(policy, stage or policy.stage) for policy in policies]
    with VideoWriter(output, fps=fps, scale=scale) as video:
        left = LAST_PICTURE_FRAMES
        while left:
            if cancelled is not None and cancelled():
                raise RecordingCancelledError(f"{output} was not written: the recording was cancelled")
            played = [panel.advance() for panel in panels]
            left -= not any(played)
            picture = (
                side_by_side([panel.picture() for panel in panels], gap=GAP) if video.takes_next else panels[0].frame
            )
            video.add(picture)
            if progress is not None and video.frames % 4 == 0:
                progress(video.frames, None)
        best = max(panels, key=lambda panel: (panel.cleared, panel.max_x))
        recording = Recording(
            path=video.path,
            frames=video.frames,
            seconds=video.frames / EMULATOR_FPS,
            max_x=best.max_x,
            cleared=best.cleared,
            action_log=log_path,
            episodes=tuple(panel.episode for panel in panels),
        )
        grid = [{"agent": panel.name, "max_x": panel.max_x, **panel.episode.log.as_json()} for panel in panels]
        put_log_beside(video, log_path, [best.episode.log], {**recording.outcome(), "first_frame": 0, "grid": grid})
    return recording


class _Panel:
    """One of the games."""

    def __init__(self, policy: Policy, stage: str) -> None:
        self.name = policy.source
        self.frame = np.zeros(SCREEN_SHAPE, np.uint8)
        self._stage, self._frame_skip = stage, policy.spec.frame_skip
        self._step = f"step {policy.step:,}" if policy.step else policy.source
        self._pressed: list[int] = []
        self._steps = rollout(policy, stage=self._stage, all_frames=True)
        self._last = next(self._steps)
        self._frames = self._play()
        self._over = False

    @property
    def max_x(self) -> int:
        return self._last.max_x

    @property
    def cleared(self) -> bool:
        return self._last.end is EndReason.CLEAR

    @property
    def episode(self) -> RecordedEpisode:
        """What was played so far, in whole steps."""
        result = ReplayResult.after(self._last)
        return RecordedEpisode.of_frames(self._stage, self._frame_skip, self._pressed, result)

    def _play(self) -> Iterator[np.ndarray]:
        for step in self._steps:
            self._last = step
            self._pressed += step.frame_buttons
            yield from step.frames

    def advance(self) -> bool:
        """Goes on to the next frame; False where the game is over."""
        frame = next(self._frames, None)
        if frame is not None:
            self.frame = frame
        self._over = frame is None
        return not self._over

    def picture(self) -> np.ndarray:
        """(254, 256, 3) uint8: the frame with a line above that says whose it is."""
        outcome = "CLEAR" if self._over and self.cleared else f"x {self.max_x}"
        frame = self.frame // 2 if self._over else self.frame
        return np.concatenate([label(self._step, outcome, bright=self.cleared), frame])
