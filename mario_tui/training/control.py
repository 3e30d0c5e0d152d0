"""Pause, resume, save, stop, and requests: asked for by any thread, acted on by the trainer at a step boundary."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from mario_tui.errors import MarioTuiError

T = TypeVar("T")


class TrainingControl:
    """What other threads want of a trainer.

    Args:
        attended: somebody watches who can be asked: a training that cannot be saved at its end waits for them.
    """

    def __init__(self, *, attended: bool = False) -> None:
        self.attended = attended
        self._changed = threading.Condition()
        self._paused = False
        self._reason = ""
        self._save = False
        self._stop = False
        self._in_a_hurry = False
        self._requests: deque[tuple[Callable[[Any], Any], Future[Any]]] = deque()
        self._closed = False

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def pause_reason(self) -> str:
        """Why the trainer itself paused, one line; "" where a person did."""
        return self._reason

    @property
    def stopping(self) -> bool:
        return self._stop

    @property
    def in_a_hurry(self) -> bool:
        """Whether nothing should be waited for after the checkpoint is saved."""
        return self._in_a_hurry

    def pause(self, reason: str = "") -> None:
        with self._changed:
            self._paused, self._reason = True, reason

    def hold(self, reason: str) -> None:
        """Pauses instead of the end that was asked for; the trainer's own."""
        with self._changed:
            self._paused, self._reason, self._stop = True, reason, False

    @property
    def held(self) -> bool:
        """Whether the training waits for a person, having paused by itself."""
        return self._paused and bool(self._reason) and not self._stop

    def resume(self) -> None:
        self._set(resume=True)

    def save(self) -> None:
        """Asks for a checkpoint; while paused it is written at once."""
        self._set(save=True)

    def stop(self, *, in_a_hurry: bool = False) -> None:
        """Asks for the end; whoever asks a second time, or after the training's end, is in a hurry."""
        self._in_a_hurry = self._in_a_hurry or in_a_hurry or self._stop or self._closed
        self._set(stop=True)

    def ask(self, request: Callable[[Any], T]) -> Future[T]:
        """Has the trainer call `request` with itself between two steps, also while it is paused.

        The future has what it returned or raised; a MarioTuiError where the training ended before.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                future.set_exception(_ended())
            else:
                self._requests.append((request, future))
                self._changed.notify_all()
        return future

    def answer(self, trainer: object) -> None:
        """Does what was asked for by `ask`; the trainer's own."""
        while self._requests:
            request, future = self._requests.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(request(trainer))
            except Exception as error:
                future.set_exception(error)

    def close(self) -> None:
        """Turns down what nobody will answer any more."""
        with self._changed:
            self._closed = True
            waiting, self._requests = self._requests, deque()
        for _, future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(_ended())

    def take_save(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        with self._changed:
            asked, self._save = self._save, False
            return asked

    def wait_while_paused(self, timeout_seconds: float | None = None) -> None:
        """Returns as soon as there is something to do: go on, answer, save or stop; or after that time."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._paused or self._save or self._stop or self._requests, timeout_seconds
            )

    def _set(self, *, resume: bool = False, save: bool = False, stop: bool = False) -> None:
        with self._changed:
            if resume:
                self._paused, self._reason = False, ""
            self._save = self._save or save
            self._stop = self._stop or stop
            self._changed.notify_all()


def _ended() -> MarioTuiError:
    return MarioTuiError("the training has ended")
