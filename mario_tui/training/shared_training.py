"""A training that another process of the same user may look at and steer: `mario-tui attach`."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError  # before Python 3.11 not the built-in one
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mario_tui.errors import InputError, MarioTuiError
from mario_tui.printable import printable
from mario_tui.training import events
from mario_tui.training.control import Rate, TrainingControl
from mario_tui.training.events import Event
from mario_tui.training.shared_protocol import (
    SharedError,
    are_there_sockets,
    greeting,
    packed_snapshot,
    receive,
    send,
    socket_path,
)
from mario_tui.training.watcher import Notice, Watcher

if TYPE_CHECKING:
    from mario_tui.training.trainer import Trainer

ASKED_SECONDS = 2.0
"""After this time without a question nobody looks any more, and no snapshots are taken."""
SAVE_SECONDS = 40.0
"""A checkpoint that is asked for is waited for so long."""
ANSWER_SECONDS = 10.0
"""A question that the trainer answers between two steps is given up then, long before who asked gives up."""
LAST_LOOK_SECONDS = 5.0
"""So long a training that has ended waits for who looks at it to see that."""


class SharedTraining(Watcher):
    """Listens for clients from its making to `close`; `watch` is given every event of the training.

    As long as nobody asks, an event costs next to nothing. Where no socket can be made `problem` says why, and the
    training goes on without.

    Args:
        announce: is given what somebody who does not look wants to know.
    """

    def __init__(
        self,
        trainer: Trainer,
        control: TrainingControl,
        announce: Callable[[Notice], object] = lambda notice: None,
    ) -> None:
        super().__init__(control, trainer.run_dir.name, trainer.config)
        self._announce = announce
        self.problem = ""
        self._asked_at = 0.0
        self._seen_end = threading.Event()
        self._all_notices: list[tuple[int, Notice]] = []
        self._count = 0
        self._listener: socket.socket | None = None
        self._path: Path | None = None
        self._inode = 0
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()
        if not are_there_sockets():
            self.problem = "this system has no local sockets"
            return
        try:
            self._path = socket_path(trainer.run_dir)
            self._path.unlink(missing_ok=True)  # of a process that was killed: the run's lock is ours
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(str(self._path))
            self._inode = self._path.stat().st_ino
            self._listener.listen(4)
        except (OSError, InputError) as error:
            self.problem = printable(error)
            self.close()
            return
        threading.Thread(target=self._accept, name="shared-training", daemon=True).start()

    def watch(self, trainer: Trainer, event: Event) -> None:
        """Takes notice of an event; of a step only if somebody looks."""
        looked_at = time.monotonic() - self._asked_at < ASKED_SECONDS
        if isinstance(event, events.Stepped):
            if looked_at:
                super().watch(trainer, event)
            elif self._camera_on:
                trainer.collector.frames(0)  # no pictures are copied for nobody
                self._camera_on = False
            return
        super().watch(trainer, event)
        self._camera_on = True  # it may have taken a picture
        news = self.notices()
        with self._lock:
            for notice in news:
                self._count += 1
                self._all_notices.append((self._count, notice))
            del self._all_notices[:-100]
        for notice in news:
            if notice.announces:
                self._announce(notice)

    _camera_on = False

    def close(self) -> None:
        """Ends, once who looks has seen the last snapshot, or after a moment."""
        if self._clients and time.monotonic() - self._asked_at < ASKED_SECONDS:
            self._seen_end.wait(LAST_LOOK_SECONDS)
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.close()
        with contextlib.suppress(OSError):
            if self._path is not None and self._path.stat().st_ino == self._inode:  # or it is that of who goes on
                self._path.unlink(missing_ok=True)
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> SharedTraining:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _accept(self) -> None:
        listener = self._listener
        while listener is not None and self._listener is not None:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._clients.add(client)
            threading.Thread(target=self._serve, args=(client,), name="shared-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, client.makefile("rwb") as file:
                stream = cast(BinaryIO, file)
                send(stream, greeting())
                while True:
                    question, _ = receive(stream)
                    self._answer(stream, question)
        except (OSError, EOFError, SharedError):
            return
        finally:
            self._clients.discard(client)

    def _answer(self, stream: BinaryIO, question: dict[str, Any]) -> None:
        asked = question.get("ask")
        if asked == "snapshot":
            self._send_snapshot(stream, question)
            return
        try:
            answer = self._do(asked, question)
        except (MarioTuiError, OSError) as error:
            send(stream, {"problem": printable(str(error) or type(error).__name__)})
        else:
            send(stream, {"answer": answer})

    def _send_snapshot(self, stream: BinaryIO, question: dict[str, Any]) -> None:
        self._asked_at, self._camera_on = time.monotonic(), True
        self.shows_all_games = bool(question.get("all_games"))
        snapshot = self.snapshot
        message, blocks = packed_snapshot(snapshot, with_curves=question.get("episode") != snapshot.episode)
        with self._lock:
            heard = question.get("notice")
            heard = heard if type(heard) is int else self._count
            news = [[number, notice.kind, notice.text] for number, notice in self._all_notices if number > heard]
            count = self._count
        facts = {"recordings_left": self.recordings_left, "silent": time.monotonic() - self._published_at}
        send(stream, {"snapshot": message, "notices": news, "notice": count, **facts}, blocks)
        if snapshot.status in ("finished", "failed"):
            self._seen_end.set()

    def _do(self, asked: object, question: dict[str, Any]) -> Any:
        control = self._control
        simple: dict[object, Callable[[], object]] = {
            "pause": control.pause, "resume": control.resume, "save": control.save, "stop": control.stop
        }  # fmt: skip
        if asked in simple:
            simple[asked]()
            return None
        if asked == "note":
            return self._answered(control.note(str(question.get("text", ""))))
        if asked == "keep":
            return {"path": str(self._answered(control.keep_agent(), SAVE_SECONDS))}
        name, value = question.get("name"), question.get("value")
        if asked == "adjust" and name in ("learning_rate", "exploration_rate") and isinstance(value, int | float):
            return self._answered(control.adjust(cast(Rate, name), lambda now: float(value)))
        raise InputError(f"the training does not know what {printable(str(asked))[:40]!r} is")

    @staticmethod
    def _answered(answer: Future[Any], seconds: float = ANSWER_SECONDS) -> Any:
        try:
            return answer.result(seconds)
        except FutureTimeoutError:
            answer.cancel()
            raise MarioTuiError("the training is busy and does not answer: try again in a moment") from None
