"""The buttons that a person holds."""

import pytest

from mario_tui.buttons import DOWN, LEFT, RIGHT, UP, A, B
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import Episode
from mario_tui.play.pad import HIGH_JUMP_FRAMES, HOP_FRAMES, PULSE_FRAMES, Controls


def frames(controls: Controls, count: int) -> list[int]:
    return [controls.next_frame() for _ in range(count)]


def test_held_keys_are_held_until_they_are_let_go() -> None:
    controls = Controls()
    controls.press(RIGHT)
    controls.press(A)
    assert frames(controls, 100) == [RIGHT | A] * 100
    controls.release(A)
    assert controls.next_frame() == RIGHT
    controls.release(A)  # twice is no harm
    controls.release(RIGHT)
    assert controls.next_frame() == 0


def test_of_two_opposite_directions_the_last_one_counts() -> None:
    controls = Controls()
    controls.press(RIGHT)
    controls.press(LEFT)
    assert controls.next_frame() == LEFT
    controls.release(LEFT)
    assert controls.next_frame() == RIGHT
    controls.press(UP)
    controls.press(DOWN)
    assert controls.next_frame() == RIGHT | DOWN


def test_a_key_that_repeats_while_it_is_held_changes_nothing() -> None:
    controls = Controls()
    controls.press(RIGHT)
    controls.press(LEFT)
    controls.press(RIGHT)  # the terminal repeats it
    assert controls.next_frame() == LEFT


def test_a_tapped_direction_stays_until_another_one() -> None:
    controls = Controls()
    controls.tap(RIGHT)
    assert frames(controls, 500) == [RIGHT] * 500
    controls.tap(LEFT)
    assert frames(controls, 500) == [LEFT] * 500


@pytest.mark.parametrize("button", [UP, DOWN])
def test_up_and_down_let_go_and_are_held_for_a_moment(button: int) -> None:
    controls = Controls()
    controls.tap(RIGHT)
    controls.tap(button)
    assert frames(controls, PULSE_FRAMES + 10) == [button] * PULSE_FRAMES + [0] * 10


def test_a_tapped_jump_is_held_for_half_a_second_and_a_hop_shortly() -> None:
    controls = Controls()
    controls.tap(RIGHT)
    controls.tap(A)
    assert frames(controls, 40) == [RIGHT | A] * HIGH_JUMP_FRAMES + [RIGHT] * (40 - HIGH_JUMP_FRAMES)
    controls.hop()
    assert frames(controls, 20) == [RIGHT | A] * HOP_FRAMES + [RIGHT] * (20 - HOP_FRAMES)


def test_a_jump_key_held_down_holds_a_for_as_long() -> None:
    controls = Controls()
    held = []
    for frame in range(100):
        if frame == 0 or (frame >= 30 and frame % 2 == 0 and frame < 80):  # repeats after half a second
            controls.tap(A)
        held.append(controls.next_frame())
    last = max(frame for frame in range(100) if held[frame])
    assert held[: last + 1] == [A] * (last + 1)
    assert 80 <= last < 100


def test_running_is_switched_on_and_off_but_not_by_a_key_that_repeats() -> None:
    controls = Controls()
    controls.tap(B)
    for frame in range(100):
        if frame >= 30 and frame % 3 == 0:
            controls.tap(B)
        assert controls.next_frame() == B
    frames(controls, 60)
    controls.tap(B)
    assert controls.next_frame() == 0


def test_all_is_let_go_at_once() -> None:
    controls = Controls()
    for button in (RIGHT, B, A):
        controls.tap(button)
    controls.release_all()
    assert controls.next_frame() == 0
    controls.tap(B)  # no repeat of the one before
    assert controls.next_frame() == B


def test_a_tapped_jump_is_as_high_as_a_held_one_and_a_hop_is_lower() -> None:
    def height(jump: str) -> int:
        controls = Controls()
        highest = 255
        with open_emulator("1-1") as emulator:
            episode = Episode(emulator, frame_skip=1)
            for frame in range(90):
                if frame == 20:
                    {"hold": controls.press, "tap": controls.tap}.get(jump, lambda _: controls.hop())(A)
                episode.step(controls.next_frame())
                highest = min(highest, int(emulator.ram[0x00CE]))  # Mario's y on the screen
        return highest

    assert height("tap") == height("hold") < height("hop") < 176
