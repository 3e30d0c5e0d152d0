"""Programs that start at once: forked from a process that has imported PyTorch and the package already.

An import of PyTorch and torchrl takes five seconds of a core, and a hundred tests look at a program from outside. Here
`Popen` and `run` take the place of subprocess's. What they start is a process of its own: its pid, environment,
standard streams, signals and end are as those of one that was started anew. Only its imports are those of the server.
So tests of what is imported when, and one of each kind, e.g. of exact resume, start theirs with subprocess.

Where a fork of a large program cannot be relied on, everywhere but on Linux, and where COLD_START is set (as
`make coverage` does), these are subprocess's own.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import io
import os
import pickle
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import IO, Any, NoReturn

PREFERS_SUBPROCESS = sys.platform != "linux" or bool(os.environ.get("COLD_START"))
_LENGTH = 8  # bytes that a request begins with


# What the tests use.


class WarmProcess:
    """A program that was forked; its methods are those of subprocess.Popen.

    Args:
        command: [sys.executable, "-m", module, ...], [sys.executable, "-c", code, ...] or [sys.executable, file, ...].
        stdin, stdout, stderr: a descriptor, a file, subprocess.PIPE, subprocess.DEVNULL; None for the test's own.
        text: whether pipes carry text, not bytes.
        env: its environment; None for the test's own.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        text: bool = False,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> None:
        self.args = [os.fspath(part) for part in command]
        assert self.args[0] == sys.executable, "only this Python's programs are forked"
        self.returncode: int | None = None
        self.stdin: IO[Any] | None = None
        self.stdout: IO[Any] | None = None
        self.stderr: IO[Any] | None = None
        self._status, status = socket.socketpair()
        theirs: list[int] = []
        opened: list[int] = []
        for number, (name, wanted) in enumerate((("stdin", stdin), ("stdout", stdout), ("stderr", stderr))):
            if wanted is None:
                theirs.append(number)
            elif wanted == subprocess.DEVNULL:
                opened.append(os.open(os.devnull, os.O_RDWR))
                theirs.append(opened[-1])
            elif wanted == subprocess.PIPE:
                reading, writing = os.pipe()
                ours, other = (writing, reading) if name == "stdin" else (reading, writing)
                setattr(self, name, os.fdopen(ours, ("w" if name == "stdin" else "r") + ("" if text else "b")))
                opened.append(other)
                theirs.append(other)
            else:
                theirs.append(wanted if isinstance(wanted, int) else wanted.fileno())
        request = {
            "command": self.args[1:], "env": dict(os.environ if env is None else env), "cwd": os.getcwd(),
            "path": sys.path, "session": start_new_session,
        }  # fmt: skip
        data = pickle.dumps(request)
        with _lock:
            server = _server()
            rights = array.array("i", [status.fileno(), *theirs])
            server.sendmsg(
                [len(data).to_bytes(_LENGTH, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights.tobytes())]
            )
            server.sendall(data)
        status.close()
        for descriptor in opened:
            os.close(descriptor)
        self.pid = self._answer(None)

    def _answer(self, timeout: float | None) -> int:
        self._status.settimeout(timeout)
        answer = self._status.recv(_LENGTH)
        assert answer, "the server of forked programs has ended"
        return int.from_bytes(answer, "big", signed=True)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            try:
                self.returncode = os.waitstatus_to_exitcode(self._answer(timeout))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Closes its standard input, reads what it writes, and waits for its end."""
        read: dict[str, Any] = {"out": None, "err": None}

        def read_all(name: str, stream: IO[Any]) -> None:
            read[name] = stream.read()

        streams = [("out", self.stdout), ("err", self.stderr)]
        readers = [threading.Thread(target=read_all, args=(name, it), daemon=True) for name, it in streams if it]
        deadline = None if timeout is None else time.monotonic() + timeout
        if self.stdin:
            self.stdin.close()
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(None if deadline is None else max(deadline - time.monotonic(), 0))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(None if deadline is None else max(deadline - time.monotonic(), 0.001))
        return read["out"], read["err"]

    def __enter__(self) -> WarmProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()


def _run_warm(
    command: Sequence[str | os.PathLike[str]],
    *,
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    if capture_output:
        options.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process = WarmProcess(command, **options)
    try:
        out, err = process.communicate(timeout)
    except BaseException:
        process.kill()
        raise
    done = subprocess.CompletedProcess(command, process.wait(), out, err)
    if check:
        done.check_returncode()
    return done


Popen: Any = subprocess.Popen if PREFERS_SUBPROCESS else WarmProcess
run: Any = subprocess.run if PREFERS_SUBPROCESS else _run_warm

_lock = threading.Lock()
_connection: socket.socket | None = None


def _server() -> socket.socket:
    """The connection to the server, which is started when it is used first, and ends with this process."""
    global _connection
    if _connection is None:
        _connection, theirs = socket.socketpair()
        program = (
            f"import sys; sys.path[:] = {sys.path!r}; import warm; program = warm.serve({theirs.fileno()}); program()"
        )
        server = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True,
        )  # fmt: skip
        theirs.close()
        atexit.register(server.wait)
        atexit.register(_connection.close)  # the last registered is called first
    return _connection


# What the server does.


def serve(descriptor: int) -> Callable[[], None]:
    """Forks a process for each request; returns in it, with what the process is to run, and ends with the tests."""
    _import_all()
    gc.collect()
    gc.freeze()  # so that a child's collection does not touch, and thereby copy, every page
    assert len(os.listdir("/proc/self/task")) == 1, "a thread would be lost by a fork"
    requests = socket.socket(fileno=descriptor)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    import select

    while True:
        ready, _, _ = select.select([requests.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 1 << 10)
            _report_ended(running)
        if requests.fileno() not in ready:
            continue
        rights = array.array("i")
        head, ancillary, _, _ = requests.recvmsg(_LENGTH, socket.CMSG_SPACE(4 * rights.itemsize), socket.MSG_WAITALL)
        if not head:
            os._exit(0)
        for _, _, content in ancillary:
            rights.frombytes(content)
        length = int.from_bytes(head, "big")
        request = pickle.loads(requests.recv(length, socket.MSG_WAITALL))
        status = socket.socket(fileno=rights[0])
        child = os.fork()
        if child:
            for number in rights[1:]:
                os.close(number)
            running[child] = status
            status.sendall(child.to_bytes(_LENGTH, "big", signed=True))
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for connection in (requests, status, *running.values()):
            connection.close()
        os.close(woken)
        os.close(wake)
        _become(request, rights[1:])
        return lambda: _run_to_its_end(request["command"])


def _report_ended(running: dict[int, socket.socket]) -> None:
    while running:
        child, code = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        with running.pop(child) as status, contextlib.suppress(OSError):  # a test may not wait for it
            status.sendall(code.to_bytes(_LENGTH, "big", signed=True))


def _import_all() -> None:
    import matplotlib.pyplot  # noqa: F401  imported late by the package

    import mario_tui

    for module in pkgutil.walk_packages(mario_tui.__path__, "mario_tui."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _become(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Makes this process one that was started as the request says."""
    import numpy as np

    if request["session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.path[:] = request["path"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        mode = "rb" if number == 0 else "wb"
        # as the interpreter does when it starts
        text = io.TextIOWrapper(
            open(number, mode, closefd=False),  # noqa: SIM115
            encoding="utf-8",
            errors="backslashreplace" if name == "stderr" else None,
            line_buffering=name == "stderr" or os.isatty(number),
        )
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
    np.random.seed()  # a process that was started anew would have a seed of its own, too


def _run_to_its_end(command: list[str]) -> NoReturn:
    """Ends as the interpreter does, but leaves out that it frees all modules one by one, which takes two seconds."""
    code = 1
    try:
        _run_program(command)
        code = 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            code = (end.code or 0) & 0xFF
        else:
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _run_program(command: list[str]) -> None:
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    match command:
        case ["-m", module, *arguments]:
            sys.argv[:] = [module, *arguments]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code, *arguments]:
            sys.argv[:] = ["-c", *arguments]
            exec(compile(code, "<string>", "exec"), main.__dict__)
        case [file, *arguments]:
            sys.argv[:] = [file, *arguments]
            sys.path.insert(0, str(Path(file).parent))
            runpy.run_path(file, run_name="__main__")
