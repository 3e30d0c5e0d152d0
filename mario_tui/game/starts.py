"""Where episodes begin: at the start of the stage, or where another episode was; and snapshots that save the way there.

The game is deterministic, so a place is the buttons that lead to it. To play them again takes up to a second; a worker
process has snapshots of the places that it passed lately, where the emulator has any. With or without them an episode
is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from mario_tui.game.episode import Episode, EpisodeSnapshot

SNAPSHOT_EVERY = 8
"""Steps between the places of an episode that others can begin at."""
TRAIL = 64
SNAPSHOT_BYTES = 252_000
"""What one takes in memory, most of it the emulator's."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where an episode begins.

    Attributes:
        noop_steps: steps of no button from the start of the stage, before anything else.
        log: a button byte for each frame after them, in whole steps.
        steps: the episode is cut after so many of its own; 0: as the settings have it.
    """

    noop_steps: int = 0
    log: bytes = b""
    steps: int = 0

    @property
    def place(self) -> tuple[int, bytes]:
        """What leads there."""
        return self.noop_steps, self.log


class Snapshots:
    """Those of a worker process, by what leads there; the oldest make way.

    Args:
        most: how many there are; 0 for none.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: dict[tuple[int, bytes], EpisodeSnapshot] = {}

    def keep(self, start: Start, snapshot: EpisodeSnapshot) -> None:
        self._kept[start.place] = snapshot
        while len(self._kept) > self.most:
            del self._kept[next(iter(self._kept))]

    def find(self, start: Start) -> EpisodeSnapshot | None:
        return self._kept.get(start.place)

    def begin(self, episode: Episode, start: Start) -> None:
        """Brings an episode to its start, by a snapshot if there is one."""
        if snapshot := self.find(start):
            episode.restore(snapshot)
        else:
            episode.reset(start.noop_steps)
            for frame in range(0, len(start.log), episode.frame_skip):
                episode.step(start.log[frame : frame + episode.frame_skip])
            if start.log and episode.emulator.has_snapshots():
                self.keep(start, episode.snapshot())
        if start.steps:
            episode.cut_after(start.steps)


class Trail:
    """Snapshots of the running episode of a game, one every SNAPSHOT_EVERY steps, the last TRAIL."""

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        self._begins = episode.steps
        self._passed: dict[int, EpisodeSnapshot] = {}

    def begin(self) -> None:
        """The episode is at its start."""
        self._begins = self._episode.steps
        self._passed = {}

    def add(self) -> None:
        """A step of the episode was played."""
        step = self._episode.steps - self._begins
        if step % SNAPSHOT_EVERY or self._episode.end is not None:
            return
        self._passed[step] = self._episode.snapshot()
        if len(self._passed) > TRAIL:
            del self._passed[next(iter(self._passed))]

    def at(self, step: int) -> EpisodeSnapshot | None:
        """The episode after so many steps."""
        return self._passed.get(step)
