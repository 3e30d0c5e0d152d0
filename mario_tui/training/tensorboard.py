"""Episodes as TensorBoard events."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mario_tui import paths
from mario_tui.errors import InputError
from mario_tui.store.history import LEARNED, TRAINING, EpisodeRecord
from mario_tui.system import installation
from mario_tui.training.events import EpisodeEnded, Event, Observer, Warned
from mario_tui.training.metrics import METRICS

_EVENTS = "tfevents"
"""What TensorBoard tells its files by: it is in their names."""


class TensorBoardLog(Observer):
    """Writes the same figures as TensorBoard events into `tensorboard/` in the run's folder.

    A run that goes on from a checkpoint has TensorBoard forget what was written of later steps. As with metrics.csv,
    this is done when there is something new to write.

    Args:
        folder: the run's folder.
        earlier: the last episodes before the checkpoint that the run goes on from, the newest last; none if it is new.

    Raises InputError if TensorBoard is not installed.
    """

    def __init__(self, folder: Path, earlier: Sequence[EpisodeRecord] = ()) -> None:
        try:
            from torch.utils import tensorboard  # noqa: F401
        except ImportError:
            raise InputError(
                f"tensorboard = true needs the extra 'tensorboard': {installation.with_extra('tensorboard')}"
            ) from None
        self._folder = folder / "tensorboard"
        # Those of the newest step: they are written again, see `_open`.
        self._last = [record for record in earlier if record.step == earlier[-1].step]
        self._writer: Any = None
        self._problem: Warned | None = None
        self._given_up = False

    def observe(self, event: Event) -> None:
        if not isinstance(event, EpisodeEnded) or self._given_up:
            return
        try:
            self._writer = self._writer or self._open()
            self._write(event.record)
        except OSError as error:  # in its own thread, and raised by the next call
            self._give_up(event.record.step, error)

    def _open(self) -> Any:
        from tensorboard.compat.proto.event_pb2 import Event as TensorBoardEvent
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from torch.utils.tensorboard import SummaryWriter

        there = sorted(self._folder.glob(f"*{_EVENTS}*"))
        if not self._last:  # all that is there was given up, and TensorBoard's loaders do not agree on step 0
            for path in there:
                path.rename(path.with_name(path.name.replace(_EVENTS, f"until-{paths.timestamp()}")))
            return SummaryWriter(str(self._folder))
        step = self._last[-1].step if there else None
        writer: Any = SummaryWriter(str(self._folder), purge_step=step)
        if step is not None:
            # TensorBoard has three loaders: one obeys the mark that `purge_step` makes, and one only if there was
            # another before, which is why there is a second. The one that it prefers knows no marks: a point takes the
            # place of all that were read before it and are not of earlier steps.
            restart = SessionLog(status=SessionLog.START)
            writer.file_writer.add_event(TensorBoardEvent(step=step, session_log=restart))
            for record in self._last:
                self._write(record, writer)
        return writer

    def _write(self, record: EpisodeRecord, writer: Any = None) -> None:
        writer = writer or self._writer
        group = "episode" if record.kind == TRAINING else record.kind
        for name in (*METRICS, "max_x", "epsilon"):
            if name in LEARNED and not record.learned:
                continue
            writer.add_scalar(f"{group}/{name}", getattr(record, name), record.step)
        writer.add_scalar(f"{group}/clear", float(record.cleared), record.step)

    def _give_up(self, step: int, error: OSError) -> None:
        self._given_up = True
        self._problem = Warned(
            step, f"TensorBoard's events cannot be written: {error.strerror or error}; they go on with the next resume"
        )

    def poll(self) -> Iterator[Event]:
        problem, self._problem = self._problem, None
        if problem is not None:
            yield problem

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(OSError):  # metrics.csv has it all
                writer.close()
