"""The folder of a run while it is trained: its lock and its current settings."""

from __future__ import annotations

import contextlib
from pathlib import Path

from filelock import Timeout

from mario_tui import paths
from mario_tui.config import TrainingConfig
from mario_tui.errors import CheckpointError, InputError
from mario_tui.printable import printable
from mario_tui.store import shipped
from mario_tui.store.lookup import is_run, step_folders
from mario_tui.store.run import run_lock, sweep_run
from mario_tui.system.files import free_stems, write_atomically
from mario_tui.system.locks import file_lock, marker

BEING_TRAINED = "is being trained by another mario-tui"


class RunExistsError(InputError):
    """There is a run of that name, or a training is about to make it."""


def _as_text(config: TrainingConfig) -> TrainingConfig:
    """Settings that a file can hold: paths need not be text, as the name of a file need not."""
    changes = {}
    for name in ("demonstrations", "init_from"):
        try:
            getattr(config, name).encode()
        except UnicodeEncodeError:
            changes[name] = printable(getattr(config, name))
    return config.replace(**changes) if changes else config


def check_new(run: Path) -> None:
    """Raises RunExistsError if a folder holds a run."""
    if step_folders(run) or (run / "metrics.csv").exists():
        raise RunExistsError(f"a run named {run.name!r} exists: continue it with --resume, or choose another name")


class RunFolder:
    """A run's folder, locked until `close`.

    Attributes:
        path: the folder.
        config: the settings of now, which `write_config` changes.
    """

    def __init__(self, path: Path, config: TrainingConfig) -> None:
        self.path, self.config = path, _as_text(config)
        self._new = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = file_lock(run_lock(path))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunExistsError(
                f"the run {path.name!r} {BEING_TRAINED}: stop that one first{marker(self._lock)}"
            ) from None
        except OSError as error:  # as on some network drives
            raise InputError(
                f"{self._lock.lock_file} cannot be locked: {error.strerror}; "
                "have MARIO_TUI_HOME name a folder on a disk of this machine"
            ) from None

    @classmethod
    def create(cls, config: TrainingConfig, name: str | None = None) -> RunFolder:
        """The folder of a new run, whose name is made of stage and time if none is given.

        Raises InputError if a run of that name exists or is in use.
        """
        if name is not None:
            return cls._create(name, config)
        for free in free_stems(paths.checkpoints_dir(), paths.new_run_name(config.stage), {""}):
            with contextlib.suppress(RunExistsError):  # another training began in this second
                return cls._create(free, config)
        raise AssertionError("there is always another name")

    @classmethod
    def _create(cls, name: str, config: TrainingConfig) -> RunFolder:
        run = cls(paths.run_dir(name), config)
        try:
            check_new(run.path)
        except RunExistsError:
            run.close()
            raise
        run._new = True
        return run

    @classmethod
    def of_checkpoint(cls, checkpoint: Path, config: TrainingConfig) -> RunFolder:
        """The folder of an existing run; raises CheckpointError if the checkpoint is in none, or is shipped."""
        shipped.protect(checkpoint)
        if not is_run(checkpoint.parent):
            raise CheckpointError(
                f"{checkpoint.parent} is no run's folder, and training would write into it: "
                f"move {checkpoint.name} into a folder of its own in {paths.checkpoints_dir()}, and resume it there"
            )
        return cls(checkpoint.parent, config)

    def prepare(self) -> None:
        """Makes the folder, and removes what a killed process left in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        sweep_run(self.path)

    def write_config(self, config: TrainingConfig) -> None:
        """Makes these the settings of now; raises OSError if they cannot be written."""
        write_atomically(self.path / "config.toml", config.to_toml())
        self.config = config

    def close(self) -> None:
        self._lock.release()

    def abandon(self) -> None:
        """After a start that failed: a new run leaves no empty folder."""
        if self._new:
            with contextlib.suppress(OSError):  # something is in it
                self.path.rmdir()
        self.close()
