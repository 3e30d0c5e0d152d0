import importlib
from typing import get_args

import pytest

from mario_tui import buttons
from mario_tui.buttons import (
    ACTION_SETS,
    DOWN,
    LEFT,
    RIGHT,
    START,
    A,
    ActionSet,
    B,
    action_like,
    action_names,
    button_names,
)


def test_a_byte_has_the_bits_of_an_action_log() -> None:
    names = ("A", "B", "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT")
    assert [getattr(buttons, name) for name in names] == [1, 2, 4, 8, 16, 32, 64, 128]


def test_button_names() -> None:
    assert button_names(0) == ()
    assert button_names(131) == ("right", "A", "B")
    assert set(button_names(255)) == {"right", "left", "down", "up", "A", "B", "start", "select"}


def test_action_names() -> None:
    assert action_names("tutorial") == ("right", "right+A")
    assert action_names("run") == ("right+B", "right+A+B")
    assert action_names("run3") == ("right+B", "right+A+B", "left+B")
    assert action_names("run5") == ("right+B", "right+A+B", "left+B", "left+A+B", "down")
    assert action_names("right_only") == ("no-op", "right", "right+A", "right+B", "right+A+B")
    assert action_names("simple")[5:] == ("A", "left")
    assert action_names("complex")[7:] == ("left+A", "left+B", "left+A+B", "down", "up")


@pytest.mark.parametrize(
    ("set_name", "package_name"),
    [("right_only", "RIGHT_ONLY"), ("simple", "SIMPLE_MOVEMENT"), ("complex", "COMPLEX_MOVEMENT")],
)
def test_sets_have_the_order_of_the_game_package(set_name: str, package_name: str) -> None:
    theirs = getattr(importlib.import_module("gym_super_mario_bros.actions"), package_name)
    ours = [list(button_names(byte)) or ["NOOP"] for byte in ACTION_SETS[set_name]]
    assert ours == theirs


@pytest.mark.parametrize(
    ("held", "set_name", "action"),
    [
        (RIGHT, "tutorial", 0),
        (RIGHT | A, "tutorial", 1),
        (RIGHT | B, "tutorial", 0),  # runs, where the agent walks
        (RIGHT | A | B, "tutorial", 1),
        (RIGHT, "run", 0),  # walks, where the agent runs
        (0, "tutorial", None),
        (A, "tutorial", None),
        (LEFT, "tutorial", None),
        (LEFT | RIGHT, "tutorial", None),
        (RIGHT | DOWN, "tutorial", None),
        (RIGHT | START, "tutorial", None),
        (RIGHT | B, "simple", 3),
        (B, "simple", 0),
        (A | B, "simple", 5),
        (LEFT | A, "simple", None),
        (LEFT | A | B, "complex", 9),
    ],
)
def test_an_action_is_like_buttons_that_differ_in_b_alone(held: int, set_name: str, action: int | None) -> None:
    assert action_like(held, ACTION_SETS[set_name]) == action


@pytest.mark.parametrize("set_name", ACTION_SETS)
def test_every_action_is_like_itself(set_name: str) -> None:
    actions = ACTION_SETS[set_name]
    assert [action_like(byte, actions) for byte in actions] == list(range(len(actions)))


def test_the_type_of_action_set_names_is_the_table() -> None:
    assert get_args(ActionSet) == tuple(ACTION_SETS)
