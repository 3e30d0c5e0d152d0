"""An action log made into a video by a process of its own, beside a training that should not be slowed down.

The process has the lowest priority, one thread for the encoder, and no PyTorch. It ends with its owner: when the pipe
to it closes it gives the recording up, and leaves nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from mario_tui.errors import MarioTuiError, RecordingError
from mario_tui.game.action_log import ActionLog
from mario_tui.system import files
from mario_tui.system.processes import go_to_background, start_module
from mario_tui.video.record import record_replay

CANCEL_SECONDS = 5.0
NICENESS = 19


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a recording ended; `problem` is one line if it failed, otherwise empty."""

    max_x: int
    cleared: bool
    problem: str = ""


class BackgroundRecording:
    """A recording under way; none of its methods but `wait` and `cancel` takes time.

    Raises RecordingError if the process cannot be started.
    """

    def __init__(self, log: ActionLog, output: Path, *, scale: int = 2) -> None:
        self.output = output
        self._outcome: Outcome | None = None
        try:
            self._process = start_module(
                "mario_tui.video.background",
                environment={"OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                in_background=True,
            )
        except OSError as error:
            raise RecordingError(f"{output} was not written: no process can be started ({error.strerror})") from error
        request = {"log": log.as_json(), "output": str(output), "scale": scale}
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it died: its outcome says so
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def outcome(self) -> Outcome | None:
        """How it ended; None while it runs."""
        if self._outcome is None and self._process.poll() is not None:
            self._outcome = self._read()
        return self._outcome

    def wait(self, timeout_seconds: float) -> Outcome | None:
        """As `outcome`, after waiting for the end, but no longer than that."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_seconds)
        return self.outcome()

    def cancel(self) -> None:
        """Gives the recording up, unless it is there already; returns when nothing of it is left."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if self.wait(CANCEL_SECONDS) is None:
            self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for encoder in psutil.Process(self.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    encoder.kill()
        self._process.kill()
        self._process.wait()
        self.outcome()

    def _read(self) -> Outcome:
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        answer = self._process.stdout.read()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            return Outcome(**json.loads(answer))
        except (ValueError, TypeError):
            files.sweep(self.output.parent)
            status = self._process.returncode
            how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
            return Outcome(0, False, f"{self.output} was not written: the process that records {how}")


def main() -> None:
    """What the process runs."""
    go_to_background(NICENESS)
    request = json.loads(sys.stdin.buffer.readline())
    gave_up = threading.Event()

    def wait_for_end_of_pipe() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        gave_up.set()

    threading.Thread(target=wait_for_end_of_pipe, daemon=True).start()
    try:
        recording = record_replay(
            ActionLog.from_json(request["log"]),
            Path(request["output"]),
            scale=request["scale"],
            threads=1,
            cancelled=gave_up.is_set,
        )
    except MarioTuiError as error:
        answer: dict[str, Any] = {"max_x": 0, "cleared": False, "problem": str(error)}
    else:
        answer = {"max_x": recording.max_x, "cleared": recording.cleared}
    with contextlib.suppress(OSError):  # the owner is gone
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
