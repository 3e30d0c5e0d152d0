"""Recordings of what there is to record: a checkpoint's greedy play, or an action log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mario_tui import paths
from mario_tui.agent.policy import Policy, load_policy
from mario_tui.game.action_log import ActionLog
from mario_tui.game.buttons import action_names
from mario_tui.play.evaluation import check_protocol, evaluate
from mario_tui.play.recorder import Recording, RecordingCancelledError, check_video, record_moments, record_replay
from mario_tui.play.rollout import rollout

Progress = Callable[[int], None] | None
Cancelled = Callable[[], bool] | None


def default_output(agent: Path | Policy, suffix: str) -> Path:
    """A new file in the recordings folder, named after run, step and time."""
    if not isinstance(agent, Path):
        stem = f"{agent.source.partition(',')[0]}_step-{agent.step:09d}"
    else:
        stem = agent.stem if agent.suffix == ".chkpt" else f"{agent.parent.name}_{agent.name}"
    return paths.new_recording_path(stem, suffix)


def record_agent(
    agent: Path | Policy,
    output: Path,
    *,
    stage: str | None = None,
    scale: int = 2,
    fps: int | None = None,
    overlay: bool = False,
    best_of: int = 1,
    sticky: float = 0.0,
    noops: int = 0,
    seed: int = 0,
    progress: Progress = None,
    cancelled: Cancelled = None,
) -> Recording:
    """Writes the greedy play of a checkpoint or a policy, every frame of it, and its action log beside it.

    With `best_of` so many episodes are played first, with `sticky`, `noops` and the seeds from `seed` on (see
    `rollout`), and the best of them is written: one that clears the stage in the fewest steps, or that gets farthest.

    Raises CheckpointError, InputError or RecordingError; then nothing is left of the recording.
    """
    check_video(output, scale=scale, fps=fps)
    check_protocol(best_of, sticky, noops, seed)
    policy = load_policy(agent) if isinstance(agent, Path) else agent
    if best_of > 1:
        played = evaluate(
            policy, stage=stage, episodes=best_of, sticky=sticky, noops=noops, seed=seed, cancelled=cancelled
        )
        if cancelled is not None and cancelled():
            raise RecordingCancelledError(f"{output} was not written: the recording was cancelled")
        best = max(played.per_episode, key=lambda one: (one.cleared, -one.length if one.cleared else one.max_x))
        seed = best.seed
    return record_moments(
        rollout(policy, stage=stage, sticky=sticky, noops=noops, seed=seed, all_frames=True),
        output,
        stage=stage or policy.stage,
        frame_skip=policy.frame_skip,
        action_names=action_names(policy.action_set),
        scale=scale,
        fps=fps,
        overlay=overlay,
        progress=progress,
        cancelled=cancelled,
    )


def record_log(
    log: ActionLog,
    output: Path,
    *,
    scale: int = 2,
    fps: int | None = None,
    overlay: bool = False,
    first_frame: int = 0,
    progress: Progress = None,
    cancelled: Cancelled = None,
) -> Recording:
    """Writes an action log's episode to a video, from this emulator frame on."""
    return record_replay(
        log,
        output,
        scale=scale,
        fps=fps,
        overlay=overlay,
        first_frame=first_frame,
        progress=progress,
        cancelled=cancelled,
    )
