"""A training that another process does, as the app shows it: read from that process, and steered by it."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError, MarioTuiError
from mario_tui.printable import printable
from mario_tui.training.control import Rate
from mario_tui.training.events import Finished
from mario_tui.training.shared_protocol import (
    SharedError,
    are_there_sockets,
    greeting,
    receive,
    send,
    socket_path,
    unpacked_snapshot,
)
from mario_tui.training.snapshot import TrainingSnapshot
from mario_tui.training.watcher import Notice

if TYPE_CHECKING:
    from mario_tui.agent.policy import Policy

ASK_SECONDS = 1 / 15
"""A snapshot is asked for so often."""
_CONNECT_SECONDS = 10.0


class AttachedSession:
    """As a TrainingSession, of a training in another process on this machine; leaving it does not end the training.

    Args:
        run: the run's folder.

    Raises InputError where no process of this user trains the run and listens.
    """

    is_attached: Literal[True] = True

    def __init__(self, run: Path) -> None:
        self.run_folder = run
        self.snapshot = TrainingSnapshot(status="starting", run=run.name, config=TrainingConfig())
        self.result: Finished | None = None
        self.error: BaseException | None = None
        self.recordings_left = 0
        self.shows_all_games = False
        self.awaiting_user = False
        self.silent_seconds = 0.0
        self._notices: deque[Notice] = deque(maxlen=1000)
        self._asked: queue.SimpleQueue[tuple[dict[str, Any], Future[Any] | None]] = queue.SimpleQueue()
        self._detached = threading.Event()
        self._known_notice: int | None = None
        self._connection = _connect(run)
        self._file = cast(BinaryIO, self._connection.makefile("rwb"))
        self._greet()
        self._look()
        self._thread = threading.Thread(target=self._follow, name="attached", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        self._ask("pause")

    def resume(self) -> None:
        self._ask("resume")

    def save(self) -> None:
        self._ask("save")

    def stop(self, *, in_a_hurry: bool = False) -> None:
        """Asks the training to save and end."""
        self._ask("stop")

    def note(self, text: str) -> Future[None]:
        """Puts a line into the run's log."""
        return self._ask("note", text=text)

    def adjust(self, name: Rate, rule: Callable[[float], float]) -> Future[tuple[float, float]]:
        """Continues with another learning rate or epsilon, made by `rule` from the one of now."""
        now = self.snapshot.learning_rate if name == "learning_rate" else self.snapshot.epsilon
        return self._ask("adjust", name=name, value=rule(now))

    def live_policy(self) -> Policy:
        """The newest checkpoint's: the weights of now are in the other process. Raises MarioTuiError without one."""
        from mario_tui.agent.policy import load_policy

        path = self.snapshot.last_checkpoint
        if path is None:
            raise MarioTuiError("this training has no checkpoint yet: s saves one, which can be watched then")
        return load_policy(path)

    def keep_agent(self) -> Future[Path]:
        """Has the other process write its agent of now as a checkpoint; the future has its folder."""
        return self._ask("keep")

    def moved(self, run: Path, to: Path) -> None:
        """A run that is being trained cannot get another name."""

    def was_stopped(self) -> None:
        """The program was, and the training in its own process was not."""

    def join(self, timeout: float | None = None) -> bool:
        """Waits until the training has ended, or this was detached; True then."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def detach(self) -> None:
        """Looks no longer; the training goes on."""
        self._detached.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)  # an answer may be waited for
        self.join(2.0)
        self._close()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() or (self._thread.ident is None and not self._detached.is_set())

    def notices(self) -> list[Notice]:
        """What happened since the last call."""
        taken = []
        while self._notices:
            taken.append(self._notices.popleft())
        return taken

    def _ask(self, what: str, **more: Any) -> Future[Any]:
        answer: Future[Any] = Future()
        if self.alive:
            self._asked.put(({"ask": what, **more}, answer))
        else:
            answer.set_exception(MarioTuiError("the training has ended"))
        return answer

    def _greet(self) -> None:
        try:
            theirs, _ = receive(self._file)
        except (OSError, EOFError, SharedError):
            raise InputError(f"the training of {self.run_folder.name} does not answer") from None
        if theirs.get("version") != greeting()["version"]:
            self._close()
            raise InputError(
                f"{self.run_folder.name} is trained by mario-tui {printable(str(theirs.get('version')))}, and this is "
                f"{greeting()['version']}: use the same one"
            )

    def _follow(self) -> None:
        """Asks and looks until the training ends, or until this is detached."""
        try:
            while not self._detached.is_set() and self.snapshot.status not in ("finished", "failed"):
                self._pass_on()
                self._look()
                self._detached.wait(ASK_SECONDS)
        except (OSError, EOFError, SharedError, ValueError):  # the last of a file that was closed
            if not self._detached.is_set():
                self._is_gone()
        finally:
            self._turn_down()
            self._close()

    def _pass_on(self) -> None:
        while not self._asked.empty():
            question, answer = self._asked.get()
            send(self._file, question)
            reply, _ = receive(self._file)
            if answer is None or not answer.set_running_or_notify_cancel():
                continue
            if "problem" in reply:
                answer.set_exception(MarioTuiError(printable(str(reply["problem"]))))
            else:
                answer.set_result(_as_answered(reply.get("answer")))

    def _look(self) -> None:
        before = self.snapshot
        known = before.episode if before.curves else None
        send(
            self._file,
            {"ask": "snapshot", "episode": known, "all_games": self.shows_all_games, "notice": self._known_notice},
        )
        message, blocks = receive(self._file)
        self.snapshot = unpacked_snapshot(message["snapshot"], blocks, before)
        self.recordings_left = int(message["recordings_left"])
        self.silent_seconds = float(message["silent"]) if self.snapshot.status == "running" else 0.0
        self._known_notice = int(message["notice"])
        for _, kind, text in message["notices"]:
            self._notices.append(Notice(kind, printable(str(text))))

    def _is_gone(self) -> None:
        problem = "its process has ended: what is saved can go on (Checkpoints, c)"
        self.snapshot = replace(self.snapshot, status="failed", problem=problem)
        self._notices.append(Notice("failed", f"the training of {self.run_folder.name}: {problem}"))

    def _turn_down(self) -> None:
        while not self._asked.empty():
            _, answer = self._asked.get()
            if answer is not None and answer.set_running_or_notify_cancel():
                answer.set_exception(MarioTuiError("the training has ended"))

    def _close(self) -> None:
        for one in (self._file, self._connection):
            try:
                one.close()
            except OSError:
                continue


def _as_answered(value: Any) -> Any:
    """What the other process answered, as a TrainingSession would."""
    if isinstance(value, dict):
        return Path(str(value.get("path")))
    return tuple(value) if isinstance(value, list) else value


def _connect(run: Path) -> socket.socket:
    if not are_there_sockets():
        raise InputError("attach needs local sockets, which this system does not have: use Checkpoints and 'runs'")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_CONNECT_SECONDS)
    end = time.monotonic() + 1.0
    while True:
        try:
            connection.connect(str(socket_path(run)))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            raise InputError(
                f"no 'mario-tui train' of this user trains {run.name} on this machine: "
                f"'mario-tui train --resume {run.name}' goes on with it"
            ) from None
        except OSError as error:
            if time.monotonic() > end:
                connection.close()
                raise InputError(f"the training of {run.name} cannot be reached: {error.strerror or error}") from None
            time.sleep(0.05)
        else:
            connection.settimeout(_CONNECT_SECONDS * 6)
            return connection
