"""What one plays against, or looks back to: episodes of agents as ghosts, played ahead by a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mario_tui.errors import CheckpointError, MarioTuiError
from mario_tui.play.ghost_trail import GhostTrail, short_step
from mario_tui.store import lookup
from mario_tui.store.catalog import evenly_spaced

if TYPE_CHECKING:
    from mario_tui.agent.policy import Policy
    from mario_tui.game.episode import EndReason


class GhostThread:
    """Plays the greedy episodes of agents on a stage, one after the other, faster than the game's own speed.

    Args:
        loads: name of a ghost -> gives its policy; it runs in the thread, since PyTorch takes seconds to import.
        stage: where they play.

    Attributes:
        trails: of the episodes that were begun, in their order; the last one may still grow.
        count: how many there will be.
        problem: why one is missing; empty where none is.
        done: whether there will be no more.
    """

    def __init__(self, loads: Sequence[tuple[str, Callable[[], Policy]]], stage: str) -> None:
        self.stage = stage
        self.problem = ""
        self.done = False
        self.count = len(loads)
        self.trails: tuple[GhostTrail, ...] = ()
        self._loads = loads
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ghost", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and waits for it."""
        self._closed = True
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        for name, load in self._loads:
            try:
                self._play(name, load)
            except MarioTuiError as error:
                self.problem = str(error)
            except Exception as error:
                self.problem = f"the ghost failed: {type(error).__name__}: {error}"
            if self._closed:
                return
        self.done = True

    def _play(self, name: str, load: Callable[[], Policy]) -> None:
        from mario_tui.play.rollout import rollout

        policy = load()
        if self._closed:
            return
        trail = GhostTrail(name)
        self.trails += (trail,)
        for step in rollout(policy, stage=self.stage, all_frames=True):
            trail.add(step)
            if self._closed:
                return


def younger_selves(run: Path, but: Path | None, stage: str, most: int = 5) -> GhostThread | None:
    """The greedy episodes of a run's checkpoints, all `but` one, evenly over its steps, the newest first.

    None where the run has no other checkpoint that can be read.
    """
    from mario_tui.agent.policy import load_policy

    def loader(folder: Path) -> Callable[[], Policy]:
        return lambda: load_policy(folder)

    read = lookup.read_manifests(run)
    others = [folder for folder, found in read.items() if folder != but and not isinstance(found, CheckpointError)]
    chosen = evenly_spaced(sorted(others, key=lookup.place), most)[::-1]
    named = [(short_step(lookup.place(folder)[0]), loader(folder)) for folder in chosen]
    return GhostThread(named, stage) if named else None


class Ghost(GhostThread):
    """An agent's greedy episode: what a human plays against.

    Args:
        name: whose episode it is.
        load, stage: see GhostThread.
    """

    def __init__(self, name: str, load: Callable[[], Policy], stage: str) -> None:
        super().__init__([(name, load)], stage)
        self.name = name

    @property
    def end(self) -> EndReason | None:
        """Why its episode is over; None until it was played to the end."""
        return self.trails[0].end if self.trails else None

    def x_at(self, frame: int) -> int | None:
        """The ghost's x, pixels, so many frames into the stage, or where its episode ended; None while unknown."""
        return self.trails[0].x_at(frame) if self.trails else None

    def end_at(self, frame: int) -> EndReason | None:
        """Why its episode is over by then; None if it is not."""
        return self.end if self.trails and frame >= self.trails[0].frames else None
