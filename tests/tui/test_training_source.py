"""A window of the desktop shows a training, and its keys pause it."""

from dataclasses import replace
from typing import Any

import numpy as np

from mario_tui.tui.training_source import TrainingSource
from tui.fakes import FakeSession


def source_of(session: FakeSession) -> TrainingSource:
    stands_in: Any = session
    return TrainingSource(stands_in)


def test_it_waits_for_another_frame_but_not_for_ever() -> None:
    session = FakeSession()
    source = source_of(session)
    frame = np.zeros((240, 256, 3), dtype=np.uint8)
    session.snapshot = replace(session.snapshot, frame=frame)
    assert source.wait_for_frame(None, 10) is frame
    assert source.wait_for_frame(frame, 0.05) is frame
    other = frame.copy()
    session.snapshot = replace(session.snapshot, frame=other)
    assert source.wait_for_frame(frame, 10) is other


def test_its_keys_pause_and_resume() -> None:
    session = FakeSession()
    source = source_of(session)
    assert source.window_title().startswith("step ")
    for key in ("p", "space"):
        press = source.window_keys()[key]
        press(True)
        press(False)
        assert source.window_title().endswith("paused")
        press(True)
        press(False)
        assert not source.window_title().endswith("paused")
    assert session.calls == ["pause", "resume"] * 2
