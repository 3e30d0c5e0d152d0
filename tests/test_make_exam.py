"""benchmarks/make_exam.py: which of a training's labelled states make an exam."""

from pathlib import Path

import make_exam
import numpy as np
import pytest
import torch

from mario_tui.agent.mario import Mario
from mario_tui.buttons import ACTION_SETS
from mario_tui.config import TrainingConfig
from mario_tui.play.exam import Exam
from mario_tui.store import checkpoint
from mario_tui.training.state_files import writers

RUN = ACTION_SETS["run"]


def states_of(*stacks: tuple[int, ...]) -> np.ndarray:
    """States whose frames are each of one grey level."""
    return np.broadcast_to(np.array(stacks, np.uint8)[:, :, None, None], (len(stacks), len(stacks[0]), 84, 84))


def exam_of(states: np.ndarray, deaths: list[int], stage: str = "1-1") -> Exam:
    return Exam(stage, 4, RUN, True, states, np.eye(2, dtype=bool)[np.arange(len(deaths)) % 2], np.array(deaths))


def test_states_of_one_death_share_frames() -> None:
    states = states_of((14, 15, 16, 17), (12, 13, 14, 15), (11, 12, 13, 14), (34, 35, 36, 37), (33, 34, 35, 36))
    assert make_exam.deaths_of(states).tolist() == [0, 0, 0, 1, 1]
    assert make_exam.deaths_of(states[:1]).tolist() == [0]
    assert make_exam.deaths_of(states[:0]).tolist() == []


def test_of_states_that_look_alike_the_first_is_taken() -> None:
    states = states_of((10, 20, 30, 40), (10, 20, 30, 41), (10, 20, 31, 42), (10, 20, 30, 90))
    assert make_exam.distinct(states).tolist() == [0, 2, 3]


def test_whole_deaths_are_taken_up_to_a_number_of_states() -> None:
    deaths = np.array([0, 0, 1, 1, 1, 2, 3, 3])
    taken = make_exam.at_most(deaths, 5)
    assert 0 < len(taken) <= 5
    assert {death: int((deaths[taken] == death).sum()) for death in set(deaths[taken].tolist())}.items() <= {
        0: 2, 1: 3, 2: 1, 3: 2,
    }.items()  # fmt: skip
    assert taken.tolist() == make_exam.at_most(deaths, 5).tolist()
    assert make_exam.at_most(deaths, 8).tolist() == list(range(8))


def test_deaths_of_several_trainings_keep_apart() -> None:
    states = states_of((1, 2, 3, 4), (5, 6, 7, 8))
    both = make_exam.joined([exam_of(states, [0, 1]), exam_of(states, [0, 0])])
    assert both.deaths.tolist() == [0, 1, 2, 2]
    assert len(both.states) == len(both.safe) == 4
    with pytest.raises(SystemExit, match="not alike in stage"):
        make_exam.joined([exam_of(states, [0, 1]), exam_of(states, [0, 0], stage="1-2")])


def test_labelled_states_are_read_from_a_checkpoint(tmp_path: Path) -> None:
    config = TrainingConfig(action_set="run", show_buttons=True, corrections=0.25, corrections_size=10, replay_size=400)
    agent = Mario(config)
    assert agent.labelled is not None
    states = np.random.default_rng(0).integers(256, size=(6, 4, 84, 84), dtype=np.uint8)
    safe = np.eye(2, dtype=bool)[[0, 1, 1, 0, 1, 0]]
    agent.labelled.add(states, safe)
    header = {"stage": "1-1", "agent": agent.spec.model_dump(), "reward": "a test's", "config": {}}
    saved = [
        checkpoint.write(tmp_path / "run", step, writers(agent, {}, torch.zeros(1), "", replay=replay), header)
        for step, replay in ((7, True), (8, False))
    ]
    exam = make_exam.labelled_states(saved[0])
    assert (exam.stage, exam.frame_skip, exam.actions, exam.show_buttons) == ("1-1", 4, RUN, True)
    assert np.array_equal(exam.states, states)
    assert np.array_equal(exam.safe, safe)
    assert exam.deaths.tolist() == list(range(6))
    with pytest.raises(SystemExit, match="has no labelled states"):
        make_exam.labelled_states(saved[1])
