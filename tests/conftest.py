"""What all tests share: a home folder for each, one thread of PyTorch, no measurement of the machine; a display."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import features

from mario_tui import paths

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MARIO_TUI_AUTOTUNE", "0")

for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:  # tests run in the background, or under nohup
        signal.signal(_number, lambda *_: None)  # for them the same; what they start gets the default


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that runs and recordings of this test go to."""
    monkeypatch.setenv("MARIO_TUI_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def home_is_chosen_anew() -> None:
    """A program looks once where its home is, and each test is another program."""
    paths._home_without_variable.cache_clear()


@pytest.fixture(scope="module")
def virtual_display() -> Iterator[str]:
    """An X11 display that nobody sees; its name."""
    missing = [program for program in ("Xvfb", "xdotool") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: no window is opened")
    if not features.check("xcb"):
        pytest.skip("this Pillow takes no screenshots of X11: no window is looked at")
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1024x768x24", "-noreset", "-r"]  # no repeats
    server = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    if not number:
        pytest.skip("Xvfb does not start here: no window is opened")
    yield f":{number}"
    server.terminate()
    server.wait()
