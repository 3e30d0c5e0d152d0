"""Small training runs on the real game."""

from collections.abc import Callable

import pytest

from mario_tui.config import TrainingConfig

SMALL = {
    "network": "small",
    "burn_in": 20,
    "learn_every": 4,
    "batch_size": 8,
    "replay_size": 400,
    "sync_every": 50,
    "save_every": 0,
    "threads": 1,
    "record": False,
}


@pytest.fixture
def small() -> Callable[..., TrainingConfig]:
    """Settings of a run that learns from step 20 on, with any changes."""
    return lambda **changes: TrainingConfig(**{**SMALL, **changes})
