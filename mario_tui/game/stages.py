"""The 32 stages of the game, `1-1` to `8-4`."""

from mario_tui.errors import InputError

STAGES: tuple[str, ...] = tuple(f"{world}-{level}" for world in range(1, 9) for level in range(1, 5))

MAZES = ("4-4", "7-4", "8-4")
"""Where a wrong way leads Mario back, again and again."""


def stage_warning(stage: str) -> str:
    """What to know before training or measuring on a stage: one line, "" for most."""
    if stage not in MAZES:
        return ""
    if stage == "8-4":  # where being led back is part of the way, see docs/stages.md
        return "8-4 is a maze: Mario is led back where he misses a pipe, and gets no farther"
    return f"{stage} is a maze: a wrong way would lead Mario back, and ends the episode at once"


def check_stage(text: str) -> str:
    """Returns the stage if there is such a one; raises InputError otherwise."""
    if text not in STAGES:
        raise InputError(f"there is no stage {text!r}: choose one from 1-1 to 8-4")
    return text


def next_stage(stage: str) -> str | None:
    """The stage that follows in the game; None after 8-4."""
    following = STAGES.index(check_stage(stage)) + 1
    return STAGES[following] if following < len(STAGES) else None
