"""`keys`: the names of the app's keys, for a settings file."""

from __future__ import annotations

import argparse

from mario_tui import paths
from mario_tui.printable import printable


def keys(arguments: argparse.Namespace) -> int:
    from mario_tui.tui.keymap import all_bindings

    print(f"# {printable(paths.settings_file())} can give other keys to these names, under [keys]:\n")
    for binding in all_bindings():
        print(f'"{binding.id}" = "{binding.key}"'.ljust(48) + f"# {binding.tooltip}")
    return 0
