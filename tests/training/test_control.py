"""What other threads ask of a training, answered between two steps."""

import threading

import pytest

from mario_tui.errors import MarioTuiError
from mario_tui.training.control import TrainingControl


def test_requests_are_answered_in_turn_with_what_they_return_or_raise() -> None:
    control = TrainingControl()
    name, failed = control.ask(lambda trainer: trainer.upper()), control.ask(lambda trainer: trainer.nothing)
    assert not name.done()
    control.answer("mario")
    assert name.result() == "MARIO"
    with pytest.raises(AttributeError):
        failed.result()


def test_a_pause_ends_for_a_request() -> None:
    control = TrainingControl()
    control.pause()
    waited = threading.Event()

    def trainer() -> None:
        control.wait_while_paused()
        waited.set()
        control.answer("trainer")

    thread = threading.Thread(target=trainer)
    thread.start()
    assert not waited.is_set()
    assert control.ask(lambda trainer: trainer).result(60) == "trainer"
    thread.join()
    assert control.paused


def test_nobody_waits_for_a_training_that_has_ended() -> None:
    control = TrainingControl()
    before = control.ask(lambda trainer: 1)
    control.close()
    for future in (before, control.ask(lambda trainer: 1)):
        with pytest.raises(MarioTuiError, match="has ended"):
            future.result(0)
