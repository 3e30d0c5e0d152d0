"""What killed programs leave is swept by the next one, and nothing else is."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mario_tui import cli, paths
from mario_tui.store import checkpoint
from mario_tui.store.run import locked
from mario_tui.system import files

HEADER = {"stage": "1-1", "agent": {}, "reward": "7.4.0", "config": {}}


def left_by(process: int, folder: Path, machine: str = files._MACHINE) -> Path:
    path = folder / f".a.json.mario-tui-{machine}-{process}-1.part"
    path.write_text("half")
    return path


@pytest.fixture
def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_file_is_replaced_in_one_step(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = home / "file"
    files.write_atomically(target, "old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        files.write_atomically(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in home.iterdir()] == ["file"]


def test_only_what_the_dead_left_is_swept(tmp_path: Path, ended: int) -> None:
    gone, ours, parents = (left_by(pid, tmp_path) for pid in (ended, os.getpid(), os.getppid()))
    foreign = tmp_path / f".report.{ended}-1.part.txt"
    foreign.write_text("of another program")
    elsewhere, forgotten = left_by(ended, tmp_path, "other"), left_by(ended, tmp_path, "older")
    os.utime(forgotten, (0, 0))
    files.sweep(tmp_path)
    assert set(tmp_path.iterdir()) == {ours, parents, foreign, elsewhere}
    files.sweep(tmp_path, at_start=True)
    assert set(tmp_path.iterdir()) == {parents, foreign, elsewhere}
    assert gone not in tmp_path.iterdir()


def test_a_hidden_name_is_one_that_is_swept(tmp_path: Path) -> None:
    files.hidden_name(tmp_path / "a b.mp4").write_text("half")
    files.sweep(tmp_path, at_start=True)
    assert list(tmp_path.iterdir()) == []


def test_a_command_sweeps_runs_that_nobody_trains(home: Path) -> None:
    leftovers = []
    for name in ("idle", "trained"):
        run = paths.run_dir(name)
        checkpoint.write(run, 1, {"agent.bin": lambda path: path.write_bytes(b"a")}, HEADER)
        (run / "config.toml").write_text("")
        leftovers.append(run / ".step-000000002.part")
        leftovers[-1].mkdir()
    with locked(paths.run_dir("trained")):
        assert cli.main(["checkpoints"]) == 0
        assert [path.exists() for path in leftovers] == [False, True]
    assert cli.main(["checkpoints"]) == 0
    assert not leftovers[1].exists()


def test_free_bytes_of_what_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.free_bytes(tmp_path / "not" / "there") == files.free_bytes(tmp_path)

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    assert files.free_bytes(tmp_path) is None


def reserved(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".mario-tui-taken"))


def test_a_name_is_given_once_until_it_is_released(tmp_path: Path) -> None:
    first = files.Reservation(tmp_path, "a", ".mp4")
    second = files.Reservation(tmp_path, "a", ".gif")
    assert (first.path.name, second.path.name) == ("a.mp4", "a_2.gif")
    first.release()
    with files.Reservation(tmp_path, "a", ".mp4") as again:
        assert again.name == "a.mp4"
        again.touch()
    second.release()
    assert reserved(tmp_path) == []
    with files.Reservation(tmp_path, "a", ".mp4") as third:
        assert third.name == "a_2.mp4"


@pytest.mark.parametrize("length", [240, 243, 244, 245, 246, 250, 255])
def test_a_long_name_is_given_another_time_with_a_number(tmp_path: Path, length: int) -> None:
    stem = "x" * length
    taken = []
    for _ in range(3):
        with files.Reservation(tmp_path, stem, ".mp4") as path:
            path.touch()
            taken.append(path)
    assert len(set(taken)) == 3


def test_a_name_is_taken_by_what_lies_beside(tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    with files.Reservation(tmp_path, "a", ".mp4") as path:
        assert path.name == "a_2.mp4"


def test_a_reservation_of_the_dead_is_swept_and_one_of_the_living_is_not(tmp_path: Path, ended: int) -> None:
    reservation = files.Reservation(tmp_path, "alive", ".mp4")
    for name, process in (("dead", ended), ("parents", os.getppid())):
        taken = tmp_path / f".{name}.mario-tui-taken"
        taken.mkdir()
        left_by(process, taken)
    (tmp_path / ".nobodys.mario-tui-taken").mkdir()
    files.sweep(tmp_path)
    assert reserved(tmp_path) == [".alive.mario-tui-taken", ".parents.mario-tui-taken"]
    reservation.release()
    assert reserved(tmp_path) == [".parents.mario-tui-taken"]


def test_many_processes_get_a_name_each(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mario_tui.system.files import Reservation\n"
        "names = [Reservation(Path(sys.argv[1]), 'a', '.mp4').path.name for _ in range(20)]\n"
        "print(*names, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{program}", str(tmp_path)]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    names = [name for process in started if process.stdout for name in process.stdout.readline().split()]
    assert len(names) == len(set(names)) == 80
    for process in started:
        process.kill()
        process.communicate()
    files.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "\udcff" * 255, "a\nb", "x"])
def test_there_is_room_for_a_hidden_name_beside_any_name(tmp_path: Path, name: str, ended: int) -> None:
    files.write_atomically(tmp_path / name, "whole")
    hidden = files.hidden_name(tmp_path / name)
    assert hidden != files.hidden_name(tmp_path / f"{name[:-1]}y")
    hidden.touch()
    with files.Reservation(tmp_path, name, ".mp4") as path:
        path.with_suffix(".json").touch()
    assert path.stem.startswith(name[:50])
    path.with_suffix(".json").unlink()
    files.sweep(tmp_path, at_start=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_on_macos_a_file_is_flushed_out_of_the_disks_own_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int | str] = []
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda _, command: calls.append(command))
    monkeypatch.setattr(os, "fsync", lambda _: calls.append("fsync"))
    files.write_atomically(tmp_path / "file", "text")
    assert calls == [51, 51], "the file, and the name in its folder"

    def refuse(_: int, command: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    files.fsync(tmp_path / "file")
    assert calls[2:] == ["fsync"], "a disk that cannot, e.g. a network's, is flushed as elsewhere"
