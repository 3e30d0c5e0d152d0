"""Greedy play in a real window, on a virtual display."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mario_tui.agent.network import MarioNet


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
    torch.save({"model": MarioNet((4, 84, 84), 2).state_dict(), "exploration_rate": 0.9}, home / "m.chkpt")
    return subprocess.run(
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
