"""Plays one after another in one game, from stage to stage."""

from dataclasses import replace

from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason
from mario_tui.play.log_player import all_log_steps
from mario_tui.play.one_go import OneGo, log_plays
from mario_tui.store.shipped import WAYS


def way(stage: str, goes_on: int | None = None) -> ActionLog:
    return replace(ActionLog.load(WAYS / f"{stage}.json"), goes_on=goes_on, ram_crc32=None, screen_crc32=None)


def test_a_chain_of_logs_is_watched_to_its_last_clear() -> None:
    stages = [(stage, step.end) for stage, step in all_log_steps((way("1-1"), way("1-2", goes_on=0)))]
    assert stages[-1] == ("1-2", EndReason.CLEAR)
    assert sum(end is EndReason.CLEAR for _, end in stages) == 2


def test_the_shortest_wait_that_leads_to_a_clear_is_found_and_else_it_is_the_own_start() -> None:
    short = ActionLog("1-4", 4, (128,) * 3)
    with OneGo() as game:
        ends = [list(game.play(log.stage, log_plays(log)))[-1] for log in (way("1-2"), way("1-3"), short)]
        with open_emulator("1-1") as emulator:
            has_snapshots = emulator.has_snapshots()
    assert [step.end for step in ends] == [EndReason.CLEAR, EndReason.CLEAR, None]
    assert [step.goes_on for step in ends] == [None, 1 if has_snapshots else None, None]
