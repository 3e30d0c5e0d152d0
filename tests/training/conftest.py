"""Small training runs on the real game."""

from collections.abc import Callable

import pytest

from mario_tui.config import TrainingConfig
from runs import SMALL


@pytest.fixture
def small() -> Callable[..., TrainingConfig]:
    """Settings of a run that learns from step 20 on, with any changes."""
    return lambda **changes: TrainingConfig(**{**SMALL, **changes})
