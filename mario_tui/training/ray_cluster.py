"""The Ray cluster that a training may use: how it is reached, and how many cores it has.

Ray is an extra: nothing of it is imported before a setting asks for it. What it would print stays out of the terminal,
where an app may be drawn.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from importlib.util import find_spec
from typing import Any

from mario_tui.errors import EmulatorError, InputError
from mario_tui.store.untrusted import sanitize
from mario_tui.system import installation, signals

_REACH_SECONDS = 5.0
_connected_to: str | None = None


def address_of(where: str) -> str:
    """The address in `ray:HOST:PORT`; "" in `ray`, which means the cluster that this machine is part of."""
    return where.partition(":")[2]


def check_installed() -> None:
    """Raises InputError where the extra is missing."""
    spec = find_spec("ray")
    if spec is None or spec.origin is None:  # a folder of that name, such as the one where Ray keeps its sockets
        raise InputError(f"Ray needs the extra 'cluster': {installation.with_extra('cluster')}")


def connect(where: str) -> Any:
    """The module `ray`, connected to the cluster that `where` names; again, only whether that is still there.

    Raises InputError where the extra is missing, EmulatorError where there is no cluster.
    """
    global _connected_to  # noqa: PLW0603  Ray has one connection to a process
    check_installed()
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # a late call would start a cluster of its own
    # Seconds without a head, after which Ray ends this program, saved or not.
    os.environ["RAY_gcs_rpc_server_reconnect_timeout_s"] = "86400"  # noqa: SIM112  its spelling
    import ray
    from ray._private import worker

    worker._worker_logs_enabled = False  # it has no other switch for what it prints of machines that die

    if ray.is_initialized():
        if _connected_to in (None, where):  # None: somebody else has connected it, as tests do
            _check_reachable(ray.get_runtime_context().gcs_address)
            return ray
        ray.shutdown()
    address = address_of(where)
    if address:
        _check_reachable(address)
    logging.getLogger("ray").setLevel(logging.CRITICAL + 1)
    try:
        with _own_signals():
            ray.init(
                address=address or "auto",
                namespace="mario-tui",
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.CRITICAL + 1,
            )
    except ConnectionError:
        raise EmulatorError(_no_cluster(address)) from None
    except (RuntimeError, ValueError, OSError) as error:  # e.g. of another version of Ray or Python
        why = sanitize(error, 300)
        raise EmulatorError(f"the Ray cluster{_at(address)} cannot be used from here: {why}") from None
    _connected_to = where
    return ray


def cores(where: str) -> int:
    """How many cores the machines of a cluster have in all; raises as `connect`."""
    return int(connect(where).cluster_resources().get("CPU", 0))


def check_cores(where: str, processes: int) -> None:
    """Raises EmulatorError if a cluster has fewer cores than that; and as `connect`."""
    if processes > (there := cores(where)):
        raise EmulatorError(
            f"the Ray cluster has {there} cores, and {processes} processes are asked for: fewer with --workers"
        )


def _check_reachable(address: str) -> None:
    """Raises EmulatorError where nothing listens: Ray itself would wait for a minute."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()
    except (OSError, OverflowError):
        raise EmulatorError(_no_cluster(address)) from None


def _at(address: str) -> str:
    return f" at {address}" if address else ""


def _no_cluster(address: str) -> str:
    found = f"there is no Ray cluster at {address}" if address else "this machine is part of no Ray cluster"
    alone = "train here alone, without --on or with --actors local"
    return f"{found}: start one with 'ray start --head', see docs/cluster.md, or {alone}"


@contextlib.contextmanager
def _own_signals() -> Any:
    """Ray takes over SIGTERM as it connects, where it can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with signals.restored(signals.ENDINGS):
        yield
