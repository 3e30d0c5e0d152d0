"""One picture of a video, for lists."""

from __future__ import annotations

import functools
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

BEFORE_END_SECONDS = 0.5
"""The last pictures of an episode may be black."""
MOST_WIDTH = 512


def still(video: Path) -> NDArray[np.uint8] | None:
    """A picture shortly before the end of an MP4 or GIF, (H, W, 3) uint8, at most 512 wide; None where it cannot be
    read."""
    try:
        if not video.is_file():
            return None
        status = video.stat()
    except OSError:
        return None
    return _still(video, (status.st_mtime_ns, status.st_size))


@functools.lru_cache(maxsize=32)
def _still(video: Path, state: tuple[int, int]) -> NDArray[np.uint8] | None:
    """As `still`, cached while the file stays as it is."""
    frame = _frame(video, ["-sseof", f"-{BEFORE_END_SECONDS}"])
    return _frame(video, []) if frame is None else frame  # of a very short one the first


def _frame(video: Path, place: list[str]) -> NDArray[np.uint8] | None:
    try:
        frames = imageio_ffmpeg.read_frames(
            str(video.resolve()), pix_fmt="rgb24", input_params=place, output_params=["-frames:v", "1"]
        )
        try:
            width, height = next(frames)["size"]
            content = next(frames, b"")
        finally:
            frames.close()
    except (OSError, RuntimeError, StopIteration, ValueError):  # no ffmpeg, or no video
        return None
    if len(content) != width * height * 3:
        return None
    picture = Image.frombytes("RGB", (width, height), content)
    if width > MOST_WIDTH:
        picture = picture.resize((MOST_WIDTH, max(1, height * MOST_WIDTH // width)), Image.Resampling.BOX)
    return np.asarray(picture)
