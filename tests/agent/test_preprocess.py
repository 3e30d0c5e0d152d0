"""What the network sees is what the tutorial's wrappers show it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import transforms as T  # noqa: N812

from mario_tui.agent.preprocess import FrameStacks, preprocess
from mario_tui.agent.spec import PREPROCESSING_VERSION
from mario_tui.buttons import DOWN, LEFT, RIGHT, SELECT, START, UP, A, B
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import Episode

GOLDEN = Path(__file__).parent / "golden" / "preprocess.npz"


def tutorial_wrappers(frame: np.ndarray) -> torch.Tensor:
    """GrayScaleObservation, then ResizeObservation, of the tutorial: (84, 84) float32 in 0..1."""
    observation = torch.tensor(np.transpose(frame, (2, 0, 1)).copy(), dtype=torch.float)
    observation = T.Grayscale()(observation)
    return T.Compose([T.Resize((84, 84), antialias=True), T.Normalize(0, 255)])(observation).squeeze(0)


@pytest.mark.parametrize("stage", ["1-1", "1-2", "2-2", "3-1", "4-4", "8-1"])
def test_within_one_grey_level_of_the_tutorials_wrappers(stage: str) -> None:
    frames = []
    with open_emulator(stage) as emulator:
        episode = Episode(emulator)
        for step in range(30):
            if episode.end is None:
                episode.step(RIGHT | (A if step % 5 else 0))
            frames.append(emulator.screen)
    seen = preprocess(np.stack(frames))
    assert seen.shape == (30, 84, 84)
    assert seen.dtype == torch.uint8
    expected = torch.stack([tutorial_wrappers(frame) for frame in frames])
    assert (seen.float() / 255 - expected).abs().max() <= 1 / 255


def test_a_batch_is_its_frames_one_by_one() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 240, 256, 3), dtype=np.uint8)
    assert torch.equal(preprocess(frames), torch.cat([preprocess(frame[None]) for frame in frames]))


def test_pressed_buttons_are_white_blocks_over_the_score_rows() -> None:
    frame = np.random.default_rng(0).integers(1, 255, (1, 240, 256, 3), dtype=np.uint8)
    plain = preprocess(frame)[0]
    columns = dict(zip((RIGHT, LEFT, DOWN, UP, START, SELECT, B, A), range(2, 82, 10), strict=True))
    for held in ((), *((button,) for button in columns), (RIGHT, A), (LEFT, B, UP)):
        shown = preprocess(frame, buttons=np.array([sum(held)], dtype=np.uint8))[0]
        expected = plain.clone()
        expected[:12] = 0
        for button in held:
            expected[:12, columns[button] : columns[button] + 10] = 255
        assert torch.equal(shown, expected), held


def test_each_frame_of_a_batch_shows_its_own_buttons() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (3, 240, 256, 3), dtype=np.uint8)
    buttons = np.array([0, RIGHT, RIGHT | A], dtype=np.uint8)
    one_by_one = [preprocess(frames[i : i + 1], buttons=buttons[i : i + 1]) for i in range(3)]
    assert torch.equal(preprocess(frames, buttons=buttons), torch.cat(one_by_one))


def test_stacks_hold_the_last_frames_and_begin_full_of_the_first() -> None:
    stacks = FrameStacks(2, 4)
    frame = lambda value: torch.full((2, 84, 84), value, dtype=torch.uint8)  # noqa: E731
    stacks.push(frame(1), np.array([True, True]))
    before = stacks.push(frame(2), np.array([False, False]))
    after = stacks.push(frame(3), np.array([False, True]))
    assert before[:, :, 0, 0].tolist() == [[1, 1, 1, 2], [1, 1, 1, 2]]
    assert after[:, :, 0, 0].tolist() == [[1, 1, 2, 3], [3, 3, 3, 3]]


def golden_input() -> tuple[np.ndarray, np.ndarray]:
    """Two pictures with smooth and sharp parts, and buttons: by whole numbers alone, the same everywhere."""
    y, x, colour, picture = np.ogrid[:240, :256, :3, :2]
    values = (y * 3 + x * 5 + colour * 85 + (y // 16) * (x // 16) * 7 + picture * 101) % 256
    return np.moveaxis(values, -1, 0).astype(np.uint8), np.array([0, RIGHT | A], dtype=np.uint8)


def test_the_version_names_what_preprocess_does() -> None:
    """If this fails, agents trained before see something else: another PREPROCESSING_VERSION and another golden file.

    A grey level of difference is left to the rounding of other processors.
    """
    frames, buttons = golden_input()
    golden = dict(np.load(GOLDEN))
    assert list(golden) == [PREPROCESSING_VERSION]
    seen = torch.cat((preprocess(frames), preprocess(frames, buttons=buttons))).numpy()
    differences = np.abs(seen.astype(int) - golden[PREPROCESSING_VERSION])
    assert differences.max() <= 1
    assert differences.mean() < 0.01
