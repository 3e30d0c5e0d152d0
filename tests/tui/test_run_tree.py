"""The tree of runs: order, filter, and what a row says of itself."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mario_tui.store.catalog import CheckpointInfo
from mario_tui.tui import run_tree
from mario_tui.tui.run_tree import BEST_FIRST, ORDERS, Row
from tui.fakes import checkpoint, summaries

OLD = "2030-01-01T10:00:00+00:00"


def rows(*infos: CheckpointInfo) -> list[Row]:
    return [Row(run) for run in summaries(infos)]


def small() -> list[Row]:
    """Run a: steps 30, 20 and 10, of which 20 is the best; run b: step 25, older, larger."""
    return rows(
        checkpoint(30, run="a", note="falls into the pit"),
        checkpoint(20, run="a", robust_clear_rate=0.5, mean_reward=900.0),
        checkpoint(10, run="a", whole=False, problem="it is damaged"),
        checkpoint(25, run="b", stage="4-2", created=OLD, size_bytes=900_000_000, mean_reward=2000.0),
    )


def names(shown: Sequence[Row]) -> list[str]:
    return [row.run.run if row.checkpoint is None else f"{row.run.run}/{row.checkpoint.step}" for row in shown]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (BEST_FIRST, ["a", "a/30", "a/20", "a/10", "b"]),
        ("age", ["a", "a/30", "a/20", "a/10", "b"]),
        ("steps", ["a", "a/30", "a/20", "a/10", "b"]),
        ("clear rate", ["a", "a/20", "a/30", "a/10", "b"]),
        ("mean reward", ["b", "a", "a/30", "a/10", "a/20"]),
        ("size", ["b", "a", "a/30", "a/20", "a/10"]),
    ],
)
def test_runs_and_their_checkpoints_are_ordered(order: str, expected: list[str]) -> None:
    shown = run_tree.visible_rows(small(), order=order, words="", opened={Path("/checkpoints/a")})
    assert names(shown) == expected
    assert [row.last for row in shown if row.checkpoint is not None] == [False, False, True]
    assert order == BEST_FIRST or order in ORDERS


def test_only_opened_runs_show_their_checkpoints() -> None:
    assert names(run_tree.visible_rows(small(), order=BEST_FIRST, words="", opened=())) == ["a", "b"]
    opened = {Path("/checkpoints/b")}  # has one checkpoint only
    assert names(run_tree.visible_rows(small(), order=BEST_FIRST, words="", opened=opened)) == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("4-2", ["b"]), ("A 1-1", ["a", "a/30", "a/20", "a/10"]), ("pit", ["a", "a/30"]), ("pit 4-2", [])],
)
def test_every_word_of_the_filter_must_be_in_name_stage_or_note(words: str, expected: list[str]) -> None:
    opened = {Path("/checkpoints/a")}
    assert names(run_tree.visible_rows(small(), order=BEST_FIRST, words=words, opened=opened)) == expected


def test_runs_of_which_some_checkpoints_match_are_found() -> None:
    assert run_tree.partly_matching(small(), "pit") == {Path("/checkpoints/a")}
    assert run_tree.partly_matching(small(), "1-1") == set()
    assert run_tree.partly_matching(small(), "") == set()


def test_a_row_says_what_is_wrong_with_it() -> None:
    a, b = small()
    assert (run_tree.state_of(a), run_tree.state_of(b)) == ("1 damaged", "")
    damaged = a.run.checkpoints[2]
    assert run_tree.state_of(Row(a.run, damaged)) == "damaged"
    text, problem = run_tree.describe(Row(a.run, damaged), opened=True)
    assert problem
    assert text.startswith("it is damaged.")
    (alone,) = rows(replace(damaged, run="c", path=Path("/checkpoints/c/step-000000010")))
    assert run_tree.state_of(alone) == "damaged"
    assert (alone.agent, alone.resumable) == (None, None)
    assert alone.subject.step == 10


def test_two_checkpoints_of_a_step_are_told_apart() -> None:
    first = checkpoint(1_234_567, run="a")
    second = replace(first, path=first.path.with_name(f"{first.path.name}-2"))
    assert [run_tree.step_of(info) for info in (first, second)] == ["1,234,567", "1,234,567 (2)"]
    assert [run_tree.step_of(info, 10) for info in (first, second)] == ["1,234,567", "1.23M (2)"]


def test_a_run_says_what_its_keys_mean() -> None:
    a, _ = small()
    text, problem = run_tree.describe(a, opened=False)
    assert not problem
    assert "→ shows its 3 checkpoints, 1 of them damaged" in text
    assert "enter plays step 20" in text
    assert "c continues from step 30" in text
    assert "← hides" in run_tree.describe(a, opened=True)[0]
