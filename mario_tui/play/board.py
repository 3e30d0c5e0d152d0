"""The board: how far one is on each of the 32 stages, by agents, by hand and by search."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mario_tui import paths
from mario_tui.game.action_log import MAX_FILE_BYTES
from mario_tui.game.stages import STAGES
from mario_tui.store import catalog, evaluations, shipped
from mario_tui.store.catalog import CheckpointInfo
from mario_tui.store.history import seconds_at

By = Literal["agent", "hand", "search"]


@dataclass(frozen=True, slots=True)
class Way:
    """An action log that clears a stage, in `plays/` or shipped: who made it, and how many frames it has."""

    path: Path
    by: By
    frames: int

    @property
    def is_shipped(self) -> bool:
        """Whether it comes with the program."""
        return self.path.parent == shipped.WAYS


@dataclass(frozen=True, slots=True)
class StageState:
    """What there is of a stage.

    Attributes:
        runs: that were trained on it, the shipped ones too.
        best: the best of their checkpoints; None if there is none.
        best_progress: how far through the stage its greedy episode came, 0 to 1; None if that was not measured.
        seconds: that its run had trained when it was saved; None if the run's metrics do not say.
        ways: the shortest log by hand and the shortest by search, of those that clear the stage.
    """

    stage: str
    runs: int
    best: CheckpointInfo | None
    best_progress: float | None
    seconds: float | None
    ways: tuple[Way, ...]

    @property
    def cleared_by(self) -> tuple[By, ...]:
        """How it is cleared: by the best agent, in greedy play or in a robust episode; by hand; by a search."""
        best = self.best
        agent: tuple[By, ...] = ("agent",) if best and (best.greedy_clear or best.robust_clear_rate) else ()
        return (*agent, *(way.by for way in self.ways))

    @property
    def way(self) -> Way | None:
        """The shortest log that clears it."""
        return min(self.ways, key=lambda way: way.frames, default=None)

    def as_json(self) -> dict[str, Any]:
        """The keys that `mario-tui stages --json` promises; `cleared_by` is what says most of those that do."""
        best, cleared_by = self.best, self.cleared_by
        return {
            "stage": self.stage,
            "best": str(best.path) if best else None,
            "greedy_clear": best.greedy_clear if best else None,
            "robust_clear_rate": best.robust_clear_rate if best else None,
            "robust_episodes": best.robust_episodes if best else 0,
            "progress": self.best_progress,
            "steps": best.step if best else None,
            "seconds": self.seconds,
            "cleared_by": {"agent": "learned"}.get(cleared_by[0], cleared_by[0]) if cleared_by else None,
            "runs": self.runs,
            "logs": {way.by: str(way.path) for way in self.ways},
        }


def read_board() -> tuple[StageState, ...]:
    """All stages in the order of the game, from one look at the disk."""
    runs, ways = catalog.scan(), _ways()
    return tuple(_state(stage, runs, tuple(ways[stage].values())) for stage in STAGES)


def _state(stage: str, known: catalog.Catalog, ways: tuple[Way, ...]) -> StageState:
    best = known.best_of_stage(stage)
    measured: Mapping[str, Any] = evaluations.read(best.path.parent).get(best.path.name, {}) if best else {}
    return StageState(
        stage=stage,
        runs=sum(run.stage == stage for run in known.runs),
        best=best,
        best_progress=evaluations.greedy_progress(measured, stage),
        seconds=seconds_at(best.path.parent, best.step) if best else None,
        ways=ways,
    )


def _ways() -> dict[str, dict[str, Way]]:
    """Stage -> who made it -> the shortest log that clears it, in `plays/` or else among those that come with the
    program. A file that cannot be read is none."""
    found: dict[str, dict[str, Way]] = {stage: {} for stage in STAGES}
    with contextlib.suppress(OSError):
        for file in (*sorted(paths.plays_dir().glob("*.json")), *sorted(shipped.WAYS.glob("*.json"))):
            with contextlib.suppress(OSError, ValueError, RecursionError, AttributeError, TypeError, KeyError):
                if file.name.startswith(".") or file.stat().st_size > MAX_FILE_BYTES:
                    continue
                content = json.loads(file.read_bytes())
                by: By = "search" if "searched" in content else "hand"
                if by == "hand" and content["cleared"] is not True:
                    continue
                way = Way(file, by, len(content["buttons"]) * int(content["frame_skip"]))
                of_stage = found[content["stage"]]
                if by not in of_stage or way.frames < of_stage[by].frames:
                    of_stage[by] = way
    return found
