"""Which systems the program can run on; scripts/find-python runs this file, too."""

import os
import platform
import sys
import sysconfig

ON_WINDOWS = (
    "mario-tui does not run on Windows itself, but in its Linux: type 'wsl --install' in Windows Terminal, restart, "
    "open Ubuntu there, and install mario-tui in that (docs/install.md)"
)


def why_unsupported() -> str:
    """Why this Python cannot run the program, or "": words that go on after "this Python" or "it".

    PyTorch and the emulator have packages for Linux with glibc >= 2.28 and for macOS >= 14 on Apple silicon.
    """
    machine = platform.machine()
    if sys.platform in ("win32", "cygwin", "msys"):
        return "is for Windows, where mario-tui runs in WSL alone: wsl --install"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "is a free-threaded build, which the emulator does not support"
    if sys.platform == "darwin":
        if machine != "arm64":
            return "is for Intel Macs, for which PyTorch has no packages; on Apple silicon take a Python for arm64"
        version = platform.mac_ver()[0]
        if version and version != "10.16" and _numbers(version) < (14,):  # 10.16: what an old build calls newer ones
            return f"runs on macOS {version}, and PyTorch needs macOS 14 or later"
        return ""
    if sys.platform != "linux":
        return f"runs on {sys.platform}; mario-tui needs Linux, macOS, or Windows with WSL"
    if machine not in ("x86_64", "aarch64"):
        return f"is for {machine} processors, and PyTorch has packages for x86_64 and aarch64 alone"
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION") or ""  # e.g. glibc 2.41
    except (OSError, ValueError):
        library = ""
    if not library.startswith("glibc "):
        return "is built on another C library than glibc, as on Alpine, for which PyTorch has no packages"
    if _numbers(library.split()[1]) < (2, 28):
        return f"runs on {library}, and PyTorch needs glibc 2.28 or later"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


if __name__ == "__main__":
    sys.exit(why_unsupported() or 0)
