"""Recordings made by a process of their own: they end whole or leave nothing, and never outlive their owner."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mario_tui.game.action_log import ActionLog
from mario_tui.game.replaying import replay
from mario_tui.video.background import NICENESS, BackgroundRecording

LOG = ActionLog("1-1", 4, (130, 131, 131, 131, 130) * 4)
LONG = ActionLog("1-1", 4, (0,) * 4000)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def until(condition: Callable[[], object]) -> None:
    """However long it takes the machine."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def encoders(pid: int) -> list[psutil.Process]:
    """Its ffmpeg, but not one that is only asked for its version."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.cmdline()[-1:] and ".part/" in child.cmdline()[-1]:
                found.append(child)
    return found


def test_a_log_becomes_a_video_and_its_log(tmp_path: Path) -> None:
    recording = BackgroundRecording(LOG, tmp_path / "a.mp4")
    outcome = recording.wait(120)
    assert outcome is not None
    expected = replay(LOG)
    assert (outcome.max_x, outcome.cleared, outcome.problem) == (expected.max_x, False, "")
    assert recording.outcome() == outcome
    assert files(tmp_path) == ["a.json", "a.mp4"]
    assert not expected.differs_from(ActionLog.load(tmp_path / "a.json"))
    recording.cancel()
    assert files(tmp_path) == ["a.json", "a.mp4"], "too late to give it up"


def test_it_is_nice_and_keeps_to_one_thread(tmp_path: Path) -> None:
    recording = BackgroundRecording(LONG, tmp_path / "a.mp4")
    until(lambda: encoders(recording.pid))
    (encoder,) = encoders(recording.pid)
    process = psutil.Process(recording.pid)
    assert process.nice() == encoder.nice() == NICENESS
    assert os.getpgid(recording.pid) != os.getpgid(0), "the terminal's Ctrl+C passes it by"
    assert os.getsid(recording.pid) == os.getsid(0), "in a session of its own being nice may have no effect"
    arguments = encoder.cmdline()
    assert arguments[arguments.index("-threads") + 1] == "1"
    recording.cancel()


def test_it_loads_no_torch() -> None:
    code = "import sys, mario_tui.video.background, mario_tui.video.record; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_cancelled_one_leaves_neither_file_nor_process(tmp_path: Path) -> None:
    recording = BackgroundRecording(LONG, tmp_path / "a.mp4")
    until(lambda: encoders(recording.pid))
    processes = [psutil.Process(recording.pid), *encoders(recording.pid)]
    (partial,) = files(tmp_path)
    assert partial.startswith(".a.")
    assert partial.endswith(".part")
    recording.cancel()
    assert files(tmp_path) == []
    until(lambda: not any(process.is_running() for process in processes))


def test_one_that_does_not_answer_is_killed_with_its_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mario_tui.video.background.CANCEL_SECONDS", 0.1)
    recording = BackgroundRecording(LONG, tmp_path / "a.mp4")
    until(lambda: encoders(recording.pid))
    (encoder,) = encoders(recording.pid)
    os.kill(recording.pid, signal.SIGSTOP)
    recording.cancel()
    assert files(tmp_path) == []
    until(lambda: not encoder.is_running() or encoder.status() == psutil.STATUS_ZOMBIE)


def test_one_that_is_killed_has_failed_and_leaves_nothing(tmp_path: Path) -> None:
    recording = BackgroundRecording(LONG, tmp_path / "a.mp4")
    until(lambda: encoders(recording.pid))
    os.kill(recording.pid, signal.SIGKILL)
    outcome = recording.wait(60)
    assert outcome is not None
    assert "killed by signal 9" in outcome.problem
    assert files(tmp_path) == []


def test_a_killed_encoder_is_a_failure_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("older")
    recording = BackgroundRecording(LONG, tmp_path / "a.mp4")
    until(lambda: encoders(recording.pid))
    encoders(recording.pid)[0].kill()
    outcome = recording.wait(120)
    assert outcome is not None
    assert "ffmpeg ended" in outcome.problem
    assert "\n" not in outcome.problem
    assert files(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_text() == "older"


def test_a_missing_encoder_is_a_failure_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "missing"))
    outcome = BackgroundRecording(LOG, tmp_path / "a.mp4").wait(120)
    assert outcome is not None
    assert "ffmpeg cannot be started" in outcome.problem
    assert files(tmp_path) == []


def test_it_ends_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(LONG.to_json())
    code = """
import sys, time
from pathlib import Path
from mario_tui.game.action_log import ActionLog
from mario_tui.video.background import BackgroundRecording
folder = Path(sys.argv[1])
print(BackgroundRecording(ActionLog.load(folder / "log.json"), folder / "a.mp4").pid, flush=True)
time.sleep(1000)
"""
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    pid = json.loads(owner.stdout.readline())
    until(lambda: encoders(pid))
    processes = [psutil.Process(pid), *encoders(pid)]
    owner.kill()
    owner.wait()
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes))
    assert files(tmp_path) == ["log.json"]
