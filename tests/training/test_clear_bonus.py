"""The bonus for clearing the stage is learned from, and the log keeps the game's own reward."""

from dataclasses import replace

import numpy as np
import pytest

from fake_collector import FakeVectorEnv, fake_trainer
from mario_tui.game.episode import EndReason
from mario_tui.game.vector_env import VectorStep
from mario_tui.store.history import read_metrics
from runs import run_to_end


class EveryOtherClears(FakeVectorEnv):
    """Every other episode that ends clears the stage."""

    ends = 0

    def receive(self) -> VectorStep:
        step = super().receive()
        end: list[EndReason | None] = []
        for reason in step.end:
            self.ends += reason is not None
            end.append(EndReason.CLEAR if reason and self.ends % 2 else reason)
        return replace(step, end=end)


@pytest.mark.parametrize("bonus", [0.0, 50.0])
def test_the_bonus_is_added_where_the_stage_is_cleared_and_nowhere_else(small, bonus: float) -> None:
    trainer = fake_trainer(
        small(network="small", steps=390, replay_size=400, clear_bonus=bonus), run="bonus", games=EveryOtherClears
    )
    events = run_to_end(trainer)
    assert events
    trainer.ticks.flush()
    rewards = trainer.agent.memory.state_dict()["reward"].numpy()
    records = read_metrics(trainer.run_dir / "metrics.csv")
    clears = sum(record.end == "clear" for record in records)
    assert clears > 1
    assert len(records) > clears
    assert np.count_nonzero(rewards >= 50) == (clears if bonus else 0)
    assert max(record.reward for record in records) <= 6 * max(record.length for record in records), "the game's own"
