"""What can be done where a checkpoint is damaged: told wherever one is met."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mario_tui.config import load_toml
from mario_tui.errors import DamagedError, InputError
from mario_tui.printable import as_argument
from mario_tui.store import shipped
from mario_tui.store.checkpoint import is_whole
from mario_tui.store.lookup import step_folders
from mario_tui.system import installation
from mario_tui.system.crash import relative


@contextmanager
def advising(folder: Path) -> Iterator[None]:
    """Within it, the error that a checkpoint's files are damaged says besides what can be done."""
    try:
        yield
    except DamagedError as error:
        others = (other for other in reversed(step_folders(folder.parent)) if other != folder)
        raise DamagedError(f"{error}; {advice(folder.parent, next(filter(is_whole, others), None))}") from None


def advice(run: Path, whole: Path | None) -> str:
    """What can be done about a damaged checkpoint of a run, the end of a line.

    Args:
        run: its folder.
        whole: the newest of the run's other checkpoints that is whole, if there is one.
    """
    if shipped.is_shipped(run):
        return f"it came with mario-tui: {installation.repair()}"
    if whole is not None:
        return f"{run.name}/{whole.name} is whole: use that, or copy the damaged file back from a backup"
    settings = run / "config.toml"
    try:
        again = f"train anew with its settings, 'mario-tui train --config {as_argument(relative(settings))}'"
        if not load_toml(settings):
            again = "train anew"
    except InputError:  # missing or damaged, too
        again = "train anew"
    return f"no other checkpoint of {run.name} is whole: copy the file back from a backup, or {again}"
