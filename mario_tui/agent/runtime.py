"""How PyTorch uses processor and GPU: threads, memory and precision, set on purpose."""

import atexit
import ctypes
import gc
import sys

import torch

from mario_tui.system import processors

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 2**28
_COLLECTOR_THRESHOLDS = 5_000, 10, 20

atexit.register(gc.unfreeze)  # or some libraries complain at the end that their objects are still there


def prepare_processor(threads: int = 0) -> None:
    """Sets how many threads an operation takes, keeps freed memory for the next one, and spares the garbage collector.

    The emulators need processor cores too, so PyTorch's default of a thread for every core would be too many.

    An update allocates and frees megabytes many times over. By default glibc gives such blocks back to the system at
    once, which clears them anew for every use: about a fifth of an update's time.

    PyTorch brings some 400,000 objects that stay to the end. A full collection, every other second while an app works,
    goes through them all and stops every thread for 0.2 to 0.4 seconds; so what is there now is taken out of it, and
    the rest is looked through less often.

    Args:
        threads: 0 for half of the cores, 4 at most.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)
    torch.set_num_threads(threads or processors.half())
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc alone has it
        if mallopt:
            mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
            mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def prepare_gpu(precision: str) -> None:
    """Sets how convolutions are computed on NVIDIA's GPUs, with `precision` as in the settings.

    Their shapes never change, so the fastest way is looked for once. `float32` means just that: by default cuDNN rounds
    what it multiplies to the 10 bits of TF32, which `auto` leaves as it is.
    """
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision != "float32"


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """The type that updates are computed in, for `auto`, `float32` or `bfloat16`.

    `auto` means bfloat16 where the processor multiplies matrices of it in hardware, with AVX-512 BF16 (AMD from 2022
    on) or AMX (Intel from 2023 on), and float32 everywhere else.
    """
    if name == "auto":
        name = "bfloat16" if device.type == "cpu" and _multiplies_bfloat16() else "float32"
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def _multiplies_bfloat16() -> bool:
    # PyTorch may rename or remove these checks, which are not part of its documented interface
    checks = (getattr(torch.cpu, f"_is_{unit}_supported", None) for unit in ("avx512_bf16", "amx_tile"))
    return any(check is not None and check() for check in checks)
