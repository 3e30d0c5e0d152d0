"""The runs and checkpoints that there are, with all that lists show of them, from one look at the disk."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from mario_tui.errors import CheckpointError, DamagedError
from mario_tui.store import checkpoint, evaluations, lookup, rescue, shipped
from mario_tui.store.checkpoint import check_sizes, last_verdict
from mario_tui.store.history import last_step
from mario_tui.store.manifest import Manifest
from mario_tui.store.untrusted import sanitize
from mario_tui.system import times

T = TypeVar("T")

TRAINING_STATE = "trainer.json"
"""The part of a checkpoint that only those have from which training can go on."""


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """One row of the list of checkpoints.

    Attributes:
        created, sequence, step, stage, mean_reward, episodes, full, evaluated: as in its manifest, see `Manifest`.
        size_bytes: of all its files.
        whole: whether nothing wrong was found: all parts are there and have their sizes.
        verified: whether it was also read through, and is as it was saved.
        problem: what is wrong with one that is not whole, and `advice` what can be done about it, if it is damaged.
        best: whether it is the best of its run, see `evaluations.best_of`.
        greedy_clear, robust_clear_rate: as they were measured; None if they were not.
        greedy_progress: how far through the stage greedy play came, 0 to 1; None if that was not measured.
        trainable: whether it has what training resumes with: an export, which only plays, has not.
        robust_episodes: over how many episodes the robust clear rate was measured; 0 if it was not, or is not known.
        rank: orders checkpoints by what was measured of them, see `evaluations.rank`.
        note: the user's own line.
        shipped: whether it comes with the program, and stays as it is.
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
    advice: str = ""
    note: str = ""
    robust_episodes: int = 0
    full: bool = False
    evaluated: bool = False
    verified: bool = False
    sequence: int = 0
    rank: tuple[float, bool] = evaluations.NEVER_CLEARED
    shipped: bool = False
    greedy_progress: float | None = None
    trainable: bool = True

    @property
    def number(self) -> int:
        """1 for the first checkpoint of its step in its run, 2 for the second, and so on."""
        return lookup.place(self.path)[1]

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
    shipped: bool = False
    """Whether it comes with the program, and stays as it is."""
    last_step: int = 0
    """The step at which its newest episode ended; 0 if none has."""

    @property
    def step(self) -> int:
        """How far it has trained: where it was saved last, or farther, where it trains now or was killed.

        An export has the episodes of the run that it was taken from, also those after its step.
        """
        saved = self.checkpoints[0].step if self.checkpoints else 0
        return saved if self.is_export else max(saved, self.last_step)

    @property
    def is_export(self) -> bool:
        """Whether it is an agent that was exported from another run, and was not trained here."""
        return bool(self.checkpoints) and not any(info.trainable for info in self.checkpoints)

    @property
    def newest(self) -> CheckpointInfo | None:
        """The newest checkpoint that is whole; None if there is none."""
        return next((info for info in self.checkpoints if info.whole), None)

    @property
    def resumable(self) -> CheckpointInfo | None:
        """The checkpoint from which training resumes, as `run.find_resumable` finds it."""
        newest = self.newest
        if newest is None or not newest.evaluated:
            return newest
        return next((info for info in self.checkpoints if info.whole and info.full), newest)

    @property
    def best(self) -> CheckpointInfo | None:
        """The best of the checkpoints that are whole; of equals, or if none has cleared the stage, the newest."""
        return max((info for info in self.checkpoints if info.whole), key=lambda info: info.rank, default=None)

    @property
    def rank(self) -> tuple[float, bool]:
        """That of its best checkpoint, see `evaluations.rank`."""
        return evaluations.NEVER_CLEARED if (best := self.best) is None else best.rank

    @property
    def damaged(self) -> int:
        """How many of the checkpoints are not whole."""
        return sum(not info.whole for info in self.checkpoints)

    @property
    def greedy_progress(self) -> float | None:
        """How far through the stage greedy play of any whole checkpoint came; None if that was not measured."""
        known = [info.greedy_progress for info in self.checkpoints if info.whole and info.greedy_progress is not None]
        return max(known, default=None)

    @property
    def greedy_clear(self) -> bool | None:
        """Whether greedy play of any whole checkpoint clears the stage; None if that was not measured."""
        known = [info.greedy_clear for info in self.checkpoints if info.whole and info.greedy_clear is not None]
        return any(known) if known else None

    @property
    def robust_clear_rate(self) -> float | None:
        """The best robust clear rate of the whole checkpoints, by the lower end of its interval; None if that was not
        measured."""
        best = self._most_robust
        return None if best is None else best.robust_clear_rate

    @property
    def robust_episodes(self) -> int:
        """Over how many episodes that was measured; 0 if it was not, or is not known."""
        best = self._most_robust
        return 0 if best is None else best.robust_episodes

    @property
    def _most_robust(self) -> CheckpointInfo | None:
        known = [info for info in self.checkpoints if info.whole and info.robust_clear_rate is not None]
        return max(known, key=lambda info: info.rank[0], default=None)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All runs and checkpoints, as one look at the disk found them; see `scan`.

    Attributes:
        runs: the newest first, also those without a checkpoint; damaged checkpoints are listed as such.
    """

    runs: tuple[RunSummary, ...]

    @property
    def checkpoints(self) -> list[CheckpointInfo]:
        """Every checkpoint: the best of each stage first, then the newest."""
        first = self.best_of_stages
        return [*first, *(info for info in self._newest_first() if not any(info is one for one in first))]

    @property
    def best_of_stages(self) -> tuple[CheckpointInfo, ...]:
        """The best whole checkpoint of each stage, by stage.

        In a run it is the one with the highest rank, of equals the newest (`evaluations.rank`). Between runs the rank
        decides, then how far through the stage greedy play of any of its checkpoints came, then the newest.
        """
        of_run: dict[tuple[Path, str], CheckpointInfo] = {}
        farthest: dict[tuple[Path, str], float] = {}
        for info in self._newest_first():
            place = info.path.parent, info.stage
            if info.whole:
                if place not in of_run or info.rank > of_run[place].rank:
                    of_run[place] = info
                farthest[place] = max(farthest.get(place, -1.0), -1.0 if (far := info.greedy_progress) is None else far)
        best: dict[str, CheckpointInfo] = {}
        for place in sorted(of_run, key=lambda place: (of_run[place].rank, farthest[place]), reverse=True):
            best.setdefault(place[1], of_run[place])
        return tuple(best[stage] for stage in sorted(best))

    def _newest_first(self) -> list[CheckpointInfo]:
        """By time, but those of one run in the order of their saves, also if the clock was put back in between."""
        places: list[tuple[tuple[float, int], CheckpointInfo]] = []
        for run in self.runs:
            latest = -math.inf
            for number, info in enumerate(reversed(run.checkpoints)):
                latest = max(latest, times.order(info.created))
                places.append(((latest, number), info))
        return [info for _, info in sorted(places, key=lambda entry: entry[0], reverse=True)]

    @property
    def trained_runs(self) -> list[RunSummary]:
        """The runs that have checkpoints: those with the best one of a stage first, then the newest."""
        of_path = {run.path: run for run in self.runs}
        return [of_path[run] for run in dict.fromkeys(info.path.parent for info in self.checkpoints)]

    def best_of_stage(self, stage: str) -> CheckpointInfo | None:
        """The best whole checkpoint of a stage; None if there is none."""
        return next((info for info in self.best_of_stages if info.stage == stage), None)


def scan() -> Catalog:
    """Looks at all runs, the shipped ones too: every manifest and every file of evaluations is read once."""
    runs = [_summary(run) for run in lookup.all_runs()]
    return Catalog(tuple(sorted(runs, key=lambda run: times.order(run.created), reverse=True)))


def _summary(run: Path) -> RunSummary:
    known, manifests = evaluations.load(run), lookup.read_manifests(run)

    def looks_whole(folder: Path) -> bool:
        manifest = manifests[folder]
        return isinstance(manifest, Manifest) and checkpoint.looks_whole(folder, manifest)

    best = evaluations.best_of(list(manifests), known.entries, looks_whole)
    infos = [
        _info(folder, manifest, known.entries.get(folder.name, {}), folder.name == best)
        for folder, manifest in reversed(manifests.items())
    ]
    infos = [info for info in infos if info.path.is_dir()]  # a training may have replaced some meanwhile
    if not all(info.whole for info in infos):
        advice = rescue.advice(run, next((info.path for info in infos if info.whole), None))
        damaged = {folder for folder, found in manifests.items() if not _is_foreign(found)}
        infos = [replace(info, advice=advice) if info.path in damaged and not info.whole else info for info in infos]
    return RunSummary(
        run=run.name,
        path=run,
        stage=next((info.stage for info in infos if info.whole), "?"),
        created=max((info.created for info in infos), key=times.order, default="") or _time_of(run / "config.toml"),
        size_bytes=sum(info.size_bytes for info in infos),
        checkpoints=infos,
        unread=known.unreadable,
        shipped=shipped.is_shipped(run),
        last_step=last_step(run),
    )


def _is_foreign(found: Manifest | CheckpointError) -> bool:
    """Whether a checkpoint is not damaged, but of another version of this program."""
    return isinstance(found, CheckpointError) and not isinstance(found, DamagedError)


def _info(
    folder: Path, manifest: Manifest | CheckpointError, measured: Mapping[str, Any], best: bool
) -> CheckpointInfo:
    verified = False
    said: dict[str, Any]
    if isinstance(manifest, Manifest):
        try:
            check_sizes(folder, manifest)
            verdict = last_verdict(folder)
            problem, verified = verdict or "", verdict == ""
        except CheckpointError as error:
            problem = str(error)
        said = {
            "stage": manifest.stage,
            "step": manifest.step,
            "created": manifest.created,
            "sequence": manifest.sequence,
            "mean_reward": manifest.mean_reward,
            "episodes": manifest.episodes,
            "full": manifest.full,
            "evaluated": manifest.evaluated,
            "trainable": TRAINING_STATE in manifest.parts,
        }
    else:
        problem = str(manifest)
        said = {"stage": "?", "step": lookup.place(folder)[0], "created": "", "sequence": 0}
    clear, note = measured.get("greedy_clear"), measured.get("note")
    return CheckpointInfo(
        path=folder,
        run=folder.parent.name,
        size_bytes=_size_of(folder),
        whole=not problem,
        best=best,
        greedy_clear=clear if isinstance(clear, bool) else None,
        greedy_progress=evaluations.greedy_progress(measured, said["stage"]),
        robust_clear_rate=evaluations.robust_rate(measured),
        robust_episodes=evaluations.robust_episodes(measured),
        rank=evaluations.rank(measured),
        problem=problem,
        shipped=shipped.is_shipped(folder),
        verified=verified,
        note=sanitize(note, evaluations.MAX_NOTE) if isinstance(note, str) else "",
        **said,
    )


def _size_of(folder: Path) -> int:
    """Bytes of the files in a folder; any of them may be deleted meanwhile."""
    size = 0
    with contextlib.suppress(OSError):
        for part in folder.iterdir():
            with contextlib.suppress(OSError):
                size += part.stat().st_size if part.is_file() else 0
    return size


def _time_of(path: Path) -> str:
    """When a file was written last; empty if it is not there, e.g. since its run was renamed just now."""
    try:
        return times.of_timestamp(path.stat().st_mtime)
    except OSError:
        return ""


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """That many of a sequence's items, evenly from the first to the last; all of them if there are no more."""
    if len(items) <= count:
        return list(items)
    return [items[round(number * (len(items) - 1) / (count - 1))] for number in range(count)]
