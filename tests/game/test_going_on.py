"""From the clear of a stage on to the next one, in one emulator and without a reset."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mario_tui.errors import EmulatorError, InputError
from mario_tui.game.action_log import ActionLog, load_logs, logs_to_json
from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import LogsInTurn, play_log_in, replay_all, summary
from mario_tui.store.shipped import WAYS

RAM_OF_1_2 = 452_003_196
"""Of 1-2 played on from the clear of 1-1: the same on both generations of the game's package."""


def way(stage: str, goes_on: int | None = None) -> ActionLog:
    return replace(ActionLog.load(WAYS / f"{stage}.json"), goes_on=goes_on, ram_crc32=None, screen_crc32=None)


@pytest.fixture
def cleared() -> Iterator[Emulator]:
    """The clear of 1-1."""
    with open_emulator("1-1") as emulator:
        assert summary(play_log_in(emulator, way("1-1"))).cleared
        yield emulator


def test_the_game_goes_on_with_what_mario_had(cleared: Emulator) -> None:
    score, coins, life = cleared.score, cleared.coins, cleared.life
    cleared.go_on(2)
    assert cleared.stage == "1-2"
    assert (cleared.done, cleared.flag_get, cleared.dead, cleared.left) == (False, False, False, False)
    assert cleared.time == 400
    assert cleared.x_position == 40
    assert cleared.area is not None
    assert cleared.area[:2] == (0, 1)
    assert cleared.score > score > 0, "the flag and the time left bring points"
    assert (cleared.coins, cleared.life) == (coins, life)
    cleared.frame(128)
    assert not cleared.done


def test_castles_lead_to_the_next_world() -> None:
    with LogsInTurn() as game:
        assert summary(game.play(way("1-4"))).cleared
        steps = list(game.play(way("2-1", goes_on=0)))
    assert steps[0].goes_on == 0
    assert steps[0].time == 400
    assert steps[-1].end is EndReason.CLEAR


def test_a_reset_begins_at_the_start_of_the_new_stage(cleared: Emulator) -> None:
    cleared.go_on()
    cleared.reset()
    assert cleared.stage == "1-2"
    assert cleared.score == 0
    with open_emulator("1-2") as fresh:
        assert zlib.crc32(cleared.ram.data) == zlib.crc32(fresh.ram.data)


def test_only_a_cleared_stage_goes_on_and_the_last_one_does_not() -> None:
    with open_emulator("8-4") as emulator:
        with pytest.raises(EmulatorError, match="8-4 is not cleared"):
            emulator.go_on()
        assert summary(play_log_in(emulator, way("8-4"))).cleared
        with pytest.raises(EmulatorError, match="8-4 is the last stage"):
            emulator.go_on()


def test_a_snapshot_leads_back_before_the_transition(cleared: Emulator) -> None:
    if not cleared.has_snapshots():
        pytest.skip("this nes-py has no snapshots")
    before = cleared.snapshot()
    cleared.go_on()
    ram = zlib.crc32(cleared.ram.data)
    cleared.restore(before)
    assert (cleared.stage, cleared.flag_get) == ("1-1", True)
    cleared.go_on()
    assert (cleared.stage, zlib.crc32(cleared.ram.data)) == ("1-2", ram)


def test_a_chain_of_logs_is_kept_and_played_again(tmp_path: Path) -> None:
    logs = (way("1-1"), way("1-2", goes_on=0))
    file = tmp_path / "game.json"
    file.write_text(logs_to_json(logs))
    assert load_logs(file) == logs
    first, second = replay_all(load_logs(file))
    assert (first.cleared, second.cleared) == (True, True)
    assert second.ram_crc32 == RAM_OF_1_2
    assert second.ram_crc32 != summary(LogsInTurn().play(way("1-2"))).ram_crc32, "its own start is another play"


@pytest.mark.parametrize(
    ("logs", "wrong"),
    [
        ((way("1-2", goes_on=0),), "1-2 goes on without a reset"),
        ((way("1-1"), way("1-3", goes_on=0)), "1-3 goes on without a reset"),
        ((way("1-1"), way("1-2", goes_on=61)), '"goes_on" is not a whole number from 0 to 60'),
        ((way("1-1"), way("1-2", goes_on=-1)), '"goes_on" is not a whole number'),
    ],
)
def test_a_log_that_goes_on_from_nothing_is_refused(logs: tuple[ActionLog, ...], wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "game.json"
    file.write_text(logs_to_json(logs))
    with pytest.raises(InputError, match=wrong):
        load_logs(file)


def test_a_chain_whose_first_stage_is_no_longer_cleared_is_told() -> None:
    with pytest.raises(EmulatorError, match="1-1 is not cleared"):
        replay_all((ActionLog("1-1", 4, (128,) * 5), way("1-2", goes_on=0)))


def test_the_shipped_chain_says_where_it_goes_on() -> None:
    content = json.loads((Path(__file__).parents[2] / "docs" / "whole-game.json").read_bytes())
    assert sum("goes_on" in log for log in content["logs"]) > 0
