"""Starts a module of this program in a process of its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from mario_tui.system import signals

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_RUN_MODULE = """\
import sys
del sys.path[0], sys.argv[0]
import runpy
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""The program of `python -c` that runs a module: before anything is imported it drops the current folder."""


def start_module(
    module: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    without_site: bool = False,
    in_background: bool = False,
    **settings: Any,
) -> subprocess.Popen[bytes]:
    """Starts a module as a program with the import path of this process, whatever lies in the current folder.

    A plain subprocess, since multiprocessing would load the program's main module, torch and all, into the child, and
    start a resource tracker, which fails while a terminal app has replaced sys.stderr.

    Signals from outside are kept from it: it has to end when its owner does, e.g. by the end of a pipe.

    Args:
        environment: variables for it, besides those of this process.
        without_site: skip the import of `site`, which takes longer than all that a small program imports.
        in_background: in a process group of its own, which the terminal's Ctrl+C and Ctrl+Z pass by; see
            `go_to_background`, which it calls itself.
        settings: of subprocess.Popen; standard error is dropped by default, as a screen may be drawn on it.

    Raises OSError if the process cannot be started.
    """
    if in_background and sys.version_info >= (3, 11):
        settings["process_group"] = 0
    with signals.kept_from_children():
        return subprocess.Popen(
            module_command(module, *arguments, options=["-S"] if without_site else []),
            env={**os.environ, **(environment or {}), "PYTHONPATH": _import_path()},
            **{"stderr": subprocess.DEVNULL, **settings},
        )


def go_to_background(niceness: int) -> None:
    """Makes this process one that others come before: in a group of its own, and nice.

    But in no session of its own: where the scheduler shares the processor between sessions, it would get as much as the
    training, however nice it is.
    """
    if os.getpgrp() != os.getpid():
        os.setpgrp()
    os.nice(niceness)


def end_with_parent(number: int) -> None:
    """Makes Linux send this process a signal when the thread that started it is gone, even while it is stopped (see
    prctl(2)). On other systems the closed pipe has to do, which a stopped process does not notice."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def module_command(
    module: str, *arguments: str, options: Sequence[str] = (), has_safe_path: bool = sys.version_info >= (3, 11)
) -> list[str]:
    """The command line that runs a module, and does not import from the current folder as `python -m` does.

    Args:
        options: of the interpreter.
        has_safe_path: whether the interpreter knows the option -P; Python 3.10 does not.
    """
    run = ["-P", "-m"] if has_safe_path else ["-c", _RUN_MODULE]
    return [sys.executable, *options, *run, module, *arguments]


def start_resource_tracker() -> None:
    """Starts Python's own helper process, so that it is there, and quiet, should a library use multiprocessing.

    It cannot be started while Textual has the terminal, and in the place of sys.stderr an object without a file. With
    the terminal as its standard error it would write warnings there when the program is killed.
    """
    from multiprocessing import resource_tracker

    terminal = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        with signals.kept_from_children():
            resource_tracker.ensure_running()
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def _import_path() -> str:
    """This process's import path: "" there is the current folder, which `module_command` leaves out otherwise."""
    entries = [os.fspath(entry) for entry in sys.path]
    if "" in entries:
        with contextlib.suppress(OSError):  # the current folder was deleted
            entries[entries.index("")] = os.getcwd()
    return os.pathsep.join(filter(None, entries))
