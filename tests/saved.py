"""Small checkpoints, as tests need them."""

from pathlib import Path
from typing import Any

from mario_tui.store import checkpoint

HEADER = {"stage": "1-1", "agent": {"action_set": "tutorial"}, "reward": "7.4.0", "config": {}}


def write(run: Path, step: int = 5, **header: Any) -> Path:
    """A checkpoint of two small parts, in a run that is made if it is missing."""
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.toml").touch()
    parts = {
        "agent.bin": lambda path: path.write_bytes(b"weights" * 100),
        "trainer.json": lambda path: path.write_bytes(b"{}"),
    }
    return checkpoint.write(run, step, parts, {**HEADER, **header})
