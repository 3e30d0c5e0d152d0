"""Whatever ends the app: the terminal can be used, the training is saved where it can be, and nothing is left running.

In a real pseudo-terminal, with a real training.
"""

import os
import re
import signal
import subprocess
import termios
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import warm
from pseudo_terminal import Terminal, patched

from mario_tui import paths
from mario_tui.store import checkpoint, lookup

PATIENCE_SECONDS = 150
MODES = ("1000", "1002", "1003", "1006", "1015", "1004", "2004", "2048", "1049")
"""Mouse, focus, pasting, size, and the app's screen."""


class App:
    """The app with a training that has taken some steps."""

    def __init__(self, home: Path, patch: str = "") -> None:
        self.terminal = Terminal([], home, width=80, height=24, command=patched(patch), start=warm.Popen)
        self.before = termios.tcgetattr(self.terminal.master)

    def __enter__(self) -> "App":
        try:
            self._start()
        except BaseException:
            self.terminal.__exit__(None, None, None)
            raise
        return self

    def _start(self) -> None:
        self.wait("No run yet", "t Train")
        self.terminal.press("t")
        self.wait("run name", "Start training")
        self.terminal.press("\x13")  # ctrl+s
        taken = re.compile(r"running .* step [1-9]\d")
        self.terminal.wait(taken.search, PATIENCE_SECONDS)
        (self.run,) = lookup.runs()
        self.process = psutil.Process(self.terminal.process.pid)
        self.children = self.process.children(recursive=True)
        names = [" ".join(child.cmdline()) for child in self.children]
        assert any("mario_tui.game.worker" in name for name in names)
        assert any("mario_tui.system.guard" in name for name in names)
        assert termios.tcgetattr(self.terminal.master) != self.before, "it has changed the terminal"

    def __exit__(self, *details: Any) -> None:
        self.terminal.__exit__(*details)

    def wait(self, *texts: str) -> None:
        self.terminal.wait(lambda screen: all(text in screen for text in texts), PATIENCE_SECONDS)

    def press(self, keys: str) -> None:
        self.terminal.press(keys)

    def ends(self, *codes: int) -> list[str]:
        """Waits for its end, and checks what must hold for every one; returns the lines on the normal screen."""
        self.terminal.drain()  # until nobody, the guard neither, has the terminal open
        assert self.terminal.process.returncode in codes
        assert psutil.wait_procs(self.children, timeout=PATIENCE_SECONDS)[1] == [], "no process is left"
        assert termios.tcgetattr(self.terminal.master) == self.before, "the terminal is as it was"
        return lines_after_the_screen(bytes(self.terminal.written))

    def crash_log(self) -> str:
        (log,) = self.run.glob("crash-*.log")
        return log.read_text()


def lines_after_the_screen(written: bytes) -> list[str]:
    """What was written after the app's screen was left; fails where a mode of the app is still on."""
    text = written.decode(errors="replace")
    for mode in MODES:
        assert re.findall(rf"\x1b\[\?{mode}([hl])", text)[-1:] in ([], ["l"]), f"mode {mode} is off"
    assert re.findall(r"\x1b\[\?25([hl])", text)[-1] == "h", "the cursor is shown"
    assert re.findall(r"\x1b\[\?7([hl])", text)[-1] == "h", "long lines wrap"
    kitty = re.findall(r"\x1b\[([<>])\d*u", text)
    assert kitty.count("<") >= kitty.count(">") > 0, "keys come as ever"
    end = text.rindex("\x1b[?1049l")
    plain = re.sub(r"\x1b\[[<>=?]?[0-9;]*[a-zA-Z]", "", text[end:])
    return [line for line in plain.replace("\r", "").split("\n") if line.strip()]


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_signal_saves_restores_the_terminal_and_says_how_to_go_on(home: Path, name: str, code: int) -> None:
    with App(home) as app:
        os.kill(app.terminal.process.pid, getattr(signal, name))
        (line,) = app.ends(code)
        (saved,) = lookup.step_folders(app.run)
        checkpoint.verify(saved)
        assert line == f"saved {saved}; go on with: mario-tui train --resume {app.run.name}"
        assert list(app.run.glob("crash-*.log")) == []


def test_a_warning_saves_the_training_and_it_goes_on(home: Path) -> None:
    with App(home) as app:
        for child in app.children:
            child.send_signal(signal.SIGUSR1)
        os.kill(app.terminal.process.pid, signal.SIGUSR1)
        app.wait("saved", "running")
        (saved,) = lookup.step_folders(app.run)
        checkpoint.verify(saved)
        assert all(child.is_running() for child in app.children)
        os.kill(app.terminal.process.pid, signal.SIGTERM)
        app.ends(143)


def test_a_hang_up_that_was_ignored_at_the_start_changes_nothing(home: Path) -> None:
    with App(home, "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)") as app:
        for _ in range(2):
            for process in (*app.children, app.process):
                process.send_signal(signal.SIGHUP)
            app.press("s")
            app.wait("saved")
        assert all(child.is_running() for child in app.children)
        os.kill(app.terminal.process.pid, signal.SIGTERM)
        app.ends(143)


def when(file: Path, function: str, does: str) -> str:
    """A patch: a method does something else as soon as there is such a file."""
    owner, _, name = function.rpartition(".")
    module, _, class_name = owner.rpartition(".")
    return (
        f"import os, time, ctypes\nfrom {module} import {class_name} as owner\nplain = owner.{name}\n"
        f"def patched(*a, **k):\n    if os.path.exists({str(file)!r}):\n        {does}\n    return plain(*a, **k)\n"
        f"owner.{name} = patched"
    )


def test_an_error_of_the_app_saves_the_training_and_leaves_a_log(home: Path) -> None:
    patch = when(home / "now", "mario_tui.tui.app.MarioTuiApp.show_notices", "raise ValueError('two\\nlines')")
    with App(home, patch) as app:
        (home / "now").touch()
        lines = app.ends(1)
        (saved,) = lookup.step_folders(app.run)
        checkpoint.verify(saved)
        assert lines[0].startswith("mario-tui: the app failed; the log is ")
        assert lines[1].startswith(f"saved {saved}; go on with")
        assert lines[2:] == ["mario-tui: ValueError: two lines (add --debug for the traceback)"]
        log = app.crash_log()
        assert "Traceback" in log
        assert "ValueError: two" in log


def test_an_error_of_the_training_saves_it_and_the_app_goes_on(home: Path) -> None:
    patch = when(home / "now", "mario_tui.training.ticks.Ticks.tick", "raise RuntimeError('bad step')")
    with App(home, patch) as app:
        (home / "now").touch()
        app.wait("Training failed", "bad step", "Saved as step-")
        app.press("\x11")  # ctrl+q
        lines = app.ends(0)
        (saved,) = lookup.step_folders(app.run)
        checkpoint.verify(saved)
        assert lines[0].endswith("failed: RuntimeError: bad step")
        assert lines[1].startswith(f"saved {saved}; go on with")
        assert "bad step" in app.crash_log()


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("SIGSEGV", -signal.SIGSEGV, "Segmentation fault"),
        ("SIGABRT", -signal.SIGABRT, "Aborted"),
        ("SIGKILL", -signal.SIGKILL, "killed from outside"),
        ("C library", -signal.SIGSEGV, "Segmentation fault"),
    ],
)
def test_a_crash_leaves_a_terminal_that_can_be_used_and_a_log(home: Path, fault: str, code: int, reason: str) -> None:
    patch = ""
    if fault == "C library":  # in the thread that trains
        patch = when(home / "now", "mario_tui.training.ticks.Ticks.tick", "ctypes.string_at(0)")
    with App(home, patch) as app:
        app.press("s")
        app.wait("saved")
        (saved,) = lookup.step_folders(app.run)
        if patch:
            (home / "now").touch()
        else:
            os.kill(app.terminal.process.pid, getattr(signal, fault))
        # After an abort the stacks of all threads are written, while they run: if that crashes too, it is by the second
        # signal that the process ends.
        text = "".join(app.ends(code, *([-signal.SIGSEGV] if fault == "SIGABRT" else [])))
        if app.terminal.process.returncode != code:
            assert "Fatal Python error: Segmentation fault" in app.crash_log()
        assert text.startswith(f"mario-tui ended without warning ({reason}); what is known: ")
        assert text.endswith(f"saved {saved}; go on with: mario-tui train --resume {app.run.name}")
        assert f"process {app.terminal.process.pid}, ended without warning: {reason}" in app.crash_log()
        if fault == "C library":
            assert "string_at" in app.crash_log(), "where it happened"
        checkpoint.verify(saved)


def test_told_twice_it_leaves_without_the_save_that_hangs(home: Path) -> None:
    patch = when(home / "now", "mario_tui.training.checkpointing.Checkpointer.save", "time.sleep(1e6)")
    with App(home, patch) as app:
        (home / "now").touch()
        os.kill(app.terminal.process.pid, signal.SIGTERM)
        app.wait("Stopping and saving")
        os.kill(app.terminal.process.pid, signal.SIGTERM)
        (line,) = app.ends(143)
        assert line.endswith("without saving")
        assert lookup.step_folders(app.run) == []


@pytest.mark.parametrize(
    ("names", "code"), [("SIGHUP SIGHUP", 129), ("SIGHUP SIGTERM", 129), ("SIGTERM SIGHUP SIGINT", 143)]
)
def test_a_terminal_that_closes_tells_more_than_once_and_it_is_saved(home: Path, names: str, code: int) -> None:
    """A shell and the system each send SIGHUP, and a machine that stops SIGTERM as well."""
    wait = f"while not os.path.exists({str(home / 'go on')!r}): time.sleep(0.02)"
    patch = when(home / "now", "mario_tui.training.checkpointing.Checkpointer.save", f"\n        {wait}")
    with App(home, patch) as app:
        (home / "now").touch()
        first, *others = names.split()
        os.kill(app.terminal.process.pid, getattr(signal, first))
        app.wait("Stopping and saving")
        for name in others:
            os.kill(app.terminal.process.pid, getattr(signal, name))
            time.sleep(0.5)  # so that it would have left
        (home / "go on").touch()
        (line,) = app.ends(code)
        (saved,) = lookup.step_folders(app.run)
        checkpoint.verify(saved)
        assert line.startswith(f"saved {saved}")


def test_home_asks_before_it_stops_a_training(home: Path) -> None:
    with App(home) as app:
        app.press("h")
        app.wait("Training now")
        app.press("q")
        app.wait("Leave?", "stops and is saved first")
        app.press("n")
        app.terminal.wait(lambda screen: "Leave?" not in screen, PATIENCE_SECONDS)
        assert app.terminal.process.poll() is None
        app.press("q")
        app.wait("Leave?")
        app.press("q")
        (line,) = app.ends(0)
        (saved,) = lookup.step_folders(app.run)
        assert line == f"saved {saved}; go on with: mario-tui train --resume {app.run.name}"


# the same without the app


@contextmanager
def training(home: Path, patch: str = "") -> Iterator[Terminal]:
    """`mario-tui train`, after an episode."""
    settings = "--network small --burn-in 20 --replay-size 2000 --threads 1 --max-episode-steps 40"
    arguments = ["train", "--name", "told", *settings.split()]
    with Terminal(arguments, home, width=160, command=patched(patch), start=warm.Popen) as terminal:
        terminal.wait(re.compile(r"steps .*best x [1-9]").search, PATIENCE_SECONDS)
        yield terminal


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    with training(home) as terminal:
        yield terminal


def the_end(terminal: Terminal, names: Iterable[str]) -> str:
    """Sends signals, and checks what must hold after them; returns all that was written."""
    before = termios.tcgetattr(terminal.master)
    children = psutil.Process(terminal.process.pid).children(recursive=True)
    for name in names:
        os.kill(terminal.process.pid, getattr(signal, name))
        time.sleep(0.2)  # signals that come at once are one
    terminal.drain()
    assert psutil.wait_procs(children, timeout=PATIENCE_SECONDS)[1] == [], "no process is left"
    assert termios.tcgetattr(terminal.master) == before
    text = terminal.written.decode()
    assert re.findall(r"\x1b\[\?25([hl])", text)[-1] == "h", "the cursor is shown"
    return text.replace("\r\n", "")


@pytest.mark.parametrize(
    ("names", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130), ("SIGINT SIGINT", 130)]
)
def test_a_training_without_the_app_saves_on_a_signal(terminal: Terminal, names: str, code: int) -> None:
    text = the_end(terminal, names.split())
    assert terminal.process.returncode == code
    (saved,) = lookup.step_folders(paths.run_dir("told"))
    checkpoint.verify(saved)
    assert f"saved {saved}; go on with: mario-tui train --resume told" in text


@pytest.mark.parametrize("writes", [True, False])
def test_the_third_ctrl_c_of_a_training_without_the_app(home: Path, writes: bool) -> None:
    """It begins no checkpoint, finishes the one that is being written, and says what there is."""
    (home / "hold").touch()
    hold = (
        "import os, time\n"
        "def hold():\n"
        f"    open({str(home / 'held')!r}, 'w').close()\n"
        f"    while os.path.exists({str(home / 'hold')!r}): time.sleep(0.02)\n"
    )
    where = ("mario_tui.training.checkpointing", "write_full" if writes else "Checkpointer.save")
    patch = f"{hold}import {where[0]} as module\nplain = module.{where[1]}\n" + (
        f"def patched(*a, **k):\n    hold()\n    return plain(*a, **k)\nmodule.{where[1]} = patched"
    )
    heard = home / "heard"
    heard.touch()
    patch += (
        "\nfrom mario_tui.training.control import TrainingControl\nstop = TrainingControl.stop\n"
        f"def told(*a, **k):\n    open({str(heard)!r}, 'a').write('.')\n    return stop(*a, **k)\n"
        "TrainingControl.stop = told"
    )
    with training(home, patch) as terminal:
        children = psutil.Process(terminal.process.pid).children(recursive=True)
        for number in range(1, 4):
            os.kill(terminal.process.pid, signal.SIGINT)
            while not (home / "held").exists() or heard.stat().st_size < number:  # signals that come at once are one
                time.sleep(0.02)
        (home / "hold").unlink()
        terminal.drain()
        text = terminal.written.decode().replace("\r\n", "")
        assert psutil.wait_procs(children, timeout=PATIENCE_SECONDS)[1] == [], "no process is left"
    assert terminal.process.returncode == 130
    assert re.search(r"mario-tui: stopped at step \d+; ", text)
    folders = lookup.step_folders(paths.run_dir("told"))
    if writes:
        (saved,) = folders
        checkpoint.verify(saved)
        assert text.endswith(f"; saved {saved}; go on with: mario-tui train --resume told")
    else:
        assert folders == []
        assert text.endswith("; no checkpoint of it is saved")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL"])
def test_a_crash_of_a_training_without_the_app(terminal: Terminal, name: str) -> None:
    text = the_end(terminal, [name])
    assert terminal.process.returncode == -getattr(signal, name)
    assert "mario-tui ended without warning" in text
    (log,) = paths.run_dir("told").glob("crash-*.log")
    assert ("Segmentation fault" in log.read_text()) == (name == "SIGSEGV")


def test_a_goodbye_is_all_that_the_guard_needs(tmp_path: Path) -> None:
    """It is gone, and has written nothing, where the program ended as it should."""
    program = (
        "from mario_tui.system import guard\n"
        "with guard.guarded(full_screen=False): print(guard._guard._process.pid, flush=True)"
    )
    done = subprocess.run(
        ["python", "-c", program], executable=psutil.Process().exe(), capture_output=True, text=True, check=True
    )
    assert not psutil.pid_exists(int(done.stdout))
    assert done.stderr == ""
    assert not paths.logs_dir().exists()
