"""The board, from runs and action logs on the disk."""

import json
import shutil
from pathlib import Path

import pytest

from mario_tui.cli import main
from mario_tui.game.action_log import ActionLog
from mario_tui.game.stages import STAGES
from mario_tui.play.board import read_board
from mario_tui.store import evaluations, shipped

CLEAR = Path(__file__).parents[1] / "game" / "logs" / "1-1-clear.json"


@pytest.fixture
def plays(home: Path) -> Path:
    folder = home / "plays"
    folder.mkdir()
    return folder


def test_logs_that_clear_a_stage_and_who_made_them(plays: Path) -> None:
    log = ActionLog("1-2", 1, (128,) * 100)
    log.save(plays / "a.json", played_by="hand", cleared=False)
    log.save(plays / "b.json", played_by="hand", cleared=True)
    ActionLog("1-2", 1, (128,) * 90).save(plays / "c.json", played_by="hand", cleared=True)
    ActionLog("1-2", 4, (128,) * 20).save(plays / "d.json", searched={"actions": "run5"})
    ActionLog("2-1", 4, (128,) * 20).save(plays / "e.json", searched={"actions": "run5"})
    (plays / ".f.json").write_text(json.dumps({"stage": "3-1"}))
    for number, content in enumerate(
        [
            "",
            "[]",
            "{}",
            '{"searched": 1}',
            '{"searched": 1, "stage": "9-9", "buttons": [], "frame_skip": 4}',
            "[" * 9999,
        ]
    ):
        (plays / f"g{number}.json").write_text(content)
    board = {state.stage: state for state in read_board()}
    assert tuple(board) == STAGES
    assert {way.by: (way.path.name, way.frames) for way in board["1-2"].ways} == {
        "hand": ("c.json", 90), "search": ("d.json", 80)
    }  # fmt: skip
    assert board["1-2"].cleared_by == ("hand", "search")
    assert board["1-2"].way is not None
    assert board["1-2"].way.path.name == "d.json"
    assert board["2-1"].cleared_by == ("search",)
    assert board["3-1"].cleared_by == ("search",)
    assert board["3-1"].ways[0].is_shipped
    assert not board["2-1"].ways[0].is_shipped, "ours is the shorter one"


def test_the_shipped_agent_is_on_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent = Path(__file__).parents[2] / "checkpoints" / "world-1-1"
    (home / "checkpoints").mkdir(exist_ok=True)
    shutil.copytree(agent, home / "checkpoints" / "mine", symlinks=True)
    assert main(["stages", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [entry["stage"] for entry in told] == list(STAGES)
    first = told[0]
    assert first["runs"] == 1
    assert first["cleared_by"] == "learned"
    assert first["logs"]["search"] == str(shipped.WAYS / "1-1.json")
    (name,) = (folder.name for folder in agent.glob("step-*"))
    assert Path(first["best"]).name == name
    assert first["robust_episodes"] == evaluations.read(agent)[name]["robust_episodes"]
    assert 600 < first["seconds"] < 6_000
    assert (first["greedy_clear"], first["progress"], first["steps"]) == (True, 1.0, 309_583)
    way = str(shipped.WAYS / "1-2.json")
    assert told[1] == {
        "stage": "1-2", "best": None, "greedy_clear": None, "robust_clear_rate": None, "robust_episodes": 0,
        "progress": None, "steps": None, "seconds": None, "cleared_by": "search", "runs": 0, "logs": {"search": way},
    }  # fmt: skip

    assert main(["stages"]) == 0
    out = capsys.readouterr().out
    assert "Cleared by an agent: 1 of 32, by hand: 0, by search: 32." in out
    assert "of 300 (" in out
    assert len(out.splitlines()) == 34
