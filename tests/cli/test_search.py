"""`mario-tui search`: kept, taken up again, and what it found."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mario_tui.cli import main
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.replaying import replay
from mario_tui.game.stage_search import StageSearch

CLEAR = ActionLog.load(Path(__file__).parents[1] / "game" / "logs" / "1-1-clear.json")


@pytest.fixture(autouse=True)
def has_snapshots() -> None:
    with open_emulator() as emulator:
        if not emulator.has_snapshots():
            pytest.skip("this emulator cannot go back to places in an episode: a search takes hours")


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_it_goes_on_where_it_was_stopped(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["search", "--stage", "1-1", "--seed", "5", "--json"]
    assert main([*arguments, "--transitions", "200"]) == 1
    assert main([*arguments, "--transitions", "400"]) == 1
    first, second = lines(capsys.readouterr().out)
    assert first["event"] == second["event"] == "stopped"
    assert (first["cleared"], first["action_log"]) == (False, None)
    assert 200 <= first["transitions"] < 400 <= second["transitions"]
    assert second["places"] >= first["places"] > 10
    assert second["seconds"] >= first["seconds"]
    (kept,) = (home / "plays" / "searches").iterdir()
    assert kept.name == "1-1_run_5.json.gz"

    assert main([*arguments, "--transitions", "400", "--new"]) == 1
    (whole,) = lines(capsys.readouterr().out)
    assert {**whole, "seconds": 0} == {**second, "seconds": 0}

    assert main(["search", "--stage", "1-1", "--seed", "5", "--transitions", "1"]) == 1
    out = capsys.readouterr().out
    assert f"goes on after {whole['transitions']:,} transitions; --new begins anew" in out
    assert "1-1 is not cleared yet: the same command goes on" in out
    kept.write_bytes(kept.read_bytes()[:-20])
    assert main(["search", "--stage", "1-1", "--seed", "5"]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "is no search that can go on" in error
    assert "--new begins anew" in error


def test_a_way_is_a_play_that_replays(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that begins near the flag."""
    plain = StageSearch.__init__

    def near(self: StageSearch, *arguments: object) -> None:
        plain(self, *arguments)  # type: ignore[arg-type]
        self.emulator.reset()
        for byte in CLEAR.buttons[:-12]:
            assert not self._play(byte)
        self.cells.clear()
        self._keep(self._key(self.emulator.ram), bytes(CLEAR.buttons[:-12]), 0)

    monkeypatch.setattr(StageSearch, "__init__", near)
    assert main(["search", "--stage", "1-1", "--actions", "complex", "--json"]) == 0
    told = lines(capsys.readouterr().out)[-1]
    assert (told["event"], told["stage"], told["cleared"]) == ("cleared", "1-1", True)
    log = ActionLog.load(told["action_log"])
    result = replay(log)
    assert result.cleared
    assert not result.differs_from(log)
    assert log.ram_crc32 is not None
    assert len(log.buttons) == told["steps"]
    content = json.loads(Path(told["action_log"]).read_text())["searched"]
    assert content["actions"] == "complex"
    assert content["transitions"] == told["transitions"]
    assert Path(told["action_log"]).parent == home / "plays"
    assert not list((home / "plays" / "searches").glob("*"))
    monkeypatch.undo()


def test_a_signal_stops_it_and_nothing_is_lost(home: Path) -> None:
    command = [sys.executable, "-m", "mario_tui", "search", "--stage", "8-4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stdout is not None
        first = process.stdout.readline()  # it is under way
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert process.returncode == 128 + signal.SIGTERM
    assert "transitions" in first
    assert "8-4 is not cleared yet: the same command goes on" in rest
    assert list((home / "plays" / "searches").iterdir())
    assert not any(name.name.endswith(".part") for name in (home / "plays" / "searches").iterdir())


@pytest.mark.parametrize(
    "arguments",
    [("--stage", "9-9"), (), ("--stage", "1-1", "--actions", "fly"), ("--stage", "1-1", "--seed", "-1"),
     ("--stage", "1-1", "--transitions", "-1")],
)  # fmt: skip
def test_mistakes_are_one_line(arguments: tuple[str, ...], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_it_gives_up_after_some_minutes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--stage", "8-1", "--minutes", "0.01", "--json"]) == 1
    (told,) = lines(capsys.readouterr().out)
    assert (told["stage"], told["cleared"]) == ("8-1", False)
    assert told["transitions"] > 0
    assert main(["search", "--stage", "8-1", "--minutes", "-1"]) == 2
