"""Random shifts of observations while learning.

After DrQ (Kostrikov, Yarats and Fergus 2021, Image Augmentation Is All You Need: Regularizing Deep Reinforcement
Learning from Pixels, section 3.1): an image is padded with the pixels at its edges and cropped somewhere else.
"""

from __future__ import annotations

import torch
from torch import Tensor


def shifted(observations: Tensor, offsets: Tensor, still: int) -> Tensor:
    """Moves each observation by an offset of its own, all its frames alike; waits for no GPU.

    Where its pixels end the nearest ones are repeated.

    Args:
        observations: (N, depth, H, W) uint8, not changed.
        offsets: (N, 2) int32, of rows and columns: pixel (y, x) is what was at (y + rows, x + columns).
        still: rows at the top that stay as they are, and are not moved into the others.

    Returns:
        (N, depth, H, W) uint8.
    """
    # both give the same; slices are several times faster on a processor, and a GPU cannot tell how long they are
    return (_by_slices if observations.is_cpu else _by_index)(observations, offsets, still)


def _by_slices(observations: Tensor, offsets: Tensor, still: int) -> Tensor:
    images = observations.numpy()
    height, width = images.shape[2:]
    moved = images.copy()
    for source, image, (down, right) in zip(images, moved, offsets.numpy().tolist(), strict=True):
        top, bottom = still + max(-down, 0), height - max(down, 0)
        left, end = max(-right, 0), width - max(right, 0)
        image[:, top:bottom, left:end] = source[:, top + down : bottom + down, left + right : end + right]
        image[:, top:bottom, :left] = image[:, top:bottom, left : left + 1]
        image[:, top:bottom, end:] = image[:, top:bottom, end - 1 : end]
        image[:, still:top] = image[:, top : top + 1]
        image[:, bottom:] = image[:, bottom - 1 : bottom]
    return torch.from_numpy(moved)


def _by_index(observations: Tensor, offsets: Tensor, still: int) -> Tensor:
    count, depth, height, width = observations.shape
    y, x = (torch.arange(length, device=observations.device) for length in (height, width))
    rows = torch.where(y < still, y, (y + offsets[:, :1]).clamp(still, height - 1))
    columns = torch.where((y < still)[:, None], x, (x + offsets[:, 1:]).clamp(0, width - 1)[:, None])
    pixels = (rows[:, :, None] * width + columns).view(count, 1, -1).expand(-1, depth, -1)
    return observations.reshape(count, depth, -1).gather(2, pixels).view_as(observations)
