"""What is left of a program that failed: a log, and a line that says how to go on."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import traceback
from pathlib import Path

from mario_tui import __version__, paths
from mario_tui.errors import InputError
from mario_tui.printable import as_argument, printable


def relative(path: Path) -> str:
    """A path as one would write it in the current folder."""
    from_here = os.path.relpath(path)
    return str(path) if from_here.startswith("..") else from_here


def shown(path: Path) -> str:
    """`relative`, fit to be shown."""
    return printable(relative(path))


def go_on(checkpoint: Path) -> str:
    """Where a run was saved last, and the command that goes on with it."""
    name = checkpoint.parent.name
    resume = f"--resume{'=' if name.startswith('-') else ' '}{as_argument(name)}"
    return f"saved {shown(checkpoint)}; go on with: mario-tui train {resume}"


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
    with contextlib.suppress(OSError, InputError):
        folder = run if run is not None and run.is_dir() else paths.logs_dir()
        folder.mkdir(parents=True, exist_ok=True)
        name = f"crash-{paths.timestamp()}-{os.getpid()}"
        while True:
            path = paths.unique_path(folder, name, ".log")
            with contextlib.suppress(FileExistsError), path.open("xb") as log:
                log.write((head + text).encode(errors="backslashreplace"))
                return path
    return None
