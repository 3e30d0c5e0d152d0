"""Prioritised replay draws rows by their chances, and makes up for it with weights."""

import numpy as np
import pytest
import torch

from mario_tui.agent.priorities import Priorities


def drawn(priorities: Priorities, batches: int, batch_size: int = 50) -> np.ndarray:
    """How often each row was drawn."""
    generator = torch.Generator().manual_seed(0)
    rows = priorities.draw(batches, batch_size, generator).reshape(-1)
    return np.bincount(rows, minlength=priorities.rows)


def unequal(rows: int = 40, *, alpha: float = 0.7, beta: float = 0.4) -> tuple[Priorities, np.ndarray]:
    """Rows of unequal TD errors; every fifth row has left."""
    priorities = Priorities(rows, alpha, beta)
    priorities.enter(np.arange(rows))
    errors = np.random.default_rng(0).normal(size=rows).astype(np.float32) * 3
    priorities.update(np.arange(rows), errors)
    priorities.leave(np.arange(0, rows, 5))
    chances = (np.abs(errors) + 1e-3) ** alpha
    chances[::5] = 0
    return priorities, chances / chances.sum()


def test_rows_are_drawn_by_their_chances() -> None:
    priorities, chances = unequal()
    counts, expected = drawn(priorities, batches=400), 20_000 * chances
    possible = chances > 0
    assert counts[~possible].sum() == 0
    chi_square = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert chi_square < 62, "of 31 degrees of freedom: 1 in 1000"
    assert counts[possible].max() > 3 * counts[possible].min()


def test_a_batch_has_rows_from_all_parts_of_the_sum() -> None:
    priorities = Priorities(64, 0.5, 0.4)
    priorities.enter(np.arange(64))
    rows = priorities.draw(3, 16, torch.Generator().manual_seed(1))
    assert (rows // 4).tolist() == [list(range(16))] * 3


def test_the_only_row_left_is_always_drawn() -> None:
    for only in (0, 3, 36):
        priorities = Priorities(37, 0.5, 0.4)
        priorities.enter(np.arange(37))
        priorities.leave(np.delete(np.arange(37), only))
        assert set(priorities.draw(1, 500, torch.Generator().manual_seed(2))[0].tolist()) == {only}


def test_a_new_row_is_as_likely_as_the_likeliest_so_far() -> None:
    priorities = Priorities(10, 0.5, 0.4)
    priorities.enter(np.arange(4))
    assert priorities.values[:4].tolist() == [1] * 4
    priorities.update(np.array([0, 1]), np.array([9.0, -16.0], dtype=np.float32))
    priorities.enter(np.array([5]))
    assert priorities.values[:6] == pytest.approx([3, 4, 1, 1, 0, 4], abs=1e-3)
    priorities.update(np.array([1]), np.array([0.0], dtype=np.float32))
    priorities.enter(np.array([6]))
    assert priorities.values[6] == pytest.approx(4, abs=1e-3), "the largest of all so far"
    assert 0 < priorities.values[1] < 0.05, "a row without an error can still be drawn"


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_weights_make_up_for_the_chances(beta: float) -> None:
    priorities, chances = unequal(beta=beta)
    rows = np.array([1, 2, 7, 1, 33])
    expected = (32 * chances[rows]) ** -beta
    weights = priorities.weights(rows)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected / expected.max(), rtol=1e-4)
    assert weights.max() == 1


def test_what_was_loaded_draws_the_same() -> None:
    priorities, _ = unequal()
    other = Priorities(40, 0.7, 0.4)
    other.load(priorities.values.copy(), float(priorities.largest))
    assert np.array_equal(drawn(priorities, 20), drawn(other, 20))
    for one in (priorities, other):
        one.enter(np.array([0]))
    assert priorities.values[0] == other.values[0] > 1
