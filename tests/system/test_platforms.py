"""Which systems the program says it can run on, and Windows' one line."""

import argparse
import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from mario_tui.cli import build_parser
from mario_tui.commands import doctor
from mario_tui.system.platforms import ON_WINDOWS, why_unsupported

SYSTEMS = {
    "linux": (("linux", "x86_64", "glibc 2.41", ""), ""),
    "raspberry": (("linux", "aarch64", "glibc 2.28", ""), ""),
    "mac": (("darwin", "arm64", None, "14.0"), ""),
    "mac, old build of Python": (("darwin", "arm64", None, "10.16"), ""),
    "windows": (("win32", "AMD64", None, ""), "WSL"),
    "intel mac": (("darwin", "x86_64", None, "14.6.1"), "Intel Macs"),
    "old mac": (("darwin", "arm64", None, "13.7"), "macOS 13.7, and PyTorch needs macOS 14"),
    "alpine": (("linux", "x86_64", OSError("no such name"), ""), "another C library"),
    "old glibc": (("linux", "x86_64", "glibc 2.17", ""), "glibc 2.17, and PyTorch needs glibc 2.28"),
    "32 bits": (("linux", "armv7l", "glibc 2.41", ""), "armv7l processors"),
    "bsd": (("freebsd14", "amd64", None, ""), "freebsd14"),
}


@pytest.fixture(params=SYSTEMS)
def says(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said of a system that this machine is made to look like."""
    (name, machine, library, macos), says = SYSTEMS[request.param]

    def confstr(_: str) -> Any:
        if isinstance(library, Exception):
            raise library
        return library

    monkeypatch.setattr(sys, "platform", name)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "mac_ver", lambda: (macos, ("", "", ""), machine))
    monkeypatch.setattr(os, "confstr", confstr)
    return says


def test_a_system_is_supported_or_named(says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not says:
        assert why_unsupported() == ""
        monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 1}.get)
        assert "free-threaded" in why_unsupported()
    else:
        assert says in why_unsupported()


def test_doctor_names_an_unsupported_system(says: str) -> None:
    name, well, found, _ = doctor._python()
    assert (name, well) == ("python", not says)
    assert says in found


def test_this_system_is_supported() -> None:
    assert why_unsupported() == ""


WINDOWS = """
import os, signal, sys
sys.platform, os.name = "win32", "nt"
for name in ("termios", "fcntl", "pwd", "grp", "resource", "pty", "tty"):
    sys.modules[name] = None
for name in ("uname", "fork", "getuid", "geteuid", "memfd_create", "setpgrp", "nice", "sched_getaffinity", "confstr"):
    delattr(os, name)
for name in ("SIGHUP", "SIGUSR1", "SIGTSTP", "SIGKILL", "SIGCONT"):
    delattr(signal, name)
"""


def commands() -> list[str]:
    actions = build_parser()._subparsers
    assert actions is not None
    (choices,) = (action.choices for action in actions._actions if isinstance(action, argparse._SubParsersAction))
    return list(choices)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["no-such-command"], *([name] for name in commands())])
def test_windows_is_one_line(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "sitecustomize.py").write_text(WINDOWS)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    for start in (["-m", "mario_tui"], ["-c", "from mario_tui.cli import program; raise SystemExit(program())"]):
        result = subprocess.run(
            [sys.executable, *start, *arguments],
            env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 2, result.stderr
        assert result.stderr == f"mario-tui: {ON_WINDOWS}\n"
        assert not result.stdout
