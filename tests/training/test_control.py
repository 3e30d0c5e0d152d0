"""What other threads ask of a training, done between two steps."""

import threading

import pytest

from mario_tui.errors import MarioTuiError
from mario_tui.training.control import CopyPolicy, Note, Save, TrainingControl


def test_commands_come_in_their_order_each_with_the_future_for_its_answer() -> None:
    control = TrainingControl()
    note = control.note("one")
    control.save()
    policy = control.copy_policy()
    assert not note.done()
    taken = list(control.take())
    assert taken == [(Note("one"), note), (Save(), None), (CopyPolicy(), policy)]
    assert list(control.take()) == []


def test_what_was_cancelled_is_not_done() -> None:
    control = TrainingControl()
    assert control.note("one").cancel()
    assert list(control.take()) == []


def test_a_pause_begins_and_ends_when_the_commands_are_taken() -> None:
    control = TrainingControl()
    control.pause()
    assert not control.paused
    assert list(control.take()) == []
    assert control.paused
    control.resume()
    control.pause()
    control.resume()
    assert list(control.take()) == []
    assert not control.paused


def test_a_pause_of_the_users_takes_the_place_of_the_trainers() -> None:
    control = TrainingControl()
    control.pause_now("memory is short")
    assert control.awaiting_user
    control.pause()
    assert list(control.take()) == []
    assert (control.paused, control.pause_reason, control.awaiting_user) == (True, "", False)


@pytest.mark.parametrize("older", [["pause"], ["resume"], ["pause", "resume"]])
def test_what_the_user_asked_for_before_leaves_a_pause_of_the_trainers_as_it_is(older: list[str]) -> None:
    control = TrainingControl()
    for command in older:
        getattr(control, command)()
    control.save()
    control.pause_now("loss or gradient were not finite")
    assert list(control.take()) == [(Save(), None)]
    assert control.awaiting_user
    assert control.pause_reason == "loss or gradient were not finite"


def test_a_save_that_waits_already_is_asked_for_once() -> None:
    control = TrainingControl()
    for _ in range(5):
        control.save()
    assert list(control.take()) == [(Save(), None)]
    control.save()
    assert list(control.take()) == [(Save(), None)]


def test_a_wait_ends_for_a_command() -> None:
    control = TrainingControl()
    control.pause_now("")
    waited = threading.Event()

    def trainer() -> None:
        control.wait()
        waited.set()
        ((_, answer),) = control.take()
        assert answer is not None
        answer.set_result("done")

    thread = threading.Thread(target=trainer)
    thread.start()
    assert not waited.is_set()
    assert control.note("x").result(60) == "done"
    thread.join()
    assert control.paused


def test_a_stop_is_seen_at_once_and_the_second_is_in_a_hurry() -> None:
    control = TrainingControl()
    control.stop()
    assert (control.stopping, control.in_a_hurry) == (True, False)
    control.wait()  # does not
    control.stop()
    assert control.in_a_hurry


def test_instead_of_an_end_that_cannot_be_saved_it_waits_for_the_user() -> None:
    control = TrainingControl(attended=True)
    control.stop()
    control.pause_now("make room", cancel_stop=True)
    assert (control.stopping, control.awaiting_user, control.pause_reason) == (False, True, "make room")
    control.stop()
    assert (control.awaiting_user, control.in_a_hurry) == (False, False)


def test_a_training_that_has_ended_turns_commands_down() -> None:
    control = TrainingControl()
    before = control.note("x")
    control.close()
    control.save()
    for future in (before, control.note("x")):
        with pytest.raises(MarioTuiError, match="has ended"):
            future.result(0)
    assert list(control.take()) == []
