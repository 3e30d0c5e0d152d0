"""A training run in a thread of its own, as an app owns it: commands go in, frozen snapshots come out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mario_tui.config import TrainingConfig
from mario_tui.errors import MarioTuiError
from mario_tui.training.control import Rate, TrainingControl
from mario_tui.training.watcher import Notice, Watcher

if TYPE_CHECKING:  # PyTorch takes seconds to import: the thread does it, not whoever makes a session
    from mario_tui.agent.policy import Policy
    from mario_tui.training.fit import Fitted
    from mario_tui.training.restore import Factories


class TrainingSession(Watcher):
    """Trains in a thread. All methods may be called from any thread; none but `join` waits.

    Args:
        config, run, resume, factories: as for training.restore.open_trainer.
        warning: a line to show at once.
        fits: choose threads, processes and games for this machine, see training.fit.fit.
        asked: the settings that the user named.
    """

    def __init__(
        self,
        config: TrainingConfig,
        *,
        run: str | None = None,
        resume: Path | None = None,
        warning: str = "",
        fits: bool = False,
        asked: Collection[str] = (),
        factories: Factories | None = None,
    ) -> None:
        run_name = run or (resume.parent.name if resume is not None and resume.is_dir() else "")
        super().__init__(TrainingControl(attended=True), run_name, config)
        self.error: BaseException | None = None
        self._config, self._run_name, self._resume, self._factories = config, run, resume, factories
        self._fits, self._asked = fits, asked
        if warning:
            self._notices.append(Notice("warning", warning))
        self._thread = threading.Thread(target=self._train, name="training", daemon=True)

    is_attached: Literal[False] = False
    """Whether another process trains, see AttachedSession."""

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        self._control.pause()

    def resume(self) -> None:
        self._control.resume()

    def save(self) -> None:
        self._control.save()

    def stop(self, *, in_a_hurry: bool = False) -> None:
        """Asks the trainer to save and end; in a hurry, without waiting for recordings."""
        self._control.stop(in_a_hurry=in_a_hurry)
        if self.snapshot.status == "running":  # the trainer says so, too, but an emulator may keep it waiting
            self.snapshot = replace(self.snapshot, status="stopping")

    @property
    def awaiting_user(self) -> bool:
        """Whether it waits for the user, e.g. as it cannot be saved at its end; see `snapshot.pause_reason`."""
        return self._control.awaiting_user

    @property
    def silent_seconds(self) -> float:
        """For how long a training that runs has taken no step."""
        return time.monotonic() - self._published_at if self.snapshot.status == "running" else 0.0

    def was_stopped(self) -> None:
        """The whole program was, for some time in which no step could be taken."""
        self._published_at = time.monotonic()

    def note(self, text: str) -> Future[None]:
        """Puts a line into the run's log."""
        return self._control.note(text)

    def adjust(self, name: Rate, rule: Callable[[float], float]) -> Future[tuple[float, float]]:
        """Continues with another learning rate or epsilon, made by `rule` from the one of now.

        The future has the value before and after, or an InputError.
        """
        return self._control.adjust(name, rule)

    def live_policy(self) -> Policy:
        """The weights of now, as a policy to watch, evaluate or record while training goes on; waits for a step's end.

        Raises MarioTuiError if the training ends before.
        """
        return self._control.copy_policy().result()

    def keep_agent(self) -> Future[Path]:
        """Writes the agent of now as a checkpoint, so that measurements of it are kept; the future has its folder."""
        return self._control.keep_agent()

    def moved(self, run: Path, to: Path) -> None:
        """A run got another name; one that is being trained cannot."""
        shown = self.snapshot.last_checkpoint
        if not self.alive and shown is not None and shown.parent == run:
            self.snapshot = replace(self.snapshot, run=to.name, last_checkpoint=to / shown.name)

    def join(self, timeout: float | None = None) -> bool:
        """Waits for the thread; True when it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _train(self) -> None:
        saved: Path | None = None
        try:
            from mario_tui.training.restore import open_trainer

            fitted = self._fit() if self._fits else None
            trainer = open_trainer(
                fitted.config if fitted else self._config,
                run=self._run_name,
                resume=self._resume,
                control=self._control,
                factories=self._factories,
                processes=fitted.processes if fitted else 0,
            )
            if fitted and fitted.measured:
                trainer.note(fitted.text)
                self._notices.append(Notice("fitted", fitted.text))
            try:
                for event in trainer.run():
                    self.watch(trainer, event)
            finally:
                saved = trainer.last_checkpoint  # also what was saved because it failed
        except BaseException as error:
            self.error = _without_frames(error)
            problem = str(error) if isinstance(error, MarioTuiError) else f"{type(error).__name__}: {error}"
            self.snapshot = replace(self.snapshot, status="failed", problem=problem, last_checkpoint=saved)
            self._notices.append(Notice("failed", problem, "end"))
        finally:
            self._control.close()

    def _fit(self) -> Fitted:
        from mario_tui.training.fit import fit

        return fit(
            self._config,
            resumes=self._resume is not None and self._resume.is_dir(),
            asked=self._asked,
            say=lambda text: self._notices.append(Notice("fitted", text)),
            cancelled=lambda: self._control.stopping,
        )


def _without_frames(error: BaseException) -> BaseException:
    """The error without its traceback, which the crash log has: it would hold the trainer, with replay and networks.

    This session is among what the frames hold, so that the error would keep it all for as long as the app runs.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
