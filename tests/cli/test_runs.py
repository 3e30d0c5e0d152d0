"""`mario-tui runs` and `eval --verdict`: what the Checkpoints screen does, without it."""

from __future__ import annotations

import errno
import json
import re
import shutil
from pathlib import Path

import pytest

from mario_tui.cli import main
from mario_tui.game.action_log import ActionLog
from mario_tui.store import catalog, evaluations
from mario_tui.tui.services import Services

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "world-1-1"
STEP = "step-000309583"


@pytest.fixture
def run(home: Path) -> Path:
    folder = home / "checkpoints" / "mine"
    shutil.copytree(SHIPPED, folder, symlinks=True)
    return folder


def test_a_run_gets_another_name(run: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["runs", "rename", "mine", "yours"]) == 0
    assert capsys.readouterr().out == "mine is now yours\n"
    assert [one.run for one in catalog.scan().trained_runs] == ["yours"]


@pytest.mark.parametrize("name", ["mine/", "./mine"])
def test_a_run_may_be_named_as_a_folder(run: Path, capsys: pytest.CaptureFixture, name: str) -> None:
    assert main(["runs", "rename", name, "yours"]) == 0
    assert capsys.readouterr().out == "mine is now yours\n"


@pytest.mark.parametrize("name", ["mine", "mine/", "./mine", f"mine/{STEP}/..", "{}", "{}/"])
@pytest.mark.parametrize("folder", [".", "checkpoints"])
def test_a_run_is_deleted_into_the_trash(
    run: Path, home: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, name: str, folder: str
) -> None:
    monkeypatch.chdir(home / folder)
    assert main(["runs", "delete", name.format(run)]) == 0
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
    assert list(mine["curves"]) == ["progress", "reward", "clear_rate", "loss", "q"]
    assert mine["curves"] == other["curves"]
    assert all(len(curve) == 5 for curve in mine["curves"].values())
    assert main(["runs", "compare", "mine", "other"]) == 0
    table = capsys.readouterr().out
    assert "mine" in table
    assert "Progress" in table
    assert f"{mine['curves']['clear_rate'][-1][1]:.0%}".replace("%", " %") in table


def test_runs_of_several_seeds_are_also_one(run: Path, capsys: pytest.CaptureFixture) -> None:
    other = run.with_name("other")
    shutil.copytree(run, other, symlinks=True)
    assert main(["runs", "compare", "mine", "other"]) == 0
    assert "seeds" not in capsys.readouterr().out, "both have the same seed"
    config = (other / "config.toml").read_text()
    (other / "config.toml").write_text(re.sub(r"(?m)^seed = \d+$", "seed = 987", config))
    lines = (other / "metrics.csv").read_text().splitlines(keepends=True)
    (other / "metrics.csv").write_text("".join(lines[: len(lines) // 2]))
    assert main(["runs", "compare", "mine", "other", "--json", "--seeds", "--points", "5"]) == 0
    mine, half, both = json.loads(capsys.readouterr().out)
    assert (mine["run"], half["run"], both["seeds_of"]) == ("mine", "other", ["mine", "other"])
    assert list(both["curves"]) == list(mine["curves"])
    step, mean, low, high = both["curves"]["reward"][-1]
    assert step == half["curves"]["reward"][-1][0], "as far as both have come"
    assert low == high == mean == pytest.approx(half["curves"]["reward"][-1][1]), "up to there they are the same run"
    assert main(["runs", "compare", "mine", "other"]) == 0
    table = capsys.readouterr().out
    assert "mine, 2 seeds" in table
    assert "lowest to highest" in table


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
        (["delete", f"mine/{STEP}/manifest.json"], "neither a run nor a checkpoint"),
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


def test_a_verdict_that_cannot_be_kept_is_printed_all_the_same(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(evaluations, "write_atomically", fail)
    monkeypatch.setattr(Services, "robust_episodes", 2)
    assert main(["eval", "mine", "--verdict", "--json"]) == 0
    out, err = capsys.readouterr()
    verdict = json.loads(out)
    assert (verdict["greedy"]["episodes"], verdict["robust"]["episodes"]) == (1, 2)
    assert err.splitlines()[-1] == "mario-tui: the result is not kept with the checkpoint: Read-only file system"
    assert main(["eval", "mine", "--verdict"]) == 0
    out, err = capsys.readouterr()
    assert "robust (sticky actions, no-op starts): " in out
    assert err.count("is not kept with the checkpoint") == 1


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


def test_where_a_deleted_recording_is_can_be_had_as_json(recording: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["recordings", "--delete", "a.mp4", "--json"]) == 0
    moved = json.loads(capsys.readouterr().out)
    assert moved.keys() == {"path", "moved_to"}
    assert moved["path"] == str(recording)
    assert Path(moved["moved_to"]).read_bytes() == b"a video"


@pytest.mark.parametrize("name", ["b.mp4", "/elsewhere/a.mp4", "", "a.json", "~nosuch/a.mp4", "\0/a.mp4"])
def test_only_a_recording_is_deleted(recording: Path, capsys: pytest.CaptureFixture, name: str) -> None:
    assert main(["recordings", "--delete", name]) == 2
    err = capsys.readouterr().err
    assert f"there is no recording {name!r}" in err
    assert err.count("\n") == 1
    assert recording.is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.json"], "needs a terminal"),
        (["a.json", "--window"], "leave out --window"),
        (["a.json", "--stage", "1-2"], "leave out --window and --stage"),
        (["b.json"], "needs a terminal"),
        (["b.json", "--window"], "b.json"),
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


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What the app was started with, in what seems to be a terminal."""
    shown: list[dict[str, object]] = []

    def run_app(**arguments: object) -> int:
        shown.append(arguments)
        return 0

    monkeypatch.setattr("mario_tui.tui.run.run_app", run_app)
    monkeypatch.setenv("TERM", "xterm-256color")
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    return shown


@pytest.mark.parametrize("name", ["mine.json", f"mine.json/{STEP}/manifest.json"])
def test_a_checkpoint_is_watched_though_its_name_ends_in_json(
    run: Path, shown: list[dict[str, object]], name: str
) -> None:
    folder = run.rename(run.with_name("mine.json"))
    assert main(["watch", str(run.parent / name)]) == 0
    assert main(["watch", "mine.json"]) == 0
    assert shown == [{"watch": folder / STEP, "stage": None}] * 2


def test_a_recording_is_watched_on_the_watch_screen(recording: Path, shown: list[dict[str, object]]) -> None:
    assert main(["watch", str(recording.with_suffix(".json"))]) == 0
    assert shown == [{"watch": recording.with_suffix(".json"), "stage": None}]
