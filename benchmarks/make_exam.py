"""Makes an exam (mario_tui/play/exam.py): decisive states of random walks through a stage, labelled by search.

python benchmarks/make_exam.py OUTPUT [--stage STAGE] [--actions SET] [--walks N] [--most N] [--seed N]

Walks have the sticky actions and no-op starts of robust evaluations. States that are alike are taken once, and as many
for each safe action. No agent takes part. The file is written again after each walk, so it can be stopped. Needs the
emulator's snapshots (Python 3.13 or newer).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mario_tui.buttons import ACTION_SETS
from mario_tui.game.emulator import open_emulator
from mario_tui.play.evaluation import ROBUST_NOOPS, ROBUST_STICKY
from mario_tui.play.exam import Exam, write_exam
from mario_tui.play.labels import LabelledStates, balanced, distinct, label_walk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--stage", default="1-1")
    parser.add_argument("--actions", choices=ACTION_SETS, default="run")
    parser.add_argument("--walks", type=int, default=20)
    parser.add_argument("--most", type=int, default=2_000, help="states")
    parser.add_argument("--seed", type=int, default=0, help="of the first walk")
    arguments = parser.parse_args()
    actions = ACTION_SETS[arguments.actions]
    parts: list[LabelledStates] = []
    walks: list[int] = []
    with open_emulator(arguments.stage) as emulator:
        for walk in range(arguments.walks):
            rng = np.random.Generator(np.random.PCG64(arguments.seed + walk))
            for part in label_walk(emulator, actions, rng=rng, noops=ROBUST_NOOPS, sticky=ROBUST_STICKY):
                parts.append(part)
                walks += [walk] * len(part.x)
            if not parts:
                continue
            states = LabelledStates.joined(parts)
            numbers = distinct(states)
            numbers = [numbers[one] for one in balanced(states.chosen(numbers), arguments.most)]
            print(f"{walk + 1} walks: {len(states.x)} states, {states.played} steps; {len(numbers)} taken", flush=True)
            if numbers:
                exam = Exam(arguments.stage, 4, actions, states.chosen(numbers), np.array(walks)[numbers])
                write_exam(exam, arguments.output, made_by=f"{walk + 1} walks from seed {arguments.seed} on")


if __name__ == "__main__":
    main()
