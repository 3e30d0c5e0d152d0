"""`record` and `replay`: several stages, checksums, and that whatever ends them leaves nothing half-written."""

import contextlib
import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from rich.console import Console

from mario_tui.agent.spec import TUTORIAL
from mario_tui.cli import main
from mario_tui.commands.recording_progress import frames_bar
from mario_tui.game.action_log import ActionLog, load_logs
from mario_tui.game.replaying import replay
from mario_tui.video.writer import VideoWriter

LOG = ActionLog("1-1", 4, (130, 131, 131, 131, 130) * 4)
LONG = ActionLog("1-1", 4, (0,) * 4000)


def jumper(*_: object) -> Any:
    """An agent that walks to the right and jumps now and then."""
    steps = itertools.count()
    return SimpleNamespace(
        source="jumper", step=0, stage="1-1", spec=TUTORIAL,
        q_values=lambda stack: (0.0, 1.0) if next(steps) % 11 > 2 else (1.0, 0.0),
    )  # fmt: skip


@pytest.fixture
def agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A checkpoint with that agent in it."""
    (home / "jumper.chkpt").write_bytes(b"\x80")  # as a pickle begins
    monkeypatch.setattr("mario_tui.video.record_agent.load_policy", jumper)
    return str(home / "jumper.chkpt")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("flags", [("--stage", "1-1,8-4"), ("--stage", "1-1", "--stage", "8-4")])
def test_several_stages_in_one_video_and_each_of_them_replayed(
    agent: str, home: Path, capsys: pytest.CaptureFixture, flags: tuple[str, ...]
) -> None:
    assert main(["record", agent, *flags, "-o", str(home / "a.mp4"), "--scale", "1", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [episode["stage"] for episode in made["episodes"]] == ["1-1", "8-4"]
    assert sum(episode["frames"] for episode in made["episodes"]) == made["frames"]
    assert made["max_x"] == max(episode["max_x"] for episode in made["episodes"])
    assert main(["replay", made["action_log"], "--json"]) == 0
    played = json.loads(capsys.readouterr().out)
    assert played["matches"] is True
    assert (played["frames"], played["max_x"]) == (made["frames"], made["max_x"])
    for episode, log in zip(played["episodes"], load_logs(made["action_log"]), strict=True):
        assert (episode["ram_crc32"], episode["screen_crc32"]) == (log.ram_crc32, log.screen_crc32)
    assert main(["replay", made["action_log"], "-o", str(home / "b.gif"), "--scale", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == played, "the same is printed where a video is made of it"


def test_one_stage_is_as_it_was(agent: str, home: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["record", agent, "--stage", "8-4", "-o", str(home / "a.mp4"), "--scale", "1", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert set(made) == {"path", "frames", "seconds", "max_x", "cleared", "action_log"}
    content = json.loads((home / "a.json").read_bytes())
    assert (content["format"], content["stage"]) == (1, "8-4")


def test_several_stages_are_told_of_in_words(agent: str, home: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["record", agent, "--stage", "1-1,8-4", "-o", str(home / "a.mp4"), "--scale", "1"]) == 0
    assert re.search(r"1-1 got to x \d+, 8-4 got to x \d+\)", capsys.readouterr().out)


# checksums


def test_a_replay_that_differs_is_one_line_and_exit_1(home: Path, capsys: pytest.CaptureFixture) -> None:
    result = replay(LOG)
    path = home / "log.json"
    for wrong in ({"ram_crc32": result.ram_crc32 ^ 1}, {"screen_crc32": result.screen_crc32 ^ 1}):
        noted = {"ram_crc32": result.ram_crc32, "screen_crc32": result.screen_crc32}
        LOG.save(path, **noted)
        assert main(["replay", str(path), "--json"]) == 0
        out, err = capsys.readouterr()
        assert (json.loads(out)["matches"], err) == (True, "")
        LOG.save(path, **{**noted, **wrong})
        assert main(["replay", str(path), "--json"]) == 1
        out, err = capsys.readouterr()
        assert json.loads(out)["matches"] is False
        assert json.loads(out)["ram_crc32"] == result.ram_crc32
        assert re.fullmatch(r"mario-tui: [^\n]+ 1-1 are others[^\n]+\n", err)
        assert main(["replay", str(path)]) == 1
        assert capsys.readouterr().err == err


def test_a_changed_button_is_noticed(home: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["replay", str(save(LOG, home)), "-o", str(home / "a.mp4"), "--scale", "1"]) == 0
    content = json.loads((home / "a.json").read_bytes())
    content["buttons"][10] = 0
    (home / "a.json").write_text(json.dumps(content))
    capsys.readouterr()
    assert main(["replay", str(home / "a.json")]) == 1
    assert "played differently" in capsys.readouterr().err


def test_a_log_without_checksums_is_replayed_as_before(home: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["replay", str(save(LOG, home)), "--json"]) == 0
    out, err = capsys.readouterr()
    assert set(json.loads(out)) == {"frames", "ram_crc32", "screen_crc32", "max_x", "reward", "cleared"}
    assert err == ""


def save(log: ActionLog, home: Path) -> Path:
    log.save(home / "log.json")
    return home / "log.json"


# progress


@pytest.mark.parametrize(("total", "words"), [(4800, "1,200 of 4,800 frames, 20 s"), (None, "1,200 frames, 20 s")])
def test_the_bar_has_a_total_where_there_is_one(total: int | None, words: str) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, legacy_windows=False)
    with frames_bar(console) as progress:
        progress(1200, total)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())  # type: ignore[attr-defined]
    assert words in shown


# faults


def encoders_of(pid: int) -> list[psutil.Process]:
    """Its ffmpeg, but not one that is only asked for its version."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.cmdline()[-1:] and ".part/" in child.cmdline()[-1]:
                found.append(child)
    return found


def begin(home: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A long recording that has begun, and its encoder."""
    save(LONG, home)
    # Ctrl+C is ignored from the start where tests run in the background.
    code = """
import signal, sys
from mario_tui.cli import program
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(program())
"""
    command = [sys.executable, "-c", code, "replay", str(home / "log.json"), "-o", str(home / "a.mp4")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (encoders := encoders_of(process.pid)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert any(name.startswith(".a.") and name.endswith(".part") for name in files(home))
    return process, encoders


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_recording_that_is_told_to_end_leaves_nothing(home: Path, number: int, code: int) -> None:
    process, encoders = begin(home)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (code, "", "")
    assert files(home) == ["log.json"]
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in encoders)


def test_what_a_killed_recording_leaves_is_swept_by_the_next(home: Path) -> None:
    process, encoders = begin(home)
    process.kill()
    process.communicate(timeout=120)
    psutil.wait_procs(encoders, timeout=120)
    assert len(files(home)) > 1, "the video that was begun"
    VideoWriter(home / "b.mp4").abort()
    assert files(home) == ["log.json"]


def test_an_encoder_that_is_killed_is_one_line_and_exit_1(home: Path) -> None:
    process, encoders = begin(home)
    encoders[0].kill()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert re.fullmatch(r"mario-tui: [^\n]*was not written: ffmpeg ended[^\n]*\n", err)
    assert files(home) == ["log.json"]


def test_a_missing_encoder_is_one_line_and_exit_1(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(home / "missing"))
    assert main(["replay", str(save(LOG, home)), "-o", str(home / "a.mp4")]) == 1
    assert re.fullmatch(r"mario-tui: [^\n]*ffmpeg cannot be started[^\n]*\n", capsys.readouterr().err)
    assert files(home) == ["log.json"]


def test_a_full_disk_is_one_line_and_exit_1(home: Path, capsys: pytest.CaptureFixture) -> None:
    small = home / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here: a full disk is not tried")
    try:
        assert main(["replay", str(save(LOG, home)), "-o", str(small / "a.gif")]) == 1
        assert re.fullmatch(r"mario-tui: [^\n]*the disk is full\n", capsys.readouterr().err)
        assert os.listdir(small) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
