"""How this program was installed, and so what a message can advise."""

from __future__ import annotations

import functools
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Literal

PACKAGE = Path(__file__).parents[1]

Kind = Literal["clone", "uv tool", "pipx", "uv", "pip"]


@functools.cache
def clone() -> Path | None:
    """The folder of the clone that this program runs from; None if it was installed."""
    root = PACKAGE.parent
    return root if all((root / name).is_file() for name in ("Makefile", "pyproject.toml")) else None


@functools.cache
def kind() -> Kind:
    """What installed this program: `uv tool` and `pipx` have an environment for it alone, `uv` and `pip` do not."""
    if clone() is not None:
        return "clone"
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").is_file():
        return "uv tool"
    if (prefix / "pipx_metadata.json").is_file():
        return "pipx"
    try:
        installer = metadata.distribution("mario-tui").read_text("INSTALLER") or ""
    except metadata.PackageNotFoundError:
        installer = ""
    return "uv" if installer.strip() == "uv" else "pip"


def repair() -> str:
    """What mends an installation in which a package is missing or broken, as the end of a message."""
    commands: dict[Kind, str] = {
        "clone": "run 'make setup' again",
        "uv tool": "run 'uv tool upgrade --reinstall mario-tui'",
        "pipx": "run 'pipx reinstall mario-tui'",
    }
    return commands.get(kind(), "install mario-tui again, into an environment of its own")


def with_extra(extra: Literal["cluster", "tensorboard", "web"]) -> str:
    """What adds an extra to this installation, as the end of a message."""
    if kind() == "clone" and (extra != "cluster" or sys.platform == "linux"):
        return repair()
    what = shlex.quote(f"mario-tui[{extra}]")
    python = shlex.quote(sys.executable)
    if kind() in ("uv tool", "uv"):
        return f"uv pip install --python {python} {what}"
    if kind() == "pipx":
        return f"pipx runpip mario-tui install {what}"
    return f"{python} -m pip install {what if kind() == 'pip' else shlex.quote(f'{clone()}[{extra}]')}"
