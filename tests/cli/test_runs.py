"""`mario-tui runs` and `eval --verdict`: what the Checkpoints screen does, without it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mario_tui.cli import main
from mario_tui.game.action_log import ActionLog
from mario_tui.store import catalog, evaluations
from mario_tui.tui.services import Services

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "world-1-1"
STEP = "step-001040000"


@pytest.fixture
def run(home: Path) -> Path:
    folder = home / "checkpoints" / "mine"
    shutil.copytree(SHIPPED, folder, symlinks=True)
    return folder


def test_a_run_gets_another_name(run: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", "rename", "mine", "yours"]) == 0
    assert capsys.readouterr().out == "mine is now yours\n"
    assert [one.run for one in catalog.scan().trained_runs] == ["yours"]


@pytest.mark.parametrize("by", ["name", "path"])
def test_a_run_is_deleted_into_the_trash(run: Path, capsys: pytest.CaptureFixture, by: str) -> None:
    assert main(["runs", "delete", "mine" if by == "name" else str(run)]) == 0
    assert not run.exists()
    (trashed,) = (run.parent / ".trash").iterdir()
    assert (trashed / STEP / "manifest.json").is_file()
    assert capsys.readouterr().out == f"Moved {run} to {trashed}\n"


def test_a_checkpoint_is_deleted_and_its_run_stays(run: Path) -> None:
    assert main(["runs", "delete", f"mine/{STEP}"]) == 0
    assert (run / "config.toml").is_file()
    assert not (run / STEP).exists()
    (trashed,) = (run.parent / ".trash").iterdir()
    assert (trashed / "manifest.json").is_file()


def test_a_note_is_kept_and_taken_away(run: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", "note", "mine", "jumps the pit"]) == 0
    assert [info.note for info in catalog.scan().checkpoints] == ["jumps the pit"]
    assert main(["runs", "note", f"mine/{STEP}", ""]) == 0
    assert [info.note for info in catalog.scan().checkpoints] == [""]
    assert capsys.readouterr().out == f"Wrote the note of mine/{STEP}\nRemoved the note of mine/{STEP}\n"


def test_runs_are_compared(run: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.copytree(run, run.with_name("other"), symlinks=True)
    assert main(["runs", "compare", "mine", "other", "--json", "--points", "5"]) == 0
    mine, other = json.loads(capsys.readouterr().out)
    assert (mine["run"], other["run"]) == ("mine", "other")
    assert list(mine["curves"]) == ["how_far", "reward", "clear_rate", "loss", "q"]
    assert mine["curves"] == other["curves"]
    assert all(len(curve) == 5 for curve in mine["curves"].values())
    assert main(["runs", "compare", "mine", "other"]) == 0
    table = capsys.readouterr().out
    assert "mine" in table
    assert "How far" in table
    assert f"{mine['curves']['clear_rate'][-1][1]:.0%}".replace("%", " %") in table


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: ACTION"),
        (["rename", "mine"], "required: NEW"),
        (["rename", "none", "new"], "there is no run 'none'"),
        (["rename", "mine", "../new"], "cannot be used"),
        (["rename", "mine", "mine"], "exists"),
        (["delete", "none"], "no checkpoint at 'none'"),
        (["delete", ""], "no checkpoint was named"),
        (["delete", str(SHIPPED / STEP)], "belongs to no run in"),
        (["note", "none", "text"], "no checkpoint at 'none'"),
        (["note", str(SHIPPED / STEP), "text"], "belongs to no run in"),
        (["compare", "mine"], "two different runs"),
        (["compare", "mine", "mine"], "two different runs"),
        (["compare", "mine", "none"], "there is no run 'none'"),
        (["compare", "mine", "mine", "--points", "1"], "--points 1"),
    ],
)
def test_mistakes_are_one_line(run: Path, capsys: pytest.CaptureFixture, arguments: list[str], says: str) -> None:
    assert main(["runs", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.startswith("mario-tui: ")
    assert err.count("\n") == 1
    assert (run / STEP).is_dir()
    assert (SHIPPED / STEP).is_dir()


def test_the_verdict_is_printed_and_kept(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (run / "evaluations.json").unlink(missing_ok=True)
    monkeypatch.setattr(Services, "robust_episodes", 1)
    assert main(["eval", "mine", "--verdict", "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["greedy"]["episodes"], verdict["robust"]["episodes"]) == (1, 1)
    measured = evaluations.read(run)[STEP]
    assert measured["greedy_clear"] is (verdict["greedy"]["clears"] == 1)
    assert "robust_clear_rate" not in measured, "that takes ten episodes"


def test_the_verdict_takes_no_episodes_of_another_kind(run: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["eval", "mine", "--verdict", "--episodes", "5"]) == 2
    assert "--verdict has episodes of its own" in capsys.readouterr().err


@pytest.fixture
def recording(home: Path) -> Path:
    path = home / "recordings" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(b"a video")
    ActionLog("1-1", 4, (130,) * 5).save(path.with_suffix(".json"))
    return path


@pytest.mark.parametrize("by", ["name", "path"])
def test_a_recording_is_deleted_into_the_trash(recording: Path, capsys: pytest.CaptureFixture, by: str) -> None:
    assert main(["recordings", "--delete", recording.name if by == "name" else str(recording)]) == 0
    assert [path.name for path in recording.parent.iterdir()] == [".trash"]
    assert sorted(path.suffix for path in (recording.parent / ".trash").iterdir()) == [".json", ".mp4"]
    assert capsys.readouterr().out.startswith(f"Moved {recording} to ")


@pytest.mark.parametrize("name", ["b.mp4", "/elsewhere/a.mp4", "", "a.json"])
def test_only_a_recording_is_deleted(recording: Path, capsys: pytest.CaptureFixture, name: str) -> None:
    assert main(["recordings", "--delete", name]) == 2
    assert f"there is no recording {name!r}" in capsys.readouterr().err
    assert recording.is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.json"], "needs a terminal"),
        (["a.json", "--window"], "leave out --window"),
        (["a.json", "--stage", "1-2"], "leave out --window and --stage"),
        (["b.json"], "b.json"),
    ],
)
def test_a_recording_is_watched_in_a_terminal_only(
    recording: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(recording.parent)
    assert main(["watch", *arguments]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_a_recording_is_watched_on_the_watch_screen(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, object]] = []

    def run_app(**arguments: object) -> int:
        shown.append(arguments)
        return 0

    monkeypatch.setattr("mario_tui.tui.run.run_app", run_app)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["watch", str(recording.with_suffix(".json"))]) == 0
    assert shown == [{"watch": recording.with_suffix(".json"), "stage": None}]
