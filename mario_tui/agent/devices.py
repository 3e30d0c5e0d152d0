"""The devices that networks can be on: which ones there are, whether this PyTorch can use them, which one is meant."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from mario_tui.errors import InputError
from mario_tui.store.untrusted import sanitize

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
"""Is there where Linux has loaded NVIDIA's driver, whether or not PyTorch can use it."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device: its name in the settings, what it is, and why it cannot be used ("" if it can)."""

    name: str
    what: str
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.what}{f', which cannot be used: {self.problem}' if self.problem else ''})"


def gpus() -> Iterator[Device]:
    """The GPUs that PyTorch's CUDA or ROCm sees, one after the other; each is tried before it is named."""
    if not _cuda_answer()[0]:
        return
    for index in range(torch.cuda.device_count()):
        name = f"cuda:{index}"
        try:
            properties = torch.cuda.get_device_properties(index)
        except RuntimeError as error:
            yield Device(name, "a GPU", _first_sentence(error))
        else:
            what = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
            yield Device(name, what, _problem_of_gpu(name))


def _problem_of_gpu(name: str) -> str:
    """Why this build of PyTorch cannot run a GPU; "" if it can.

    `is_available` says only that there is a driver. A wheel has code for some generations of GPUs, and the first kernel
    on another one fails.
    """
    try:
        compute_on(name)
    except RuntimeError as error:
        if "no kernel image" not in str(error):
            return _first_sentence(error)
        major, minor = torch.cuda.get_device_capability(name)
        there = ", ".join(torch.cuda.get_arch_list())
        return f"this PyTorch has no code for it: it is sm_{major}{minor}, and there is {there}"
    return ""


def _first_sentence(message: object) -> str:
    return sanitize(str(message).partition("\n")[0].partition(". ")[0], 200)


def compute_on(name: str) -> None:
    """Computes something on a device; raises RuntimeError if it cannot."""
    if float((torch.ones(2, device=name) * 2).sum()) != 4:
        raise RuntimeError("it computes wrong results")


def apple_gpu() -> Device | None:
    """The GPU of a Mac with Apple silicon, if this is one."""
    if not (platform.system() == "Darwin" and platform.machine() == "arm64") and not torch.backends.mps.is_available():
        return None
    problem = ""
    if not torch.backends.mps.is_built():
        problem = "this PyTorch is built without MPS"
    elif not torch.backends.mps.is_available():
        problem = "this PyTorch needs a newer macOS for it"
    return Device("mps", "Apple's GPU", problem)


def found() -> list[Device]:
    """All devices of this machine."""
    apple = apple_gpu()
    return [*gpus(), *([apple] if apple else []), Device("cpu", f"{torch.get_num_threads()} threads of PyTorch")]


def passed_over() -> list[str]:
    """Why GPUs of this machine cannot be used, one line each."""
    seen, warned = _cuda_answer()
    if seen:
        return [f"{gpu.name} ({gpu.what}) cannot be used: {gpu.problem}" for gpu in gpus() if gpu.problem]
    if torch.version.cuda is None or not (warned or NVIDIA_DRIVER.exists()):
        return []
    why = warned or "PyTorch sees no GPU, although NVIDIA's driver is loaded"
    return [f"CUDA {torch.version.cuda} of this PyTorch cannot be used: {why}"]


_said: list[str] = []  # what CUDA warned of, once in a process, when it was first asked


def _cuda_answer() -> tuple[bool, str]:
    """Whether PyTorch sees a GPU, and what it warned of meanwhile, e.g. of a driver that is too old."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen = torch.cuda.is_available()
    _said.extend(_first_sentence(one.message) for one in caught)
    return seen, _said[-1] if _said else ""


def problem_of(name: str) -> str:
    """Why a device, as the settings name it, cannot be used here; "" if it can."""
    if name in ("auto", "cpu"):
        return ""
    if name == "mps":
        apple = apple_gpu()
        return "this is no Mac with Apple silicon" if apple is None else apple.problem
    if not _cuda_answer()[0]:
        return next(iter(passed_over()), "PyTorch sees no GPU here")
    index = int(name.partition(":")[2] or 0)
    if index >= torch.cuda.device_count():
        return "this machine has fewer GPUs"
    return _problem_of_gpu(f"cuda:{index}")


def resolve_device(name: str) -> torch.device:
    """The device that a setting means, with its number: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    `auto` is the first GPU that works, or the CPU; not `mps`, which nobody has tried. Raises InputError for a device
    that cannot be used here, with those that there are.
    """
    if name == "auto":
        name = next((gpu.name for gpu in gpus() if not gpu.problem), "cpu")
    elif problem := problem_of(name):
        there = "; ".join(map(str, found()))
        raise InputError(f"device = {name!r} cannot be used: {problem}; take 'auto', or one of: {there}")
    return torch.device("cuda:0" if name == "cuda" else name)
