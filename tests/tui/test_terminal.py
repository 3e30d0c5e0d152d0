"""A terminal that goes away must not keep the app from saving and leaving; a pseudo-terminal stands for it."""

import io
import os
import pty
import selectors
import subprocess
import sys
import threading
from typing import Any

import pytest
from textual.events import Key

from mario_tui.tui.terminal import TerminalDriver, _Droppable


class Breaking(io.StringIO):
    """A file that breaks after its first line."""

    def write(self, text: str) -> int:
        if self.getvalue():
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_what_cannot_be_written_is_dropped() -> None:
    file = Breaking()
    output = _Droppable(file)
    assert output.write("first\n") == 6
    assert output.write("second\n") == 7
    assert output.write("third\n") == 6
    output.flush()
    assert file.getvalue() == "first\n"
    assert output.encoding == file.encoding, "all else is the file's own"


CHILD = """
import os, signal, sys
from mario_tui.tui.terminal import let_go_if_gone
let_go_if_gone()
was_a_terminal = os.isatty(0)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.write(int(sys.argv[1]), b"r")
os.read(int(sys.argv[2]), 1)
let_go_if_gone()
os.write(1, b"nowhere")
os.write(2, b"nowhere")
try:
    os.read(0, 1)
except BlockingIOError:
    os.write(int(sys.argv[1]), b"yes" if was_a_terminal else b"no")
"""


def test_a_terminal_is_kept_while_it_lives_and_replaced_when_it_is_gone() -> None:
    master, slave = pty.openpty()
    ready, tell = os.pipe()
    wait, go_on = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tell), str(wait)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        pass_fds=(tell, wait),
        start_new_session=True,
    )
    os.close(slave)
    os.close(tell)
    assert os.read(ready, 1) == b"r"
    os.close(master)
    os.write(go_on, b"x")
    assert child.wait(30) == 0
    assert os.read(ready, 10) == b"yes"
    for descriptor in (ready, wait, go_on):
        os.close(descriptor)


def test_keys_come_where_the_systems_own_selector_takes_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kqueue(selectors.SelectSelector):
        def register(self, *_: Any, **__: Any) -> selectors.SelectorKey:
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(selectors, "DefaultSelector", Kqueue)
    master, slave = pty.openpty()
    driver = TerminalDriver.__new__(TerminalDriver)
    keys = []

    def process(message: object) -> None:
        if isinstance(message, Key):
            keys.append(message.key)
            driver.exit_event.set()

    driver.fileno, driver.exit_event, driver._debug = slave, threading.Event(), False
    monkeypatch.setattr(driver, "process_message", process)
    os.write(master, b"x\n")
    reader = threading.Thread(target=driver.run_input_thread, daemon=True)
    reader.start()
    reader.join(60)
    assert keys[:1] == ["x"]
    for descriptor in (master, slave):
        os.close(descriptor)
