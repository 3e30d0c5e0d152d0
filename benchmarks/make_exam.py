"""Makes an exam (mario_tui/play/exam.py) of the labelled states that trainings with corrections have saved.

python benchmarks/make_exam.py OUTPUT CHECKPOINT [CHECKPOINT ...] [--most N]

A CHECKPOINT is a run or one of its newest, which are saved with the replay; all are of one stage, and alike in what
their agents see and do. Nothing is played: the training has looked for the deaths at all places of the stage, and for
what was safe before them. Of states that are alike the first is taken, and of what is left at most N, by whole deaths.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mario_tui.agent.spec import AgentSpec
from mario_tui.buttons import ACTION_SETS
from mario_tui.grey_frames import FRAME_SHAPE
from mario_tui.play.exam import Exam, write_exam
from mario_tui.store import checkpoint, named
from mario_tui.training.state_files import read_labelled

ALIKE_GREY = 0.5
"""States whose grey levels differ by no more (mean absolute difference) are alike."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--most", type=int, default=400, help="states")
    arguments = parser.parse_args()
    folders = [named.find_checkpoint(path) for path in arguments.checkpoints]
    exam = joined([labelled_states(folder) for folder in folders])
    kept = distinct(exam.states)
    kept = kept[at_most(exam.deaths[kept], arguments.most)]
    made_by = ", ".join(f"{folder.parent.name}/{folder.name}" for folder in folders)
    write_exam(chosen(exam, kept), arguments.output, made_by=made_by)
    print(f"{len(kept)} of {len(exam.deaths)} states, from before {len(np.unique(exam.deaths[kept]))} deaths")


def labelled_states(folder: Path) -> Exam:
    """Those of a checkpoint; raises CheckpointError if it is damaged, SystemExit if it has none."""
    manifest = checkpoint.verify(folder)
    if "corrections.frames" not in manifest.parts:
        raise SystemExit(f"{folder} has no labelled states: it is of a training without corrections, or not its newest")
    spec = AgentSpec.parse(manifest.agent)
    labels, frames = read_labelled(folder, spec.frame_stack)
    states = frames.view(-1, spec.frame_stack, *FRAME_SHAPE).numpy()
    actions = ACTION_SETS[spec.action_set]
    safe = labels["safe"].numpy()
    return Exam(manifest.stage, spec.frame_skip, actions, spec.show_buttons, states, safe, deaths_of(states))


def deaths_of(states: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A number for the death that each state, (N, depth, 84, 84), is from.

    Those of a death follow each other, some steps apart: where a state has no frame of the one before, another begins.
    """
    of_states = [{frame.tobytes() for frame in state} for state in states]
    begins = [not one & other for one, other in pairwise(of_states)]
    return np.concatenate([[0], np.cumsum(begins, dtype=np.int64)])[: len(states)]


def joined(exams: list[Exam]) -> Exam:
    """All states of several in their order; raises SystemExit if these are not for the same agents."""
    first = exams[0]
    kinds = {(one.stage, one.frame_skip, one.actions, one.show_buttons, one.states.shape[1]) for one in exams}
    if len(kinds) > 1:
        raise SystemExit("the trainings are not alike in stage, action_set, frame_skip, frame_stack and show_buttons")
    deaths, before = [], 0
    for one in exams:
        deaths.append(one.deaths + before)
        before += len(np.unique(one.deaths))
    states, safe = (np.concatenate([getattr(one, name) for one in exams]) for name in ("states", "safe"))
    return Exam(first.stage, first.frame_skip, first.actions, first.show_buttons, states, safe, np.concatenate(deaths))


def chosen(exam: Exam, numbers: NDArray[np.int64]) -> Exam:
    """With the states of these numbers only, in this order."""
    kept = (exam.states[numbers], exam.safe[numbers], exam.deaths[numbers])
    return Exam(exam.stage, exam.frame_skip, exam.actions, exam.show_buttons, *kept)


def distinct(states: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The numbers of the states, (N, depth, 84, 84), that are not like an earlier one."""
    kept: list[int] = []
    for number, state in enumerate(states):
        if all(np.abs(state.astype(np.int16) - states[one]).mean() > ALIKE_GREY for one in kept):
            kept.append(number)
    return np.array(kept, np.int64)


def at_most(deaths: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Which states to take, of as many deaths as have so many together; deaths are drawn, always in the same way."""
    taken: list[int] = []
    for death in np.random.Generator(np.random.PCG64(0)).permutation(np.unique(deaths)):
        of_death = np.flatnonzero(deaths == death).tolist()
        if len(taken) + len(of_death) <= most:
            taken += of_death
    return np.array(sorted(taken), np.int64)


if __name__ == "__main__":
    main()
