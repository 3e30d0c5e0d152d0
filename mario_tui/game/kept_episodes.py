"""The episodes of a run that can be watched again: what was pressed in each, and where Mario was.

They stand in episodes.csv beside metrics.csv, one a line: the button byte of every step (or of every frame, where
sticky actions change within a step) and the trail, each compressed and as text of base 85. The game is deterministic,
so the buttons are the episode.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mario_tui.errors import InputError
from mario_tui.game.action_log import MAX_FRAME_SKIP, ActionLog
from mario_tui.game.stages import STAGES
from mario_tui.store.history import read_training
from mario_tui.store.line_file import LineFile
from mario_tui.system.files import write_atomically

FILE = "episodes.csv"
HEADING = "episode,stage,frame_skip,buttons,trail\r\n"
_MOST_BYTES = 4 << 20  # of what a line holds, unpacked
_SPARE = 1.25  # the file is cut once it has so many times the lines that are kept

Trail = NDArray[np.int16]
"""(T, 3): x and y of Mario in pixels and the number of the area, see `place`, after each of T steps."""
Place = tuple[int, int, int]
"""A row of it."""


@dataclass(frozen=True, slots=True)
class KeptEpisode:
    """An episode by its number in metrics.csv."""

    episode: int
    log: ActionLog
    trail: Trail

    def line(self) -> str:
        """The episode as a line of the file."""
        steps = np.diff(self.trail, axis=0, prepend=np.zeros((1, 3), np.int16))  # mostly the same: they pack well
        log = self.log
        return (
            f"{self.episode},{log.stage},{log.frame_skip},{_packed(bytes(log.buttons))},{_packed(steps.tobytes())}\r\n"
        )

    @classmethod
    def of_line(cls, line: str) -> KeptEpisode:
        """Of what `line` gave; raises ValueError for anything else."""
        episode, stage, frame_skip, buttons, trail = line.rstrip("\r\n").split(",")
        if stage not in STAGES or not 1 <= (skip := int(frame_skip)) <= MAX_FRAME_SKIP:
            raise ValueError("a stage or frame skip that cannot be")
        steps = np.frombuffer(_unpacked(trail), np.int16).reshape(-1, 3)
        log = ActionLog(stage, skip, tuple(_unpacked(buttons)))
        return cls(int(episode), log, np.cumsum(steps, axis=0, dtype=np.int16))


def _packed(content: bytes) -> str:
    return base64.b85encode(zlib.compress(content, 9)).decode()  # has no comma


def _unpacked(text: str) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(base64.b85decode(text), _MOST_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not unpacking.eof:
        raise ValueError("it was cut off, or is too long")
    return content


@dataclass(frozen=True, slots=True)
class EpisodeName:
    """An episode of a run's training, by the run's folder and its number in metrics.csv."""

    run: Path
    episode: int

    def __str__(self) -> str:
        return f"{self.run.name}, episode {self.episode:,}"

    def load(self) -> KeptEpisode:
        """The episode; raises InputError where it is not kept."""
        return find_kept(self.run, self.episode)


class EpisodeFile:
    """Keeps the newest episodes of a run in its file.

    Args:
        run: the run's folder.
        most: how many; 0 for none.
    """

    def __init__(self, run: Path, most: int) -> None:
        self.path = run / FILE
        self._file, self._most = LineFile(self.path, HEADING), most
        self._count: int | None = None

    @property
    def problem(self) -> str:
        return self._file.problem

    def add(self, kept: KeptEpisode) -> None:
        """Adds an episode; where the file cannot be written it waits, see `LineFile`."""
        if not self._most:
            return
        self._file.add(kept.line())
        if self._count is None:
            self._count = self._file.content().count("\n") - 1
        else:
            self._count += 1
        if self._count > self._most * _SPARE and not self._file.problem:
            self._cut()

    def _cut(self) -> None:
        lines = self._file.content().splitlines(keepends=True)[1:]
        try:
            write_atomically(self.path, HEADING + "".join(lines[-self._most :]))
        except OSError:
            return  # later, when there is room
        self._count = self._most


def find_kept(run: Path, episode: int) -> KeptEpisode:
    """An episode by its number; raises InputError where it is not kept."""
    newest = oldest = None
    for line in _lines(run):
        number = line.partition(",")[0]
        if not re.fullmatch("[0-9]{1,18}", number):
            continue
        newest, oldest = int(number), int(number) if oldest is None else oldest
        if newest == episode:
            try:
                return KeptEpisode.of_line(line)
            except ValueError:
                raise InputError(
                    f"episode {episode:,} of {run.name} is damaged in {FILE}, and cannot be played"
                ) from None
    if newest is None:
        raise InputError(f"{run.name} keeps no episodes: it was trained with keep_episodes 0, or by an older version")
    raise InputError(f"episode {episode:,} of {run.name} is not kept: there are {oldest:,} to {newest:,}")


def find_near(run: Path, episode: float) -> EpisodeName:
    """The training episode whose number is nearest to this one; raises InputError where it is not kept."""
    numbers = [record.episode for record in read_training(run / "metrics.csv")]
    if not numbers:
        raise InputError(f"{run.name} has no training episodes in its metrics.csv")
    name = EpisodeName(run, min(numbers, key=lambda number: abs(number - episode)))
    name.load()
    return name


def _lines(run: Path) -> Iterator[str]:
    path = run / FILE
    if not path.is_file():
        return
    with path.open(newline="", encoding="ascii", errors="replace") as file:
        next(file, None)
        yield from (line for line in file if line.endswith("\n"))
