"""Starts a module of this program in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def start_module(
    module: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    without_site: bool = False,
    **settings: Any,
) -> subprocess.Popen[bytes]:
    """Starts `python -m module arguments...` with the import path of this process.

    A plain subprocess, since multiprocessing would load the program's main module, torch and all, into the child, and
    start a resource tracker, which fails while a terminal app has replaced sys.stderr.

    Args:
        environment: variables for it, besides those of this process.
        without_site: skip the import of `site`, which takes longer than all that a small program imports.
        settings: of subprocess.Popen; standard error is dropped by default, as a screen may be drawn on it.

    Raises OSError if the process cannot be started.
    """
    interpreter = [sys.executable, "-S"] if without_site else [sys.executable]
    return subprocess.Popen(
        [*interpreter, "-m", module, *arguments],
        env={**os.environ, **(environment or {}), "PYTHONPATH": _import_path(), "PYTHONSAFEPATH": "1"},
        **{"stderr": subprocess.DEVNULL, **settings},
    )


def _import_path() -> str:
    """This process's import path: "" there is the current folder, which PYTHONSAFEPATH leaves out otherwise."""
    entries = [os.fspath(entry) for entry in sys.path]
    if "" in entries:
        with contextlib.suppress(OSError):  # the current folder was deleted
            entries[entries.index("")] = os.getcwd()
    return os.pathsep.join(filter(None, entries))
