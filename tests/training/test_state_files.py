"""What a checkpoint brings back is what was saved, to the bit."""

from pathlib import Path

import pytest
import torch

from mario_tui.agent.loss import Transitions
from mario_tui.agent.mario import Mario
from mario_tui.config import TrainingConfig
from mario_tui.store import checkpoint
from mario_tui.training import state_files


def learn(mario: Mario, seed: int) -> None:
    """An update with random transitions."""
    g = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (2, 4, 4, 84, 84), generator=g, dtype=torch.uint8)
    action, reward = torch.randint(0, 2, (4,), generator=g), torch.randn(4, generator=g)
    discount = 0.9 * (torch.rand(4, generator=g) >= 0.3)
    mario.optimizer.update(Transitions(frames[0], action, reward, discount, frames[1], torch.ones(4)))


def everything(mario: Mario) -> dict[str, torch.Tensor]:
    state = {f"net.{name}": value.clone() for name, value in mario.net.state_dict().items()}
    for index, entry in mario.optimizer.state_dict()["state"].items():
        state.update({f"adam.{index}.{name}": value.clone() for name, value in entry.items()})
    return state


@pytest.mark.parametrize(
    "settings",
    [{}, {"network": "small", "dueling": True, "average_updates": 20, "precision": "bfloat16"}],
    ids=["tutorial", "all"],
)
def test_a_restored_optimizer_goes_on_to_the_bit(home: Path, settings: dict) -> None:
    one, other = (Mario(TrainingConfig(replay_size=100, seed=seed, **settings)) for seed in (1, 2))
    for seed in range(3):
        learn(one, seed)
    parts = state_files.writers(one, {"mario": one.state_dict()}, torch.zeros(1), "", replay=False)
    header = {"stage": "1-1", "agent": one.spec.model_dump(), "reward": "7.4.0", "config": {}}
    folder = checkpoint.write(home, 3, parts, header)
    state_files.read(folder, other, checkpoint.verify(folder), envs=1)
    for seed in range(3, 6):
        learn(one, seed)
        learn(other, seed)
    expected, restored = everything(one), everything(other)
    assert expected.keys() == restored.keys()
    assert [name for name, value in expected.items() if not torch.equal(value, restored[name])] == []
