"""CUDA graphs: an update recorded once, and from then on started with a single call.

A batch-32 update is some hundred small kernels, and starting each from Python takes longer than the kernel itself runs.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

_WARM_UP_CALLS = 3


class Recorder(Protocol):
    """How work for a device is recorded."""

    def warm_up(self, work: Callable[[], None]) -> None:
        """Does the work as it is, in the way that a recording needs to have been prepared."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Records the work without doing it; what it returns does it, again and again."""


class CudaGraphs:
    """Records what a function starts on a GPU, which need not be the current one of the thread."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = torch.cuda.Stream(device)

    def warm_up(self, work: Callable[[], None]) -> None:
        # on another stream than the default one, which gradients would be tied to
        default = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(default)
        with torch.cuda.stream(self._stream):
            work()
        default.wait_stream(self._stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        graph: Any = torch.cuda.CUDAGraph()
        # with a stream of its own: PyTorch's default one is of the first GPU that a graph was recorded on
        stream: Any = torch.cuda.Stream(self._device)
        with (
            torch.cuda.device(self._device),
            # evaluations play in other threads
            torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
        ):
            work()

        def replay() -> None:
            with torch.cuda.device(self._device):
                graph.replay()

        return replay


class GraphedUpdate:
    """Calls a function of tensors: a few times as it is, then by a recording of it. The results are the same.

    Every call must bring tensors of the same shapes and types.

    Args:
        function: reads its arguments and changes networks and optimizer in place; it may not wait for the device.
        recorder: CudaGraphs, or in tests something that needs no GPU.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], recorder: Recorder) -> None:
        self._function = function
        self._recorder = recorder
        self._calls = 0
        self._inputs: tuple[Tensor, ...] = ()
        self._outputs: tuple[Tensor, ...] = ()
        self._replay: Callable[[], None] | None = None

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        if not self._inputs:
            self._inputs = tuple(argument.clone() for argument in arguments)
        for ours, theirs in zip(self._inputs, arguments, strict=True):
            ours.copy_(theirs, non_blocking=True)
        self._calls += 1
        if self._calls <= _WARM_UP_CALLS:
            self._recorder.warm_up(self._run)
        else:
            self._replay = self._replay or self._recorder.record(self._run)
            self._replay()
        return tuple(output.clone() for output in self._outputs)

    def _run(self) -> None:
        self._outputs = self._function(*self._inputs)
