"""What each floor loads when all its modules are imported: the contracts in pyproject.toml, seen at run time.

A contract of import-linter knows the imports that stand in the files; this, those that happen, through other packages,
too. Imports inside functions happen when they are needed; that is the point of them.
"""

import json
import subprocess
import sys

import pytest

GAME = {"gym", "gymnasium", "gym_super_mario_bros", "nes_py"}
LEARNING = {"torch", "torchvision", "torchrl", "tensordict", "safetensors"}
PICTURES = {"PIL", "matplotlib", "imageio", "imageio_ffmpeg"}
TERMINAL = {"textual", "rich"}

LIGHT: dict[str, set[str]] = {
    "errors paths system": {"numpy", "pydantic"} | GAME | LEARNING | PICTURES | TERMINAL,
    "game": {"pydantic"} | GAME | LEARNING | PICTURES | TERMINAL,
    "config store": GAME | LEARNING | PICTURES | TERMINAL,
    "cli commands": GAME | LEARNING | PICTURES | TERMINAL,
    "tui": GAME | LEARNING | {"matplotlib", "imageio", "imageio_ffmpeg"},
}
"""Floors, and what is not loaded once all of their modules, and those of the lines above, were imported."""

HEAVY: dict[str, set[str]] = {
    "agent": GAME | TERMINAL | {"matplotlib", "imageio", "mario_tui.game"},
    "play": GAME | TERMINAL | {"matplotlib", "imageio"},
    "video": GAME | TERMINAL | {"matplotlib"},
    "training": GAME | TERMINAL | {"matplotlib"},
}

PROGRAM = """
import importlib, json, pkgutil, sys
sys.path[:] = {path!r}
sys.modules["ray"] = None  # as where it is not installed: torchrl loads it where it is, and nothing of ours may
for floors in {floors!r}:
    for floor in floors.split():
        module = importlib.import_module("mario_tui." + floor)
        for found in pkgutil.walk_packages(getattr(module, "__path__", []), module.__name__ + "."):
            importlib.import_module(found.name)
    print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize(
    "table", [pytest.param(LIGHT, id="light"), pytest.param(HEAVY, id="heavy", marks=pytest.mark.slow)]
)
def test_a_floor_loads_nothing_that_it_does_without(table: dict[str, set[str]]) -> None:
    program = PROGRAM.format(path=sys.path, floors=list(table))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(table)
    for (floors, forbidden), line in zip(table.items(), lines, strict=True):
        loaded = set(json.loads(line))
        assert any(name.startswith(f"mario_tui.{floors.split()[-1]}") for name in loaded)
        assert not forbidden & loaded, f"of {floors}"


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["no-such-command"]])
def test_help_and_mistakes_load_nothing_heavy(arguments: list[str]) -> None:
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\nfrom mario_tui.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "print('modules', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "mario_tui.cli" in loaded
    assert not loaded & ({"numpy"} | GAME | LEARNING | PICTURES | TERMINAL)
