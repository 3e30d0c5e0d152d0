"""Where runs, recordings and settings live.

Runs and recordings sit under one home folder, which `home` chooses.
"""

import functools
import os
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import platformdirs

from mario_tui.errors import InputError
from mario_tui.system import installation
from mario_tui.system.files import Reservation, free_stems

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RUN_NAME_RULE = "up to 64 letters (a to z), digits, '.', '_' or '-', without a folder"
_DEVICE_OF_WINDOWS = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
STEP_FOLDER = re.compile(r"step-(\d{9,})(?:-(\d+))?")


def expand(written: str | Path) -> Path:
    """The path that a user wrote, `~` and `~user` in it as a shell takes them: not everything goes through a shell.

    `-o=~/x.mp4`, a line of a settings file and a field of a form do not. Raises InputError where there is no such home
    folder, unless a file has that name.
    """
    text = os.fspath(written)
    path = Path(os.path.expanduser(text))
    if text.startswith("~") and path == Path(text) and not os.path.lexists(text):
        name = text.partition("/")[0]
        raise InputError(f"{text!r} cannot be used: {name} is no home folder; a file of that name is ./{text}")
    return path


def home() -> Path:
    """The folder that holds everything; raises InputError if the one that is named cannot be used."""
    return chosen_home()[0]


def chosen_home() -> tuple[Path, str]:
    """The folder that holds everything, and why it is this one, in a few words.

    The one that MARIO_TUI_HOME or the settings file names. Without either, from a clone, the current folder; otherwise
    the current folder if it holds runs already, and if not the folder where the system keeps a user's data.

    What the settings file and the current folder say is looked at once: it stays while the program runs, whatever is
    edited or deleted meanwhile.

    Raises InputError if the folder that is named is none.
    """
    if named := os.environ.get("MARIO_TUI_HOME"):
        return folder_named(named, "MARIO_TUI_HOME"), "named by MARIO_TUI_HOME"
    try:
        here = os.getcwd()
    except OSError:
        here = ""
    return _home_without_variable(settings_file(), here)


@functools.lru_cache
def _home_without_variable(settings: Path, _current_folder: str) -> tuple[Path, str]:
    if named := _home_in(settings):
        if not named.startswith(("/", "~")):
            raise InputError(f"home = {named!r} in {settings} cannot be used: it should begin with / or ~")
        return folder_named(named, f"home in {settings}"), f"named in {settings}"
    here = _current()
    if installation.clone():
        return here, "the current folder, since mario-tui runs from a clone"
    if any(here.glob("checkpoints/*/config.toml")):
        return here, "the current folder, which holds runs"
    return platformdirs.user_data_path("mario-tui"), "your data folder, since the current one holds no runs"


def _home_in(settings: Path) -> str:
    """The folder that the settings file names for everything; "" if it names none."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        text = settings.read_text(encoding="utf-8-sig", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise InputError(f"{settings}, which may say where runs are, cannot be read: {error.strerror}") from None
    if not re.search(r"^\s*[\"']?home\b", text, re.MULTILINE):
        return ""
    try:
        named = tomllib.loads(text).get("home", "")
    except ValueError as error:  # runs must not seem to be gone
        raise InputError(
            f"{settings}, which says where runs are, cannot be read: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(named, str):
        raise InputError(f'{settings}: home should be a folder, as in home = "~/mario"')
    return named


def folder_named(written: str, by: str) -> Path:
    """The folder that a setting names, absolute; it may not be there yet. Raises InputError if it cannot be one.

    Args:
        by: the setting, for the error.
    """
    try:
        folder = expand(written)
        if not folder.is_absolute():
            folder = _current() / folder
        there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    except InputError as error:
        raise InputError(f"{by}: {error}") from None
    except (OSError, ValueError) as error:  # a name that no file can have
        raise InputError(f"{by} = {written!r} cannot be used: {error}") from None
    if not there.is_dir():
        raise InputError(f"{by} = {written!r} cannot be used: {there} is no folder")
    return folder


def _current() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise InputError(f"the current folder cannot be used: {error.strerror}; go to another one") from None


def checkpoints_dir() -> Path:
    return home() / "checkpoints"


def recordings_dir() -> Path:
    return home() / "recordings"


def logs_dir() -> Path:
    """Where the log of a crash goes if it belongs to no run."""
    return home() / "logs"


def plays_dir() -> Path:
    """Where the action logs of games go that were played by hand, or found by a search."""
    return home() / "plays"


def searches_dir() -> Path:
    """Where searches are kept that have not found a way yet."""
    return plays_dir() / "searches"


def settings_file() -> Path:
    """The app's settings: with MARIO_TUI_HOME in that folder, otherwise where the system keeps a user's settings."""
    if os.environ.get("MARIO_TUI_HOME"):
        return home() / "settings.toml"
    return platformdirs.user_config_path("mario-tui") / "settings.toml"


def machine_file() -> Path:
    """What was measured of this machine, and others that share the folder."""
    return home() / "machine.json"


def timestamp() -> str:
    """Now, as it appears in the names of runs and recordings, e.g. `2026-11-22T08-30-00`."""
    return datetime.now().strftime("%Y-%m-%dT%H-%M-%S")


def check_run_name(name: str) -> str:
    """Returns the name if a new run can have it; raises InputError otherwise.

    Not every name that a folder can have: it is typed into commands, begins the names of recordings, and should be
    possible on any disk that the run is copied to. Runs that have another name are found and used all the same.
    """
    if not RUN_NAME.fullmatch(name) or name.endswith((".", ".lock")):
        raise InputError(f"run name {name!r} cannot be used: take {RUN_NAME_RULE}")
    if _DEVICE_OF_WINDOWS.match(name):
        raise InputError(f"run name {name!r} cannot be used: no file can have it on Windows; choose another one")
    return name


def new_run_name(stage: str) -> str:
    """A name made of the stage and the time, which no run has unless it began in this second."""
    return f"{stage}_{timestamp()}"


def run_dir(name: str) -> Path:
    return checkpoints_dir() / check_run_name(name)


def new_recording(stem: str, suffix: str) -> Reservation:
    """A name in the recordings folder whose stem nobody else gets until it is released; `suffix` is e.g. `.mp4`."""
    return Reservation(recordings_dir(), f"{stem}_{timestamp()}", suffix)


def new_play(stage: str) -> Reservation:
    """A name in the folder of plays, which nobody else gets until it is released."""
    return Reservation(plays_dir(), f"{stage}_{timestamp()}", ".json")


def unique_path(folder: Path, stem: str, suffix: str = "", *, beside: Iterable[str] = (".json",)) -> Path:
    """A path in a folder that nothing has yet: `stem` with the suffix, or else `stem_2`, `stem_3` and so on.

    It is for folders that have one writer, e.g. by a lock; another may take the name meanwhile: see Reservation.

    Args:
        suffix: the ending of the name, e.g. `.mp4`.
        beside: endings under which nothing may lie there either, such as a recording's action log.
    """
    return folder / f"{next(free_stems(folder, stem, {suffix, *beside}))}{suffix}"


def checkpoint_name(step: int, number: int = 1) -> str:
    """The name of the first, second, ... checkpoint of a step."""
    return f"step-{step:09d}" + (f"-{number}" if number > 1 else "")
