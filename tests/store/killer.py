"""Kills a program at every stage of what it writes: run in a process of its own, which forks for each kill.

A stage is a call that changes files: a file opened for writing, a folder made, a rename, a removal, a link, a
truncation, and every fsync, before it is done. In the middle of writing a file it is killed by a limit on its size.
"""

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.truncate"}


def kill_at_every_stage(write: Callable[[], object], check: Callable[[bool], None]) -> int:
    """Has a child process `write` and die when a file gets to 0, 1, 30, ... bytes, then at its first stage, ...

    `check` is called after each, with whether it got to the end, which is the last; returns how often it was killed.
    """
    kills = stage = 0
    sizes = [0, 1, 30, 200, 1000, 4000, 10_000, 100_000, 1_000_000, 3_000_000]
    while True:
        size = sizes.pop(0) if sizes else None
        stage += size is None
        child = os.fork()
        if child == 0:
            if size is None:
                _die_at(stage)
            else:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            try:
                write()
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "the child failed"
            check(True)
            if size is None:
                return kills
            continue
        assert os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGXFSZ)
        kills += 1
        check(False)


def _die_at(stage: int) -> None:
    home = os.environ["MARIO_TUI_HOME"]
    count = 0

    def advance() -> None:
        nonlocal count
        count += 1
        if count == stage:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            changes = flags & (os.O_WRONLY | os.O_RDWR)
        else:
            path, changes = arguments[0] if arguments else "", event in _CHANGES
        in_open_folder = event in ("os.remove", "os.rmdir") and arguments[1] >= 0  # as when a tree is removed
        if changes and (isinstance(path, int) or in_open_folder or str(path).startswith(home)):
            advance()

    def fsync(descriptor: int, fsync: Callable[[int], None] = os.fsync) -> None:
        advance()
        fsync(descriptor)

    os.fsync = fsync  # type: ignore[assignment]
    sys.addaudithook(watch)


def hidden(folder: Path) -> list[Path]:
    """What a save left behind."""
    return list(folder.rglob(".*.part"))
