"""One whole session in a real terminal, on the real game: train, pause, save, watch, go on, stop, quit, resume."""

import json
import re
import subprocess
import sys
import termios
from pathlib import Path

import psutil
import pytest
import warm
from pseudo_terminal import Terminal

from mario_tui.store import checkpoint, lookup
from mario_tui.store.manifest import read_manifest

# the first import of PyTorch on a busy machine takes long
PATIENCE_SECONDS = 150


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50)])
def test_a_whole_session(home: Path, width: int, height: int) -> None:
    start = subprocess.Popen if width == 80 else warm.Popen
    with Terminal([], home, width=width, height=height, start=start) as terminal:
        before = termios.tcgetattr(terminal.master)
        wait = lambda *texts: terminal.wait(  # noqa: E731
            lambda screen: all(text in screen for text in texts), PATIENCE_SECONDS
        )
        wait("No run yet", "t Train")
        terminal.press("t")
        wait("run name", "Start training")
        terminal.press("\x13")  # ctrl+s
        wait("running", "Pause")
        terminal.wait(lambda screen: re.search(r"episode +[1-9]", screen), PATIENCE_SECONDS)  # one has ended
        children = psutil.Process(terminal.process.pid).children(recursive=True)
        assert len(children) >= 1

        terminal.press(" ")
        wait("paused")
        (run,) = lookup.runs()
        assert lookup.step_folders(run) == []
        terminal.press("s")
        wait("saved")
        (saved,) = lookup.step_folders(run)
        checkpoint.verify(saved)

        terminal.press("c")
        wait("Checkpoints", "whole", "paused")
        terminal.press("\r")
        wait("Watch", "right+A", "progress")
        terminal.press("+++")  # eight times as fast
        wait("again")  # the greedy episode has ended
        terminal.press("q")
        wait("whole")
        terminal.press("t")
        wait("Pause", "last 100:")
        terminal.press(" ")
        terminal.wait(lambda screen: "running" in screen and "paused" not in screen, PATIENCE_SECONDS)
        terminal.press("q")
        wait("Stop training?")
        terminal.press("q")
        wait("Training has ended")
        assert len(lookup.step_folders(run)) == 2

        terminal.press("\x11")  # ctrl+q
        terminal.drain()
        assert terminal.process.returncode == 0
        assert psutil.wait_procs(children, timeout=PATIENCE_SECONDS)[1] == [], "no process is left"
        assert termios.tcgetattr(terminal.master) == before, "the terminal is as it was"

    if width == 80:
        step = read_manifest(lookup.step_folders(run)[-1]).step
        resumed = warm.run(
            [sys.executable, "-m", "mario_tui", "train", "--resume", run.name, "--steps", str(step + 5), "--json"],
            capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert resumed.returncode == 0, resumed.stderr
        assert json.loads(resumed.stdout.splitlines()[0])["step"] == step
