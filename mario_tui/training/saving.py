"""Full checkpoints, written in a thread of their own while training goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mario_tui.config import TrainingConfig
from mario_tui.store import checkpoint, lookup
from mario_tui.system import files
from mario_tui.training.sizes import SAVED_REPLAY_BYTES, disk_need
from mario_tui.training.state_files import REPLAY_PARTS

Parts = Mapping[str, Callable[[Path], None]]


class Saver:
    """Writes the full checkpoints of a run, one at a time; older ones then lose their replay, and nothing else.

    Args:
        run: the run's folder.
        config: the run's settings, by which is said what a checkpoint will take.

    Attributes:
        step: that the checkpoint under way is of; None where none is.
    """

    def __init__(self, run: Path, config: TrainingConfig) -> None:
        self.run = run
        self._each = disk_need(config).each  # as long as none was written
        self.step: int | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="saving")
        self._result: Future[Path] | None = None
        self._transitions = 0  # in the replay that is being written
        self._last: tuple[int, int, int] | None = None  # of the last one: bytes, of them the replay's, transitions

    def begin(self, step: int, parts: Parts, header: Mapping[str, Any], transitions: int) -> None:
        """Begins to write; `parts` must be of this moment, whatever training does meanwhile."""
        assert self._result is None
        self.step, self._transitions = step, transitions
        self._result = self._thread.submit(_write, self.run, step, parts, header)

    @property
    def done(self) -> bool:
        """Whether `end` would return at once."""
        return self._result is not None and self._result.done()

    def end(self) -> Path:
        """Waits for the checkpoint under way; raises OSError or CheckpointError where it could not be written."""
        assert self._result is not None
        result, self._result, self.step = self._result, None, None
        path = result.result()
        self.learn_size(path, self._transitions)
        return path

    def learn_size(self, path: Path, transitions: int) -> None:
        """Takes a full checkpoint as the measure of what the next one will take."""
        with contextlib.suppress(OSError):
            sizes = {part.name: part.stat().st_size for part in path.iterdir()}
            replay = sum(sizes.get(name, 0) for name in REPLAY_PARTS)
            self._last = sum(sizes.values()), replay, transitions

    def bytes_needed(self, transitions: int) -> int:
        """What the next full checkpoint will take, with so many transitions."""
        if self._last is None:
            return self._each + transitions * SAVED_REPLAY_BYTES
        size, replay, then = self._last
        return size + round(replay * max(0.0, transitions / max(then, 1) - 1))

    @property
    def bytes_free(self) -> int | None:
        """On the disk; None where that cannot be told."""
        return files.free_bytes(self.run)

    def close(self) -> None:
        """Waits for what is under way."""
        self._thread.shutdown()


def _write(run: Path, step: int, parts: Parts, header: Mapping[str, Any]) -> Path:
    path = checkpoint.write(run, step, parts, header)  # which verifies it
    for older in lookup.step_folders(run):
        if older != path:
            with contextlib.suppress(OSError):  # the next save tries again
                checkpoint.drop_parts(older, REPLAY_PARTS)
    return path
