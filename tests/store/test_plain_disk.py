"""Runs on a disk without links, locks and modes: exFAT, Google Drive, some network drives."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from saved import write

from mario_tui import paths
from mario_tui.cli import main
from mario_tui.errors import CheckpointError, InputError
from mario_tui.store import catalog, evaluations, lookup, named
from mario_tui.store.manifest import read_manifest
from mario_tui.store.run import find_resumable, locked, rename_run, rotate, trash
from mario_tui.system import locks
from mario_tui.training.export import export_policy

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "world-1-1"
STEP = "step-000309583"
PLAIN = Path(__file__).parent / "plain_disk"


@pytest.fixture
def plain_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("plain_disk", PLAIN / "sitecustomize.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.install(monkeypatch.setattr)
    locks._has_locks.cache_clear()


@pytest.fixture
def shipped(home: Path) -> Path:
    """The agent that comes with the program, as a disk without links holds it."""
    run = home / "checkpoints" / "world-1-1"
    shutil.copytree(SHIPPED, run, ignore=lambda *_: ["best"])
    return run


def test_the_best_is_known_without_a_link(run: Path, plain_disk: None) -> None:
    one, other, third = (write(run, step) for step in (1, 2, 3))
    evaluations.record(other, robust_clear_rate=0.4)
    evaluations.record(one, robust_clear_rate=0.2)
    assert not os.path.lexists(run / "best")
    assert list(run.glob(".best*")) == []
    assert evaluations.best(run) == other
    assert [info.path for info in catalog.scan().checkpoints if info.best] == [other]
    for text in (run / "best", f"{run}/best/", "a-run/best"):
        assert named.find_checkpoint(text) == other
    evaluations.record(third, robust_clear_rate=0.6)
    assert named.find_checkpoint("a-run/best") == third
    trash(third)
    assert named.find_checkpoint("a-run/best") == other
    assert named.find_run("a-run/best") is None
    moved = rename_run(run, "another")
    assert named.find_checkpoint("another/best") == moved / other.name


def test_the_best_of_a_run_that_has_not_cleared_its_stage_is_its_newest(run: Path) -> None:
    one, other = write(run, 1), write(run, 2)
    assert named.find_checkpoint("a-run/best") == other
    evaluations.record(one, greedy_clear=False, greedy_x=900, robust_clear_rate=0.0, robust_episodes=20)
    assert named.find_checkpoint("a-run/best") == other, "the only one that was measured, and it cleared nothing"
    assert not os.path.lexists(run / "best")
    (known,) = catalog.scan().trained_runs
    assert known.best is not None
    assert (known.best.path, [info.best for info in known.checkpoints]) == (other, [True, False])
    evaluations.record(one, robust_clear_rate=0.05, robust_episodes=20)
    assert named.find_checkpoint("a-run/best") == one
    assert (run / "best").resolve() == one
    with pytest.raises(CheckpointError, match="no checkpoint at 'nothing/best'"):
        named.find_checkpoint("nothing/best")


def test_a_run_may_be_called_best(home: Path) -> None:
    folder = write(home / "checkpoints" / "best")
    assert named.find_checkpoint("best") == folder


@pytest.mark.parametrize("left", ["a file with the link's text, as git writes it", "a folder, as a copy makes it"])
def test_what_a_copy_made_of_the_link_is_not_taken_for_the_best(run: Path, plain_disk: None, left: str) -> None:
    one, other = write(run, 1), write(run, 2)
    if left.startswith("a file"):
        (run / "best").write_text(one.name)
    else:
        (run / "best").mkdir()
        for part in one.iterdir():
            shutil.copyfile(part, run / "best" / part.name)
    evaluations.record(one, robust_clear_rate=0.3)
    evaluations.record(other, robust_clear_rate=0.5)
    assert named.find_checkpoint("a-run/best") == other
    assert [info.path for info in catalog.scan().checkpoints if info.best] == [other]


def test_a_link_that_is_behind_does_not_say_what_is_best(run: Path) -> None:
    one, other = write(run, 1), write(run, 2)
    evaluations.record(other, greedy_clear=True)
    (run / "best").unlink()
    (run / "best").symlink_to(one.name)
    assert named.find_checkpoint("a-run/best") == other
    assert [info.path for info in catalog.scan().checkpoints if info.best] == [other]


def test_the_best_stays_when_others_are_replaced(run: Path, plain_disk: None) -> None:
    folders = [write(run, step, rotates=True, full=True) for step in range(1, 6)]
    for folder, rate in zip(folders, (0.9, 0.1, 0.2, 0.3, 0.4), strict=True):
        evaluations.record(folder, robust_clear_rate=rate)
    rotate(run, folders[-1])
    assert lookup.step_folders(run) == [folders[0], *folders[3:]]


def test_a_run_that_is_trained_is_locked_also_without_locks(run: Path, plain_disk: None) -> None:
    write(run)
    with locked(run), pytest.raises(InputError, match=r"is being trained.*\.a-run\.lock\.held"):
        rename_run(run, "another")
    assert rename_run(run, "another").is_dir()
    assert list(run.parent.glob(".*")) == []


@pytest.mark.slow
def test_a_lock_of_a_killed_program_is_taken_over(run: Path, plain_disk: None) -> None:
    write(run)
    program = (
        "import sys; from pathlib import Path; from mario_tui.store.run import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": f"{PLAIN}{os.pathsep}{Path(paths.__file__).parents[1]}"}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(run)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="is being trained"), locked(run):
            pass
        process.send_signal(signal.SIGKILL)
    with locked(run):
        pass


def test_an_agent_is_exported_and_renamed_there(shipped: Path, plain_disk: None) -> None:
    folder = export_policy(shipped / STEP, "copy")
    assert named.find_checkpoint("copy/best") == folder
    assert (
        sorted(path.name for path in folder.parent.iterdir())
        == sorted(
            [
                "evaluations.json",
                ".evaluations.lock",
                STEP,
                *(path.name for path in shipped.iterdir() if path.is_file()),
            ]
        )
        or not (folder.parent / ".evaluations.lock").exists()
    )
    assert (folder.parent / "metrics.csv").read_bytes() == (shipped / "metrics.csv").read_bytes()
    assert main(["runs", "rename", "copy", "mine"]) == 0
    assert main(["runs", "note", "mine/best", "jumps the pit"]) == 0
    assert {info.run: (info.best, info.note) for info in catalog.scan().checkpoints} == {
        "world-1-1": (True, ""), "mine": (True, "jumps the pit"),
    }  # fmt: skip


@pytest.mark.slow
def test_the_program_works_on_such_a_disk(shipped: Path, home: Path) -> None:
    """Train with evaluations and replaced checkpoints, resume, export, measure, list, record, rename, delete."""
    environment = {**os.environ, "PYTHONPATH": f"{PLAIN}{os.pathsep}{Path(paths.__file__).parents[1]}"}

    def program(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mario_tui", *arguments],
            env=environment, cwd=home, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "could not" not in done.stdout + done.stderr
        assert "not kept" not in done.stderr
        return done.stdout

    settings = "--network small --burn-in 20 --batch-size 8 --replay-size 400 --threads 1 --no-record"
    often = "--save-every 40 --keep-every 100 --eval-every 60 --stall-steps 20"
    program("train", "--name", "a", "--steps", "160", "--json", *settings.split(), *often.split())
    run = home / "checkpoints" / "a"
    assert evaluations.best(run) is not None
    assert len(lookup.step_folders(run)) <= 4
    program("train", "--resume", "a", "--steps", "200", "--json")
    assert read_manifest(find_resumable(run)[0]).step >= 200
    program("eval", "--verdict", "world-1-1/best", "--json")
    program("export", "world-1-1/best", "--name", "copy")
    listed = {entry["run"]: entry for entry in json.loads(program("checkpoints", "--json")) if entry["best"]}
    assert listed.keys() == {"a", "copy", "world-1-1"}
    assert listed["world-1-1"]["robust_clear_rate"] == 299 / 300  # of more episodes than a verdict has
    program("record", "copy/best", "-o", "x.gif", "--scale", "1")
    program("runs", "rename", "copy", "mine")
    program("verify", "mine/best")
    program("runs", "delete", f"mine/{STEP}")
    program("runs", "delete", "mine")
    assert [path for path in (home / "checkpoints").rglob("*") if path.is_symlink()] == []
    assert list((home / "checkpoints").rglob("*.held")) == []
