from pathlib import Path

import pytest


@pytest.fixture
def run(home: Path) -> Path:
    """The folder of a run, which is not made yet."""
    return home / "checkpoints" / "a-run"
