"""The episodes of a run on the map of its stage: where Mario was, and where each ended."""

from __future__ import annotations

import bisect
import contextlib
import functools
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mario_tui import stage_map
from mario_tui.errors import InputError
from mario_tui.game.kept_episodes import FILE, KeptEpisode, Place, Trail
from mario_tui.store.history import EpisodeRecord, csv_heading, parse_records

SHOWN = 100
"""Episodes that are drawn if nobody says otherwise: those of a mean."""
END_COLOURS: dict[str, tuple[int, int, int]] = {
    "death": (255, 64, 48),
    "clear": (80, 255, 96),
    "stall": (255, 176, 32),
    "loop": (255, 96, 255),
    "left": (255, 96, 255),
    "time": (200, 200, 200),
}
_OLD, _NEW = np.array((64, 112, 220, 72)), np.array((120, 240, 255, 255))
_OLD_DOT = 96
"""How opaque, of 255, the dot of the oldest episode is, as the last number of a trail's colours is."""
_CHOSEN, _MARIO = (255, 255, 0), (255, 255, 255)
GROUND = 0.45  # so much of the map's brightness is left under the trails
_LEAP = 48  # pixels between two steps that no line joins: through a pipe


@dataclass(frozen=True, slots=True)
class MapEpisode:
    """A finished episode, and where Mario was in it."""

    record: EpisodeRecord
    trail: Trail

    def points(self) -> NDArray[np.int64]:
        """Columns and rows of its trail on the map, (T, 2), -1 and -1 where the map does not have the place."""
        return stage_map.on_map(self.record.stage, self.trail)


class RunMap:
    """The kept episodes of a run, read from its files as they grow.

    Args:
        run: the run's folder.
        most: only so many of them, the newest, which is quicker; None for all.
    """

    def __init__(self, run: Path, most: int | None = None) -> None:
        self.run, self._most = run, most
        self.episodes: list[MapEpisode] = []
        """In their order."""
        self._metrics, self._kept = _Growing(run / "metrics.csv"), _Growing(run / FILE)
        self._records: dict[int, EpisodeRecord] = {}
        self._trails: dict[int, Trail] = {}

    def read(self) -> bool:
        """Reads what is new; whether there was anything."""
        metrics, metrics_anew = self._metrics.read()
        kept, kept_anew = self._kept.read()
        episodes = self.episodes
        if metrics_anew or kept_anew:  # the run went on from an earlier checkpoint, or older ones went
            self._metrics.forget()
            self._kept.forget()
            self._records.clear()
            self._trails.clear()
            episodes = []
            (metrics, _), (kept, _) = self._metrics.read(), self._kept.read()
        rows, lines = metrics.splitlines(keepends=True), kept.splitlines(keepends=True)
        if self._most is not None:  # some episodes are in one of the files alone
            rows, lines = rows[-2 * self._most :], lines[-self._most :]
        for record in parse_records(io.StringIO(csv_heading(EpisodeRecord) + "".join(rows), newline="")):
            self._records[record.episode] = record
        for line in lines:
            try:
                one = KeptEpisode.of_line(line)
            except ValueError:
                continue
            known = self._records.get(one.episode)
            if known is None or (known.stage == one.log.stage and known.end in END_COLOURS):  # none made elsewhere
                self._trails[one.episode] = one.trail
        both = sorted(self._records.keys() & self._trails.keys())
        new = [MapEpisode(self._records.pop(number), self._trails.pop(number)) for number in both]
        if both:  # what is older has no trail any more
            self._records = {number: record for number, record in self._records.items() if number > both[-1]}
        episodes = [*episodes, *new]
        self.episodes = episodes if self._most is None else episodes[-self._most :]  # another thread may look at it
        return bool(both) or metrics_anew or kept_anew


class _Growing:
    """A file whose new lines are read again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.forget()

    def forget(self) -> None:
        """Begins at the first line once more."""
        self._file, self._read = 0, 0

    def read(self) -> tuple[str, bool]:
        """The whole lines since the last call, without the heading; and whether it is another file than before."""
        try:
            if not self._path.is_file():  # a pipe would be waited for
                return "", False
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                anew = bool(self._read) and (status.st_ino != self._file or status.st_size < self._read)
                if anew or not self._read:
                    self._read = len(file.readline())
                self._file = status.st_ino
                file.seek(self._read)
                content = file.read()
        except OSError:
            return "", False
        content = content[: content.rfind(b"\n") + 1]
        self._read += len(content)
        return content.decode("utf-8", errors="replace"), anew


def read_map(run: Path) -> RunMap:
    """The episodes of a run as far as they are kept; raises InputError where none is."""
    found = RunMap(run)
    found.read()
    if not found.episodes:
        raise InputError(
            f"{run.name} has no episode that is kept: it was trained with keep_episodes 0, or by an older version"
        )
    return found


def run_picture(run: Path, stage: str, width: int, height: int) -> NDArray[np.uint8] | None:
    """A small picture of how a run's newest episodes go, (height, width, 3) or smaller; None for a stage without a map.

    It is the whole map of the stage in several lines, where that can be recognised in so many pixels, and otherwise the
    part of it where most of the episodes end; without kept episodes the start of the stage.
    """
    if stage not in stage_map.pieces() or width < 1 or height < 1:
        return None
    states = []
    for name in (FILE, "metrics.csv"):
        with contextlib.suppress(OSError):
            status = (run / name).stat()
            states.append((status.st_mtime_ns, status.st_size))
    return _run_picture(run, stage, width, height, tuple(states))


_LEAST_SCALE = 0.25  # of the map's pixels: a block is four wide


@functools.lru_cache(maxsize=32)
def _run_picture(
    run: Path, stage: str, width: int, height: int, states: tuple[tuple[int, int], ...]
) -> NDArray[np.uint8]:
    """As `run_picture`, cached while the run's files stay as they are."""
    newest = RunMap(run, SHOWN)
    newest.read()
    episodes = [one for one in newest.episodes if one.record.stage == stage]
    lines, scale = fitted(stage, width, height)
    if scale >= _LEAST_SCALE:
        return in_lines(draw_map(stage, episodes, scale=scale), lines)
    scale = height / stage_map.HEIGHT
    picture = draw_map(stage, episodes, scale=scale)
    ends = [points[-1, 0] * scale for one in episodes if len(points := _known(one.points()))]
    left = min(_fullest(ends, width), max(0, picture.shape[1] - width))
    return picture[:, left : left + width]


def _known(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """The points that the map has."""
    return points[points[:, 0] >= 0]


def _fullest(places: Sequence[float], width: int) -> int:
    """Where the stretch of that width begins that has the most of the places, in its middle; 0 without places."""
    if not places:
        return 0
    found = np.sort(np.asarray(places))
    counts = np.searchsorted(found, found + 0.8 * width, side="right") - np.arange(len(found))
    first = len(found) - 1 - int(np.argmax(counts[::-1]))  # of equals the farthest
    middle = (found[first] + found[first + counts[first] - 1]) / 2
    return max(0, round(float(middle) - width / 2))


def draw_map(
    stage: str, episodes: Sequence[MapEpisode], *, chosen: MapEpisode | None = None, scale: float = 1.0
) -> NDArray[np.uint8]:
    """The map of a stage with trails that fade with age, and a dot where each episode ended: (H, W, 3) uint8.

    Args:
        episodes: the newest last.
        chosen: drawn above all others.
        scale: of the map's pixels, 208 in height.
    """
    whole = Image.fromarray(stage_map.stage_map(stage))
    size = max(1, round(whole.width * scale)), max(1, round(whole.height * scale))
    ground = np.asarray(whole.resize(size, Image.Resampling.BOX)) * GROUND
    picture = Image.fromarray(ground.astype(np.uint8))
    draw = ImageDraw.Draw(picture, "RGBA")  # which lets through what is under it
    thin = max(1, round(2 * scale))
    ways = [episode.points() for episode in episodes]
    for number, points in enumerate(ways):
        colour = _OLD + (_NEW - _OLD) * ((number + 1) / len(ways)) ** 2
        _line(draw, points, _rgba(colour), scale, thin)
    radius = max(0.3, 5 * scale)
    for number, (episode, points) in enumerate(zip(episodes, ways, strict=True)):
        opaque = round(_OLD_DOT + (255 - _OLD_DOT) * (number + 1) / len(ways))
        _dot(draw, (*END_COLOURS[episode.record.end], opaque), points, scale, radius)
    if chosen is not None:
        _line(draw, chosen.points(), _CHOSEN, scale, max(thin, round(4 * scale)))
        _dot(draw, END_COLOURS[chosen.record.end], chosen.points(), scale, max(1.0, 2 * radius), outline=_CHOSEN)
    return np.asarray(picture)


def _line(
    draw: ImageDraw.ImageDraw, points: NDArray[np.int64], colour: tuple[int, ...], scale: float, width: int
) -> None:
    known = points[:, 0] >= 0
    far = (np.abs(np.diff(points, axis=0)).max(axis=1, initial=0) > _LEAP) if len(points) > 1 else np.zeros(0, bool)
    breaks = np.flatnonzero(far | ~known[1:] | ~known[:-1]) + 1 if len(points) > 1 else np.zeros(0, int)
    for part in np.split(points, breaks):
        if len(part) > 1 and part[0, 0] >= 0:
            draw.line([(float(x), float(y)) for x, y in part * scale], fill=colour, width=width)


def _dot(
    draw: ImageDraw.ImageDraw,
    colour: tuple[int, ...],
    points: NDArray[np.int64],
    scale: float,
    radius: float,
    outline: tuple[int, int, int] | None = None,
) -> None:
    """A dot at the last of the points that the map has; none where it has none of them."""
    known = _known(points)
    if not len(known):
        return
    column, row = (known[-1] * scale).tolist()
    row = min(max(row, radius), stage_map.HEIGHT * scale - radius - 1)  # who fell is at the lower edge
    box = (column - radius, row - radius, column + radius, row + radius)
    draw.ellipse(box, fill=colour, outline=outline)


def _rgba(colour: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(colour.round().astype(int).tolist())


def fitted(stage: str, width: int, height: int) -> tuple[int, float]:
    """In how many lines a map is the largest in a box of so many pixels, and the scale it has then."""
    length = stage_map.stage_map(stage).shape[1]
    best = (1, 0.0)
    for lines in range(1, 13):
        scale = min(width / -(-length // lines), (height - (lines - 1)) / (lines * stage_map.HEIGHT))
        if scale > best[1]:
            best = (lines, scale)
    return best


def in_lines(picture: NDArray[np.uint8], lines: int) -> NDArray[np.uint8]:
    """A map cut into equal parts, one under the other with a dark line between."""
    height, length, _ = picture.shape
    width = -(-length // lines)
    stacked = np.zeros((lines * height + lines - 1, width, 3), np.uint8)
    for line in range(lines):
        part = picture[:, line * width : (line + 1) * width]
        top = line * (height + 1)
        stacked[top : top + height, : part.shape[1]] = part
    return stacked


def with_mario(
    picture: NDArray[np.uint8], stage: str, place: Place | None, *, lines: int, scale: float
) -> NDArray[np.uint8]:
    """A copy of a map of that scale, cut into lines, with a bright mark at a place; itself where the map has none."""
    (x, y) = (-1, -1) if place is None else stage_map.on_map(stage, np.array([place]))[0].tolist()
    if x < 0:
        return picture
    height, width = (len(picture) - lines + 1) // lines, picture.shape[1]
    line, column = divmod(int(x * scale), width)
    row = min(max(int(y * scale), 0), height - 1) + line * (height + 1)
    radius = max(1, round(7 * scale))
    marked = picture.copy()
    for size, colour in ((radius + 1, (0, 0, 0)), (radius, _MARIO)):
        marked[max(row - size, 0) : row + size, max(column - size, 0) : column + size] = colour
    return marked


def up_to(episodes: Sequence[MapEpisode], step: int | None, most: int) -> Sequence[MapEpisode]:
    """Of episodes in their order the last so many that had ended at a step; with None of all."""
    count = len(episodes) if step is None else bisect.bisect_right(episodes, step, key=lambda one: one.record.step)
    return episodes[max(count - most, 0) : count]
