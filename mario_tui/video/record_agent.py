"""Records the play of an agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mario_tui import paths
from mario_tui.agent.policy import Policy, load_policy
from mario_tui.buttons import action_names
from mario_tui.game.stages import check_stage
from mario_tui.play.evaluation import check_protocol, evaluate
from mario_tui.play.ghost_trail import GhostTrail
from mario_tui.play.rollout import rollout
from mario_tui.system.files import Reservation
from mario_tui.video.record import Clip, Progress, Recording, RecordingCancelledError, record_episodes
from mario_tui.video.writer import check_video


def new_output(agent: Path | Policy, suffix: str) -> Reservation:
    """A new name in the recordings folder, made of run, step and time."""
    if not isinstance(agent, Path):
        stem = f"{agent.source.partition(',')[0]}_step-{agent.step:09d}"
    else:
        stem = agent.stem if agent.is_file() else f"{agent.parent.name}_{agent.name}"
    return paths.new_recording(stem, suffix)


def record_agent(
    agent: Path | Policy,
    output: Path,
    *,
    stages: Sequence[str] = (),
    scale: int = 2,
    fps: int | None = None,
    overlay: bool = False,
    ghosts: Sequence[GhostTrail] = (),
    best_of: int = 1,
    sticky: float = 0.0,
    noops: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Recording:
    """Writes the greedy play of a checkpoint or a policy, every frame of it, and its action log beside it.

    With several `stages` each is played from its start, one after the other; without any, the agent's own.

    With `best_of` so many episodes of each are played first, with `sticky`, `noops` and the seeds from `seed` on (see
    `rollout`), and the best of them is written: one that clears the stage in the fewest steps, or that gets farthest.

    `ghosts` are drawn in the pictures of the first stage.

    Raises CheckpointError, InputError or RecordingError; then nothing is left of the recording.
    """
    for stage in stages:
        check_stage(stage)
    check_video(output, scale=scale, fps=fps)
    check_protocol(best_of, sticky, noops, seed)
    policy = load_policy(agent) if isinstance(agent, Path) else agent

    def clip(stage: str, ghosts: Sequence[GhostTrail]) -> Clip:
        best_seed, frames = seed, None
        if best_of > 1:
            played = evaluate(
                policy, stage=stage, episodes=best_of, sticky=sticky, noops=noops, seed=seed, cancelled=cancelled
            )
            if cancelled is not None and cancelled():
                raise RecordingCancelledError(f"{output} was not written: the recording was cancelled")
            best = max(played.per_episode, key=lambda one: one.merit)
            best_seed, frames = best.seed, best.length * policy.spec.frame_skip
        return Clip(
            rollout(policy, stage=stage, sticky=sticky, noops=noops, seed=best_seed, all_frames=True),
            stage,
            policy.spec.frame_skip,
            tuple(action_names(policy.spec.action_set)),
            frames,
            ghosts,
        )

    return record_episodes(
        [clip(stage, () if number else ghosts) for number, stage in enumerate(stages or (policy.stage,))],
        output,
        scale=scale,
        fps=fps,
        overlay=overlay,
        progress=progress,
        cancelled=cancelled,
    )
