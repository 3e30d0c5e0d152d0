"""A real kitty on a virtual display, with an app in it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

WAIT_SECONDS = 60


@contextmanager
def kitty(display: str, folder: Path, app: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs an app, its source, in a kitty, and writes its exit code to `folder`/code; skips where there is no kitty."""
    options = (
        "remember_window_size=no",
        "initial_window_width=800",
        "initial_window_height=600",
        "cursor_blink_interval=0",
    )
    command = ["kitty", "--config", "NONE", *(word for option in options for word in ("-o", option))]
    with _terminal(command, display, folder, app) as process:
        yield process


@contextmanager
def xterm(display: str, folder: Path, app: str) -> Iterator[subprocess.Popen[bytes]]:
    """As `kitty`, in an xterm that draws sixels."""
    with _terminal(["xterm", "-ti", "vt340", "-geometry", "80x24", "-e"], display, folder, app) as process:
        yield process


@contextmanager
def _terminal(command: list[str], display: str, folder: Path, app: str) -> Iterator[subprocess.Popen[bytes]]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: nothing is tried in a real one")
    (folder / "app.py").write_text(textwrap.dedent(app))
    # not in the terminal's own environment: kitty has another Python inside
    run = f"PYTHONPATH={shlex.quote(os.pathsep.join(sys.path))} {sys.executable} {folder}/app.py"
    script = f"{run}; echo $? > {folder}/code; exec sleep 1000"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"LIBGL_ALWAYS_SOFTWARE": "1", "DISPLAY": display}
    process = subprocess.Popen(
        [*command, "sh", "-c", script], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()


def keyboard(display: str, *commands: str, terminal: str = "kitty") -> None:
    """What xdotool does with a terminal's window: `key q`, `keydown x`, ..."""
    environment = {**os.environ, "DISPLAY": display}
    found = subprocess.run(
        ["xdotool", "search", "--class", terminal], env=environment, capture_output=True, text=True, check=True
    )
    words = [word for command in commands for word in command.split()]
    subprocess.run(["xdotool", "windowfocus", found.stdout.split()[-1], *words], env=environment, check=True)


@contextmanager
def keyboard_layout(display: str, layout: str) -> Iterator[None]:
    """Another keyboard on this display, e.g. `ru`; keys are then to be given by number, as 52 for the American z."""
    if shutil.which("setxkbmap") is None:
        pytest.skip("setxkbmap is not installed: no other keyboard is tried")
    subprocess.run(["setxkbmap", "-display", display, layout], check=True, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run(["setxkbmap", "-display", display, "us"], check=True, stderr=subprocess.DEVNULL)


def eventually(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
