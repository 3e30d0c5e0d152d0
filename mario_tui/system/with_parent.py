"""Runs a module of this program in a process that ends with the one that started it.

with_parent PARENT MODULE ARGUMENT..., where PARENT is the number of that process.

It is asked to end, as by SIGTERM, so that a training saves. Only Linux tells of a parent's death; elsewhere the process
goes on until it next writes to the pipe that nobody reads any more.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys

from mario_tui.system.processes import end_with_parent


def main() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # which is kept from all that `start_module` starts
    end_with_parent(signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):  # it died before that
        sys.exit(1)
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
