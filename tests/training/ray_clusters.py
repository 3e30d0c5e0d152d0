"""A Ray cluster of several nodes on this machine, for tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest

NODE: dict[str, Any] = {"object_store_memory": 80_000_000, "include_dashboard": False}
"""As little memory as Ray takes."""


class SmallCluster:
    """A head and further nodes, each with cores that are a number and no more.

    Attributes:
        where: how the setting `actors` names it.
    """

    def __init__(self, temporary: str, head_cores: int) -> None:
        from ray._private.utils import get_ray_address_file
        from ray.cluster_utils import Cluster

        # Ray notes the cluster's address in its usual folder, which nothing makes where another one is given.
        os.makedirs(os.path.dirname(get_ray_address_file(None)), exist_ok=True)
        self._cluster = Cluster(
            initialize_head=True, head_node_args={**NODE, "num_cpus": head_cores, "temp_dir": temporary}
        )
        self.where = f"ray:{self._cluster.address}"

    def add_node(self, cores: int, **resources: Any) -> Any:
        return self._cluster.add_node(**NODE, num_cpus=cores, **resources)

    def kill_node(self, node: Any) -> None:
        """As when a machine fails: all that runs there is gone at once, and nobody is told."""
        import psutil

        for one in node.all_processes.values():
            for info in one:
                process = psutil.Process(info.process.pid)
                for each in (process, *process.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        os.kill(each.pid, signal.SIGKILL)

    def remove_nodes(self) -> None:
        """All but the head, and waits until Ray places nothing on them any more."""
        for node in list(self._cluster.worker_nodes):
            self._cluster.remove_node(node)
            self.wait_until_gone(node)

    def kill_head(self) -> None:
        self.kill_node(self._cluster.head_node)

    def wait_until_gone(self, node: Any) -> None:
        """Until Ray is sure of it."""
        import ray

        deadline = time.monotonic() + 60
        while any(one["Alive"] and one["NodeID"] == node.node_id for one in ray.nodes()):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def close(self) -> None:
        import ray

        ray.shutdown()
        self._cluster.shutdown()


@contextlib.contextmanager
def small_cluster(head_cores: int = 2) -> Iterator[SmallCluster]:
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed: nothing is played on Ray")
    temporary = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # names of sockets may not be long
    cluster = SmallCluster(temporary, head_cores)
    try:
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(temporary, ignore_errors=True)
