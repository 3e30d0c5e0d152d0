"""The user's own settings of the app: its theme, how it shows the game, other keys. A TOML file that people may edit.

    theme = "mario-light"
    graphics = "blocks"

    [keys]
    "train.pause" = "p"
    "watch.rewind" = "left,j"

`mario-tui keys` prints the names of all keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mario_tui import paths
from mario_tui.config import parse_toml, read_toml
from mario_tui.errors import InputError
from mario_tui.system import files
from mario_tui.tui import kitty_graphics

_THEME_LINE = re.compile(r"""^[ \t]*(?:theme|"theme"|'theme')[ \t]*=.*$""", re.MULTILINE)


@dataclass(frozen=True)
class Preferences:
    """What the file says; `problems` has a line for everything in it that is left out."""

    theme: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    graphics: str = "auto"


def load(path: Path | None = None) -> Preferences:
    """The settings; what cannot be used is left out and named."""
    path = path or paths.settings_file()
    if not path.exists():
        return Preferences()
    try:
        content = read_toml(path)
    except InputError as error:
        return Preferences(problems=(str(error),))
    problems = [
        f"{path}: there is no setting {name!r}" for name in content if name not in ("theme", "graphics", "keys")
    ]
    theme, keys = content.get("theme", ""), content.get("keys", {})
    if not isinstance(theme, str):
        problems.append(f"{path}: theme should be the name of one")
        theme = ""
    graphics = content.get("graphics", "auto")
    if graphics not in kitty_graphics.CHOICES:
        choices = ", ".join(f'"{choice}"' for choice in kitty_graphics.CHOICES)
        problems.append(f"{path}: graphics should be one of {choices}")
        graphics = "auto"
    if not isinstance(keys, dict):
        problems.append(f'{path}: [keys] should have lines like "train.pause" = "p"')
        keys = {}
    usable = {name: key for name, key in keys.items() if isinstance(key, str) and key.strip()}
    problems += [f'{path}: the key of {name!r} should be a text like "p"' for name in keys.keys() - usable.keys()]
    return Preferences(theme, usable, tuple(problems), graphics)


def save_theme(name: str, path: Path | None = None) -> None:
    """Writes the theme into the file, and leaves all else in it as it is.

    Raises InputError where the file cannot be read as TOML, before or after: it stays as it is.
    """
    path = path or paths.settings_file()
    line = f'theme = "{name}"'
    if path.exists():
        read_toml(path)
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    new = _THEME_LINE.sub(line, old, count=1) if _THEME_LINE.search(old) else f"{line}\n{old}"
    if parse_toml(new, path).get("theme") != name:
        raise InputError(f"{path} has no line of its own for the theme: write {line} above its first [table]")
    if new != old:
        files.write_atomically(path, new)
