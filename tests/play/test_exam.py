import lzma
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_tui.agent.network import MarioNet
from mario_tui.agent.policy import Policy
from mario_tui.agent.spec import TUTORIAL
from mario_tui.buttons import ACTION_SETS
from mario_tui.errors import InputError
from mario_tui.play import exam as exam_files
from mario_tui.play.exam import Exam, Score, read_exam, take_exam, write_exam

RUN = ACTION_SETS["run"]


def make_exam(count: int = 70, show_buttons: bool = False) -> Exam:
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=(count + 3, 84, 84), dtype=np.uint8)
    first = rng.integers(2, size=count).astype(bool)
    states = np.stack([frames[state : state + 4] for state in range(count)])
    return Exam("1-1", 4, RUN, show_buttons, states, np.stack([first, ~first], axis=1), np.arange(count) // 5)


def make_policy(**spec: Any) -> Policy:
    torch.manual_seed(0)
    return Policy(MarioNet(TUTORIAL.model_copy(update={"action_set": "run", **spec})).eval(), "1-1", 0, "a test's")


@pytest.mark.parametrize("show_buttons", [False, True])
def test_what_is_written_is_read_and_frames_are_stored_once(tmp_path: Path, show_buttons: bool) -> None:
    exam = make_exam(show_buttons=show_buttons)
    write_exam(exam, tmp_path / "exam", made_by="a test")
    again = read_exam(tmp_path / "exam")
    for name in ("stage", "frame_skip", "actions", "show_buttons"):
        assert getattr(again, name) == getattr(exam, name), name
    for name in ("states", "safe", "deaths"):
        assert np.array_equal(getattr(again, name), getattr(exam, name)), name
    assert len(lzma.decompress((tmp_path / "exam").read_bytes())) < 1.1 * 73 * 84 * 84


@pytest.mark.parametrize("depth", [1, 4])
def test_the_score_is_that_of_each_state_alone(depth: int) -> None:
    exam, policy = make_exam(), make_policy(frame_stack=depth)
    right = []
    for state, safe in zip(exam.states, exam.safe, strict=True):
        seen = torch.from_numpy(state[-depth:])
        right.append(safe[int(np.argmax(policy.q_values(seen)))])
    score = take_exam(policy, exam)
    assert score.right.tolist() == right
    assert 0 < score.share < 1


@pytest.mark.parametrize(
    "spec",
    [
        {"action_set": "tutorial"},
        {"action_set": "right_only"},
        {"frame_skip": 3},
        {"frame_stack": 5},
        {"show_buttons": True},
    ],
)
def test_an_agent_that_it_is_not_for_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="the exam is"):
        take_exam(make_policy(**spec), make_exam(3))


def test_its_interval_goes_by_deaths() -> None:
    """Ten states that share their fate say as much as one."""
    rng = np.random.default_rng(0)
    fates = rng.random(100) < 0.8
    alone = Score(fates, np.arange(100))
    together = Score(np.repeat(fates, 10), np.repeat(np.arange(100), 10))
    low, high = alone.interval()
    assert (low, high) == together.interval() == alone.interval()
    assert 0.6 < low < alone.share < high < 0.95
    assert together.as_json()["deaths"] == 100


def test_foreign_and_damaged_files_are_one_line(tmp_path: Path) -> None:
    exam = make_exam(5)
    write_exam(exam, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    write_exam(replace(exam, deaths=exam.deaths[:3]), tmp_path / "short")
    contents = {"text": b"hello", "empty": b"", "cut": whole[: len(whole) // 2], "packed": lzma.compress(b"hello")}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "short", "missing", "."):
        with pytest.raises(InputError) as error:
            read_exam(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_file_of_very_many_states_is_refused_before_they_take_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its states share frames, so that a small file can have more of them than there is memory for."""
    write_exam(make_exam(5), tmp_path / "exam")
    monkeypatch.setattr(exam_files, "MAX_BYTES", 100_000)  # 8 frames of 7 KB, and 5 states of 28 KB
    with pytest.raises(InputError, match="too many states"):
        read_exam(tmp_path / "exam")
