"""A person's game: its pace, its log, and the place to come back to."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mario_tui.agent.spec import TUTORIAL
from mario_tui.buttons import RIGHT, A, B
from mario_tui.errors import CheckpointError, MarioTuiError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import play_log, replay
from mario_tui.play.ghost import Ghost, GhostThread, younger_selves
from mario_tui.play.human_player import HumanPlayer


def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


def pause(player: HumanPlayer) -> None:
    """And waits for the frame under way: a place is kept after that."""
    player.toggle_pause()
    player.keep()
    until(lambda: player.kept_step == step(player))


def jumping(frame: int) -> int:
    """Runs, and jumps again and again: alive for ten seconds."""
    return RIGHT | B | (A if frame % 34 > 12 else 0)


@contextmanager
def playing(stage: str = "1-1", script: Callable[[int], int] | None = None) -> Iterator[HumanPlayer]:
    """A game at eight times the speed; `script` says what is held in each frame of it."""
    player = HumanPlayer(stage)
    player.speed = 8.0
    if script is not None:
        player.controls.next_frame = lambda: script(player.latest.step)  # type: ignore
    player.start()
    try:
        until(lambda: player.latest is not None or bool(player.problem))
        yield player
    finally:
        player.close()


def step(player: HumanPlayer) -> int:
    assert player.latest is not None
    return player.latest.step


def test_a_stage_waits_until_it_begins() -> None:
    with playing() as player:
        time.sleep(0.2)
        assert (player.waits, step(player)) == (True, 0)
        player.begin()
        until(lambda: step(player) > 5)
        assert not player.waits
        player.restart()
        until(lambda: step(player) == 0)
        time.sleep(0.2)
        assert (player.waits, step(player)) == (True, 0)


def test_what_is_held_moves_mario_and_the_log_replays_it() -> None:
    with playing(script=jumping) as player:
        player.begin()
        until(lambda: step(player) > 300)
        pause(player)
        moment = player.latest
        assert moment is not None
        held = player.frame_buttons(moment.step)
        assert held == [jumping(frame) for frame in range(moment.step)]
        result = replay(ActionLog.of_frames("1-1", 1, held))
    assert (result.frames, result.max_x) == (moment.step, moment.max_x)
    assert result.reward == moment.total_reward
    assert moment.max_x > 300


def test_the_screen_shown_is_the_game_s() -> None:
    with playing(script=jumping) as player:
        player.begin()
        until(lambda: step(player) > 60)
        pause(player)
        shown, held = player.latest_frame, player.frame_buttons(100_000)
        *_, last = play_log(ActionLog.of_frames("1-1", 1, held))
    assert shown is not None
    np.testing.assert_array_equal(shown, last.frame)


def test_pause_and_single_frames() -> None:
    with playing(script=jumping) as player:
        player.begin()
        until(lambda: step(player) > 20)
        pause(player)
        stopped = step(player)
        time.sleep(0.1)
        assert step(player) == stopped
        player.step_once()
        until(lambda: step(player) == stopped + 1)
        time.sleep(0.1)
        assert step(player) == stopped + 1
        player.toggle_pause()
        until(lambda: step(player) > stopped + 10)


def test_going_back_to_a_kept_place_undoes_what_came_after() -> None:
    with playing(script=jumping) as player:
        player.go_back()  # nothing kept: nothing happens
        player.begin()
        until(lambda: step(player) > 100)
        player.keep()
        until(lambda: player.kept_step is not None)
        kept = player.kept_step
        assert kept is not None
        until(lambda: step(player) > kept + 100 or player.finished)
        player.toggle_pause()
        player.go_back()
        until(lambda: step(player) == kept)
        assert player.frame_buttons(100_000) == [jumping(frame) for frame in range(kept)]
        player.toggle_pause()
        until(lambda: step(player) > kept + 50)
        pause(player)
        moment, held = player.latest, player.frame_buttons(100_000)
    assert moment is not None
    result = replay(ActionLog.of_frames("1-1", 1, held))
    assert (result.max_x, result.reward) == (moment.max_x, moment.total_reward)


def test_it_goes_back_from_death() -> None:
    with playing(script=lambda frame: RIGHT) as player:
        player.begin()
        until(lambda: step(player) > 10)
        player.keep()
        until(lambda: player.finished)
        assert player.latest is not None
        assert player.latest.end is EndReason.DEATH
        player.keep()  # nobody wants to come back to this
        player.go_back()
        until(lambda: not player.finished)
        kept = player.kept_step
        assert kept is not None
        assert player.waits
        assert step(player) == kept
        player.begin()
        until(lambda: step(player) > kept)


def test_another_stage_and_no_place_to_go_back_to() -> None:
    with playing(script=lambda frame: 0) as player:
        player.begin()
        player.keep()
        until(lambda: player.has_kept)
        player.restart("4-2")
        until(lambda: player.stage == "4-2" and step(player) == 0)
        assert not player.has_kept
        assert player.frame_buttons(10) == []


def test_pace_is_told_after_the_first_frames_and_is_about_a_sixtieth_of_a_second() -> None:
    with playing(script=lambda frame: 0) as player:
        assert player.pace() is None
        player.begin()
        until(lambda: step(player) > 20)
        assert player.pace() is None  # at another speed
        player.speed = 1.0
        until(lambda: len(player._intervals) > 30 and (player.pace() or (0,))[0] > 5)  # one that was late hurries
        pace = player.pace()
    assert pace is not None
    assert pace[0] <= pace[1]
    assert pace[0] > 5


def test_a_stage_that_cannot_be_loaded_is_a_problem_and_no_crash() -> None:
    with playing("9-9") as player:
        assert "9-9" in player.problem


def test_a_game_by_hand_needs_no_torch() -> None:
    code = "import sys, mario_tui.play.human_player, mario_tui.play.window_mirror; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


class Ghosts:
    """A policy that takes one action always."""

    spec, stage, source = TUTORIAL, "1-1", "a test"

    def q_values(self, stack: Any) -> tuple[float, ...]:
        return (0.0, 1.0)


def test_the_ghost_is_where_its_policy_is_after_the_same_frames() -> None:
    ghost = Ghost("best", Ghosts, "1-1")  # type: ignore
    assert ghost.x_at(0) is None
    ghost.start()
    until(lambda: ghost.end is not None)
    xs = [step.x for step in play_log(ActionLog("1-1", 4, (RIGHT | A,) * 2000), frame_skip=1)][1:]
    assert ghost.x_at(0) == 40
    assert [ghost.x_at(frame) for frame in (40, 60, 80)] == [xs[39], xs[59], xs[79]]
    assert ghost.x_at(1_000_000) == xs[-1]
    assert (ghost.end_at(0), ghost.end_at(1_000_000)) == (None, ghost.end)
    ghost.close()


def test_a_ghost_that_cannot_be_loaded_says_why() -> None:
    def fail() -> Any:
        raise MarioTuiError("it is damaged")

    ghost = Ghost("best", fail, "1-1")
    ghost.start()
    until(lambda: bool(ghost.problem))
    assert ghost.problem == "it is damaged"
    assert ghost.x_at(0) is None
    ghost.close()


def test_a_ghost_ends_when_it_is_closed() -> None:
    ghost = Ghost("best", Ghosts, "1-1")  # type: ignore
    ghost.start()
    until(lambda: ghost.x_at(0) is not None)
    ghost.close()
    assert "ghost" not in [thread.name for thread in threading.enumerate()]


def test_ghosts_are_made_one_after_the_other_and_one_that_fails_is_left_out() -> None:
    def fail() -> Any:
        raise MarioTuiError("it is damaged")

    made = GhostThread([("2k", Ghosts), ("1k", fail), ("0", Ghosts)], "1-1")  # type: ignore
    assert (made.count, made.trails, made.done) == (3, (), False)
    made.start()
    until(lambda: made.done)
    assert [trail.name for trail in made.trails] == ["2k", "0"]
    assert [trail.end for trail in made.trails] == [EndReason.DEATH] * 2
    assert made.problem == "it is damaged"
    made.close()


def test_the_younger_selves_are_the_other_checkpoints_of_the_run_the_newest_first(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = home / "checkpoints" / "run"
    for step in range(1, 10):
        (run / f"step-{step * 1000:09d}").mkdir(parents=True)
    folders = sorted(run.iterdir())
    read: dict[Path, Any] = dict.fromkeys(folders)
    read[folders[8]] = CheckpointError("it is damaged")
    monkeypatch.setattr("mario_tui.store.lookup.read_manifests", lambda path: read if path == run else {})
    loaded: list[Path] = []
    monkeypatch.setattr("mario_tui.agent.policy.load_policy", lambda path: loaded.append(path) or Ghosts())
    made = younger_selves(run, folders[3], "1-1", most=3)
    assert made is not None
    made.start()
    until(lambda: made.done)
    assert [trail.name for trail in made.trails] == ["8k", "5k", "1k"]
    assert loaded == [folders[7], folders[4], folders[0]]
    assert made.problem == ""
    made.close()
    assert younger_selves(home / "none", None, "1-1") is None


def test_ghosts_are_in_the_picture_of_a_game_and_out_of_it_again() -> None:
    ghost = Ghost("best", Ghosts, "1-1")  # type: ignore
    ghost.start()
    until(lambda: ghost.end is not None)
    with playing(script=lambda frame: 0) as player:
        player.step_once()
        player.begin()
        for number in range(1, 61):  # each is waited for: after a pause one more frame might come
            player.step_once()
            until(lambda number=number: step(player) == number)  # type: ignore
        moment = player.latest
        assert moment is not None
        until(lambda: player.latest_frame is moment.frame)
        player.show_ghosts(ghost.trails)
        shown, sight = player.latest_frame, ghost.trails[0].at(moment.step)
        assert shown is not None
        assert sight is not None
        where = (shown != moment.frame).any(axis=2)
        assert where[sight.y : sight.y + 16, sight.x : sight.x + 16].sum() == sight.sprite.mask.sum()
        assert where.sum() > sight.sprite.mask.sum(), "with its name"
        player.show_ghosts(())
        assert player.latest_frame is moment.frame
    ghost.close()


def test_every_game_is_kept_as_an_action_log_and_the_best_is_known(home: Path) -> None:
    with playing(script=lambda frame: RIGHT if frame < 90 else 0) as player:
        player.begin()
        until(lambda: step(player) > 100)
        player.restart()
        until(lambda: step(player) == 0)
        player.restart()  # a game that was not played
        until(lambda: player.waits)
        player.controls.next_frame = lambda: jumping(player.latest.step)  # type: ignore
        player.begin()
        until(lambda: step(player) > 150)
    logs = {path: ActionLog.load(path) for path in (home / "plays").iterdir()}
    assert len(logs) == 2
    assert set(player.logs) == set(logs)
    best = player.best
    assert best is not None
    results = sorted(replay(log).max_x for log in logs.values())
    assert (best.max_x, best.cleared) == (results[1], False)
    assert best.log in logs.values()
    assert json.loads(next(iter(logs)).read_text())["played_by"] == "hand"


def test_a_log_that_cannot_be_kept_is_a_problem_that_is_told(home: Path) -> None:
    (home / "plays").write_text("no folder")
    with playing(script=jumping) as player:
        player.begin()
        until(lambda: step(player) > 70)
    assert "cannot be kept" in player.problem
    assert player.logs == []
    assert player.best is not None
