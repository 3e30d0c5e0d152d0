"""Records episodes to a video, with the action log beside it: of action logs, or of any steps with all their frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mario_tui.errors import RecordingError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.replaying import LogsInTurn, ReplayResult
from mario_tui.game.step import EpisodeStep
from mario_tui.play.ghost_picture import GhostsInPicture
from mario_tui.play.ghost_trail import GhostTrail
from mario_tui.video.ghosts_beside import ghosts_as_json
from mario_tui.video.log_beside import log_path_of, put_log_beside
from mario_tui.video.overlay import draw_overlay
from mario_tui.video.writer import EMULATOR_FPS, VideoWriter


class RecordingCancelledError(RecordingError):
    """The caller asked for the recording to end; nothing of it is left."""


class Progress(Protocol):
    """Called while a recording grows."""

    def __call__(self, frames: int, total: int | None, /) -> None:
        """`frames`: emulator frames in it so far; `total`: how many it will have, None if that is not known."""


@dataclass(frozen=True, slots=True)
class RecordedEpisode:
    """One of the episodes in a recording.

    Attributes:
        log: what was pressed, with the checksums of what was seen.
        result: what replaying it gives.
    """

    log: ActionLog
    result: ReplayResult

    @classmethod
    def of_frames(
        cls, stage: str, frame_skip: int, pressed: Sequence[int], result: ReplayResult, *, goes_on: int | None = None
    ) -> RecordedEpisode:
        """Of an episode with this button byte in each of its frames."""
        checksums = {"ram_crc32": result.ram_crc32, "screen_crc32": result.screen_crc32}
        return cls(ActionLog.of_frames(stage, frame_skip, pressed, goes_on=goes_on, **checksums), result)

    def as_json(self) -> dict[str, Any]:
        result = self.result
        content: dict[str, Any] = {"stage": self.log.stage, "frames": result.frames, "max_x": result.max_x}
        return {**content, "cleared": result.cleared, "goes_on": self.log.goes_on is not None}


@dataclass(frozen=True, slots=True)
class Recording:
    """A finished recording.

    Attributes:
        path: the video.
        frames: emulator frames played (60 a second); a video of 30 frames a second shows every other one.
        seconds: of play.
        max_x: farthest x position, pixels.
        cleared: whether the stage was; of several stages, whether each was.
        action_log: the JSON file beside the video that replays the episode, or the episodes.
        episodes: all that were played for it, in their order.
    """

    path: Path
    frames: int
    seconds: float
    max_x: int
    cleared: bool
    action_log: Path
    episodes: tuple[RecordedEpisode, ...] = field(default=(), compare=False)

    def outcome(self) -> dict[str, Any]:
        """What the action log beside the video says of it."""
        return {"frames": self.frames, "max_x": self.max_x, "cleared": self.cleared}

    def as_json(self) -> dict[str, Any]:
        """What `mario-tui record --json` promises; of several episodes each as well."""
        content: dict[str, Any] = {
            "path": str(self.path),
            "frames": self.frames,
            "seconds": self.seconds,
            "max_x": self.max_x,
            "cleared": self.cleared,
            "action_log": str(self.action_log),
        }
        if len(self.episodes) > 1:
            content["episodes"] = [episode.as_json() for episode in self.episodes]
        return content


@dataclass(frozen=True, slots=True)
class Clip:
    """An episode to record.

    Attributes:
        steps: with all their frames; the first frame, step 0, comes before the play and is not written.
        stage, frame_skip: for the action log.
        action_names: of the agent's actions, for the overlay.
        frames: how many it has, if that is known before.
        ghosts: other episodes whose Mario is drawn in its pictures, with their names, the one to lie on top first;
            those of the first clip are kept in the action log.
    """

    steps: Iterable[EpisodeStep]
    stage: str
    frame_skip: int
    action_names: Sequence[str] = ()
    frames: int | None = None
    ghosts: Sequence[GhostTrail] = ()


def record_episodes(
    clips: Sequence[Clip],
    path: str | Path,
    *,
    scale: int = 2,
    fps: int | None = None,
    overlay: bool = False,
    first_frame: int = 0,
    threads: int = 0,
    stop_at_failure: bool = False,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Recording:
    """Writes episodes to a video, one after the other, every frame that was played, and their action log beside it.

    Args:
        path: the video; see VideoWriter for it, `scale`, `fps` and `threads`.
        overlay: draw buttons, Q values and reward under the game.
        first_frame: how many emulator frames of the first episode come before the video; the log has them all the same.
        stop_at_failure: leave out what comes after an episode that does not clear its stage.
        progress: called after each step.
        cancelled: asked before each step; once it is True the recording is given up with RecordingCancelledError.

    Raises InputError or RecordingError; then nothing is left of the video.
    """
    log_path = log_path_of(path)
    # The overlay is as high as there are actions, and a video has one size.
    action_names = max((clip.action_names for clip in clips), key=len)
    lengths = [clip.frames for clip in clips if clip.frames is not None]
    total = sum(lengths) - first_frame if len(lengths) == len(clips) else None
    done: list[RecordedEpisode] = []
    with VideoWriter(path, fps=fps, scale=scale, threads=threads) as video:
        for clip in clips:
            pressed: list[int] = []
            last: EpisodeStep | None = None
            ghosts = GhostsInPicture(clip.ghosts) if clip.ghosts else None
            for step in clip.steps:
                if cancelled is not None and cancelled():
                    raise RecordingCancelledError(f"{path} was not written: the recording was cancelled")
                last = step
                if step.step == 0:
                    continue
                if not step.frames:
                    raise ValueError("recordings need steps with all their frames: rollout(all_frames=True)")
                before_step = step.frame_count - len(step.frames)
                before_video = 0 if done else max(0, first_frame - before_step)
                for index in range(before_video, len(step.frames)):
                    frame = step.frames[index]
                    if ghosts is not None and video.takes_next:
                        frame = ghosts.draw(frame, step.views[index], before_step + index + 1)
                    if overlay and video.takes_next:
                        frame = _with_overlay(frame, step, clip.stage, action_names)
                    video.add(frame)
                pressed += step.frame_buttons
                if progress is not None:
                    progress(video.frames, total)
            if last is None:
                raise ValueError("an episode has at least its first frame")
            result = ReplayResult.after(last)
            done.append(RecordedEpisode.of_frames(clip.stage, clip.frame_skip, pressed, result, goes_on=last.goes_on))
            if stop_at_failure and not result.cleared:
                break
        recording = Recording(
            path=video.path,
            frames=video.frames,
            seconds=video.frames / EMULATOR_FPS,
            max_x=max(episode.result.max_x for episode in done),
            cleared=all(episode.result.cleared for episode in done),
            action_log=log_path,
            episodes=tuple(done),
        )
        put_log_beside(
            video,
            log_path,
            [episode.log for episode in done],
            {**recording.outcome(), "first_frame": first_frame, **ghosts_as_json(clips[0].ghosts, clips[0].stage)},
        )
    return recording


def _with_overlay(frame: np.ndarray, step: EpisodeStep, stage: str, action_names: Sequence[str]) -> np.ndarray:
    return draw_overlay(
        frame,
        buttons=step.buttons,
        q_values=step.q_values,
        action_names=action_names,
        reward=step.reward,
        total_reward=step.total_reward,
        x=step.x,
        stage=stage,
        step=step.step,
    )


def record_replay(
    logs: ActionLog | Sequence[ActionLog], path: str | Path, *, ghosts: Sequence[GhostTrail] = (), **settings: Any
) -> Recording:
    """Writes the episode that an action log holds to a video, or those of several; see `record_episodes`.

    Args:
        ghosts: to be drawn in the pictures of the first.
    """
    logs = [logs] if isinstance(logs, ActionLog) else logs
    log_path_of(path, logs)
    with LogsInTurn() as game:
        clips = [
            Clip(game.play(log), log.stage, log.frame_skip, frames=log.frames, ghosts=() if number else ghosts)
            for number, log in enumerate(logs)
        ]
        return record_episodes(clips, path, **settings)
