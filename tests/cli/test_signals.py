"""Every command that runs longer than a moment, and every signal from outside: the table of docs/unattended.md.

What is expected is read from that table. Signals go to every process of a command, as batch systems and systemd do.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import warm
from pseudo_terminal import Terminal

from mario_tui.game.action_log import ActionLog
from mario_tui.store import checkpoint, lookup
from mario_tui.video.writer import _count_frames

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120
OTHERS = ("SIGUSR1", "SIGUSR2")
ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP")

# A shell with one job: one that nobody could continue is not stopped by the system. Signals reach the job as if from an
# interactive shell, whatever the tests were started with; with `ignored` as under nohup.
SHELL = """
import fcntl, os, signal, sys, termios
for number in {signals}:
    signal.signal(number, signal.SIG_IGN if {ignored} else signal.SIG_DFL)
if not {ignored}:
    signal.signal(signal.SIGINT, signal.default_int_handler)
job = os.fork()
if job:
    os.setpgid(job, job)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.tcsetpgrp(0, job)
    with open({home!r} + "/job.new", "w") as file:
        file.write(str(job))
    os.rename({home!r} + "/job.new", {home!r} + "/job")
    for number in {signals}:
        signal.signal(number, signal.SIG_IGN)  # they are for the job
    code = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
    os._exit(code if code >= 0 else 200 - code)
os.setpgid(0, 0)
while not os.path.exists({home!r} + "/job"):
    pass
{patch}
from mario_tui.cli import program
sys.exit(program())
"""
ALL = tuple(int(getattr(signal, name)) for name in (*ENDINGS, *OTHERS, "SIGTSTP"))


class Job:
    """A command that runs."""

    def __init__(self, home: Path, arguments: tuple[str, ...], *, ignored: bool, patch: str, terminal: bool) -> None:
        self.home = home
        code = SHELL.format(signals=ALL, ignored=ignored, home=str(home), patch=patch)
        command = (sys.executable, "-c", code)
        self.terminal: Terminal | None = None
        if terminal:
            self.terminal = Terminal(list(arguments), home, width=100, height=30, command=command, start=warm.Popen)
            self.shell = self.terminal.process
        else:
            self.shell = warm.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                start_new_session=True,
            )  # fmt: skip
        self.wait_until((home / "job").exists)
        self.process = psutil.Process(int((home / "job").read_text()))
        self.children: list[psutil.Process] = []

    def wait_until(self, condition: Callable[[], object]) -> None:
        if self.terminal is not None:  # it is read meanwhile, or the program would wait
            self.terminal.wait(lambda _: condition(), PATIENCE_SECONDS)
            return
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert self.shell.poll() is None, self.shell.stderr and self.shell.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def line(self, *texts: str) -> str:
        """The next line of its output with one of these."""
        for line in self.shell.stdout:
            if any(text in line for text in texts):
                return str(line)
        raise AssertionError(f"it ended: {self.shell.stderr.read()}")

    def shows(self, text: str) -> None:
        assert self.terminal is not None
        self.terminal.wait(lambda screen: text in screen, PATIENCE_SECONDS)

    def has(self, part: str) -> bool:
        """Whether one of its processes has this in its command line."""
        self.children = self.process.children(recursive=True)
        with contextlib.suppress(psutil.NoSuchProcess):
            return any(part in " ".join(child.cmdline()) for child in self.children)
        return False

    def send(self, name: str) -> None:
        """To each of its processes."""
        for process in [*self.process.children(recursive=True), self.process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(getattr(signal, name))

    def stop_and_continue(self) -> None:
        self.process.send_signal(signal.SIGTSTP)
        self.wait_until(lambda: self.process.status() == psutil.STATUS_STOPPED)
        self.process.send_signal(signal.SIGCONT)
        self.wait_until(lambda: self.process.status() != psutil.STATUS_STOPPED)

    def ends(self) -> int:
        self.children += [child for child in self.process.children(recursive=True) if child not in self.children]
        if self.terminal is not None:
            self.terminal.drain()
        else:
            self.out, self.err = self.shell.communicate(timeout=PATIENCE_SECONDS)
        assert psutil.wait_procs(self.children, timeout=PATIENCE_SECONDS)[1] == [], "no process is left"
        return int(self.shell.wait(PATIENCE_SECONDS))


class Command:
    """One that is tried, and how to see that it is under way and goes on."""

    arguments: tuple[str, ...]
    to_the_end: tuple[str, ...] = ()
    """Where it is short: the arguments with which it is seen to go on to its end."""
    terminal = False
    patch = ""

    def prepare(self, home: Path) -> None:
        pass

    def is_ready(self, job: Job) -> None:
        raise NotImplementedError

    def goes_on(self, job: Job) -> None:
        """After signals that should do nothing."""
        raise NotImplementedError

    def warned(self, job: Job) -> None:
        self.goes_on(job)

    def is_whole(self, job: Job) -> None:
        """After it went on to its end."""
        raise NotImplementedError

    def ended(self, job: Job) -> None:
        """After its end by a signal."""
        assert not re.search("Traceback|Warning|Error", job.out + job.err)


def with_agent(home: Path) -> None:
    shutil.copytree(ROOT / "checkpoints" / "world-1-1", home / "checkpoints" / "world-1-1")


class Train(Command):
    arguments: tuple[str, ...] = (
        "train", "--name", "told", "--json", "--burn-in", "20", "--replay-size", "2000", "--batch-size", "8",
        "--threads", "1", "--network", "small", "--max-episode-steps", "40", "--no-record",
    )  # fmt: skip

    def is_ready(self, job: Job) -> None:
        job.line('"episode"')
        assert job.has("mario_tui.game.worker")
        assert job.has("mario_tui.system.guard")

    def goes_on(self, job: Job) -> None:
        for _ in range(2):
            assert '"restarted"' not in job.line('"episode"', '"restarted"'), "no emulator has taken notice"

    def warned(self, job: Job) -> None:
        saved = json.loads(job.line('"saved"'))
        checkpoint.verify(Path(saved["path"]))
        self.goes_on(job)

    def ended(self, job: Job) -> None:
        super().ended(job)
        finished = json.loads(job.out.splitlines()[-1])
        assert finished["event"] == "finished"
        checkpoint.verify(Path(finished["checkpoint"]))


class Evaluate(Command):
    arguments = ("eval", "world-1-1", "--episodes", "10000", "--sticky", "0.25")

    def prepare(self, home: Path) -> None:
        with_agent(home)

    def is_ready(self, job: Job) -> None:
        job.line("seed 0")

    def goes_on(self, job: Job) -> None:
        job.line("seed")


class Video(Command):
    """What writes a video: it goes on to its end, or leaves nothing."""

    def is_ready(self, job: Job) -> None:
        job.wait_until(lambda: job.has(".part/"))

    def goes_on(self, job: Job) -> None:
        assert job.has(".part/"), "the encoder lives"

    def is_whole(self, job: Job) -> None:
        assert _count_frames(job.home / "a.mp4") > 100
        assert (job.home / "a.json").exists()

    def ended(self, job: Job) -> None:
        super().ended(job)
        assert not list(job.home.glob("*a.*")), "nothing half-written stays"


class Record(Video):
    arguments = ("record", "world-1-1", "-o", "a.mp4", "--stage", "1-1,1-2,1-3,1-4", "--scale", "4")
    to_the_end = ("record", "world-1-1", "-o", "a.mp4")

    def prepare(self, home: Path) -> None:
        with_agent(home)


class Replay(Video):
    arguments = ("replay", "long.json", "-o", "a.mp4")
    to_the_end = arguments

    def prepare(self, home: Path) -> None:
        ActionLog("1-1", 4, (0,) * 1500).save(home / "long.json")


class FullScreen(Command):
    terminal = True

    def ended(self, job: Job) -> None:
        assert job.terminal is not None
        written = bytes(job.terminal.written).decode(errors="replace")
        for mode, off in (("1049", "l"), ("1000", "l"), ("25", "h")):
            assert re.findall(rf"\x1b\[\?{mode}([hl])", written)[-1] == off

    def goes_on(self, job: Job) -> None:
        job.terminal.press("?")
        job.shows("esc closes")
        job.terminal.press("\x1b")
        job.terminal.wait(lambda screen: "esc closes" not in screen, PATIENCE_SECONDS)


class App(FullScreen):
    arguments = ()

    def is_ready(self, job: Job) -> None:
        job.shows("No run yet")

    def warned(self, job: Job) -> None:
        self.goes_on(job)  # nothing is trained; for a training see tests/tui/test_endings.py


class Watch(FullScreen):
    arguments = ("watch", "world-1-1")

    def prepare(self, home: Path) -> None:
        with_agent(home)

    def is_ready(self, job: Job) -> None:
        job.shows("world-1-1")
        job.shows("progress")


class Play(FullScreen):
    arguments = ("play",)

    def is_ready(self, job: Job) -> None:
        job.shows("progress")


class Bench(Command):
    arguments = ("bench", "--steps", "100000")
    to_the_end = ("bench", "--steps", "20", "--json")
    patch = "import os, tempfile; tempfile.tempdir = os.environ['MARIO_TUI_HOME'] + '/tmp'"

    def prepare(self, home: Path) -> None:
        (home / "tmp").mkdir()

    def is_ready(self, job: Job) -> None:
        job.wait_until(lambda: job.has("mario_tui.game.worker"))
        job.wait_until(lambda: list((job.home / "tmp").glob("*/checkpoints/*/config.toml")))

    def goes_on(self, job: Job) -> None:
        assert job.has("mario_tui.game.worker")

    def is_whole(self, job: Job) -> None:
        assert json.loads(job.out)["steps_per_second"] > 0

    def ended(self, job: Job) -> None:
        super().ended(job)
        assert list((job.home / "tmp").iterdir()) == []


class Serve(Command):
    def __init__(self) -> None:
        with socket.create_server(("localhost", 0)) as free:
            self._port = free.getsockname()[1]
        self.arguments = ("serve", "--port", str(self._port))

    def goes_on(self, job: Job) -> None:
        with urllib.request.urlopen(f"http://localhost:{self._port}/", timeout=PATIENCE_SECONDS) as page:
            assert b"mario-tui" in page.read()

    def is_ready(self, job: Job) -> None:
        def answers() -> bool:
            with contextlib.suppress(OSError):
                self.goes_on(job)
                return True
            return False

        job.wait_until(answers)


class Held(Command):
    """A short one: it waits in the middle until a file goes."""

    def __init__(self, arguments: tuple[str, ...], function: str) -> None:
        self.arguments = self.to_the_end = arguments
        module, _, name = function.rpartition(".")
        self.patch = (
            f"import os, time, {module} as module\nplain = module.{name}\nhome = os.environ['MARIO_TUI_HOME']\n"
            "def held(*a, **k):\n    open(home + '/held', 'w').close()\n"
            "    while os.path.exists(home + '/held'): time.sleep(0.02)\n    return plain(*a, **k)\n"
            f"module.{name} = held"
        )

    def prepare(self, home: Path) -> None:
        with_agent(home)

    def is_ready(self, job: Job) -> None:
        job.wait_until((job.home / "held").exists)

    def goes_on(self, job: Job) -> None:
        assert job.process.is_running()

    def is_whole(self, job: Job) -> None:
        assert "world-1-1" in job.out or "small" in job.out
        for run in lookup.runs():
            for folder in lookup.step_folders(run):
                checkpoint.verify(folder)

    def ended(self, job: Job) -> None:
        super().ended(job)
        assert [run.name for run in lookup.runs()] == ["world-1-1"]


COMMANDS: dict[str, Callable[[], Command]] = {
    "mario-tui": App,
    "train": Train,
    "eval": Evaluate,
    "record": Record,
    "replay": Replay,
    "watch": Watch,
    "play": Play,
    "bench": Bench,
    "serve": Serve,
    "export": lambda: Held(("export", "world-1-1", "--name", "small"), "mario_tui.store.checkpoint.write"),
    "checkpoints": lambda: Held(("checkpoints",), "mario_tui.store.checkpoint.is_whole"),
}


def documented() -> dict[str, dict[str, str]]:
    """The table of docs/unattended.md: command -> column -> what it says."""
    text = (ROOT / "docs" / "unattended.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    start = next(number for number, row in enumerate(rows) if row[0] == "command")
    heading = ["command", *(re.findall(r"`([^`]*)`", cell)[0] for cell in rows[start][1:])]
    table = {}
    for row in rows[start + 2 :]:
        if len(row) != len(heading):
            break
        for command in re.findall(r"`([^`]*)`", row[0]):
            table[command.split()[0]] = dict(zip(heading, row, strict=True))
    return table


def test_the_table_of_the_documentation_has_these_commands() -> None:
    assert set(documented()) == set(COMMANDS)


@contextlib.contextmanager
def running(command: Command, home: Path, arguments: tuple[str, ...], *, ignored: bool = False) -> Iterator[Job]:
    command.prepare(home)
    job = Job(home, arguments, ignored=ignored, patch=f"os.chdir({str(home)!r})\n{command.patch}",
              terminal=command.terminal)  # fmt: skip
    try:
        command.is_ready(job)
        yield job
    finally:
        for process in [*job.process.children(recursive=True), job.process] if job.process.is_running() else []:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        job.shell.wait(PATIENCE_SECONDS)
        if job.terminal is not None:
            os.close(job.terminal.master)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_a_signal(home: Path, name: str, ending: str) -> None:
    command, expected = COMMANDS[name](), documented()[name]
    with running(command, home, command.arguments) as job:
        for other in OTHERS:
            job.send(other)
            (command.warned if expected["SIGUSR1"] == "saves, goes on" else command.goes_on)(job)
        if expected["SIGTSTP"] == "stops":
            job.stop_and_continue()
            command.goes_on(job)
        job.send(ending)
        code = job.ends()
        assert str(code) in re.findall(r"\d+", expected[ending])
        command.ended(job)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_signals_that_are_ignored_at_the_start_stay_ignored(home: Path, name: str) -> None:
    command = COMMANDS[name]()
    with running(command, home, command.to_the_end or command.arguments, ignored=True) as job:
        for signal_name in (*ENDINGS, *OTHERS, "SIGTSTP"):
            job.send(signal_name)
        time.sleep(0.3)  # for those that would be handled in an event loop
        if not command.to_the_end:
            command.goes_on(job)
            return
        (home / "held").unlink(missing_ok=True)
        assert job.ends() == 0
        command.is_whole(job)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "bench"])
def test_a_killed_training_leaves_no_warning_of_python_on_the_terminal(home: Path, name: str) -> None:
    command = COMMANDS[name]()
    with running(command, home, command.arguments) as job:
        job.children = job.process.children(recursive=True)
        job.process.kill()
        out, err = job.shell.communicate(timeout=PATIENCE_SECONDS)
        assert psutil.wait_procs(job.children, timeout=PATIENCE_SECONDS)[1] == []
        assert re.fullmatch(r"(mario-tui ended without warning [^\n]*\n)?", err)
        assert "resource_tracker" not in out


@pytest.mark.slow
def test_ctrl_z_shows_the_cursor_that_a_progress_bar_had_hidden(home: Path) -> None:
    class WithBar(Train):
        arguments = tuple(part for part in Train.arguments if part != "--json")
        terminal = True

        def is_ready(self, job: Job) -> None:
            job.shows("steps/s")

    def cursor(job: Job) -> str:
        return re.findall(rb"\x1b\[\?25([hl])", job.terminal.written)[-1].decode()

    with running(WithBar(), home, WithBar.arguments) as job:
        assert cursor(job) == "l"
        job.process.send_signal(signal.SIGTSTP)
        job.wait_until(lambda: job.process.status() == psutil.STATUS_STOPPED and cursor(job) == "h")
        job.process.send_signal(signal.SIGCONT)
        job.send("SIGTERM")
        assert job.ends() == 143
