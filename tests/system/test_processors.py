"""How many cores a process may use: by its affinity, and by the quota of a container or a batch system."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mario_tui.commands import doctor
from mario_tui.system import cgroups, free_memory, processors

COUNT = "from mario_tui.system import processors; print(processors.count())"


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tree of control groups, on a machine of 64 cores of which a process may run on 16."""
    monkeypatch.setattr(cgroups, "ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(cgroups, "OWN", tmp_path / "own")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 16, raising=False)
    (tmp_path / "cgroup").mkdir()
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def test_without_limits_it_is_what_affinity_allows(groups: Path) -> None:
    assert processors.count() == 16
    assert processors.described() == "16 of 64 cores: this process may use no others"


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", 16),
        ("400000 100000", 4),
        ("150000 100000", 2),
        ("5000 100000", 1),
        ("9900000 100000", 16),
        ("", 16),
        ("odd", 16),
    ],
)
def test_a_quota_of_version_2_limits_it(groups: Path, limit: str, cores: int) -> None:
    write(groups / "own", "0::/system.slice/docker-abc.scope")
    write(groups / "cgroup/system.slice/docker-abc.scope/cpu.max", limit)
    assert processors.count() == cores


def test_the_group_around_it_limits_it_too(groups: Path) -> None:
    write(groups / "own", "0::/job/step")
    write(groups / "cgroup/job/cpu.max", "300000 100000")
    write(groups / "cgroup/job/step/cpu.max", "max 100000")
    write(groups / "cgroup/cpu.max", "800000 100000")
    assert processors.count() == 3


@pytest.mark.parametrize("tree", ["cpu", "cpu,cpuacct"])
def test_a_quota_of_version_1_limits_it(groups: Path, tree: str) -> None:
    write(groups / "own", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/")
    top = groups / "cgroup" / tree  # a container sees its own group as the top of the tree
    write(top / "cpu.cfs_quota_us", "-1")
    write(top / "cpu.cfs_period_us", "100000")
    assert processors.count() == 16
    write(top / "cpu.cfs_quota_us", "250000")
    assert processors.count() == 3
    assert processors.described() == "3 of 64 cores: its container has the time of 2.5"


def test_memory_of_version_1_is_found_by_the_same_way(groups: Path) -> None:
    write(groups / "own", "5:memory:/job")
    folder = groups / "cgroup/memory/job"
    write(folder / "memory.limit_in_bytes", "1000000")
    write(folder / "memory.usage_in_bytes", "900000")
    write(folder / "memory.stat", "cache 1\ntotal_inactive_file 200000")
    assert free_memory.free_bytes() == 300_000


def test_a_machine_that_tells_nothing_has_one_core(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("process_cpu_count", "sched_getaffinity"):
        monkeypatch.delattr(os, name, raising=False)
    assert processors.count() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors.count() == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity of processes")
def test_a_process_that_may_run_on_one_core_counts_one() -> None:
    core = min(os.sched_getaffinity(0))
    pinned = subprocess.run(
        [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{{core}}}); {COUNT}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert pinned.stdout == "1\n"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Python obeys PYTHON_CPU_COUNT from 3.13 on")
def test_python_cpu_count_is_obeyed() -> None:
    told = subprocess.run(
        [sys.executable, "-c", COUNT],
        env={**os.environ, "PYTHON_CPU_COUNT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "1\n"


def test_doctor_says_it(groups: Path) -> None:
    assert doctor._cores() == ("cores", True, "16 of 64 cores: this process may use no others", "")
