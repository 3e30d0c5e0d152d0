"""From the screen to what the network sees: a grey frame, the pressed buttons on it, a stack of the last frames."""

import numpy as np
import torch
from torch import Tensor

from mario_tui.grey_frames import FRAME_SHAPE, grey_frame

SCORE_ROWS = 12
"""Of the 84: the score, coins, world and time."""
_PAD = torch.kron(torch.eye(8), torch.ones(10)).bool()  # (8, 80): where in a row each of the eight buttons is drawn


def preprocess(screens: np.ndarray, device: torch.device | str = "cpu", buttons: np.ndarray | None = None) -> Tensor:
    """Grey frames of 84x84, see `grey_frame`.

    Values stay within 1/255 of the tutorial's, which keeps float32; uint8 makes the replay four times smaller.

    Args:
        screens: (N, 240, 256, 3) uint8 RGB.
        buttons: (N,) uint8, to be drawn, see `draw_buttons`; None draws nothing.

    Returns:
        (N, 84, 84) uint8, on the device.
    """
    frames = torch.from_numpy(np.stack([grey_frame(screen) for screen in screens])).to(device)
    return frames if buttons is None else draw_buttons(frames, buttons)


def draw_buttons(frames: Tensor, buttons: np.ndarray) -> Tensor:
    """Draws the pressed buttons over the score rows, a white block for each button held.

    Without it a state does not tell whether A is held, and with A held Mario cannot jump: at a wall the same picture
    then calls for opposite actions.

    Args:
        frames: (N, 84, 84) uint8.
        buttons: (N,) uint8, what was pressed in the step that led to each frame.

    Returns:
        (N, 84, 84) uint8, new frames on the same device.
    """
    bits = torch.from_numpy(np.unpackbits(np.asarray(buttons, dtype=np.uint8)[:, None], axis=1)).bool()
    rows = (bits[:, :, None] & _PAD).any(dim=1).to(torch.uint8) * 255
    drawn = frames.clone()
    drawn[:, :SCORE_ROWS] = 0
    drawn[:, :SCORE_ROWS, 2:82] = rows.unsqueeze(1).to(drawn.device)
    return drawn


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
