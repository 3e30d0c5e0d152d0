"""The records of a run: the lines of metrics.csv and evaluations.csv, how they are written, and what is read back."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mario_tui.stage_progress import progress_at_x

WINDOW = 100
"""Episodes over which means and clear rates are taken."""
WINDOWS = (1, 10, WINDOW, 1000)
"""Those that charts can show means over; 1 is every episode by itself."""
TRAINING = "training"
"""The kind of the episodes that means, clear rates and curves are of."""
PRACTICE = "practice"
"""The kind of those that began where another episode had been."""


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """One line of metrics.csv.

    `step` counts the training steps of all games at the episode's end, `length` the episode's own; `loss` and `q` are
    means over the updates made while it ran, 0 if there were none; `seconds` counts time trained, without pauses;
    `kind` is that of its game, see game_roles.py, or `practice`: older files have none, as all was training then.
    `progress` is how far through the stage it came, 0 to 1: for older files, which have none, by `max_x`.
    """

    episode: int
    step: int
    epsilon: float
    stage: str
    reward: float
    length: int
    loss: float
    q: float
    max_x: int
    end: str
    seconds: float
    kind: str = TRAINING
    progress: float = 0.0

    @property
    def cleared(self) -> bool:
        return self.end == "clear"

    @property
    def learned(self) -> bool:
        """Whether there were updates while it ran, so that `loss` and `q` mean something."""
        return self.loss != 0 or self.q != 0


LEARNED = ("loss", "q")
"""The fields that an episode without updates has no value of."""


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One line of evaluations.csv: how the weights of a step played.

    `protocol` is "greedy" or "robust"; `seconds` counts time trained until the result was there, without pauses.
    """

    step: int
    seconds: float
    protocol: str
    episodes: int
    clears: int
    mean_reward: float
    mean_x: float
    max_x: int


Record = TypeVar("Record", EpisodeRecord, EvaluationRecord)


def csv_heading(kind: type[EpisodeRecord | EvaluationRecord]) -> str:
    """The first line of a file of such records."""
    return _csv_text([field.name for field in fields(kind)])


def csv_line(record: EpisodeRecord | EvaluationRecord) -> str:
    """A record as a line of its file."""
    return _csv_text(asdict(record).values())


def _csv_text(row: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(row)
    return text.getvalue()


def read_metrics(path: Path) -> list[EpisodeRecord]:
    """The episodes in a metrics.csv; a last line that was cut off is left out."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:  # a spreadsheet may have saved it
        return parse_records(line for line in file if line.endswith("\n"))


def seconds_at(run: Path, step: int) -> float | None:
    """How long a run had trained at a step, pauses left out, by the last episode up to there; None without one."""
    known = [record.seconds for record in read_metrics(run / "metrics.csv") if record.step <= step]
    return known[-1] if known else None


def read_training(path: Path) -> list[EpisodeRecord]:
    """The episodes in a metrics.csv that were not there to measure."""
    return [record for record in read_metrics(path) if record.kind == TRAINING]


def read_evaluations(path: Path) -> list[EvaluationRecord]:
    """The evaluations in an evaluations.csv; lines that are none are left out."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return _parse(EvaluationRecord, file)


def parse_records(file: Iterable[str]) -> list[EpisodeRecord]:
    """The episodes in the lines of a metrics.csv; lines that are no episode are left out."""
    return _parse(EpisodeRecord, file)


def _parse(record: type[Record], file: Iterable[str]) -> list[Record]:
    kinds = {"int": int, "float": float, "str": str}
    records = []
    for row in _rows(file):
        try:
            row["kind"] = row.get("kind") or TRAINING  # None in a line with too few values
            if record is EpisodeRecord and not row.get("progress"):
                cleared = row["end"] == "clear"
                row["progress"] = str(progress_at_x(row["stage"], int(row["max_x"]), cleared=cleared))
            values = {field.name: kinds[str(field.type)](row[field.name]) for field in fields(record)}
        except (KeyError, TypeError, ValueError):
            continue
        if all(abs(value) < 1e18 for value in values.values() if not isinstance(value, str)):  # which NaN is not
            records.append(record(**values))
    return records


def _rows(file: Iterable[str]) -> Iterator[dict[str, str]]:
    """The rows of a CSV file, up to the first that cannot be parsed."""
    with contextlib.suppress(csv.Error):
        yield from csv.DictReader(line.replace("\0", "") for line in file)


_TAIL_BYTES = 4096


def last_step(run: Path) -> int:
    """The steps that a run had trained when its newest episode ended, by the end of its metrics.csv; 0 without one."""
    path = run / "metrics.csv"
    try:
        if not path.is_file():  # a pipe would be waited for
            return 0
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            tail = file.read().decode("utf-8", errors="replace")
    except OSError:
        return 0
    lines = [line for line in tail.splitlines(keepends=True) if line.endswith("\n")]
    records = parse_records([csv_heading(EpisodeRecord), *lines])
    return records[-1].step if records else 0


def progress(run: Path, points: int) -> list[float]:
    """The mean progress of a run's episodes, in that many equal parts of its metrics.csv, or one for each episode."""
    path = run / "metrics.csv"
    return list(_progress(path, path.stat().st_mtime_ns, points)) if path.is_file() else []


@functools.lru_cache(maxsize=64)
def _progress(path: Path, modified_ns: int, points: int) -> tuple[float, ...]:
    """As `progress`, cached: a long run's file takes a while to read, and lists of runs are made often."""
    reached = np.array([record.progress for record in read_training(path)])
    parts = np.array_split(reached, min(points, len(reached))) if len(reached) else ()
    return tuple(float(part.mean()) for part in parts)


COMPARED = ("progress", "reward", "clear rate", "loss", "Q")
"""The names that `run_curve` takes."""


Curve = list[tuple[float, float]]
"""(step, value)."""


def run_curve(run: Path, name: str, points: int, window: int = WINDOW) -> Curve:
    """(step, mean over `window` episodes) of a run's metrics.csv, at most that many points; `name`: one of COMPARED.

    Progress is in percent. Loss and Q are those of episodes in which something was learned; there is no point of what
    was not recorded.
    """
    return mean_curve(*episode_values(run)[name], points, window)


def episode_values(run: Path) -> Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The training episodes of a run as numbers: of each of COMPARED steps and values, (n,) float64 both."""
    path = run / "metrics.csv"
    if not path.is_file():
        return {name: (np.zeros(0), np.zeros(0)) for name in COMPARED}
    status = path.stat()
    return _episode_values(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=16)
def _episode_values(
    path: Path, modified_ns: int, size: int
) -> Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """As `episode_values`, cached: a long run's file takes a while to read."""
    value_of: dict[str, Callable[[EpisodeRecord], float]] = {
        "progress": lambda record: 100 * record.progress,
        "clear rate": lambda record: record.cleared,
        "reward": lambda record: record.reward,
        "loss": lambda record: record.loss,
        "Q": lambda record: record.q,
    }
    every = read_training(path)
    found = {}
    for name in COMPARED:
        records = [record for record in every if record.learned] if name.lower() in LEARNED else every
        values = np.array([value_of[name](record) for record in records], dtype=float)
        if name.lower() in LEARNED and not values.any():
            records, values = [], values[:0]
        found[name] = (np.array([record.step for record in records], dtype=float), values)
    return found


def mean_curve(steps: NDArray[np.float64], values: NDArray[np.float64], points: int, window: int) -> Curve:
    """The means over `window` episodes, or as many as there were, at the steps where they ended: so many of them."""
    if not len(values):
        return []
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.unique(np.linspace(1, len(values), min(points, len(values))).round().astype(int))
    starts = np.maximum(ends - window, 0)
    means = values[ends - 1] if window == 1 else (sums[ends] - sums[starts]) / (ends - starts)
    return [(float(steps[end - 1]), float(mean)) for end, mean in zip(ends, means, strict=True)]
