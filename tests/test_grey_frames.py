"""A grey frame is exactly the antialiased bilinear resize of the luminance, and what the tutorial's wrappers show."""

import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as transforms

from mario_tui.buttons import LEFT, RIGHT, A, B
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import Episode
from mario_tui.game.stages import STAGES
from mario_tui.grey_frames import grey_frame

PRESSED = (RIGHT | A, RIGHT | B, RIGHT | A | B, RIGHT, LEFT | A)


def numerators(pixels: int) -> np.ndarray:
    """The filter by its definition, (84, pixels), times the number that makes all weights whole."""
    scale, half = Fraction(pixels, 84), Fraction(1, 2)
    distances = [[abs(pixel + half - scale * (output + half)) for pixel in range(pixels)] for output in range(84)]
    weights = [[max(Fraction(0), 1 - distance / scale) for distance in row] for row in distances]
    multiple = math.lcm(*(weight.denominator for row in weights for weight in row))
    return np.array([[int(weight * multiple) for weight in row] for row in weights], dtype=np.int64)


VERTICAL, HORIZONTAL = numerators(240), numerators(256)
DIVISORS = 10_000 * np.multiply.outer(VERTICAL.sum(axis=1), HORIZONTAL.sum(axis=1))


def by_definition(screen: np.ndarray) -> np.ndarray:
    """The same in whole numbers: with every weight, and float64 holds all of them up to 2^53."""
    luminance = screen @ np.array([2989.0, 5870.0, 1140.0])
    sums = (VERTICAL.astype(np.float64) @ luminance @ HORIZONTAL.T).astype(np.int64)
    assert sums.max() < 2**53
    below, rest = sums // DIVISORS, sums % DIVISORS
    up = (2 * rest > DIVISORS) | ((2 * rest == DIVISORS) & (below % 2 == 1))
    return (below + up).astype(np.uint8)


def by_torchvision(screens: np.ndarray) -> np.ndarray:
    """What the tutorial's wrappers compute, (N, 84, 84) float32, before anything is rounded."""
    rgb = torch.from_numpy(screens).permute(0, 3, 1, 2).float()
    return transforms.resize(transforms.rgb_to_grayscale(rgb), [84, 84], antialias=True).squeeze(1).numpy()


def play(stage: str, screens: int) -> np.ndarray:
    """Pictures of a game, (screens, 240, 256, 3): one of each sixteen frames, through deaths and restarts."""
    seen: list[np.ndarray] = []
    random = np.random.default_rng(STAGES.index(stage))
    with open_emulator(stage) as emulator:
        episode = Episode(emulator, stall_steps=40)
        while len(seen) < screens:
            seen.append(emulator.screen)
            for byte in random.choice(PRESSED, 4, p=(0.4, 0.1, 0.3, 0.15, 0.05)).tolist():
                if episode.end is None:
                    episode.step(byte)
            if episode.end is not None:
                seen.append(emulator.screen)
                episode.reset()
    return np.stack(seen[:screens])


def assert_right(screens: np.ndarray) -> int:
    """Compares grey frames with both; returns how many pixels torchvision's float32 rounds otherwise."""
    frames = np.stack([grey_frame(screen) for screen in screens])
    for frame, screen in zip(frames, screens, strict=True):
        assert np.array_equal(frame, by_definition(screen))
    tutorial = by_torchvision(screens)
    otherwise = frames != np.rint(tutorial)
    assert np.abs(tutorial[otherwise] % 1 - 0.5).max(initial=0.0) < 1e-3, "only where it is as near to both"
    return int(otherwise.sum())


@pytest.mark.parametrize("stage", ["1-1", "1-2", "2-2", "4-4", "6-3"])
def test_frames_of_play_are_exact(stage: str) -> None:
    assert_right(play(stage, 8))


@pytest.mark.slow
def test_frames_of_all_stages_are_exact() -> None:
    otherwise, count = 0, 30
    for stage in STAGES:
        otherwise += assert_right(play(stage, count))
    assert otherwise < len(STAGES) * count * 84 * 84 / 20_000


def test_frames_that_no_game_shows_are_exact() -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (4, 240, 256, 3), dtype=np.uint8)
    two_colours = random.integers(0, 2, (4, 240, 256, 3), dtype=np.uint8) * np.uint8(255)
    stripes = np.zeros((2, 240, 256, 3), dtype=np.uint8)
    stripes[0, ::2] = stripes[1, :, ::2] = 255
    whole = np.stack([np.full((240, 256, 3), value, dtype=np.uint8) for value in (0, 1, 127, 254, 255)])
    assert_right(np.concatenate((noise, two_colours, stripes, whole)))


def test_halves_are_rounded_to_the_even_neighbour() -> None:
    """Colours whose luminance is exactly half-way; float32 has no such number and takes either side."""
    levels = np.arange(256)
    red, green, blue = np.meshgrid(levels, levels[::5], levels, indexing="ij")
    luminance = 2989 * red + 5870 * green + 1140 * blue
    halves = np.argwhere(luminance % 10_000 == 5_000)
    assert len(halves) > 100
    for at in islice(map(tuple, halves), 0, None, len(halves) // 20):
        screen = np.empty((240, 256, 3), dtype=np.uint8)
        screen[:] = red[at], green[at], blue[at]
        below = int(luminance[at]) // 10_000
        assert np.unique(grey_frame(screen)).tolist() == [below + below % 2]


def test_it_writes_where_it_is_told() -> None:
    screen = np.random.default_rng(1).integers(0, 256, (240, 256, 3), dtype=np.uint8)
    frames = np.zeros((3, 84, 84), dtype=np.uint8)
    assert grey_frame(screen, out=frames[1]) is not None
    assert np.array_equal(frames[1], grey_frame(screen))
    assert not frames[[0, 2]].any()


def test_threads_do_not_disturb_each_other() -> None:
    screens = np.random.default_rng(2).integers(0, 256, (4, 240, 256, 3), dtype=np.uint8)
    expected = [grey_frame(screen) for screen in screens]

    def repeat(number: int) -> bool:
        return all(np.array_equal(grey_frame(screens[number]), expected[number]) for _ in range(200))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(repeat, range(4)))
