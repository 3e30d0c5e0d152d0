"""`doctor`: what this machine has of all that the program needs, and how to mend what is missing."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mario_tui import paths
from mario_tui.errors import InputError
from mario_tui.printable import printable
from mario_tui.system import installation, platforms, processors

if TYPE_CHECKING:
    from mario_tui.agent.devices import Device

Check = tuple[str, bool, str, str]


def doctor(arguments: argparse.Namespace) -> int:
    """Each check: name, whether all is well, what was found, and how to mend what is not."""
    checks = [_python(), _cores(), _torch(), *_devices(), _emulator(), _display(), _ffmpeg(), _disk()]
    if arguments.json:
        print(json.dumps([dict(zip(("name", "ok", "found", "fix"), check, strict=True)) for check in checks], indent=1))
    else:
        for name, well, found, fix in checks:
            print(f"{'ok  ' if well else 'NOTE'} {name:<10} {printable(found)}{'' if well else f'; {fix}'}")
    required = {"python", "torch", "emulator", "disk"}
    return int(any(not well for name, well, _, _ in checks if name in required))


def _python() -> Check:
    found, fix = ".".join(map(str, sys.version_info[:3])), "use Python 3.10 to 3.14"
    if unsupported := platforms.why_unsupported():
        return "python", False, f"{found} {unsupported}", "docs/install.md has the systems it runs on"
    return "python", (3, 10) <= sys.version_info[:2] < (3, 15), found, fix


def _cores() -> Check:
    return "cores", True, processors.described(), ""


def _torch() -> Check:
    fix = f"{installation.repair()}; torch and torchvision must come from the same index"
    try:
        import torch
        import torchvision
    except (ImportError, RuntimeError, OSError) as error:
        return "torch", False, str(error).splitlines()[0], fix
    return "torch", True, f"{torch.__version__}, torchvision {torchvision.__version__}", fix


def _devices() -> list[Check]:
    """What `--device auto` takes, and every GPU: whether this PyTorch can run it."""
    try:
        from mario_tui.agent import devices
    except (ImportError, RuntimeError, OSError):  # which is said of torch
        return []
    fix = (
        "train with another --device, or install a PyTorch made for this GPU and its driver: "
        "see docs/troubleshooting.md"
    )
    found = devices.found()
    others = [device for device in found if device.name != "cpu"]
    taken = devices.resolve_device("auto")
    auto = next(device for device in found if device.name == str(taken))
    reasons = devices.passed_over() if taken.type == "cpu" else []
    no_gpu = "" if others or reasons else "; no GPU"
    return [
        ("device", not reasons, f"auto takes {auto}{no_gpu}{''.join(f'; {why}' for why in reasons)}", fix),
        *((device.name, not device.problem, _described(device), fix) for device in others),
        *(_self_test(device) for device in others if not device.problem),
    ]


def _self_test(device: Device) -> Check:
    """Whether a device computes what the processor does."""
    from mario_tui.agent import self_test

    report = self_test.run(device.name)
    found = f"{len(report.checks)} comparisons with the processor agree, in {report.seconds:.0f} s"
    fix = "train with --no-graph, or with --device cpu"
    return f"{device.name} test", not report.problem, report.problem or found, fix


def _described(device: Device) -> str:
    untried = ", never tried by the authors: look at its test below"
    return f"{device.what}{f': {device.problem}' if device.problem else untried if device.name == 'mps' else ''}"


def _emulator() -> Check:
    from mario_tui.errors import MarioTuiError
    from mario_tui.game.emulator import emulator_generation, open_emulator

    try:
        with open_emulator() as emulator:
            emulator.frame(0)
        return "emulator", True, emulator_generation(), ""
    except MarioTuiError as error:
        return "emulator", False, str(error), installation.repair()


def _display() -> Check:
    from mario_tui.play.window import display_problem

    problem = display_problem()
    return "display", not problem, problem or "a window can be opened", "watching in the terminal needs none"


def _ffmpeg() -> Check:
    try:
        import imageio_ffmpeg

        found = f"{importlib.metadata.version('imageio-ffmpeg')}, {Path(imageio_ffmpeg.get_ffmpeg_exe()).name}"
        return "ffmpeg", True, f"imageio-ffmpeg {found}", ""
    except (ImportError, RuntimeError) as error:
        return "ffmpeg", False, str(error).splitlines()[0], f"{installation.repair()}: recordings need it"


def _disk() -> Check:
    try:
        home, why = paths.chosen_home()
    except InputError as error:
        return "disk", False, str(error), "name another folder"
    folder = home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free for runs and recordings, which go to {home}: {why}"
    return "disk", free > 2e9, found, "a run needs about 1 GB: make room"
