"""The user's preferences: the app's theme, how it shows the game, where runs go, other keys. They stand in a TOML file:

    theme = "mario-light"
    graphics = "blocks"
    home = "~/mario"
    notify = "desktop"
    on_event = "curl -d \"$MARIO_TUI_TEXT\" ntfy.example.org/mario"

    [keys]
    "train.pause" = "p"
    "watch.rewind" = "left,j"

`mario-tui keys` prints the names of all keys.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mario_tui import paths
from mario_tui.config import parse_toml, read_toml
from mario_tui.errors import InputError
from mario_tui.system import files

_THEME_LINE = re.compile(r"""^[ \t]*(?:theme|"theme"|'theme')[ \t]*=.*$""", re.MULTILINE)


Key = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Preferences(BaseModel):
    """What the file says; `problems` has a line for everything in it that is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    theme: str = ""
    graphics: Literal["auto", "kitty", "iterm", "sixel", "blocks", "quadrants", "sextants"] = "auto"
    """How the game is shown: as the terminal can, as pictures in any case, or with characters in any case: half blocks,
    quadrants or sextants."""
    home: str = ""
    """The folder for runs and recordings, see `paths.chosen_home`, which reads it; "" where the system keeps data."""
    notify: Literal["off", "bell", "desktop"] = "off"
    """What a training's first clear, best, trouble and end do besides their notice: nothing, the terminal's bell, or a
    notification of the desktop, if the terminal passes them on."""
    on_event: str = ""
    """A command for the shell that is run then, see system/on_event.py."""
    keys: dict[str, Key] = {}
    """Id of a binding -> the keys that it gets, with commas between."""
    problems: tuple[str, ...] = Field(default=(), exclude=True)


_EXPECTED = {
    "theme": "theme should be the name of one",
    "graphics": 'graphics should be one of "auto", "kitty", "iterm", "sixel", "blocks", "quadrants", "sextants"',
    "home": 'home should be a folder, as in home = "~/mario"',
    "notify": 'notify should be one of "off", "bell", "desktop"',
    "on_event": 'on_event should be a command, as in on_event = "mail -s mario me"',
    "keys": '[keys] should have lines like "train.pause" = "p"',
}


def load(path: Path | None = None) -> Preferences:
    """The preferences; what cannot be used is left out and named."""
    path = path or paths.settings_file()
    if not path.exists():
        return Preferences()
    try:
        content = read_toml(path)
    except InputError as error:
        return Preferences(problems=(str(error),))
    problems = [f"{path}: there is no setting {name!r}" for name in content if name not in _EXPECTED]
    content = {name: value for name, value in content.items() if name in _EXPECTED}
    try:
        return Preferences(**content, problems=tuple(problems))
    except ValidationError as error:
        for name, *key in (detail["loc"] for detail in error.errors()):
            if key:
                problems.append(f'{path}: the key of {key[0]!r} should be a text like "p"')
                del content["keys"][key[0]]
            else:
                problems.append(f"{path}: {_EXPECTED[str(name)]}")
                del content[str(name)]
    return Preferences(**content, problems=tuple(problems))


def save_theme(name: str, path: Path | None = None) -> None:
    """Writes the theme into the file and changes nothing else in it.

    Raises InputError, and leaves the file alone, if it is no valid TOML or would not be afterwards.
    """
    path = path or paths.settings_file()
    line = f'theme = "{name}"'
    if path.exists():
        read_toml(path)
    old = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    new = _THEME_LINE.sub(line, old, count=1) if _THEME_LINE.search(old) else f"{line}\n{old}"
    if parse_toml(new, path).get("theme") != name:
        raise InputError(f"{path} has no line of its own for the theme: write {line} above its first [table]")
    if new != old:
        files.write_atomically(path, new)
