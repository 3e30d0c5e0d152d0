"""The whole game in one video, by agents and by logs, in the real game."""

import json
import shutil
from pathlib import Path

import pytest

from mario_tui.cli import main
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog, load_logs
from mario_tui.game.emulator import open_emulator
from mario_tui.game.replaying import replay
from mario_tui.play.stage_players import players
from mario_tui.store import shipped

LOGS = Path(__file__).parents[1] / "game" / "logs"
AGENT = Path(__file__).parents[2] / "checkpoints" / "world-1-1"


def keep(home: Path, name: str, log: ActionLog) -> None:
    (home / "plays").mkdir(exist_ok=True)
    log.save(home / "plays" / f"{name}.json", searched={"actions": "run5"})


def test_it_goes_as_far_as_somebody_plays(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "WAYS", home / "none")
    (home / "checkpoints").mkdir(exist_ok=True)
    with pytest.raises(InputError, match="nobody plays 1-1 yet"):
        players()
    shutil.copytree(AGENT, home / "checkpoints" / "mine", symlinks=True)
    fails = ActionLog("1-2", 4, (128,) * 40)
    keep(home, "1-2", fails)
    keep(home, "1-3", ActionLog("1-3", 4, (128,) * 10))
    keep(home, "1-4", ActionLog.load(LOGS / "1-4-clear.json"))
    keep(home, "2-2", fails)
    assert [(one.stage, one.is_agent) for one in players()] == [
        ("1-1", True), ("1-2", False), ("1-3", False), ("1-4", False)
    ], "2-1 has nobody"  # fmt: skip

    video = home / "game.mp4"
    assert main(["record", "--game", "-o", str(video), "--scale", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["stage"], one["cleared"]) for one in told["episodes"]] == [
        ("1-1", True), ("1-2", False), ("1-3", False), ("1-4", True)
    ]  # fmt: skip
    assert told["cleared"] is False
    logs = load_logs(told["action_log"])
    assert [log.stage for log in logs] == ["1-1", "1-2", "1-3", "1-4"]
    assert replay(logs[0]).cleared
    assert video.stat().st_size > 10_000

    assert main(["record", "--game", "--stop", "-o", str(home / "short.mp4"), "--scale", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1-1  mine, step ")
    assert lines[0].endswith(": cleared the stage")
    assert lines[1].startswith("1-2  a log by search: ")
    assert len(lines) == 3


def test_stages_go_on_in_one_emulator_and_the_log_plays_so_again(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_emulator("1-1") as emulator:
        if not emulator.has_snapshots():
            pytest.skip("waits cannot be tried: this nes-py has no snapshots")
    for stage in ("1-1", "1-2"):
        keep(home, stage, ActionLog.load(shipped.WAYS / f"{stage}.json"))
    monkeypatch.setattr(shipped, "WAYS", home / "none")
    video = home / "game.mp4"
    assert main(["record", "--game", "-o", str(video), "--scale", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1-1  a log by search: cleared the stage"
    assert lines[1] == "1-2  a log by search, going on from 1-1: cleared the stage"
    first, second = load_logs(home / "game.json")
    assert (first.goes_on, second.goes_on) == (None, 0)
    assert main(["replay", str(home / "game.json"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["matches"]
    assert told["cleared"]


@pytest.mark.parametrize(
    "arguments",
    [["record"], ["record", "world-1-1", "--game"], ["record", "--game", "--stage", "1-1"],
     ["record", "world-1-1", "--stop"]],
)  # fmt: skip
def test_mistakes_are_one_line(arguments: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
