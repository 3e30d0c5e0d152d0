"""What other threads ask of a training: one queue of commands, which the trainer processes between two steps."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mario_tui.errors import MarioTuiError

if TYPE_CHECKING:
    from mario_tui.agent.policy import Policy

Rate = Literal["learning_rate", "exploration_rate"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Take no steps until `Resume`."""


@dataclass(frozen=True, slots=True)
class Resume:
    """End a pause."""


@dataclass(frozen=True, slots=True)
class Save:
    """Write a full checkpoint; during a pause at once."""


@dataclass(frozen=True, slots=True)
class Note:
    """Write a line of the user's into the run's log."""

    text: str


@dataclass(frozen=True, slots=True)
class Adjust:
    """Continue with another learning rate or epsilon: `rule` makes it from the one of now."""

    name: Rate
    rule: Callable[[float], float]


@dataclass(frozen=True, slots=True)
class CopyPolicy:
    """Copy the weights of now as a policy that training does not change any more."""


@dataclass(frozen=True, slots=True)
class KeepAgent:
    """Write the agent of now as a checkpoint that is to be evaluated."""


Command = Pause | Resume | Save | Note | Adjust | CopyPolicy | KeepAgent


class TrainingControl:
    """The commands for a trainer, and whether it is paused. All methods may be called from any thread.

    A stop is not in the queue: what the end of a training waits for has to see it at once.

    Args:
        attended: the user can be asked: a training that cannot be saved at its end waits for them.
    """

    def __init__(self, *, attended: bool = False) -> None:
        self.attended = attended
        self._changed = threading.Condition()
        self._commands: deque[tuple[Command, Future[Any] | None]] = deque()
        self._paused = False
        self._reason = ""
        self._stop = False
        self._in_a_hurry = False
        self._closed = False

    # for other threads

    def pause(self) -> None:
        self._put(Pause())

    def resume(self) -> None:
        self._put(Resume())

    def save(self) -> None:
        """Asks for a checkpoint; one that is asked for already is not written twice."""
        with self._changed:
            if not any(isinstance(command, Save) for command, _ in self._commands):
                self._put(Save())

    def note(self, text: str) -> Future[None]:
        return self._ask(Note(text))

    def adjust(self, name: Rate, rule: Callable[[float], float]) -> Future[tuple[float, float]]:
        """The future has the value before and after; an InputError if `rule` gave a value that is not allowed."""
        return self._ask(Adjust(name, rule))

    def copy_policy(self) -> Future[Policy]:
        return self._ask(CopyPolicy())

    def keep_agent(self) -> Future[Path]:
        """The future has the checkpoint's folder; an OSError if it cannot be written."""
        return self._ask(KeepAgent())

    def stop(self, *, in_a_hurry: bool = False) -> None:
        """Asks for the end; a second time, or after the training's end, it is in a hurry."""
        with self._changed:
            self._in_a_hurry = self._in_a_hurry or in_a_hurry or self._stop or self._closed
            self._stop = True
            self._changed.notify_all()

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def pause_reason(self) -> str:
        """Why the trainer paused by itself, one line; "" if the user paused it."""
        return self._reason

    @property
    def awaiting_user(self) -> bool:
        """Whether the trainer has paused by itself, and waits for the user."""
        return self._paused and bool(self._reason) and not self._stop

    @property
    def stopping(self) -> bool:
        """Whether the end was asked for."""
        return self._stop

    @property
    def in_a_hurry(self) -> bool:
        """Whether nothing should be waited for after the checkpoint is saved."""
        return self._in_a_hurry

    # for the trainer

    def take(self) -> Iterator[tuple[Command, Future[Any] | None]]:
        """The commands in their order, each with the future that its result belongs into; pauses are done here."""
        while self._commands:
            command, answer = self._commands.popleft()
            if isinstance(command, Pause | Resume):
                self._paused, self._reason = isinstance(command, Pause), ""
            elif answer is None or answer.set_running_or_notify_cancel():
                yield command, answer

    def pause_now(self, reason: str, *, cancel_stop: bool = False) -> None:
        """Pauses for a reason of the trainer's own; with `cancel_stop` instead of the end that was asked for."""
        with self._changed:
            older = [entry for entry in self._commands if not isinstance(entry[0], Pause | Resume)]
            self._commands = deque(older)  # what was asked for before does not end this pause, or change its reason
            self._paused, self._reason = True, reason
            self._stop = self._stop and not cancel_stop

    def resume_now(self) -> None:
        """Ends a pause of the trainer's own."""
        with self._changed:
            self._paused, self._reason = False, ""

    def wait(self, timeout_seconds: float | None = None) -> None:
        """Returns as soon as there is a command, or a stop; or after that time."""
        with self._changed:
            self._changed.wait_for(lambda: self._commands or self._stop, timeout_seconds)

    def close(self) -> None:
        """Turns down the commands that will not be processed any more."""
        with self._changed:
            self._closed = True
            left, self._commands = self._commands, deque()
        for _, answer in left:
            if answer is not None and answer.set_running_or_notify_cancel():
                answer.set_exception(_ended())

    def _ask(self, command: Command) -> Future[Any]:
        answer: Future[Any] = Future()
        self._put(command, answer)
        return answer

    def _put(self, command: Command, answer: Future[Any] | None = None) -> None:
        with self._changed:
            if not self._closed:
                self._commands.append((command, answer))
                self._changed.notify_all()
                return
        if answer is not None:
            answer.set_exception(_ended())


def _ended() -> MarioTuiError:
    return MarioTuiError("the training has ended")
