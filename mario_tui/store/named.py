"""Which run or checkpoint a user means by a path or a name."""

from __future__ import annotations

from pathlib import Path

from mario_tui.errors import CheckpointError, InputError
from mario_tui.paths import STEP_FOLDER, checkpoints_dir, expand
from mario_tui.store import evaluations, shipped
from mario_tui.store.lookup import step_folders
from mario_tui.store.manifest import MANIFEST


def find_run(text: str | Path) -> Path | None:
    """The run folder that a user means by a path or a name, if it is one and has a checkpoint."""
    path = find_path(text)
    if not path.is_dir() or is_checkpoint(path):
        return None
    return path if step_folders(path) else None


def find_checkpoint(text: str | Path) -> Path:
    """The checkpoint that a user means by a path or a name.

    Accepts a checkpoint folder, a run folder (its newest checkpoint, which may be damaged), `best` inside a run, each
    also as seen from the folder of runs, e.g. `my-run` or `my-run/best`; or a tutorial checkpoint, which is a file, of
    any name.

    Returns an absolute path. Raises CheckpointError if there is none.
    """
    path = find_path(text)
    if path.is_file():
        if path.name == MANIFEST:
            return path.parent
        if _may_be_saved_by_pytorch(path):
            return path
        raise CheckpointError(f"{path} is no checkpoint: name a folder step-*, a run, or a tutorial .chkpt file")
    if is_checkpoint(path):
        return path
    folders = step_folders(path)
    if not folders:
        raise CheckpointError(f"{path} holds no checkpoint yet: train and save first, or name another folder")
    return folders[-1]


def _may_be_saved_by_pytorch(path: Path) -> bool:
    """Whether a file is a zip archive or a pickle, by its first bytes; raises CheckpointError if it cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    if not start:
        raise CheckpointError(f"{path} is no checkpoint: it is empty")
    return start.startswith((b"PK\x03\x04", b"\x80"))


def find_path(text: str | Path) -> Path:
    """The file or folder at a path, at that path in the folder of runs, or a shipped one, absolute; links are followed.

    `best` inside a run is its best checkpoint, see `evaluations.best`, whether or not there is a link of that name.

    Raises CheckpointError if there is none.
    """
    missing = f"no checkpoint at {str(text)!r}: 'mario-tui checkpoints' lists the ones there are"
    if not str(text):
        raise CheckpointError("no checkpoint was named: 'mario-tui checkpoints' lists the ones there are")
    try:
        written = expand(text)
    except InputError as error:  # a run may be called like somebody's home folder
        written, missing = Path(text), str(error)
    try:
        for path in filter(None, (written, checkpoints_dir() / written, shipped.find(written))):
            if path.name == evaluations.BEST and (best := evaluations.best(path.parent)) is not None:
                return best.resolve()
            if path.exists():
                return path.resolve()
    except InputError as error:
        raise CheckpointError(str(error)) from None
    except (OSError, ValueError):  # a name that no file can have
        pass
    raise CheckpointError(missing)


def is_checkpoint(path: Path) -> bool:
    """Whether a folder is a checkpoint, by its manifest or its name."""
    return (path / MANIFEST).is_file() or bool(STEP_FOLDER.fullmatch(path.name))


def name_of(checkpoint: Path) -> str:
    """What finds a checkpoint again: `my-run/step-000120000`, or its whole path where that would not."""
    name = f"{checkpoint.parent.name}/{checkpoint.name}"
    try:
        return name if find_path(name) == checkpoint.resolve() else str(checkpoint)
    except CheckpointError:
        return str(checkpoint)


def shortest_name(checkpoint: Path) -> str:
    """As `name_of`, and only the run's name where the checkpoint is its newest."""
    name = name_of(checkpoint)
    newest = step_folders(checkpoint.parent)[-1:] == [checkpoint]
    return checkpoint.parent.name if newest and name != str(checkpoint) else name
