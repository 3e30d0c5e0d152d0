"""From the screen to what the network sees: luminance, then 84x84, then a stack of the last frames."""

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from mario_tui.agent.spec import FRAME_SHAPE

_SCORE_ROWS = 12  # of the 84: the score, coins, world and time
_PAD = torch.kron(torch.eye(8), torch.ones(10)).bool()  # (8, 80): where in a row each of the eight buttons is drawn


def preprocess(
    frames: np.ndarray | Tensor, device: torch.device | str = "cpu", buttons: np.ndarray | None = None
) -> Tensor:
    """Grey frames of 84x84.

    The tutorial's wrappers in one batched step: luminance (ITU-R 601-2), bilinear resize with antialiasing. Values stay
    within 1/255 of the tutorial's, which keeps float32; uint8 makes the replay four times smaller.

    Args:
        frames: (N, 240, 256, 3) uint8 RGB; copied to the device before anything else is done.
        buttons: (N,) uint8, what was pressed in the step that led to each frame: drawn over the score rows, a white
            block for each button held. Without it a state does not tell whether A is held, and with A held Mario
            cannot jump: at a wall the same picture then calls for opposite actions. None draws nothing.

    Returns:
        (N, 84, 84) uint8, on the device.
    """
    rgb = torch.as_tensor(frames).to(device).permute(0, 3, 1, 2).float()
    grey = transforms.rgb_to_grayscale(rgb)
    small = transforms.resize(grey, list(FRAME_SHAPE), antialias=True)
    grey_frames = small.squeeze(1).round_().clamp_(0, 255).to(torch.uint8)
    if buttons is not None:
        bits = torch.from_numpy(np.unpackbits(np.asarray(buttons, dtype=np.uint8)[:, None], axis=1)).bool()
        rows = (bits[:, :, None] & _PAD).any(dim=1).to(torch.uint8) * 255
        grey_frames[:, :_SCORE_ROWS] = 0
        grey_frames[:, :_SCORE_ROWS, 2:82] = rows.unsqueeze(1).to(grey_frames.device)
    return grey_frames


class FrameStacks:
    """The last `depth` frames of each of `envs` games, the oldest first.

    At an episode's start the first frame fills the whole stack, as gym's FrameStack does.
    """

    def __init__(self, envs: int, depth: int = 4, device: torch.device | str = "cpu") -> None:
        self.stacks = torch.zeros((envs, depth, *FRAME_SHAPE), dtype=torch.uint8, device=device)

    def push(self, frames: Tensor, first: np.ndarray) -> Tensor:
        """Adds a frame to each stack.

        Args:
            frames: (E, 84, 84) uint8, one frame a game.
            first: (E,) bool, whether the frame begins an episode.

        Returns:
            The stacks, (E, depth, 84, 84) uint8: a new tensor, so that earlier ones stay as they are.
        """
        self.stacks = torch.cat((self.stacks[:, 1:], frames.unsqueeze(1)), dim=1)
        for env in np.flatnonzero(first):
            self.stacks[env] = frames[env]
        return self.stacks
