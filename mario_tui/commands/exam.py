"""`exam`: in how many decisive states a checkpoint chooses an action that is safe."""

from __future__ import annotations

import argparse
import json

from mario_tui.errors import InputError
from mario_tui.store import named


def exam(arguments: argparse.Namespace) -> int:
    path = named.find_checkpoint(arguments.checkpoint)
    from mario_tui.agent.policy import load_policy
    from mario_tui.agent.runtime import prepare_processor
    from mario_tui.play.exam import read_exam, take_exam

    prepare_processor(1)
    policy = load_policy(path)
    states = read_exam(arguments.exam)
    if states.stage != policy.stage:
        raise InputError(f"the exam is of {states.stage}, and {policy.source} was trained on {policy.stage}")
    score = take_exam(policy, states)
    if arguments.json:
        print(json.dumps({"checkpoint": policy.source, "stage": states.stage, **score.as_json()}))
        return 0
    low, high = score.interval()
    print(
        f"{policy.source} on {states.stage}: safe in {score.right.sum()} of {len(score.right)} decisive states "
        f"({score.share:.1%}; 95 % interval {low:.1%} to {high:.1%})"
    )
    return 0
