"""A whole training run on a machine of a Ray cluster, as an actor there."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario_tui import __version__
from mario_tui.errors import MarioTuiError
from mario_tui.training.run_mirror import FileState, list_files, read_part


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is trained: the program's version there, the machine's name, and the folder that holds everything."""

    version: str
    host: str
    home: str


@dataclass(frozen=True, slots=True)
class Report:
    """What happened since the last one.

    events: as `mario-tui train --json` prints them.
    ended: whether it was the last one.
    problem: why the training failed, one line; "" if it did not.
    """

    events: list[dict[str, Any]]
    ended: bool = False
    problem: str = ""


class NodeRun:
    """The actor: trains one run, in a folder of its own on that machine, which is removed at the end.

    Its owner is told what happens, and copies the folder, by asking again and again (run_mirror.py).
    """

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="mario-tui-run-"))
        os.environ["MARIO_TUI_HOME"] = str(self._home)
        self._events: deque[dict[str, Any]] = deque()
        self._news = threading.Event()
        self._problem = ""
        self._thread = threading.Thread(target=lambda: None)

    def place(self) -> Place:
        return Place(__version__, socket.gethostname(), str(self._home))

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Writes a part of a file, `name` within the folder that holds everything."""
        path = self._home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(data)

    def files(self, folder: str) -> dict[str, FileState]:
        """See `Source.files`; `folder` is within the one that holds everything."""
        return list_files(self._home / folder)

    def read(self, name: str, offset: int, size_bytes: int) -> bytes:
        """See `Source.read`; `name` is within the folder that holds everything."""
        return read_part(self._home / name, offset, size_bytes)

    def begin(self, settings: dict[str, Any], run: str, checkpoint: str) -> None:
        """Begins to train, a new run or from a checkpoint of it: the name of its folder."""
        from mario_tui.training.control import TrainingControl

        self._control = TrainingControl()
        resume = self._home / "checkpoints" / run / checkpoint if checkpoint else None
        self._thread = threading.Thread(target=self._train, args=(settings, run, resume), name="training")
        self._thread.start()

    def _train(self, settings: dict[str, Any], run: str, resume: Path | None) -> None:
        from mario_tui.config import make_config
        from mario_tui.training.events import Paused
        from mario_tui.training.restore import open_trainer

        try:
            config = make_config(**settings)
            trainer = open_trainer(config, run=None if resume else run, resume=resume, control=self._control)
            for event in trainer.run():
                if isinstance(event, Paused) and event.reason and not event.goes_on:
                    self._problem = event.reason
                    self._control.stop()  # no user is there who could resume it
                if (content := event.as_json()) is not None:
                    self._events.append(content)
                    if content["event"] != "episode":
                        self._news.set()
        except MarioTuiError as error:
            self._problem = str(error)
        except Exception as error:
            self._problem = " ".join(f"{type(error).__name__}: {error}".split())
        finally:
            self._news.set()

    def poll(self, seconds: float) -> Report:
        """What happened since the last call; waits so long for something rare, such as a checkpoint."""
        self._news.wait(seconds)
        self._news.clear()
        ended = not self._thread.is_alive()
        events = []
        while self._events:
            events.append(self._events.popleft())
        return Report(events, ended, self._problem if ended else "")

    def stop(self, in_a_hurry: bool) -> None:
        """Asks it to save and end."""
        self._control.stop(in_a_hurry=in_a_hurry)

    def clean(self) -> None:
        """Removes its folder."""
        shutil.rmtree(self._home, ignore_errors=True)
