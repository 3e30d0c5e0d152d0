"""Who plays the stages of the whole game: the best agent of each, or a log that clears it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mario_tui.errors import InputError
from mario_tui.play.board import StageState, read_board


@dataclass(frozen=True, slots=True)
class StagePlayer:
    """Who plays a stage: a checkpoint, or an action log; `who` says so in words."""

    stage: str
    path: Path
    who: str
    is_agent: bool


def players() -> tuple[StagePlayer, ...]:
    """Who plays the stages from 1-1 on, to the first one that nobody can play.

    Raises InputError where that is 1-1.
    """
    found: list[StagePlayer] = []
    for state in read_board():
        player = _player(state)
        if player is None:
            break
        found.append(player)
    if not found:
        raise InputError("nobody plays 1-1 yet: train an agent ('mario-tui train --stage 1-1'), or search a way")
    return tuple(found)


def _player(state: StageState) -> StagePlayer | None:
    """The best agent if it clears the stage; otherwise a log that does; otherwise the best agent all the same."""
    best, way = state.best, state.way
    if best is not None and ("agent" in state.cleared_by or way is None):
        return StagePlayer(state.stage, best.path, f"{best.run}, step {best.step:,}", is_agent=True)
    if way is not None:
        return StagePlayer(state.stage, way.path, f"a log by {way.by}", is_agent=False)
    return None
