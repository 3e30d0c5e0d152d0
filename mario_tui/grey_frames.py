"""The emulator's picture as the grey frame of 84x84 that a network sees, the same in every bit on every processor."""

from __future__ import annotations

import threading

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

FRAME_SHAPE = (84, 84)
"""Height and width of the frames that the network sees."""

# The weights recur: seven rows of the result come from twenty of the picture and the margins above and below them, the
# next seven in the same way from the next twenty; and 21 columns from 64.
_ROWS, _COLUMNS = 20, 64
_MARGIN = 2


def _triangles(pixels: int) -> NDArray[np.int64]:
    """What each pixel weighs in each of 84 outputs, (84, pixels): the numerators of the antialiased bilinear filter.

    With s = pixels / 84, pixel j has in output i the weight 1 - |(j + 1/2) - s (i + 1/2)| / s where that is positive,
    and the output is divided by the sum of its weights.
    """
    divisor = np.gcd(pixels, 84)
    scale, unit = pixels // divisor, 84 // divisor
    distance = unit * (2 * np.arange(pixels) + 1) - scale * (2 * np.arange(84)[:, None] + 1)
    weights: NDArray[np.int64] = np.maximum(2 * scale - np.abs(distance), 0)
    return weights


_VERTICAL, _HORIZONTAL = _triangles(240), _triangles(256)
_BLOCK_VERTICAL = _VERTICAL[7:14, _ROWS - _MARGIN : 2 * _ROWS + _MARGIN].astype(np.float32)
_BLOCK_HORIZONTAL = _HORIZONTAL[21:42, _COLUMNS - _MARGIN : 2 * _COLUMNS + _MARGIN].T.astype(np.float32)
_DIVISORS = 10_000.0 * np.multiply.outer(_VERTICAL.sum(axis=1), _HORIZONTAL.sum(axis=1))
_LUMINANCE = np.array([2989.0, 5870.0, 1140.0]).reshape(3, 1, 1)  # ITU-R 601-2, with torchvision's digits


class _Scratch(threading.local):
    """Where a thread computes: new arrays of this size come from the system, and take longer than what is done there.

    Attributes:
        rows: the picture with black margins above and below; `blocks_of_rows`: its overlapping blocks.
        low: with as many rows as the result; `columns`, `blocks_of_columns`: by colour, with margins left and right.
        colours, small_blocks: as small as the result.
        weighted, luminance: in float64.
    """

    def __init__(self) -> None:
        self.rows = np.zeros((240 + 2 * _MARGIN, 256 * 3), np.float32)
        self.blocks_of_rows = sliding_window_view(self.rows, _ROWS + 2 * _MARGIN, axis=0)[::_ROWS].swapaxes(1, 2)
        self.low = np.empty((12, 7, 256 * 3), np.float32)
        self.columns = np.zeros((3, 84, 256 + 2 * _MARGIN), np.float32)
        windows = sliding_window_view(self.columns, _COLUMNS + 2 * _MARGIN, axis=2)
        self.blocks_of_columns = windows[:, :, ::_COLUMNS].swapaxes(1, 2)
        self.colours = np.empty((3, 84, 84), np.float32)
        self.small_blocks = self.colours.reshape(3, 84, 4, 21).swapaxes(1, 2)
        self.weighted = np.empty((3, 84, 84))
        self.luminance = np.empty((84, 84))


_scratch = _Scratch()


def grey_frame(screen: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """A picture's luminance, made small by bilinear resize with antialiasing and rounded, ties to even.

    These are the tutorial's wrappers, torchvision's `Grayscale` and `Resize(antialias=True)`, in exact arithmetic: all
    weights are ratios of small whole numbers, and only their numerators are summed. The sums of a colour stay below
    2^24, which float32 holds exactly, in whatever order a matrix product adds and on any number of threads. The
    division by the sum of the weights, in float64, comes last.

    Args:
        screen: (240, 256, 3) uint8 RGB.
        out: where to write the result; None makes a new array.

    Returns:
        (84, 84) uint8.
    """
    scratch = _scratch
    scratch.rows[_MARGIN:-_MARGIN] = screen.reshape(240, -1)
    np.matmul(_BLOCK_VERTICAL, scratch.blocks_of_rows, out=scratch.low)
    scratch.columns[:, :, _MARGIN:-_MARGIN] = scratch.low.reshape(84, 256, 3).transpose(2, 0, 1)
    np.matmul(scratch.blocks_of_columns, _BLOCK_HORIZONTAL, out=scratch.small_blocks)
    np.multiply(scratch.colours, _LUMINANCE, out=scratch.weighted)
    np.sum(scratch.weighted, axis=0, out=scratch.luminance)
    np.divide(scratch.luminance, _DIVISORS, out=scratch.luminance)
    if out is None:
        out = np.empty(FRAME_SHAPE, np.uint8)
    np.rint(scratch.luminance, out=out, casting="unsafe")
    return out
