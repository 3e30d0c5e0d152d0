"""Training where the system lacks what Linux has: it is hidden from a process, and from those that it starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mario_tui.store import lookup

MACOS = """
import builtins, fcntl, io, os, signal, sys, sysconfig
import psutil, urllib.request, ctypes.util, multiprocessing.context  # they are those of this system
sysconfig.get_config_vars()
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
for module, names in (
    (os, ["memfd_create", "getrandom", "posix_fadvise", "pidfd_open", "eventfd", "copy_file_range", "pipe2"]),
    (os, [name for name in dir(os) if name.startswith("sched_")]),
    (fcntl, ["F_SETPIPE_SZ", "F_GETPIPE_SZ", "F_ADD_SEALS"]),
    (signal, ["pidfd_send_signal", "SIGRTMIN", "SIGPWR"]),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
fcntl.F_FULLFSYNC = fcntl.F_GETFD
if hasattr(os, "process_cpu_count"):
    os.process_cpu_count = os.cpu_count  # as Python defines it where there is no affinity

def without_linux(call):
    def called(path, *arguments, **named):
        asks = sys._getframe(1).f_globals.get("__name__", "")
        if str(path).startswith(("/proc", "/sys", "/dev/shm")) and not asks.startswith("psutil"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return call(path, *arguments, **named)
    return called

builtins.open = io.open = without_linux(open)
os.open, os.stat = without_linux(os.open), without_linux(os.stat)
sys.platform = "darwin"
multiprocessing.set_start_method("spawn")
"""

NO_SEMAPHORES = """
import _multiprocessing

class SemLock(_multiprocessing.SemLock):
    def __new__(cls, *_, **__):
        raise FileNotFoundError(2, "No such file or directory")  # what sem_open says without /dev/shm

_multiprocessing.SemLock = SemLock
"""


def mario_tui(system: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(system), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "mario_tui", *arguments],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [MACOS, NO_SEMAPHORES], ids=["macos", "no-dev-shm"])
def test_a_run_is_trained_saved_and_resumed(tmp_path: Path, hidden: str) -> None:
    system = tmp_path / "system"
    system.mkdir()
    started = tmp_path / "started"
    (system / "sitecustomize.py").write_text(f"with open({str(started)!r}, 'a') as file: print(file=file)\n{hidden}")
    new = mario_tui(
        system, "train", "--preset", "fast", "--steps", "120", "--envs", "4", "--workers", "4", "--burn-in", "60",
        "--replay-size", "400", "--batch-size", "8", "--name", "elsewhere", "--json",
    )  # fmt: skip
    assert new.returncode == 0, new.stderr
    assert len(started.read_text()) >= 5, "it is hidden from the emulators, too"
    assert json.loads(new.stdout.splitlines()[-1])["event"] == "finished"
    resumed = mario_tui(system, "train", "--resume", "elsewhere", "--steps", "160", "--json")
    assert resumed.returncode == 0, resumed.stderr
    run = tmp_path / "checkpoints" / "elsewhere"
    assert lookup.step_folders(run)[-1].name >= "step-000000160"
    verified = mario_tui(system, "verify", "elsewhere")
    assert verified.returncode == 0, verified.stderr
