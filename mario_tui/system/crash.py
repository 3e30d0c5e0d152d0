"""What is left of a program that failed: a log, and a line that says how to go on."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import traceback
from pathlib import Path

from mario_tui import __version__, paths


def shown(path: Path) -> str:
    """A path as one would write it in the current folder."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def go_on(checkpoint: Path) -> str:
    """Where a run was saved last, and the command that goes on with it."""
    return f"saved {shown(checkpoint)}; go on with: mario-tui train --resume {checkpoint.parent.name}"


def write_log(run: Path | None, error: BaseException, details: str = "") -> Path | None:
    """Keeps an error with its traceback; see `write_text`."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return write_text(run, f"{details}\n\n{text}" if details else text)


def write_text(run: Path | None, text: str) -> Path | None:
    """Writes a log into the run's folder, or into `logs/` without one: a new file, or None if it cannot be written.

    What is written besides: time, versions, the command.
    """
    head = (
        f"mario-tui {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"{paths.timestamp()}, process {os.getpid()}: {' '.join(sys.argv)}\n\n"
    )
    with contextlib.suppress(OSError):
        folder = run if run is not None and run.is_dir() else paths.logs_dir()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"crash-{paths.timestamp()}-{os.getpid()}.log"
        path.write_text(head + text, encoding="utf-8", errors="backslashreplace")  # names of files need not be text
        return path
    return None
