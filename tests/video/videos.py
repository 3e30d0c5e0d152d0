"""Pictures to record, and what is found in a video."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from mario_tui.video.writer import VideoWriter

SKY, BRICK = (104, 136, 252), (200, 76, 12)


def picture(number: int, height: int = 240, width: int = 256) -> np.ndarray:
    """A frame that tells its number by the place of a block."""
    frame = np.full((height, width, 3), SKY, np.uint8)
    left = number * 3 % (width - 32)
    frame[100:132, left : left + 32] = BRICK
    return frame


def write(path: Path, frames: int, *, fps: int | None = None, scale: int = 2) -> None:
    write_all(path, map(picture, range(frames)), fps=fps, scale=scale)


def write_all(path: Path, frames: Iterable[np.ndarray], *, fps: int | None = None, scale: int = 2) -> None:
    with VideoWriter(path, fps=fps, scale=scale) as video:
        for frame in frames:
            video.add(frame)


def opened_gif(path: Path) -> GifImageFile:
    image = Image.open(path)
    assert isinstance(image, GifImageFile)
    return image


def enlarged(frame: np.ndarray, scale: int) -> np.ndarray:
    return frame.repeat(scale, axis=0).repeat(scale, axis=1)


def assert_looks_like(decoded: np.ndarray, frame: np.ndarray, scale: int = 2) -> None:
    difference = np.abs(decoded.astype(int) - enlarged(frame, scale))
    assert difference.mean() < 3
    assert np.percentile(difference, 99) < 30


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def encoders() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


def probe(path: Path) -> dict[str, str]:
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        pytest.skip("ffprobe is not installed: what other programs find in the video is not checked")
    command = [ffprobe, "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
    (stream,) = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["streams"]
    return stream
