"""Episodes as TensorBoard events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mario_tui.errors import InputError
from mario_tui.store.history import EpisodeRecord
from mario_tui.training.events import EpisodeEnded, Event, Observer
from mario_tui.training.metrics import METRICS


class TensorBoardLog(Observer):
    """Writes the same figures as TensorBoard events into `tensorboard/` in the run's folder."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InputError(
                "tensorboard = true needs the extra 'tensorboard': pip install 'mario-tui[tensorboard]'"
            ) from None
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def observe(self, event: Event) -> None:
        if isinstance(event, EpisodeEnded):
            self._log_episode(event.record)

    def _log_episode(self, record: EpisodeRecord) -> None:
        for name in (*METRICS, "max_x", "epsilon"):
            self._writer.add_scalar(f"episode/{name}", getattr(record, name), record.step)
        self._writer.add_scalar("episode/clear", float(record.end == "clear"), record.step)

    def close(self) -> None:
        self._writer.close()
