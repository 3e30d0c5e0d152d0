import pytest

from mario_tui.errors import InputError
from mario_tui.game.stages import STAGES, check_stage, next_stage


def test_there_are_32_stages_in_the_order_of_the_game() -> None:
    assert len(set(STAGES)) == 32
    assert (STAGES[0], STAGES[3], STAGES[4], STAGES[-1]) == ("1-1", "1-4", "2-1", "8-4")


@pytest.mark.parametrize("text", ["9-9", "0-1", "1-5", "1-1 ", "", "11", "1-1-1", "\u0661-\u0661"])
def test_what_is_no_stage_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="1-1 to 8-4") as caught:
        check_stage(text)
    assert "\n" not in str(caught.value)


def test_next_stage() -> None:
    assert next_stage("1-1") == "1-2"
    assert next_stage("1-4") == "2-1"
    assert next_stage("8-4") is None
    with pytest.raises(InputError):
        next_stage("9-9")
