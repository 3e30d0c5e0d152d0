"""Which folder runs and recordings go to, and why."""

from pathlib import Path

import pytest

from mario_tui import paths
from mario_tui.errors import InputError
from mario_tui.system import installation


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder, of a user who has an installed mario-tui and no settings."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MARIO_TUI_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(installation, "clone", lambda: None)
    return folder


def write_settings(text: str) -> Path:
    file = paths.settings_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_a_run_does_not_go_into_whatever_folder_one_stands_in(here: Path, tmp_path: Path) -> None:
    (here / "checkpoints" / "resnet").mkdir(parents=True)  # another program's
    folder, why = paths.chosen_home()
    assert (tmp_path / "user") in folder.parents
    assert folder.name == "mario-tui"
    assert why == "your data folder, since the current one holds no runs"
    assert paths.run_dir("mine") == folder / "checkpoints" / "mine"


def test_a_folder_that_holds_runs_is_used_where_one_stands_in_it(here: Path) -> None:
    (here / "checkpoints" / "mine").mkdir(parents=True)
    (here / "checkpoints" / "mine" / "config.toml").touch()
    assert paths.chosen_home() == (here, "the current folder, which holds runs")


def test_from_a_clone_it_is_the_current_folder(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "clone", lambda: tmp_path)
    assert paths.chosen_home() == (here, "the current folder, since mario-tui runs from a clone")


def test_the_settings_file_names_it(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_settings('theme = "nord"\nhome = "~/mario"\n')
    assert paths.chosen_home() == (tmp_path / "user" / "mario", f"named in {file}")
    monkeypatch.setattr(installation, "clone", lambda: tmp_path)
    assert paths.home() == tmp_path / "user" / "mario"
    monkeypatch.setenv("MARIO_TUI_HOME", str(here))
    assert paths.chosen_home() == (here, "named by MARIO_TUI_HOME"), "which is for one start"


@pytest.mark.parametrize("text", ['theme = "nord"\n', "theme = \n", '[keys]\n"go.home" = "h"\n', ""])
def test_a_settings_file_without_it_changes_nothing(here: Path, text: str) -> None:
    without = paths.home()
    write_settings(text)
    assert paths.home() == without


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('home = "~/mario"\ntheme = \n', "which says where runs are, cannot be read"),
        ("home = 7\n", "home should be a folder"),
        ('home = "mario"\n', "should begin with / or ~"),
    ],
)
def test_a_place_that_cannot_be_read_is_said_before_runs_seem_to_be_gone(here: Path, text: str, message: str) -> None:
    write_settings(text)
    with pytest.raises(InputError, match=message):
        paths.home()


def test_a_file_is_no_place(here: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    write_settings(f'home = "{tmp_path / "file"}"\n')
    with pytest.raises(InputError, match="file is no folder"):
        paths.home()


def test_it_stays_while_the_program_runs(here: Path, tmp_path: Path) -> None:
    """Whatever is edited or deleted meanwhile: runs must not seem to be gone, and what is trained has a place."""
    run = here / "checkpoints" / "mine"
    run.mkdir(parents=True)
    (run / "config.toml").touch()
    assert paths.home() == here
    (run / "config.toml").unlink()
    paths.settings_file().parent.mkdir(parents=True, exist_ok=True)
    paths.settings_file().write_text(f'home = "{tmp_path / "other"}"\n[keys')
    assert paths.home() == here


@pytest.mark.parametrize("before", ["", 'theme = "nord"\n'])
def test_a_byte_order_mark_is_passed_over(here: Path, tmp_path: Path, before: str) -> None:
    paths.settings_file().parent.mkdir(parents=True, exist_ok=True)
    paths.settings_file().write_text(f'{before}home = "{tmp_path / "other"}"\n', encoding="utf-8-sig")
    assert paths.home() == tmp_path / "other"
