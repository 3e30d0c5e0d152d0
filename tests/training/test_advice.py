"""What a person who trains is told of, and what not."""

from typing import Any

import pytest

from mario_tui.config import TrainingConfig
from mario_tui.store.history import EpisodeRecord
from mario_tui.training.advice import warnings


def episode(number: int, **changes: Any) -> EpisodeRecord:
    values: dict[str, Any] = {
        "episode": number, "step": 100 * number, "epsilon": 0.5, "stage": "1-1", "reward": 300.0, "length": 90,
        "loss": 0.02, "q": 5.0, "max_x": 300 + 37 * number % 1000, "end": "death", "seconds": float(number),
    }  # fmt: skip
    return EpisodeRecord(**{**values, **changes})


def found(recent: list[EpisodeRecord], config: TrainingConfig | None = None, **memory: Any) -> list[str]:
    return list(warnings(config or TrainingConfig(), recent, **memory))


def test_a_training_that_goes_well_is_left_alone() -> None:
    assert found([]) == []
    assert found([episode(n) for n in range(100)], free_bytes=8e9, missing_bytes=7e8) == []


@pytest.mark.parametrize(("stuck", "told"), [(20, False), (45, True)])
def test_many_episodes_that_end_at_one_place(stuck: int, told: bool) -> None:
    recent = [episode(n) for n in range(100 - stuck)] + [episode(n, max_x=715 + n % 20) for n in range(stuck)]
    (*warned,) = found(recent)
    assert bool(warned) is told
    assert not told or "of the last 50 episodes ended near x 7" in warned[0]


def test_clears_end_at_one_place_and_are_no_reason_to_warn() -> None:
    assert found([episode(n, max_x=3161, end="clear") for n in range(100)]) == []


def test_few_episodes_say_nothing() -> None:
    assert found([episode(n, max_x=300) for n in range(30)]) == []


def test_a_loss_that_grows() -> None:
    recent = [episode(n) for n in range(80)] + [episode(n, loss=0.3) for n in range(20)]
    assert [line.split(":")[0] for line in found(recent)] == ["the loss grows"]
    one_bad = [episode(n, loss=9.0 if n == 95 else 0.02) for n in range(100)]
    assert found(one_bad) == []


def test_memory_that_will_not_do() -> None:
    assert found([], free_bytes=1.0e9, missing_bytes=0.7e9) == [
        "memory is short: 1.0 GB are free, and what it learns from takes 0.7 GB more"
    ]
    assert found([], free_bytes=0.3e9) == ["memory is short: 0.3 GB are free"]
    assert found([], free_bytes=1.0e9, missing_bytes=0.2e9) == []


def test_a_run_that_ends_before_it_learns() -> None:
    (line,) = found([], TrainingConfig(steps=5_000, burn_in=10_000))
    assert "nothing will be learned" in line


def test_episodes_that_a_maze_led_back() -> None:
    straight = [episode(n, stage="7-4", reward=250.0 + 37 * n % 1000) for n in range(8)]
    assert found(straight) == []
    assert found([*straight, *(episode(n, stage="7-4", end="loop", max_x=1_290) for n in (8, 9))]) == [
        "2 of the last 10 episodes took a wrong way in the maze"
    ]
