"""Ctrl+Z in the app: a shell with job control comes back with a usable terminal, and `fg` with the app."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import warm
from pseudo_terminal import Terminal

CTRL_Z, CTRL_Q, CTRL_S = "\x1a", "\x11", "\x13"
PATIENCE_SECONDS = 120
PROMPT = "READY> "


BASH = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp('bash', ['bash', *sys.argv[1:]])"
)


class Shell:
    """An interactive bash, and the app that was started from it."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.shell = psutil.Process(terminal.process.pid)

    def wait(self, *texts: str, without: str = "") -> None:
        self.terminal.wait(
            lambda screen: all(text in screen for text in texts) and not (without and without in screen),
            PATIENCE_SECONDS,
        )

    def type(self, line: str) -> None:
        self.terminal.press(f"{line}\r")

    def app(self) -> psutil.Process:
        for one in self.shell.children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # a helper of the app that has just ended
                if one.cmdline()[1:3] == ["-m", "mario_tui"]:
                    return one
        raise AssertionError(f"no app runs in the shell:\n{self.terminal.text()}")

    def goes_to_the_shell(self) -> None:
        """Presses Ctrl+Z, and tries the shell that comes back."""
        self.terminal.press(CTRL_Z)
        self.wait("Stopped")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.app().status() != psutil.STATUS_STOPPED:  # the shell sees its own child alone, which may be a script
            assert time.monotonic() < deadline, "the app still runs"
            time.sleep(0.01)
        self.type("stty -a; echo $((6 * 7))")
        self.wait("42", "isig icanon iexten echo ")
        pasting = re.compile(rb"\x1b\[\?2004([hl])")  # bash has it on at its prompt, and off while a command runs
        self.terminal.wait(lambda _: pasting.findall(bytes(self.terminal.written))[-1] == b"h", PATIENCE_SECONDS)
        written = bytes(self.terminal.written).decode(errors="replace")
        for mode, off in (("1049", "l"), ("1000", "l"), ("1003", "l"), ("2004", "h"), ("25", "h"), ("7", "h")):
            assert re.findall(rf"\x1b\[\?{mode}([hl])", written)[-1] == off, "bash itself has pasting on"
        self.type("clear")
        self.wait(PROMPT, without="42")


@contextmanager
def shell(home: Path) -> Iterator[Shell]:
    rc = home / "bashrc"
    rc.write_text(f"PS1='{PROMPT}'\n")
    command = (sys.executable, "-c", BASH, "--rcfile", str(rc), "-i")
    with Terminal([], home, width=80, height=24, command=command, start=warm.Popen) as it:
        found = Shell(it)
        found.wait(PROMPT)
        try:
            yield found
        finally:
            for child in found.shell.children(recursive=True):
                child.kill()


@pytest.mark.slow
def test_ctrl_z_goes_to_the_shell_and_fg_comes_back(home: Path) -> None:
    with shell(home) as job:
        # The shell gets its terminal back when all of a job has stopped, also a script that waits for the app.
        job.type(f"bash -c '{sys.executable} -m mario_tui; echo its exit code: $?'")
        job.wait("No run yet")
        job.goes_to_the_shell()
        job.type("bg")  # it cannot go on without a terminal
        job.wait("&")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Stopped" not in job.terminal.text():  # it is still going on while the shell says so
            assert time.monotonic() < deadline, job.terminal.text()
            job.type("clear; jobs; echo that is all")
            job.wait("\nthat is all")
        job.type("fg")
        job.wait("No run yet", without="Stopped")
        job.terminal.press("?")
        job.wait("^z", "To the shell", "esc closes")
        job.terminal.press("\x1b")
        job.wait("No run yet", without="esc closes")
        job.goes_to_the_shell()
        job.type("fg")
        job.wait("No run yet")
        job.terminal.press(CTRL_Q)
        job.wait("its exit code: 0")


@pytest.mark.slow
def test_a_training_stops_with_the_app_and_goes_on_with_it(home: Path) -> None:
    with shell(home) as job:
        job.type(f"{sys.executable} -m mario_tui")
        job.wait("No run yet")
        job.terminal.press("t")
        job.wait("Start training")
        job.terminal.press(CTRL_S)
        job.terminal.wait(re.compile(r"running .* step [1-9]\d").search, PATIENCE_SECONDS)
        workers = [one for one in job.app().children() if "mario_tui.game.worker" in one.cmdline()]
        assert workers
        job.goes_to_the_shell()
        for worker in workers:  # with the step that it was in it has ended
            busy = -1.0
            while busy != (busy := worker.cpu_times().user):
                time.sleep(0.3)
        job.type("fg")
        job.wait("running")
        (step,) = re.findall(r"running .* step ([\d,]+)", job.terminal.text())
        further = re.compile(r"running .* step ([\d,]+)")
        job.terminal.wait(
            lambda screen: (found := further.search(screen)) and found[1] != step and "no step for" not in screen,
            PATIENCE_SECONDS,
        )
        assert all(worker.is_running() for worker in workers), "none was taken for one that hangs"
        job.terminal.press(CTRL_Q)
        said = "go on with: mario-tui train --resume".replace(" ", "")
        job.terminal.wait(lambda screen: said in "".join(screen.split()), PATIENCE_SECONDS)  # a long line is broken


def test_where_no_shell_waits_ctrl_z_says_so(home: Path) -> None:
    """As with `ssh -t machine mario-tui`, or in a container: nobody could continue it."""
    with Terminal([], home, width=80, height=24, start=warm.Popen) as terminal:
        terminal.wait(lambda screen: "No run yet" in screen, PATIENCE_SECONDS)
        terminal.press(CTRL_Z)
        terminal.wait(lambda screen: "there is no shell to go to" in screen and "No run yet" in screen)
        terminal.press("c")
        terminal.wait(lambda screen: "Checkpoints" in screen.splitlines()[0])
        os.kill(terminal.process.pid, 15)
        terminal.drain()
        assert terminal.process.returncode == 143
