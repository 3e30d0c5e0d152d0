"""A race of several agents on one stage: one game on the picture, the others in it as ghosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mario_tui.agent.policy import Policy
from mario_tui.errors import InputError
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import ReplayResult, play_log
from mario_tui.game.stages import check_stage
from mario_tui.play.ghost_picture import draw_ghosts, ghosts_at
from mario_tui.play.ghost_trail import GhostTrail, short_step
from mario_tui.play.rollout import rollout
from mario_tui.video.log_beside import log_path_of, put_log_beside
from mario_tui.video.overlay import label
from mario_tui.video.record import Progress, RecordedEpisode, Recording, RecordingCancelledError
from mario_tui.video.writer import EMULATOR_FPS, VideoWriter, check_video

MOST_RACERS = 16
STANDS_FRAMES = 120
"""How long one that got no farther is waited for."""
HOLD_FRAMES = 60
"""How long the picture stays with one whose episode is over."""


@dataclass(frozen=True, slots=True)
class RaceResult:
    """How one did.

    name: of the agent.
    label: what it is called among the others: its step, where all are of one run.
    step: of its training.
    cleared: whether it cleared the stage.
    max_x: the farthest x, pixels.
    progress: how far through the stage, 0 to 1.
    frames: after which it was there.
    end: why its episode ended.
    """

    name: str
    label: str
    step: int
    cleared: bool
    max_x: int
    progress: float
    frames: int
    end: EndReason

    def as_json(self) -> dict[str, Any]:
        return {
            "agent": self.name, "step": self.step, "cleared": self.cleared, "max_x": self.max_x,
            "progress": self.progress, "frames": self.frames, "end": self.end.value,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class RaceRecording(Recording):
    """A recording of a race; `ranking`: how each did, the best first, as are `episodes`."""

    ranking: tuple[RaceResult, ...] = field(default=(), compare=False)

    def as_json(self) -> dict[str, Any]:
        content = super(RaceRecording, self).as_json()
        content.pop("episodes", None)
        return {**content, "ranking": [result.as_json() for result in self.ranking]}


@dataclass(frozen=True, slots=True)
class _Racer:
    trail: GhostTrail
    result: RaceResult
    episode: RecordedEpisode

    @property
    def over(self) -> int:
        """The frame from which on nothing is to be seen of it any more."""
        waited = self.trail.best_frame + STANDS_FRAMES
        return min(self.trail.frames, waited) if self.result.end is EndReason.STALL else self.trail.frames


@dataclass(frozen=True, slots=True)
class _Shot:
    """The picture follows one from a frame to another."""

    racer: _Racer
    start: int
    stop: int


def record_race(
    policies: Sequence[Policy],
    output: Path,
    *,
    stage: str | None = None,
    scale: int = 2,
    fps: int | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> RaceRecording:
    """Writes the greedy play of several agents on one stage to a video, all in one picture.

    It follows the best: the one that cleared the stage in the fewest frames, or that got farthest. Where its episode is
    over, it follows the best of those that still play, until the last is over. Those that get no farther are not waited
    for. The action log beside it is that of the best; those of all are in it, under video.race.

    Args:
        policies: who plays, 2 to 16 of them.
        stage: where; the last agent's own stage by default.
        scale, fps, output: see VideoWriter.
        progress: called once all have played, while the video grows.

    Raises InputError or RecordingError; then nothing is left of the video.
    """
    if not 2 <= len(policies) <= MOST_RACERS:
        raise InputError(f"a race of {len(policies)} agents cannot be recorded: take 2 to {MOST_RACERS}")
    stage = check_stage(stage or policies[-1].stage)
    check_video(output, scale=scale, fps=fps)
    log_path = log_path_of(output)

    def check_cancelled() -> None:
        if cancelled is not None and cancelled():
            raise RecordingCancelledError(f"{output} was not written: the recording was cancelled")

    runs = {policy.source.partition(",")[0] for policy in policies}
    racers = [_play(policy, stage, check_cancelled, of_one_run=len(runs) == 1) for policy in policies]
    ranked = sorted(racers, key=lambda racer: racer.trail.merit, reverse=True)
    shots = list(_shots(ranked))
    trails = [racer.trail for racer in ranked]
    with VideoWriter(output, fps=fps, scale=scale) as video:
        for shot in shots:
            for number, picture in enumerate(_pictures(shot, trails, ranked.index(shot.racer) + 1, video)):
                if number % 4 == 0:
                    check_cancelled()
                video.add(picture)
                if progress is not None and video.frames % 4 == 0:
                    progress(video.frames, shots[-1].stop)
        best = ranked[0]
        recording = RaceRecording(
            path=video.path,
            frames=video.frames,
            seconds=video.frames / EMULATOR_FPS,
            max_x=best.result.max_x,
            cleared=best.result.cleared,
            action_log=log_path,
            episodes=tuple(racer.episode for racer in ranked),
            ranking=tuple(racer.result for racer in ranked),
        )
        race = [{**racer.result.as_json(), "name": racer.trail.name, **racer.episode.log.as_json()} for racer in ranked]
        put_log_beside(video, log_path, [best.episode.log], {**recording.outcome(), "first_frame": 0, "race": race})
    return recording


def _play(policy: Policy, stage: str, check_cancelled: Callable[[], None], *, of_one_run: bool) -> _Racer:
    by_step = of_one_run and policy.step > 0
    trail = GhostTrail(short_step(policy.step) if by_step else policy.source)
    pressed: list[int] = []
    for step in rollout(policy, stage=stage, all_frames=True):
        check_cancelled()
        trail.add(step)
        pressed += step.frame_buttons
    assert trail.end is not None
    result = RaceResult(
        name=policy.source,
        label=f"step {policy.step:,}" if by_step else policy.source,
        step=policy.step,
        cleared=trail.end is EndReason.CLEAR,
        max_x=trail.max_x,
        progress=trail.progress,
        frames=trail.best_frame,
        end=trail.end,
    )
    episode = RecordedEpisode.of_frames(stage, policy.spec.frame_skip, pressed, ReplayResult.after(step))
    return _Racer(trail, result, episode)


def _shots(ranked: Sequence[_Racer]) -> Iterator[_Shot]:
    start = 0
    for racer in ranked:
        stop = racer.over + HOLD_FRAMES
        if racer.over > start:  # it still plays
            yield _Shot(racer, start, stop)
            start = stop


def _pictures(shot: _Shot, trails: Sequence[GhostTrail], rank: int, video: VideoWriter) -> Iterator[np.ndarray]:
    """The pictures of a shot; those that the video leaves out have no ghosts."""
    followed, result = shot.racer.trail, shot.racer.result
    line = f"{result.label}  ({rank} of {len(trails)})"
    number, x = 0, 0
    for step in play_log(shot.racer.episode.log):
        for plain, view in zip(step.frames, step.views, strict=True):
            number += 1
            x = max(x, followed.x_at(number) or 0)
            is_last = number == followed.frames
            for frame in range(number, shot.stop + 1) if is_last else (number,):
                if not shot.start < frame <= shot.stop:
                    continue
                picture = plain
                if video.takes_next and view is not None:
                    picture = draw_ghosts(plain, view, ghosts_at(trails, frame, but=followed), followed.at(number))
                outcome = "CLEAR" if result.cleared and frame >= followed.frames else f"x {x}"
                yield np.concatenate([label(line, outcome, bright=result.cleared), picture])
        if number >= shot.stop:
            return
