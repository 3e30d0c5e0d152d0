"""`audit`: which failures of a checkpoint could have been avoided, and how late."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from mario_tui.buttons import ACTION_SETS
from mario_tui.commands.checkpoint_argument import checkpoint_of
from mario_tui.errors import InputError
from mario_tui.game.stages import stage_warning
from mario_tui.system import processors

if TYPE_CHECKING:
    from mario_tui.play.audit import Audit, Failure
    from mario_tui.play.evaluation import EpisodeResult


def audit(arguments: argparse.Namespace) -> int:
    if arguments.actions is not None and arguments.actions not in ACTION_SETS:
        raise InputError(f"there is no action set {arguments.actions!r}: it should be one of {', '.join(ACTION_SETS)}")
    threads = processors.count() if arguments.threads is None else arguments.threads
    if not 1 <= threads <= 256:
        raise InputError(f"--threads {threads} cannot be used: it should be 1 to 256")
    path = checkpoint_of(arguments)
    from mario_tui.agent.policy import load_policy
    from mario_tui.agent.runtime import prepare_processor
    from mario_tui.game.emulator import open_emulator
    from mario_tui.play import audit as auditing
    from mario_tui.play.evaluation import ROBUST_NOOPS, ROBUST_STICKY, check_protocol

    back = auditing.check_back(_numbers(arguments.back))
    check_protocol(arguments.episodes, ROBUST_STICKY, ROBUST_NOOPS, arguments.seed)
    prepare_processor(1)
    policy = load_policy(path)
    stage = arguments.stage or policy.stage
    if warning := stage_warning(stage):
        print(f"mario-tui: {warning}", file=sys.stderr)
    with open_emulator(stage) as emulator:
        if not emulator.has_snapshots():
            print("mario-tui: with Python 3.13 or newer, searches take seconds, not many minutes", file=sys.stderr)

    result = auditing.audit(
        policy,
        stage=stage,
        actions=arguments.actions,
        episodes=arguments.episodes,
        seed=arguments.seed,
        back=back,
        threads=threads,
        on_episode=None if arguments.json else _print_episode,
    )
    actions = arguments.actions or policy.spec.action_set
    if arguments.json:
        print(json.dumps({"checkpoint": policy.source, "stage": stage, "actions": actions, **result.as_json()}))
    else:
        _print_summary(f"{policy.source} on {stage}", actions, result)
    return 0


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise InputError(f"--back {text} cannot be used: it should be numbers of steps, such as 4,8,12") from None


def _print_episode(result: EpisodeResult, failure: Failure | None) -> None:
    line = f"seed {result.seed}: {result.end} at x {result.max_x}, {result.length} steps"
    if failure is None:
        print(line, flush=True)
    elif failure.avoidable is not None:
        print(f"{line}; a way on {failure.avoidable} steps before", flush=True)
    else:
        print(f"{line}; {'no way on was found in time' if failure.unknown else 'no way on'}", flush=True)


def _print_summary(what: str, actions: str, result: Audit) -> None:
    from mario_tui.store.intervals import wilson_interval

    played, clears, failed = result.evaluation.episodes, result.evaluation.clears, len(result.failures)
    low, high = wilson_interval(clears, played)
    print(
        f"{what}, sticky actions and no-op starts: {clears} of {played} episodes cleared "
        f"({clears / played:.0%}; 95 % interval {low:.0%} to {high:.0%})"
    )
    if not failed:
        return
    print(f"failures with a way on, with the actions '{actions}':")
    for steps in result.back:
        count, unknown = result.avoidable(steps), result.unknown(steps)
        low, high = wilson_interval(count, failed)
        more = f"; {unknown} not found out" if unknown else ""
        share = f"{count / failed:.0%}; {low:.0%} to {high:.0%}"
        print(f"  {steps:>3} steps before the end: {count} of {failed} ({share}){more}")
