"""The rows that lists of runs and checkpoints show."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from mario_tui import paths
from mario_tui.errors import CheckpointError
from mario_tui.store import evaluations, lookup
from mario_tui.store.checkpoint import check_sizes, last_verdict
from mario_tui.store.lookup import step_folders
from mario_tui.store.manifest import read_manifest
from mario_tui.store.untrusted import finite_number, sanitize

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """One row of the list of checkpoints.

    Attributes:
        mean_reward: of the last 100 training episodes before it was saved; None where its manifest does not say.
        episodes: how many training episodes had ended when it was saved; None where its manifest does not say.
        problem: what is wrong with one that is not whole.
        note: the user's own line.
        robust_episodes: of how many episodes the robust clear rate is; 0 where there is none, or nobody wrote it down.
        full, evaluated: saved with the replay; saved as an agent that was evaluated.
        verified: whether it was read through and is whole; where it was not, `whole` says that all parts are there and
            have their sizes.
    """

    path: Path
    run: str
    stage: str
    step: int
    created: str
    size_bytes: int
    whole: bool
    best: bool
    greedy_clear: bool | None
    robust_clear_rate: float | None
    mean_reward: float | None = None
    episodes: int | None = None
    problem: str = ""
    note: str = ""
    robust_episodes: int = 0
    full: bool = False
    evaluated: bool = False
    verified: bool = False

    def as_json(self) -> dict[str, Any]:
        """The keys that `mario-tui checkpoints --json` promises."""
        names = (
            "run",
            "stage",
            "step",
            "created",
            "size_bytes",
            "whole",
            "best",
            "greedy_clear",
            "robust_clear_rate",
            "mean_reward",
        )
        return {"path": str(self.path), **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A training run and its checkpoints, the newest first."""

    run: str
    path: Path
    stage: str
    created: str
    size_bytes: int
    checkpoints: list[CheckpointInfo] = field(default_factory=list)
    unread: str = ""
    """The name of a file with notes and measurements that cannot be read."""

    @property
    def newest(self) -> CheckpointInfo | None:
        """The newest checkpoint that is whole; None where there is none."""
        return next((info for info in self.checkpoints if info.whole), None)

    @property
    def resumable(self) -> CheckpointInfo | None:
        """What training goes on from, as `run.find_resumable` finds it."""
        newest = self.newest
        if newest is None or not newest.evaluated:
            return newest
        return next((info for info in self.checkpoints if info.whole and info.full), newest)

    @property
    def best(self) -> CheckpointInfo | None:
        """The best of the checkpoints that are whole; of equals, or where nothing was measured, the newest."""
        return max(
            (info for info in self.checkpoints if info.whole),
            key=lambda info: (info.best, info.robust_clear_rate or 0.0, info.greedy_clear is True),
            default=None,
        )

    @property
    def damaged(self) -> int:
        """How many of the checkpoints are not whole."""
        return sum(not info.whole for info in self.checkpoints)

    @property
    def greedy_clear(self) -> bool | None:
        """Whether greedy play of any whole checkpoint clears the stage; None where that was not measured."""
        known = [info.greedy_clear for info in self.checkpoints if info.whole and info.greedy_clear is not None]
        return any(known) if known else None

    @property
    def robust_clear_rate(self) -> float | None:
        """The highest robust clear rate of the whole checkpoints; None where that was not measured."""
        known = [info.robust_clear_rate for info in self.checkpoints if info.whole]
        return max((rate for rate in known if rate is not None), default=None)


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """That many of a sequence's items, evenly from the first to the last; all of them if there are no more."""
    if len(items) <= count:
        return list(items)
    return [items[round(number * (len(items) - 1) / (count - 1))] for number in range(count)]


def run_summaries() -> list[RunSummary]:
    """All runs, the newest first; damaged checkpoints are listed as such."""
    summaries = []
    for run in lookup.runs():
        measured = evaluations.read(run)
        best = evaluations.linked_best(run)
        infos = [
            _info(folder, measured.get(folder.name, {}), folder.name == best) for folder in reversed(step_folders(run))
        ]
        infos = [info for info in infos if info.path.is_dir()]  # a training may have replaced some meanwhile
        stage = next((info.stage for info in infos if info.whole), "?")
        created = max((info.created for info in infos), default="") or _time_of(run / "config.toml")
        summaries.append(
            RunSummary(
                run=run.name,
                path=run,
                stage=stage,
                created=created,
                size_bytes=sum(info.size_bytes for info in infos),
                checkpoints=infos,
                unread=evaluations.unreadable_file(run),
            )
        )
    return sorted(summaries, key=lambda summary: summary.created, reverse=True)


def list_checkpoints() -> list[CheckpointInfo]:
    """Every checkpoint: the best of each stage first, then the newest."""
    return _best_first(run_summaries())


def list_runs() -> list[RunSummary]:
    """The runs that have checkpoints: those with the best one of a stage first, then the newest."""
    summaries = {summary.path: summary for summary in run_summaries()}
    in_order = dict.fromkeys(info.path.parent for info in _best_first(summaries.values()))
    return [summaries[run] for run in in_order]


def _info(folder: Path, measured: Mapping[str, Any], best: bool) -> CheckpointInfo:
    match = paths.STEP_FOLDER.fullmatch(folder.name)
    stage, created, step, problem = "?", "", int(match[1]) if match else 0, ""
    found: str | None = None
    manifest: dict[str, Any] = {}
    try:
        manifest = read_manifest(folder)
        stage, created, step = manifest["stage"], manifest["created"], manifest["step"]
        check_sizes(folder)
        found = last_verdict(folder)
        problem = found or ""
    except CheckpointError as error:
        problem = str(error)
    clear = measured.get("greedy_clear")
    episodes = finite_number(manifest.get("episodes"))
    return CheckpointInfo(
        path=folder,
        run=folder.parent.name,
        stage=stage,
        step=step,
        created=created,
        size_bytes=_size_of(folder),
        whole=not problem,
        best=best,
        greedy_clear=clear if isinstance(clear, bool) else None,
        robust_clear_rate=evaluations.robust_rate(measured),
        robust_episodes=evaluations.robust_episodes(measured),
        mean_reward=finite_number(manifest.get("mean_reward")),
        episodes=None if episodes is None else int(episodes),
        problem=problem,
        full=manifest.get("full") is True,
        evaluated=manifest.get("evaluated") is True,
        verified=found == "",
        note=sanitize(note, evaluations.MAX_NOTE) if isinstance(note := measured.get("note"), str) else "",
    )


def _size_of(folder: Path) -> int:
    """Bytes of the files in a folder, of which some, or all, may go at any time."""
    size = 0
    with contextlib.suppress(OSError):
        for part in folder.iterdir():
            with contextlib.suppress(OSError):
                size += part.stat().st_size if part.is_file() else 0
    return size


def _time_of(path: Path) -> str:
    """When a file was written last; empty where it is not there, as when somebody just gave its run another name."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).isoformat(timespec="seconds")
    except OSError:
        return ""


def _best_first(summaries: Iterable[RunSummary]) -> list[CheckpointInfo]:
    infos = [info for summary in summaries for info in summary.checkpoints]
    measured = {run: evaluations.read(run) for run in {info.path.parent for info in infos}}

    def rank(info: CheckpointInfo) -> tuple[Any, ...]:
        return (
            info.whole,
            *evaluations.rank(measured[info.path.parent].get(info.path.name, {})),
            info.created,
            info.step,
        )

    infos.sort(key=rank, reverse=True)
    stages: set[str] = set()
    leaders: list[CheckpointInfo] = []
    others: list[CheckpointInfo] = []
    for info in infos:
        leader = info.whole and info.stage not in stages
        stages.add(info.stage)
        (leaders if leader else others).append(info)
    leaders.sort(key=lambda info: info.stage)
    others.sort(key=lambda info: (info.created, info.step), reverse=True)
    return leaders + others
