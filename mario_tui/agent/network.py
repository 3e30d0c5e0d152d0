"""MarioNet: the two convolutional networks of Double DQN."""

from typing import Literal

import torch
from torch import Tensor, nn


class MarioNet(nn.Module):
    """A small CNN, twice: (conv + ReLU) x 3 -> flatten -> dense + ReLU -> dense, one Q value per action.

    `online` is trained; `target` is a frozen copy, brought up to date by `Mario.sync_q_target`. The layer sizes are
    those of Mnih et al. 2015 (Human-level control through deep reinforcement learning), and the names in the state dict
    are the tutorial's, so that its checkpoints load.

    Args:
        input_dim: channels (stacked frames), height and width; height and width must be 84.
        output_dim: the number of actions.
    """

    def __init__(self, input_dim: tuple[int, int, int], output_dim: int) -> None:
        super().__init__()
        channels, height, width = input_dim
        if (height, width) != (84, 84):
            raise ValueError(f"MarioNet takes frames of 84x84, not {height}x{width}")
        self.online = self._build_cnn(channels, output_dim)
        self.target = self._build_cnn(channels, output_dim)
        self.target.load_state_dict(self.online.state_dict())
        self.target.requires_grad_(False)

    def forward(self, states: Tensor, model: Literal["online", "target"]) -> Tensor:
        """Q values, (B, actions) float32, of states (B, C, 84, 84): uint8 in 0..255, or float32 in 0..1."""
        if states.dtype == torch.uint8:
            states = states.float() / 255
        q_values: Tensor = self.online(states) if model == "online" else self.target(states)
        return q_values

    @staticmethod
    def _build_cnn(channels: int, output_dim: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels, 32, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, kernel_size=3, stride=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 7 * 7, 512),
            nn.ReLU(),
            nn.Linear(512, output_dim),
        )
