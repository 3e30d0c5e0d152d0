"""Checkpoints: folders of named parts, written whole or not at all, and verified before they are used.

A checkpoint is written into a hidden folder beside its place, every file is flushed to the disk, and the folder is then
renamed once, to a name that no other has. `manifest.json` holds the size and SHA-256 of every part. Nothing in
a checkpoint is a pickle: tensors are safetensors, the rest is JSON.

Files in a run's folder that say something about several checkpoints (evaluations, the `best` link) are replaced
atomically.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from filelock import FileLock, Timeout

from mario_tui import __version__, paths
from mario_tui.config import load_toml
from mario_tui.errors import CheckpointError, InputError
from mario_tui.system import files
from mario_tui.system.files import fsync, hidden_name, write_atomically

FORMAT = 1
PREPROCESSING = "luminance, 84x84 bilinear with antialiasing, uint8"
"""How agents here see the screen (agent/preprocess.py); an agent of another one would be blind here."""
REWARD = "7.4.0"
"""What agents here learn from (game/emulator.py): the reward of this version of gym-super-mario-bros."""
T = TypeVar("T")
_State: TypeAlias = tuple[tuple[str, int, int, int], ...]

MANIFEST = "manifest.json"
EVALUATIONS = "evaluations.json"
DAMAGED_EVALUATIONS = "evaluations.damaged*.json"
"""What a damaged evaluations.json is called from then on; without the star, or with a number in its place."""
TRASHED = "measured.json"
"""What was measured of a checkpoint in the trash, in its own folder, so that it comes back with it."""
ROBUST_PROTOCOL = "sticky by frame"
"""How the robust clear rate is measured now; rates of another protocol cannot be compared with it and do not count."""
MAX_NOTE = 1000
_PART_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def write(run: Path, step: int, parts: Mapping[str, Callable[[Path], None]], header: Mapping[str, Any]) -> Path:
    """Writes a new checkpoint into a run's folder.

    Args:
        run: the run's folder, made if it is missing.
        step: training steps so far, which name the folder.
        parts: file name -> function that writes that file.
        header: what else the manifest says (stage, action set, ...); must be JSON. Its `created` stands in the place of
            the present time.

    Returns:
        The new folder.

    Raises:
        OSError: it cannot be written, e.g. as the disk is full.
        CheckpointError: what was written is not what is read.
    """
    run.mkdir(parents=True, exist_ok=True)
    temporary, final = _claim(run, step)
    try:
        listed = {}
        for name, write_part in parts.items():
            part = temporary / name
            write_part(part)
            fsync(part)
            listed[name] = {"bytes": part.stat().st_size, "sha256": _sha256(part)}
        manifest = {
            "format": FORMAT,
            "program": f"mario-tui {__version__}",
            "python": ".".join(map(str, sys.version_info[:3])),
            "created": now(),
            "step": step,
            **header,
            "parts": listed,
        }
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        fsync(temporary / MANIFEST)
        fsync(temporary)
        verify(temporary)
        os.rename(temporary, final)
        _found[final] = _found.pop(temporary)
        fsync(run)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        _found.pop(temporary, None)
        raise
    return final


def _claim(run: Path, step: int) -> tuple[Path, Path]:
    """A hidden folder, made for this save alone, and the name that it gets at the end: two may be saved at once."""
    number = 1
    while True:
        name = paths.checkpoint_name(step, number)
        temporary, final = run / f".{name}.part", run / name
        number += 1
        try:
            temporary.mkdir()
        except FileExistsError:
            continue
        if not final.exists():
            return temporary, final
        temporary.rmdir()


def one_line(error: BaseException) -> str:
    """What an error that a file of a stranger's caused says, short enough to be read."""
    return printable(f"{type(error).__name__}: {error}", 200)


def printable(text: object, most: int = 100) -> str:
    """What a stranger's file says, as one line that does nothing to a terminal."""
    line = " ".join(str(text).split())[:most]
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def now() -> str:
    """The time as manifests have it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def now_after(time: str) -> str:
    """Now, but at least a second after `time`, also where the clock was put back: the order of checkpoints is that of
    their times."""
    with contextlib.suppress(ValueError, OverflowError, TypeError):
        if datetime.fromisoformat(time) >= datetime.fromisoformat(now()):
            return (datetime.fromisoformat(time) + timedelta(seconds=1)).isoformat(timespec="seconds")
    return now()


def newest_time(run: Path) -> str:
    """When the newest of a run's checkpoints that can be read was saved; "" where there is none."""
    for folder in reversed(paths.step_folders(run)):
        with contextlib.suppress(CheckpointError):
            return str(read_manifest(folder)["created"])
    return ""


def drop_parts(folder: Path, names: Collection[str]) -> None:
    """Takes parts out of a checkpoint: first out of its manifest, then off the disk, so that it stays whole throughout.

    A checkpoint that cannot be read is left as it is, and so is one elsewhere that a link leads to.
    """
    if folder.is_symlink():
        return
    try:
        manifest = read_manifest(folder)
    except CheckpointError:
        return
    kept = {name: entry for name, entry in manifest["parts"].items() if name not in names}
    if len(kept) < len(manifest["parts"]):
        write_atomically(folder / MANIFEST, json.dumps({**manifest, "parts": kept}, indent=1) + "\n")
    for name in names:
        (folder / name).unlink(missing_ok=True)


def sweep_runs() -> None:
    """Removes what was left in the folders of runs that nobody trains."""
    for run in paths.runs():
        if any(run.glob(".*.part")):
            with contextlib.suppress(InputError), _nobody_trains(run):
                sweep(run)


def sweep(run: Path) -> None:
    """Removes what was left in a run's folder when a program was killed while it wrote; call it with the run's lock."""
    for leftover in run.glob(".step-*.part"):
        shutil.rmtree(leftover, ignore_errors=True)
    for folder in (run, *paths.step_folders(run)):
        if not folder.is_symlink() or folder == run:
            files.sweep(folder)


def read_json(path: Path) -> Any:
    """The content of a JSON file; raises CheckpointError, naming it, where it is missing or damaged."""
    try:
        if path.stat().st_size > paths.MAX_JSON_BYTES:
            raise CheckpointError(f"{path} is damaged: too large")
        if not path.is_file():  # a pipe would have its reader wait for ever, a device would never end
            raise CheckpointError(f"{path} is damaged: it is no file")
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {one_line(error)}") from None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint, whose parts are not looked at; raises CheckpointError."""
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise CheckpointError(f"{folder / MANIFEST} is damaged: it is no manifest")
    if manifest["format"] > FORMAT:
        raise CheckpointError(
            f"{folder} has format {manifest['format']}, made by a newer mario-tui: update this one (it reads {FORMAT})"
        )
    parts = manifest.get("parts")
    if not isinstance(parts, dict) or not all(
        isinstance(entry, dict) and isinstance(entry.get("bytes"), int) and isinstance(entry.get("sha256"), str)
        for entry in parts.values()
    ):
        raise CheckpointError(f"{folder / MANIFEST} is damaged: its list of parts cannot be read")
    if any(Path(name).name != name or name in (".", "..") for name in parts):
        raise CheckpointError(f"{folder / MANIFEST} is damaged: it names a file outside its folder")
    if not all(_PART_NAME.fullmatch(name) for name in parts):
        raise CheckpointError(f"{folder / MANIFEST} is damaged: it names a file as none is named")
    types = {"step": int, "stage": str, "action_set": str, "created": str}
    for key, kind in types.items():
        if not isinstance(manifest.get(key), kind):
            raise CheckpointError(f"{folder / MANIFEST} is damaged: {key!r} is missing or of the wrong kind")
        if kind is str and not (manifest[key].isprintable() and len(manifest[key]) < 100):
            raise CheckpointError(f"{folder / MANIFEST} is damaged: {key!r} cannot be read")
    if _number(manifest["step"]) is None:
        raise CheckpointError(f"{folder / MANIFEST} is damaged: no training has that many steps")
    return manifest


def _number(value: object) -> float | None:
    """A number that was read from a file, if it is one that can be shown."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e18:  # which NaN is not
        return None
    return float(value)


def check_sizes(folder: Path) -> dict[str, Any]:
    """The manifest, after a quick look that every part is there and has its size; raises CheckpointError."""
    return _check_parts(folder, _check_size)


def verify(folder: Path) -> dict[str, Any]:
    """The manifest, after every part was read and found to be what was written; raises CheckpointError.

    What is found is remembered for as long as the files stay as they are: lists of checkpoints show it.
    """
    state = _state_of(folder)
    try:
        check_sizes(folder)
        manifest = _check_parts(folder, _check_content)
    except CheckpointError as error:
        _found[folder] = state, str(error)
        raise
    _found[folder] = state, ""
    return manifest


def is_whole(folder: Path) -> bool:
    """Whether `verify` finds nothing wrong."""
    try:
        verify(folder)
    except CheckpointError:
        return False
    return True


_found: dict[Path, tuple[_State, str]] = {}
"""What `verify` found last in this process: of which state of a folder's files, and what is wrong with it, or ""."""


def _state_of(folder: Path) -> _State:
    """What shows whether files have changed: names, sizes, times."""
    try:
        statuses = [(file.name, file.stat()) for file in os.scandir(folder)]
    except OSError:
        return ()
    return tuple(sorted((name, status.st_size, status.st_mtime_ns, status.st_ino) for name, status in statuses))


def _verified(folder: Path) -> str | None:
    """What `verify` found: "" of a whole one; None where it has not looked at the files as they are now."""
    state, found = _found.get(folder, ((), ""))
    return found if state and state == _state_of(folder) else None


def _check_parts(folder: Path, check: Callable[[Path, Mapping[str, Any]], None]) -> dict[str, Any]:
    """The manifest, after each part was checked; begins anew where a training takes parts out meanwhile."""
    try:
        while True:
            manifest = read_manifest(folder)
            try:
                for name, entry in manifest["parts"].items():
                    check(folder / name, entry)
            except CheckpointError:
                if read_manifest(folder)["parts"] == manifest["parts"]:
                    raise
            else:
                return manifest
    except CheckpointError:
        if folder.is_dir():
            raise
        raise _gone(folder) from None


def _gone(folder: Path) -> CheckpointError:
    return CheckpointError(f"{folder} is gone: deleted, or replaced by a later one of its run")


def _check_size(part: Path, entry: Mapping[str, Any]) -> None:
    try:
        size = part.stat().st_size if part.is_file() else None
    except OSError:  # it has just gone
        size = None
    if size is None:
        raise CheckpointError(f"{part} is missing")
    if size != entry["bytes"]:
        raise CheckpointError(f"{part} is damaged: {size:,} bytes instead of {entry['bytes']:,}")


def _check_content(part: Path, entry: Mapping[str, Any]) -> None:
    try:
        content = _sha256(part)
    except OSError as error:
        raise CheckpointError(f"{part} cannot be read: {error.strerror}") from None
    if content != entry["sha256"]:
        raise CheckpointError(f"{part} is damaged: its content is not what was saved")


def check_made_for(folder: Path, manifest: Mapping[str, Any], **here: str) -> None:
    """Raises CheckpointError where a checkpoint was made for something else than what is here, e.g. another reward.

    What the manifest of an older version does not say is taken to be as it is here.
    """
    for name, value in here.items():
        theirs = manifest.get(name, value)
        if theirs != value:
            raise CheckpointError(
                f"{folder} was made with the {name} {str(theirs)[:80]!r}, and this mario-tui has {value!r}: "
                f"use the version that made it ({str(manifest.get('program', 'not known'))[:80]!r})"
            )


def to_continue(run: Path) -> tuple[Path, str]:
    """The checkpoint to go on from, and a line that says why it is not the newest; "" where it is.

    That is the newest whole one; but not that of an agent that was evaluated, which has no replay, where a full one is
    there. Raises CheckpointError where none is whole.
    """
    why = ""
    evaluated: tuple[Path, str] | None = None
    for folder in reversed(paths.step_folders(run)):
        try:
            manifest = verify(folder)
        except CheckpointError as error:
            why = why or str(error)
            continue
        found = folder, f"{why}; going on from {folder.name} instead" if why else ""
        if evaluated is None and manifest.get("evaluated") is True:
            evaluated = found
            why = why or f"{folder.name} was saved as the best so far, without the replay"
        elif evaluated is None or manifest.get("full") is True:
            return found
    if evaluated is None:
        raise CheckpointError(why or f"{run} holds no checkpoint yet")
    return evaluated


def trash(path: Path) -> Path:
    """Moves a checkpoint or a run into the trash folder beside the runs; returns where it is now.

    Raises InputError for a run that is being trained.
    """
    whole_run = path.parent.resolve() == paths.checkpoints_dir().resolve()
    name = path.name if whole_run else f"{path.parent.name}_{path.name}"
    folder = paths.checkpoints_dir() / ".trash" / f"{paths.timestamp()}_{name}"
    number = 2
    while folder.exists():
        folder = folder.with_name(f"{folder.name}_{number}")
        number += 1
    folder.parent.mkdir(parents=True, exist_ok=True)
    if whole_run:
        with _nobody_trains(path):
            os.rename(path, folder)
        return folder
    run = path.parent
    with _evaluations_lock(run):
        if measured := evaluations(run).get(path.name):
            write_atomically(path / TRASHED, json.dumps(measured, indent=1) + "\n")
        os.rename(path, folder)
        if measured:
            _forget(run, path.name)
    return folder


def rotate(run: Path, newest: Path) -> None:
    """Deletes the checkpoints of a run that were saved to be replaced by later ones (`rotates` in their manifest).

    What stays: `newest` and what is later, the full one before (should the newest be damaged one day), the best one,
    those with a note, whatever is damaged, and what a link leads to. A folder gets a hidden name before anything in it
    goes, so that it is there whole or not at all.

    Raises:
        OSError: one cannot be deleted; the others are.
    """
    folders = paths.step_folders(run)
    older = folders[: folders.index(newest)] if newest in folders else []
    manifests = {folder: _manifest_if_whole(folder) for folder in older}
    before = next((folder for folder in reversed(older) if manifests[folder].get("full") is True), None)
    replaced = [folder for folder in older if folder != before and manifests[folder].get("rotates") is True]
    if not replaced:
        return
    problem = None
    with _evaluations_lock(run):
        if _read_evaluations(run) is None or any(run.glob(DAMAGED_EVALUATIONS)):  # nobody knows which have a note
            return
        measured = evaluations(run)
        best = {_best_of(run, measured), _linked_best(run)}
        for folder in replaced:
            if measured.get(folder.name, {}).get("note") or folder.name in best or folder.is_symlink():
                continue
            try:
                if folder.name in measured:
                    _forget(run, folder.name)
                hidden = hidden_name(folder)
                os.rename(folder, hidden)
                shutil.rmtree(hidden)
            except OSError as error:
                problem = problem or error
    if problem:
        raise problem


def _manifest_if_whole(folder: Path) -> dict[str, Any]:
    try:
        return check_sizes(folder)
    except CheckpointError:
        return {}


def _forget(run: Path, name: str) -> None:
    """Drops what was measured of a checkpoint that is gone: a later one of the same name must not inherit it."""
    content = evaluations(run)
    del content[name]
    _write_evaluations(run, content, gone=name)
    _link_best(run)


# What was measured of checkpoints, kept in their run's folder: a checkpoint itself never changes.


def evaluations(run: Path) -> dict[str, dict[str, Any]]:
    """Name of a checkpoint -> what was measured of it; empty where nothing was, or the file is damaged.

    With that of checkpoints that were taken back from the trash.
    """
    content = {name: entry for name, entry in (_read_evaluations(run) or {}).items() if isinstance(entry, dict)}
    for path in run.glob(f"step-*/{TRASHED}"):
        with contextlib.suppress(CheckpointError):
            if path.parent.name not in content and isinstance(entry := read_json(path), dict):
                content[path.parent.name] = entry
    return content


def _read_evaluations(run: Path) -> dict[str, Any] | None:
    """What is in the file, also what is not ours; None where it is damaged."""
    if not (run / EVALUATIONS).exists():
        return {}
    try:
        content = read_json(run / EVALUATIONS)
    except CheckpointError:
        return None
    return content if isinstance(content, dict) else None


def _write_evaluations(run: Path, content: Mapping[str, Any], *, gone: str = "") -> None:
    """Called under the lock. A damaged file stays under another name, and what is not ours in it: a person wrote it."""
    there = _read_evaluations(run)
    if there is None:
        names = (DAMAGED_EVALUATIONS.replace("*", "" if number == 1 else f"-{number}") for number in itertools.count(1))
        os.replace(run / EVALUATIONS, next(run / name for name in names if not (run / name).exists()))
    others = {name: entry for name, entry in (there or {}).items() if name not in content and name != gone}
    write_atomically(run / EVALUATIONS, json.dumps({**others, **content}, indent=1) + "\n")


def note_evaluation(folder: Path, /, **measured: Any) -> None:
    """Keeps what was measured of a checkpoint (`greedy_clear`, `greedy_x`, `robust_clear_rate`), and moves `best`.

    A robust clear rate stays where the new one is of fewer episodes (`robust_episodes`). Nothing is written beside a
    checkpoint that is in no run's folder.
    """
    run = folder.parent
    if not is_run(run):
        return
    if "robust_clear_rate" in measured:
        measured.setdefault("robust_protocol", ROBUST_PROTOCOL)
    with _evaluations_lock(run):
        if not folder.is_dir():
            return  # it has gone meanwhile, and a later one of its name must not inherit this
        content = evaluations(run)
        entry = content.get(folder.name, {})
        if _robust_episodes(entry) > (_number(measured.get("robust_episodes")) or math.inf):
            measured = {name: value for name, value in measured.items() if not name.startswith("robust_")}
        content[folder.name] = {**entry, **measured}
        _write_evaluations(run, content)
        _link_best(run)


def annotate(folder: Path, text: str) -> None:
    """Keeps a line of the user's own with a checkpoint; an empty one takes it away."""
    run = folder.parent
    with _evaluations_lock(run):
        if not folder.is_dir():
            raise _gone(folder)
        content = evaluations(run)
        entry = {**content.get(folder.name, {}), "note": printable(text, MAX_NOTE)}
        content[folder.name] = entry if entry["note"] else {name: entry[name] for name in entry if name != "note"}
        _write_evaluations(run, content)


def rename_run(run: Path, name: str) -> Path:
    """Gives a run another name; returns its new folder.

    Raises InputError for a name that cannot be or is taken, and for a run that is being trained.
    """
    folder = paths.run_dir(name)
    if folder.exists():
        raise InputError(f"a run named {name!r} exists: choose another name")
    with _nobody_trains(run):
        os.rename(run, folder)
    return folder


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's: one in the folder of runs, or one that holds the settings of a run."""
    if folder.resolve().parent == paths.checkpoints_dir().resolve():
        return True
    try:
        return (folder / "config.toml").is_file() and bool(load_toml(folder / "config.toml"))
    except InputError:
        return False


@contextmanager
def _nobody_trains(run: Path) -> Iterator[None]:
    """Holds a run's lock; raises InputError where a training does."""
    lock = FileLock(run_lock(run))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"the run {run.name!r} is being trained: stop that first") from None
    try:
        yield
    finally:
        lock.release()


def run_lock(run: Path) -> Path:
    """The file that whoever trains a run holds a lock on; the same one by whatever link the run was found."""
    run = run.resolve()
    return run.with_name(f".{run.name}.lock")


def _evaluations_lock(run: Path) -> FileLock:
    """Held while what is known of a run's checkpoints changes: a training and an evaluation may want to at once.

    Raises CheckpointError where the run has gone, as with another name: the lock would make its folder.
    """
    if not run.is_dir():
        raise _gone(run)
    return FileLock(run / ".evaluations.lock")


def _robust_rate(entry: Mapping[str, Any]) -> float | None:
    return _number(entry.get("robust_clear_rate")) if entry.get("robust_protocol") == ROBUST_PROTOCOL else None


def _robust_episodes(entry: Mapping[str, Any]) -> int:
    """Of how many episodes the robust clear rate is; 0 where there is none."""
    return 0 if _robust_rate(entry) is None else int(_number(entry.get("robust_episodes")) or 0)


def _rank(entry: Mapping[str, Any]) -> tuple[float, bool, float]:
    """Orders checkpoints: by robust clear rate (none measured counts as 0), greedy clear, how far greedy play got."""
    distance = _number(entry.get("greedy_x"))
    return (
        _robust_rate(entry) or 0.0,
        entry.get("greedy_clear") is True,
        -1.0 if distance is None else distance,
    )


def _best_of(run: Path, content: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The name of the best checkpoint, of equals the newest; None where nothing was measured."""
    measured = {name: entry for name, entry in content.items() if entry.keys() - {"note"}}
    names = [folder.name for folder in paths.step_folders(run) if folder.name in measured]
    return max(reversed(names), key=lambda name: _rank(measured[name]), default=None)


def _linked_best(run: Path) -> str | None:
    """The name of the checkpoint that the link `best` leads to; None where there is no such link."""
    try:
        return Path(os.readlink(run / "best")).name
    except OSError:
        return None


def _link_best(run: Path) -> None:
    best, link = _best_of(run, evaluations(run)), run / "best"
    if link.exists() and not link.is_symlink():
        return  # somebody's own
    if best is None:
        link.unlink(missing_ok=True)
        return
    temporary = hidden_name(link)
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(best)
    os.replace(temporary, link)


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """One row of the list of checkpoints.

    Attributes:
        mean_reward: of the last 100 training episodes before it was saved; None where its manifest does not say.
        episodes: how many training episodes had ended when it was saved; None where its manifest does not say.
        problem: what is wrong with one that is not whole.
        note: the user's own line.
        robust_episodes: of how many episodes the robust clear rate is; 0 where there is none, or nobody wrote it down.
        full, evaluated: saved with the replay; saved as an agent that was evaluated.
        verified: whether it was read through and is whole; where it was not, `whole` says that all parts are there and
            have their sizes.
    """

    path: Path
    run: str
    stage: str
    step: int
    created: str
    size_bytes: int
    whole: bool
    best: bool
    greedy_clear: bool | None
    robust_clear_rate: float | None
    mean_reward: float | None = None
    episodes: int | None = None
    problem: str = ""
    note: str = ""
    robust_episodes: int = 0
    full: bool = False
    evaluated: bool = False
    verified: bool = False

    def as_json(self) -> dict[str, Any]:
        """The keys that `mario-tui checkpoints --json` promises."""
        names = (
            "run",
            "stage",
            "step",
            "created",
            "size_bytes",
            "whole",
            "best",
            "greedy_clear",
            "robust_clear_rate",
            "mean_reward",
        )
        return {"path": str(self.path), **{name: getattr(self, name) for name in names}}


def spread(items: Sequence[T], count: int) -> list[T]:
    """So many of a sequence's items, evenly from the first to the last; all of them where there are no more."""
    if len(items) <= count:
        return list(items)
    return [items[round(number * (len(items) - 1) / (count - 1))] for number in range(count)]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A training run and its checkpoints, the newest first."""

    run: str
    path: Path
    stage: str
    created: str
    size_bytes: int
    checkpoints: list[CheckpointInfo] = field(default_factory=list)
    unread: str = ""
    """The name of a file with notes and measurements that cannot be read."""

    @property
    def newest(self) -> CheckpointInfo | None:
        """The newest checkpoint that is whole; None where there is none."""
        return next((info for info in self.checkpoints if info.whole), None)

    @property
    def to_continue(self) -> CheckpointInfo | None:
        """What training goes on from, as the function of this name has it."""
        newest = self.newest
        if newest is None or not newest.evaluated:
            return newest
        return next((info for info in self.checkpoints if info.whole and info.full), newest)

    @property
    def best(self) -> CheckpointInfo | None:
        """The best of the checkpoints that are whole; of equals, or where nothing was measured, the newest."""
        return max(
            (info for info in self.checkpoints if info.whole),
            key=lambda info: (info.best, info.robust_clear_rate or 0.0, info.greedy_clear is True),
            default=None,
        )

    @property
    def damaged(self) -> int:
        """How many of the checkpoints are not whole."""
        return sum(not info.whole for info in self.checkpoints)

    @property
    def greedy_clear(self) -> bool | None:
        """Whether greedy play of any whole checkpoint clears the stage; None where that was not measured."""
        known = [info.greedy_clear for info in self.checkpoints if info.whole and info.greedy_clear is not None]
        return any(known) if known else None

    @property
    def robust_clear_rate(self) -> float | None:
        """The highest robust clear rate of the whole checkpoints; None where that was not measured."""
        known = [info.robust_clear_rate for info in self.checkpoints if info.whole]
        return max((rate for rate in known if rate is not None), default=None)


def _info(folder: Path, measured: Mapping[str, Any], best: bool) -> CheckpointInfo:
    match = paths.STEP_FOLDER.fullmatch(folder.name)
    stage, created, step, problem = "?", "", int(match[1]) if match else 0, ""
    found: str | None = None
    manifest: dict[str, Any] = {}
    try:
        manifest = read_manifest(folder)
        stage, created, step = manifest["stage"], manifest["created"], manifest["step"]
        check_sizes(folder)
        found = _verified(folder)
        problem = found or ""
    except CheckpointError as error:
        problem = str(error)
    clear = measured.get("greedy_clear")
    episodes = _number(manifest.get("episodes"))
    return CheckpointInfo(
        path=folder,
        run=folder.parent.name,
        stage=stage,
        step=step,
        created=created,
        size_bytes=_size_of(folder),
        whole=not problem,
        best=best,
        greedy_clear=clear if isinstance(clear, bool) else None,
        robust_clear_rate=_robust_rate(measured),
        robust_episodes=_robust_episodes(measured),
        mean_reward=_number(manifest.get("mean_reward")),
        episodes=None if episodes is None else int(episodes),
        problem=problem,
        full=manifest.get("full") is True,
        evaluated=manifest.get("evaluated") is True,
        verified=found == "",
        note=printable(note, MAX_NOTE) if isinstance(note := measured.get("note"), str) else "",
    )


def _size_of(folder: Path) -> int:
    """Bytes of the files in a folder, of which some, or all, may go at any time."""
    size = 0
    with contextlib.suppress(OSError):
        for part in folder.iterdir():
            with contextlib.suppress(OSError):
                size += part.stat().st_size if part.is_file() else 0
    return size


def _time_of(path: Path) -> str:
    """When a file was written last; empty where it is not there, as when somebody just gave its run another name."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).isoformat(timespec="seconds")
    except OSError:
        return ""


def run_summaries() -> list[RunSummary]:
    """All runs, the newest first; damaged checkpoints are listed as such."""
    summaries = []
    for run in paths.runs():
        measured = evaluations(run)
        best = _linked_best(run)
        infos = [
            _info(folder, measured.get(folder.name, {}), folder.name == best)
            for folder in reversed(paths.step_folders(run))
        ]
        infos = [info for info in infos if info.path.is_dir()]  # a training may have replaced some meanwhile
        stage = next((info.stage for info in infos if info.whole), "?")
        created = max((info.created for info in infos), default="") or _time_of(run / "config.toml")
        summaries.append(
            RunSummary(
                run=run.name,
                path=run,
                stage=stage,
                created=created,
                size_bytes=sum(info.size_bytes for info in infos),
                checkpoints=infos,
                unread=_unread(run),
            )
        )
    return sorted(summaries, key=lambda summary: summary.created, reverse=True)


def _unread(run: Path) -> str:
    if _read_evaluations(run) is None:
        return EVALUATIONS
    return min((path.name for path in run.glob(DAMAGED_EVALUATIONS)), default="")


def list_checkpoints() -> list[CheckpointInfo]:
    """Every checkpoint: the best of each stage first, then the newest."""
    return _best_first(run_summaries())


def list_runs() -> list[RunSummary]:
    """The runs that have checkpoints: those with the best one of a stage first, then the newest."""
    summaries = {summary.path: summary for summary in run_summaries()}
    in_order = dict.fromkeys(info.path.parent for info in _best_first(summaries.values()))
    return [summaries[run] for run in in_order]


def _best_first(summaries: Iterable[RunSummary]) -> list[CheckpointInfo]:
    infos = [info for summary in summaries for info in summary.checkpoints]
    measured = {run: evaluations(run) for run in {info.path.parent for info in infos}}

    def rank(info: CheckpointInfo) -> tuple[Any, ...]:
        return (
            info.whole,
            *_rank(measured[info.path.parent].get(info.path.name, {})),
            info.created,
            info.step,
        )

    infos.sort(key=rank, reverse=True)
    stages: set[str] = set()
    leaders: list[CheckpointInfo] = []
    others: list[CheckpointInfo] = []
    for info in infos:
        leader = info.whole and info.stage not in stages
        stages.add(info.stage)
        (leaders if leader else others).append(info)
    leaders.sort(key=lambda info: info.stage)
    others.sort(key=lambda info: (info.created, info.step), reverse=True)
    return leaders + others
