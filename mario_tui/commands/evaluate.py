"""`eval`: how good a checkpoint is."""

from __future__ import annotations

import argparse
import json
import os
import sys

from mario_tui.commands.checkpoint_argument import checkpoint_of
from mario_tui.errors import CheckpointError


def evaluate(arguments: argparse.Namespace) -> int:
    path = checkpoint_of(arguments)
    from mario_tui.agent.policy import load_policy
    from mario_tui.agent.runtime import prepare_processor
    from mario_tui.play import evaluation

    prepare_processor(1)
    policy = load_policy(path)
    stage = arguments.stage or policy.stage

    def report(result: evaluation.EpisodeResult) -> None:
        if not arguments.json:
            print(
                f"seed {result.seed}: {result.end} at x {result.max_x}, "
                f"reward {result.reward:.0f}, {result.length} steps",
                flush=True,
            )

    result = evaluation.evaluate(
        policy,
        stage=stage,
        episodes=arguments.episodes,
        sticky=arguments.sticky,
        noops=arguments.noops,
        seed=arguments.seed,
        threads=os.cpu_count() or 1,
        on_episode=report,
    )
    try:
        evaluation.note(path, policy, result, stage=stage, sticky=arguments.sticky, noops=arguments.noops)
    except (OSError, CheckpointError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"mario-tui: the result is not kept with the checkpoint: {reason}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(result.as_json()))
    else:
        print(
            f"{policy.source} on {stage}: {result.clears} of {result.episodes} episodes cleared "
            f"({result.clear_rate:.0%}), mean reward {result.mean_reward:.0f}, mean x {result.mean_x:.0f}, "
            f"farthest x {result.max_x}"
        )
    return 0
