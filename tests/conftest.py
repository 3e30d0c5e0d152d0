"""What all tests share: every test has a home folder of its own, and PyTorch keeps to one thread."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that runs and recordings of this test go to."""
    monkeypatch.setenv("MARIO_TUI_HOME", str(tmp_path))
    return tmp_path
