"""The buttons of an NES pad, and the named sets of combinations that an agent chooses from.

A combination is one byte with a bit for every button, as in action logs: `RIGHT | A` is 129.
"""

from collections.abc import Sequence
from typing import Literal

A, B, SELECT, START, UP, DOWN, LEFT, RIGHT = (1 << bit for bit in range(8))

# Directions first: a combination reads as one says it, "right+A".
_NAMES = {
    RIGHT: "right",
    LEFT: "left",
    DOWN: "down",
    UP: "up",
    A: "A",
    B: "B",
    START: "start",
    SELECT: "select",
}

_RUN3 = (RIGHT | B, RIGHT | A | B, LEFT | B)
_RIGHT_ONLY = (0, RIGHT, RIGHT | A, RIGHT | B, RIGHT | A | B)
_SIMPLE = (*_RIGHT_ONLY, A, LEFT)
_COMPLEX = (*_SIMPLE, LEFT | A, LEFT | B, LEFT | A | B, DOWN, UP)

ActionSet = Literal["tutorial", "run", "run3", "run5", "right_only", "simple", "complex"]

ACTION_SETS: dict[str, tuple[int, ...]] = {
    "tutorial": (RIGHT, RIGHT | A),
    "run": (RIGHT | B, RIGHT | A | B),
    "run3": _RUN3,
    "run5": (*_RUN3, LEFT | A | B, DOWN),
    "right_only": _RIGHT_ONLY,
    "simple": _SIMPLE,
    "complex": _COMPLEX,
}
"""Action number -> button byte; the last three have the order of gym_super_mario_bros.actions."""


def action_like(buttons: int, actions: Sequence[int]) -> int | None:
    """The number of the action that presses these buttons, or else the same but for B; None if there is none.

    B makes Mario faster. Any other button makes another move of it: where a player goes left, no action that goes
    right stands for that.
    """
    for ignored in (0, B):
        for action, byte in enumerate(actions):
            if byte | ignored == buttons | ignored:
                return action
    return None


def button_names(buttons: int) -> tuple[str, ...]:
    """The names of the buttons pressed in a byte, e.g. 129 -> ("right", "A"); 0 -> ()."""
    return tuple(name for bit, name in _NAMES.items() if buttons & bit)


def action_names(set_name: str) -> tuple[str, ...]:
    """What each action of a set presses, e.g. ("right", "right+A"); "no-op" where it presses nothing."""
    return tuple("+".join(button_names(buttons)) or "no-op" for buttons in ACTION_SETS[set_name])
