"""`eval`: how good a checkpoint is."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario_tui import paths
from mario_tui.commands.checkpoint_argument import checkpoint_of
from mario_tui.errors import InputError
from mario_tui.game.stages import stage_warning
from mario_tui.printable import printable
from mario_tui.store.intervals import in_percent
from mario_tui.system import processors
from mario_tui.system.files import write_atomically

if TYPE_CHECKING:
    from mario_tui.agent.policy import Policy
    from mario_tui.game.step import EpisodeStep
    from mario_tui.play.evaluation import EpisodeResult, Evaluation


def evaluate(arguments: argparse.Namespace) -> int:
    if arguments.verdict:
        return _verdict(arguments)
    path = checkpoint_of(arguments)
    values = None if arguments.values is None else _csv_path(arguments.values)
    from mario_tui.agent.policy import load_policy
    from mario_tui.agent.runtime import prepare_processor
    from mario_tui.game.step import without_pictures
    from mario_tui.play import evaluation
    from mario_tui.play.episode_values import values_csv
    from mario_tui.play.timeline import timeline

    prepare_processor(1)
    policy = load_policy(path)
    stage = arguments.stage or policy.stage
    if warning := stage_warning(stage):
        print(f"mario-tui: {warning}", file=sys.stderr)

    steps: list[EpisodeStep] = []

    def play(policy: Policy, *, seed: int, **settings: Any) -> EpisodeResult | None:
        listens = values is not None and seed == arguments.seed
        listener = (lambda step: steps.append(without_pictures(step, stack=False))) if listens else None
        return evaluation.play_episode(policy, seed=seed, on_step=listener, **settings)

    result = evaluation.evaluate(
        policy,
        stage=stage,
        episodes=arguments.episodes,
        sticky=arguments.sticky,
        noops=arguments.noops,
        seed=arguments.seed,
        threads=processors.count(),
        on_episode=None if arguments.json else _print_episode,
        play=play,
    )
    if values is not None:
        write_atomically(values, values_csv(timeline(steps, policy.learned), policy.spec.action_set))
    _warn(evaluation.note(path, policy, result, stage=stage, sticky=arguments.sticky, noops=arguments.noops))
    if arguments.json:
        print(json.dumps(result.as_json()))
    else:
        print(f"{policy.source} on {stage}: {_summary(result)}")
        if values is not None:
            print(f"Wrote {printable(values)}")
    return 0


def _csv_path(text: str) -> Path:
    """The file to write, looked at before anything is played."""
    path = paths.expand(text)
    if path.suffix != ".csv":
        raise InputError(f"{printable(text)} cannot be written: give --values a name that ends in .csv")
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        raise InputError(f"{printable(text)} cannot be written: {printable(path.parent)} may not be written to")
    if path.is_dir() or not path.parent.is_dir():
        what = "it is a folder" if path.is_dir() else f"there is no folder {printable(path.parent)}"
        raise InputError(f"{printable(text)} cannot be written: {what}")
    return path


def _verdict(arguments: argparse.Namespace) -> int:
    """What key e of the app measures, and keeps with the checkpoint."""
    given = (arguments.stage, arguments.episodes, arguments.sticky, arguments.noops, arguments.seed, arguments.values)
    if given != (None, 1, 0.0, 0, 0, None):
        raise InputError(
            "--verdict has episodes of its own: leave out --stage, --episodes, --sticky, --noops, --seed and --values"
        )
    path = checkpoint_of(arguments)
    from mario_tui.agent.runtime import prepare_processor
    from mario_tui.tui.services import Services

    prepare_processor(1)
    verdict = Services().evaluate(path, (lambda _: None) if arguments.json else _print_episode, lambda: False)
    _warn(verdict.problem)
    if arguments.json:
        print(json.dumps({"greedy": verdict.greedy.as_json(), "robust": verdict.robust.as_json()}))
    else:
        print(f"greedy: {_summary(verdict.greedy)}")
        print(f"robust (sticky actions, no-op starts): {_summary(verdict.robust)}")
    return 0


def _warn(problem: str) -> None:
    """Says why a result could not be stored; nothing if it was."""
    if problem:
        print(f"mario-tui: the result is not kept with the checkpoint: {printable(problem)}", file=sys.stderr)


def _print_episode(result: EpisodeResult) -> None:
    print(
        f"seed {result.seed}: {result.end} at x {result.max_x}, reward {result.reward:.0f}, {result.length} steps",
        flush=True,
    )


def _summary(result: Evaluation) -> str:
    return (
        f"{result.clears} of {result.episodes} episodes cleared ({in_percent(result.clear_rate)} %), "
        f"mean reward {result.mean_reward:.0f}, mean x {result.mean_x:.0f}, farthest x {result.max_x}"
    )
