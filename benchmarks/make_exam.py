"""Makes an exam (mario_tui/play/exam.py): states of several agents' episodes, labelled by search.

python benchmarks/make_exam.py OUTPUT CKPT:EPISODES[:EPSILON] ... [--seed N]

Each agent plays that many episodes with sticky actions and no-op starts, and takes a random action with the
probability EPSILON. The last steps of each death are labelled, and a stretch that ends at a random step of each
episode. Needs the emulator's snapshots (Python 3.13 or newer), and some 10 seconds of a core for each episode.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mario_tui.agent.policy import load_policy
from mario_tui.agent.runtime import prepare_processor
from mario_tui.buttons import ACTION_SETS
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason
from mario_tui.play.evaluation import ROBUST_NOOPS, ROBUST_STICKY
from mario_tui.play.exam import Exam, write_exam
from mario_tui.play.labels import LabelledStates, label_stretch
from mario_tui.play.rollout import rollout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("agents", nargs="+", metavar="CKPT:EPISODES[:EPSILON]")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    prepare_processor(1)
    rng = np.random.Generator(np.random.PCG64(arguments.seed))
    stretches: list[LabelledStates] = []
    episodes: list[int] = []
    played = 0
    games = set()
    for agent in arguments.agents:
        path, count, *epsilon = agent.split(":")
        policy = load_policy(path)
        games.add((policy.stage, policy.spec.frame_skip, ACTION_SETS[policy.spec.action_set]))
        ((stage, frame_skip, actions),) = games  # the same of all agents
        for seed in range(arguments.seed, arguments.seed + int(count)):
            steps = list(
                rollout(
                    policy,
                    epsilon=float(epsilon[0]) if epsilon else 0.0,
                    sticky=ROBUST_STICKY,
                    noops=ROBUST_NOOPS,
                    seed=seed,
                    stall_steps=80,
                )
            )
            buttons = [byte for step in steps for byte in step.frame_buttons]
            ends = [int(rng.integers(min(12, steps[-1].step - 1), steps[-1].step))]
            if steps[-1].end is EndReason.DEATH:
                ends.append(steps[-1].step)
            with open_emulator(stage) as emulator:
                for end in ends:
                    stretch = label_stretch(emulator, buttons, actions, frame_skip=frame_skip, last_step=end)
                    print(
                        f"{agent}, seed {seed}, step {end}: {len(stretch.x)} states, {stretch.played} steps", flush=True
                    )
                    stretches.append(stretch)
                    episodes += [played] * len(stretch.x)
            played += 1
            exam = Exam(stage, frame_skip, actions, LabelledStates.joined(stretches), np.array(episodes))
            write_exam(exam, arguments.output, made_by=" ".join(arguments.agents) + f" --seed {arguments.seed}")
    print(f"{len(exam.states.x)} states, {arguments.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
