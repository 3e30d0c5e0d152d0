"""Which devices there are, and which one a setting means: with a PyTorch that only seems to have GPUs."""

import platform
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mario_tui.agent import devices
from mario_tui.agent.cuda_graph import CudaGraphs
from mario_tui.agent.devices import resolve_device
from mario_tui.agent.mario import Mario
from mario_tui.agent.network import MarioNet, layout_for
from mario_tui.agent.optimizer import NetworkOptimizer
from mario_tui.agent.spec import TUTORIAL
from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError
from test_mario import random_batch, weights_of

NO_KERNEL = "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might be ..."


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Two GPUs; what is put in says which of them fails, and how."""
    problems: dict[str, str] = {}

    def compute(name: str) -> None:
        if name in problems:
            raise RuntimeError(problems[name])

    names = ["NVIDIA H100", "Tesla P100"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties",
        lambda index: SimpleNamespace(name=names[index], total_memory=(80 - 64 * index) * 2**30),
    )  # fmt: skip
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda name: (9, 0) if str(name).endswith("0") else (6, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_90"])
    monkeypatch.setattr(devices, "compute_on", compute)
    return problems


def test_a_gpu_is_meant_with_its_number(gpus: dict[str, str]) -> None:
    assert resolve_device("cuda") == resolve_device("auto") == torch.device("cuda", 0)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    assert resolve_device("cpu") == torch.device("cpu")


def test_auto_passes_over_a_gpu_that_this_pytorch_has_no_code_for(gpus: dict[str, str]) -> None:
    gpus["cuda:0"] = NO_KERNEL
    assert resolve_device("auto") == torch.device("cuda", 1)
    gpus["cuda:1"] = NO_KERNEL
    assert resolve_device("auto") == torch.device("cpu")
    assert devices.passed_over() == [
        "cuda:0 (NVIDIA H100, 80 GiB) cannot be used: this PyTorch has no code for it: it is sm_90, and there is "
        "sm_75, sm_90",
        "cuda:1 (Tesla P100, 16 GiB) cannot be used: this PyTorch has no code for it: it is sm_60, and there is "
        "sm_75, sm_90",
    ]


@pytest.mark.skipif(
    torch.version.cuda is None or torch.cuda.is_available(), reason="it needs a PyTorch with CUDA, and no GPU"
)
def test_auto_computes_something_before_it_takes_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch says that it is there, and then the first tensor fails."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda index: SimpleNamespace(name="Some GPU", total_memory=2**34)
    )
    assert resolve_device("auto") == torch.device("cpu")
    (why,) = devices.passed_over()
    assert why.startswith("cuda:0 (Some GPU, 16 GiB) cannot be used: ")
    assert "\n" not in why


@pytest.mark.parametrize(
    ("name", "problem", "says"),
    [
        ("cuda:1", NO_KERNEL, "no code for it: it is sm_60"),
        ("cuda:1", "CUDA error: out of memory\nmore", "CUDA error: out of memory;"),
        ("cuda:7", "", "this machine has fewer GPUs"),
        ("mps", "", "this is no Mac with Apple silicon"),
    ],
)
def test_one_that_cannot_be_used_is_one_line_with_those_that_can(
    gpus: dict[str, str], name: str, problem: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    if problem:
        gpus[name] = problem
    with pytest.raises(InputError) as refused:
        resolve_device(name)
    line = str(refused.value)
    assert line.startswith(f"device = '{name}' cannot be used: ")
    assert says in line
    assert "cuda:0 (NVIDIA H100, 80 GiB); cuda:1 (Tesla P100, 16 GiB" in line
    assert "cpu (" in line
    assert "\n" not in line


def test_without_a_gpu_auto_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto").type == "cpu"
    for name in ("cuda", "cuda:0", "mps"):
        with pytest.raises(InputError, match="take 'auto', or one of: cpu"):
            resolve_device(name)


def test_a_driver_that_is_too_old_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_old() -> bool:
        import warnings

        warnings.warn("CUDA initialization: The driver is too old (found version 12020). Please update", stacklevel=1)
        return False

    monkeypatch.setattr(devices, "_said", [])
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    assert resolve_device("auto").type == "cpu"
    (why,) = devices.passed_over()
    assert why == (
        "CUDA 13.0 of this PyTorch cannot be used: CUDA initialization: The driver is too old (found version 12020)"
    )
    with pytest.raises(InputError, match="driver is too old"):
        resolve_device("cuda")


def test_apples_gpu_is_there_where_pytorch_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("mps") == torch.device("mps")
    assert resolve_device("auto") == torch.device("cpu"), "nobody has tried it"
    assert "mps (Apple's GPU)" in map(str, devices.found())


# what another device than the CPU or the first GPU needs


def test_an_optimizer_of_several_kernels_skips_what_is_not_finite_too() -> None:
    config = TrainingConfig(replay_size=100, network="small")
    one, other = Mario(config), Mario(config)
    plain = NetworkOptimizer(
        other.net, lambda net, batch: other.loss(net, batch, config), learning_rate=config.learning_rate, fused=False
    )
    for seed in range(4):
        batch = random_batch(seed, size=4)
        one.optimizer.update(batch)
        plain.update(batch)
        torch.testing.assert_close(weights_of(one.net.online), weights_of(other.net.online), rtol=1e-4, atol=1e-6)
    assert not plain.skipped
    before, moments = weights_of(other.net.online), [value.clone() for value in plain.moments()]
    batch.r_t[0] = float("nan")
    plain.update(batch)
    assert plain.skipped
    assert torch.equal(weights_of(other.net.online), before)
    assert all(torch.equal(now, then) for now, then in zip(plain.moments(), moments, strict=True))


def test_a_network_computes_the_same_in_both_layouts() -> None:
    torch.manual_seed(0)
    net = MarioNet(TUTORIAL)
    assert net.layout is layout_for(torch.device("cuda", 1)) is torch.channels_last
    images = torch.randint(0, 256, (3, 4, 84, 84), dtype=torch.uint8)
    expected = net(images, "online")
    net.set_layout(layout_for(torch.device("mps")))
    assert all(weight.is_contiguous() for weight in net.parameters())
    assert net.scale(images).is_contiguous()
    torch.testing.assert_close(net(images, "online"), expected)
    net.set_layout(torch.channels_last)
    assert torch.equal(net(images, "online"), expected)


def test_a_recording_is_made_on_the_gpu_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that it starts is on the thread's current GPU, unless that is the chosen one."""
    current: list[Any] = [0]
    used: list[tuple[str, Any]] = []

    class Entered:
        def __init__(self, name: str, device: Any) -> None:
            self.name, self.device = name, device

        def __enter__(self) -> None:
            used.append((self.name, self.device))
            current.append(self.device)

        def __exit__(self, *details: object) -> None:
            current.pop()

    class Stream:
        def __init__(self, device: Any = None) -> None:
            self.device = current[-1] if device is None else device

        def wait_stream(self, other: Any) -> None:
            assert other.device == self.device

    class Graph:
        def replay(self) -> None:
            used.append(("replay", current[-1]))

    def graph(graph: Any, *, stream: Any, capture_error_mode: str) -> Entered:
        assert current[-1] == stream.device
        return Entered("record", stream.device)

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: Entered("warm up", stream.device))
    monkeypatch.setattr(torch.cuda, "device", lambda device: Entered("device", device))
    monkeypatch.setattr(torch.cuda, "graph", graph)
    second = torch.device("cuda", 1)
    recorder = CudaGraphs(second)
    recorder.warm_up(lambda: used.append(("work", current[-1])))
    recorder.record(lambda: used.append(("work", current[-1])))()
    assert [name for name, _ in used] == ["warm up", "work", "device", "warm up", "record", "work", "device", "replay"]
    assert {device for _, device in used} == {second}


def test_a_replay_asks_for_the_memory_of_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from mario_tui.agent.replay import Replay

    asked: list[Any] = []

    def free(device: Any) -> tuple[int, int]:
        asked.append(device)
        return 1_200_000_000, 10**10

    monkeypatch.setattr(torch.cuda, "mem_get_info", free)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: asked.append("what an earlier training left is given back"))
    with pytest.raises(InputError, match=r"needs 0\.7 GB and 0\.5 GB are available"):
        Replay(100_000, device="cuda:1")
    assert asked == ["what an earlier training left is given back", torch.device("cuda", 1)]


def test_what_pytorch_lacks_on_apples_gpus_falls_back_to_the_cpu() -> None:
    """The variable is read when PyTorch is imported, whoever imports it first."""
    import os
    import subprocess
    import sys

    code = (
        "import builtins, os, sys\n"
        "real = builtins.__import__\n"
        "def watched(name, *rest, **more):\n"
        "    if name == 'torch' and 'torch' not in sys.modules:\n"
        "        print(os.environ.get('PYTORCH_ENABLE_MPS_FALLBACK')); sys.stdout.flush(); os._exit(0)\n"
        "    return real(name, *rest, **more)\n"
        "builtins.__import__ = watched\n"
        "import mario_tui.agent.mario\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTORCH_ENABLE_MPS_FALLBACK"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert result.stdout == "1\n", result.stderr
