"""What the app asks of the floors below, on the real game."""

import inspect
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from mario_tui import paths
from mario_tui.agent.network import MarioNet
from mario_tui.agent.policy import Policy
from mario_tui.agent.spec import TUTORIAL
from mario_tui.errors import MarioTuiError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.replaying import replay
from mario_tui.play.agent_player import AgentPlayer
from mario_tui.play.ghost import Ghost
from mario_tui.play.human_player import HumanPlayer
from mario_tui.store import evaluations
from mario_tui.training.session import TrainingSession
from mario_tui.tui.services import Services
from mario_tui.video.library import list_recordings
from tui.fakes import FakeGame, FakeGhost, FakePlayer, FakeSession, World


@pytest.fixture
def live() -> Policy:
    """Weights of a training that always walks right, as a session hands them out."""
    torch.manual_seed(0)
    net = MarioNet(TUTORIAL).eval()
    with torch.no_grad():
        net.online[-1].bias += torch.tensor([50.0, 0.0])
    return Policy(net, "1-1", 1200, "my-run, step 1,200")


def nothing(*_: Any) -> None:
    pass


def never() -> bool:
    return False


def test_live_weights_are_recorded_under_the_runs_name(home: Path, live: Policy) -> None:
    made = Services().record(live, None, ".mp4", (), nothing, never)
    assert made.path.parent == paths.recordings_dir()
    assert made.path.name.startswith("my-run_step-000001200_")
    (info,) = list_recordings()
    assert (info.max_x, info.cleared, info.stage) == (made.max_x, False, "1-1")


def test_live_weights_are_evaluated_and_nothing_is_noted(home: Path, live: Policy, monkeypatch: Any) -> None:
    monkeypatch.setattr(Services, "robust_episodes", 2)
    monkeypatch.setattr(evaluations, "record", lambda *_, **__: pytest.fail("there is no checkpoint to note it of"))
    heard: list[Any] = []
    verdict = Services().evaluate(live, heard.append, never)
    assert (verdict.greedy.episodes, verdict.robust.episodes, len(heard)) == (1, 2, 3)


def test_what_was_played_is_recorded_from_a_frame_on_and_made_again_as_a_gif(home: Path) -> None:
    held = [130] * 20 + [130, 131, 131, 131] + [131] * 16  # as sticky actions play it
    made = Services().record_play("play", "1-1", 4, held, 24, (), nothing, never)
    assert made.frames == 16
    log = ActionLog.load(made.action_log)
    assert (log.frame_skip, len(log.buttons)) == (1, 40)
    again = Services().convert(made.action_log, "again", ".gif", 1, nothing, never)
    assert again.frames == 16
    assert (again.path.parent, again.path.suffix) == (paths.recordings_dir(), ".gif")
    assert again.path.name.startswith("again_")
    assert replay(ActionLog.load(again.action_log)).ram_crc32 == replay(log).ram_crc32


@pytest.mark.parametrize("kind", ["live", "log"])
def test_a_player_plays_live_weights_and_recordings(home: Path, live: Policy, kind: str) -> None:
    log = paths.recordings_dir() / "a.json"
    log.parent.mkdir()
    ActionLog("1-1", 4, (130,) * 5).save(log)
    player = Services().open_player(live if kind == "live" else log, None)
    player.speed = 8
    player.start()
    deadline = time.monotonic() + 60
    while not player.finished:
        assert time.monotonic() < deadline
        assert not player.problem
        time.sleep(0.01)
    assert player.stage == "1-1"
    assert (player.policy is live) is (kind == "live")
    player.close()


@pytest.mark.parametrize("kind", ["relative", "link"])
def test_a_recording_plays_from_where_its_video_begins_however_its_folder_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    made = Services().record_play("play", "1-1", 4, [130] * 40, 24, (), nothing, never)
    (home / "link").symlink_to(home)
    monkeypatch.chdir(home)
    monkeypatch.setenv("MARIO_TUI_HOME", "." if kind == "relative" else str(home / "link"))
    again = Services().convert(made.action_log.resolve(), "again", ".gif", 1, nothing, never)
    assert again.frames == 16


def test_a_window_without_a_display_is_one_line(home: Path, live: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    player = Services().open_player(live, None)
    with pytest.raises(MarioTuiError, match="no window can be opened"):
        Services().open_window(player, "1-1")


@pytest.mark.parametrize(
    ("fake", "real"),
    [
        (FakeSession, TrainingSession),
        (FakePlayer, AgentPlayer),
        (FakeGame, HumanPlayer),
        (FakeGhost, Ghost),
        (World, Services),
    ],
)
def test_fakes_stand_for_what_there_is(fake: type, real: type) -> None:
    """Tests of screens would pass after a method got another name, were a fake's the old one."""
    own = {"end", "notice", "load", "app"}  # what tests call
    for name, method in vars(fake).items():
        if name.startswith("_") or name in own or not callable(method):
            continue
        there = inspect.signature(getattr(real, name))
        assert list(inspect.signature(method).parameters) == list(there.parameters), name
