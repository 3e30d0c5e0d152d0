"""What a path that a user wrote means, and a folder for everything that cannot be used."""

from __future__ import annotations

import errno
import json
import os
import pwd
from pathlib import Path

import pytest

from mario_tui import paths
from mario_tui.cli import main
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.training.demo_data import find_logs

NOBODY = "~nobody-of-this-name"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder; another one is the current folder."""
    folder = tmp_path / "user"
    (tmp_path / "elsewhere").mkdir()
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


def said(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """The one line that a command gives for bad input; that nothing was made of a `~` is checked as well."""
    assert main(list(arguments)) == 2
    error: str = capsys.readouterr().err
    assert error.count("\n") == 1
    assert os.listdir() == []
    return error


def test_a_tilde_is_the_home_folder_as_in_a_shell(own: Path) -> None:
    assert paths.expand("~") == own
    assert paths.expand("~/a/b") == own / "a" / "b"
    assert paths.expand(Path("~/a")) == own / "a"
    assert paths.expand("a/~") == Path("a/~")
    assert paths.expand("./~root") == Path("~root")
    root = pwd.getpwuid(0)
    assert paths.expand(f"~{root.pw_name}/a") == Path(root.pw_dir) / "a"


def test_a_tilde_that_means_nobody_is_told_of_unless_a_file_has_that_name(own: Path) -> None:
    with pytest.raises(InputError, match=f"{NOBODY} is no home folder"):
        paths.expand(f"{NOBODY}/a")
    Path(NOBODY).touch()
    assert paths.expand(NOBODY) == Path(NOBODY)


def test_everything_lies_where_the_variable_says(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for written, meant in (
        ("~/m", own / "m"),
        ("m", Path.cwd() / "m"),
        ("../m", Path.cwd() / "../m"),
        ("", Path.cwd()),
    ):
        monkeypatch.setenv("MARIO_TUI_HOME", written)
        assert paths.home() == meant
        assert paths.home().is_absolute()
    monkeypatch.setenv("MARIO_TUI_HOME", "~/m")
    assert paths.settings_file() == own / "m" / "settings.toml"
    assert main(["checkpoints"]) == 0
    assert os.listdir() == []


@pytest.mark.parametrize("command", ["checkpoints", "recordings", "train"])
def test_a_variable_that_names_no_folder_is_one_line(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, command: str
) -> None:
    (own / "file").touch()
    (own / "broken").symlink_to("nothing")
    for written, problem in (
        ("~/file", "file is no folder"),
        ("~/file/m", "file is no folder"),
        ("~/broken", "broken is no folder"),
        (f"{NOBODY}/m", f"{NOBODY} is no home folder"),
    ):
        monkeypatch.setenv("MARIO_TUI_HOME", written)
        error = said(capsys, command)
        assert error.startswith("mario-tui: MARIO_TUI_HOME")
        assert problem in error


def test_a_current_folder_that_is_gone_is_one_line(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.delenv("MARIO_TUI_HOME")
    Path.cwd().rmdir()
    assert main(["checkpoints"]) == 2
    assert "the current folder cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_where_nothing_may_be_written_another_folder_is_advised(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, number: int
) -> None:
    mkdir = os.mkdir

    def refuse(path: Path, *rest: int, **more: int) -> None:
        if Path(path).is_relative_to(own):
            raise OSError(number, os.strerror(number), str(path))
        mkdir(path, *rest, **more)

    monkeypatch.setenv("MARIO_TUI_HOME", "~/m")
    monkeypatch.setattr(os, "mkdir", refuse)
    error = said(capsys, "train", "--steps", "10", "--network", "small")
    reason = f"{own / 'm' / 'checkpoints'}: {os.strerror(number)}"
    assert error == f"mario-tui: {reason}; mend that, or have MARIO_TUI_HOME name another folder\n"


def test_flags_and_settings_know_the_tilde(own: Path, home: Path, capsys: pytest.CaptureFixture) -> None:
    for arguments in (
        ["train", "--config=~/x.toml"],
        ["train", "--demonstrations=~/plays"],
        ["train", "--resume=~/x"],
        ["replay", "~/x.json"],
        ["verify", "~/x"],
        ["watch", "~/x"],
        ["recordings", "--delete=~/x.mp4"],
    ):
        said(capsys, *arguments)
        written = arguments[-1].replace("~", NOBODY)
        assert NOBODY in said(capsys, *arguments[:-1], written)
    log = ActionLog("1-1", 4, (129,) * 9)
    (own / "plays").mkdir()
    log.save(own / "plays" / "x.json")
    (own / "x.toml").write_text('demonstrations = "~/plays"\nsteps = "many"')
    assert f"{own / 'x.toml'}: steps" in said(capsys, "train", "--config=~/x.toml")
    assert find_logs("~/plays", "1-1") == ((log,), 0)
    assert main(["replay", "~/plays/x.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 36


@pytest.mark.slow
def test_a_video_is_written_into_the_home_folder(own: Path) -> None:
    ActionLog("1-1", 4, (129,) * 9).save(own / "x.json")
    assert main(["replay", "~/x.json", "-o=~/x.gif", "--scale", "1"]) == 0
    assert (own / "x.gif").is_file()
    assert os.listdir() == []
