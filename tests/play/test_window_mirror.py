"""Greedy play in a real window, on a virtual display."""

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import pytest
import torch
import warm

from mario_tui.agent.network import MarioNet
from mario_tui.agent.spec import TUTORIAL
from mario_tui.buttons import RIGHT, A, B
from mario_tui.game.action_log import ActionLog
from mario_tui.play.human_player import HumanPlayer
from mario_tui.play.window_mirror import play_in_window
from test_window import WAIT_SECONDS, eventually, send_keys, titles

pytestmark = pytest.mark.slow  # a window each, and programs that load PyTorch


@pytest.fixture
def display() -> Iterator[str]:
    if not shutil.which("Xvfb"):
        pytest.skip("Xvfb is not installed: no window can be opened")
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    yield f":{process.stdout.readline().decode().strip()}"
    process.terminate()
    process.wait()


def watch(home: Path, display: str) -> subprocess.CompletedProcess:
    torch.manual_seed(0)
    torch.save({"model": MarioNet(TUTORIAL).state_dict(), "exploration_rate": 0.9}, home / "m.chkpt")
    return warm.run(
        [sys.executable, "-m", "mario_tui", "watch", str(home / "m.chkpt"), "--window"],
        env={"PATH": "", "HOME": str(home), "DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1"},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def test_an_episode_in_a_window_ends_by_itself(home: Path, display: str) -> None:
    result = watch(home, display)
    assert result.returncode == 0, result.stderr
    assert "ended by" in result.stdout


def test_without_a_display_one_line_says_what_to_do(home: Path) -> None:
    result = watch(home, "")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "terminal instead" in result.stderr


def test_a_person_plays_in_the_window(virtual_display: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are really pressed there move Mario, pause the game, slow it down, begin it again, and close it."""
    monkeypatch.setenv("DISPLAY", virtual_display)
    player = HumanPlayer("1-1")
    playing = threading.Thread(target=play_in_window, args=(player,))
    playing.start()
    assert eventually(titles)
    (number,) = titles()
    assert eventually(lambda: player.latest is not None)
    assert player.waits
    send_keys(number, "keydown Right", "keydown z")
    assert eventually(lambda: player.latest.x > 70)
    assert eventually(lambda: player.latest.buttons == RIGHT | B)
    send_keys(number, "keydown x")
    assert eventually(lambda: player.latest.buttons == RIGHT | B | A)
    send_keys(number, "keyup x", "keyup z", "keyup Right")
    assert eventually(lambda: player.latest.buttons == 0)
    send_keys(number, "key p")
    assert eventually(lambda: player.paused)
    assert eventually(lambda: "paused" in titles()[number])
    send_keys(number, "key minus", "key k")
    assert eventually(lambda: player.speed == 0.5 and player.has_kept)
    kept = player.kept_step
    send_keys(number, "key p")
    assert eventually(lambda: player.latest.step > kept + 5)
    send_keys(number, "key l")
    assert eventually(lambda: player.latest.step < kept + 5)
    send_keys(number, "key a")
    assert eventually(lambda: player.waits and player.latest.step == 0)
    send_keys(number, "key q")
    playing.join(WAIT_SECONDS)
    assert not playing.is_alive()
    assert eventually(lambda: not titles())


def test_play_in_a_window_and_record_it(virtual_display: str, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("DISPLAY", virtual_display)
    video = home / "mine.mp4"
    program = warm.Popen(
        [sys.executable, "-m", "mario_tui", "play", "--window", "--record", str(video), "--scale", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert eventually(titles)
    (number,) = titles()
    send_keys(number, "keydown Right")
    assert eventually(lambda: any(int(x) > 180 for x in re.findall(r"x (\d+)", titles().get(number, ""))))
    send_keys(number, "keyup Right", "key q")
    out, err = program.communicate(timeout=120)
    assert (program.returncode, err) == (0, "")
    assert "the best of the games played" in out
    (kept,) = (home / "plays").iterdir()
    assert f"Kept as {kept}" in out
    assert "train --demonstrations plays/" in out
    log = ActionLog.load(kept)
    assert log == ActionLog.load(video.with_suffix(".json"))
    reader: Any = imageio.get_reader(video)
    assert reader.count_frames() == len(log.buttons) * log.frame_skip
    reader.close()


def test_playing_without_a_display_or_a_terminal_is_one_line(home: Path) -> None:
    for arguments, code, words in ((["--window"], 1, "terminal instead"), ([], 2, "--window")):
        result = subprocess.run(
            [sys.executable, "-m", "mario_tui", "play", *arguments],
            env={"PATH": "", "HOME": str(home)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == code
        assert result.stderr.count("\n") == 1
        assert words in result.stderr
