"""CUDA graphs: an update recorded once, and from then on started with a single call.

A batch-32 update is some hundred small kernels, and starting each from Python takes longer than the kernel itself runs.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from mario_tui.store.untrusted import one_line_error

_WARM_UP_CALLS = 3


class Recorder(Protocol):
    """How work for a device is recorded."""

    def warm_up(self, work: Callable[[], None]) -> None:
        """Does the work as it is, in the way that a recording needs to have been prepared."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Records the work without doing it; what it returns does it, again and again.

        Raises RuntimeError if it cannot be recorded; nothing was done then.
        """

    def synchronize(self) -> None:
        """Waits for the device; raises RuntimeError if it is lost."""


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
            # a recording that fails leaves the thread on its stream; this brings back the one that it was on
            torch.cuda.stream(torch.cuda.current_stream(self._device)),
            # evaluations play in other threads
            torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
        ):
            work()

        def replay() -> None:
            with torch.cuda.device(self._device):
                graph.replay()

        return replay

    def synchronize(self) -> None:
        torch.cuda.synchronize(self._device)


class GraphedUpdate:
    """Calls a function of a tensor: a few times as it is, then by a recording of it. The results are the same.

    With a tensor of another shape it begins anew, as a recording is of one shape. Where the function cannot be
    recorded, it is called as it is from then on.

    Args:
        function: reads its argument and changes networks and optimizer in place; it may not wait for the device.
        recorder: CudaGraphs, or in tests something that needs no GPU.

    Attributes:
        problem: why it could not be recorded, one line; "" if it can.
    """

    def __init__(self, function: Callable[[Tensor], tuple[Tensor, ...]], recorder: Recorder) -> None:
        self.problem = ""
        self._function = function
        self._recorder = recorder
        self._calls = 0
        self._input: Tensor | None = None
        self._outputs: tuple[Tensor, ...] = ()
        self._replay: Callable[[], None] | None = None

    def __call__(self, argument: Tensor) -> tuple[Tensor, ...]:
        if self._input is None or self._input.shape != argument.shape:
            self._input, self._calls, self._replay = torch.empty_like(argument), 0, None
        self._input.copy_(argument, non_blocking=True)
        self._calls += 1
        if self._calls <= _WARM_UP_CALLS:
            self._recorder.warm_up(self._run)
        else:
            self._replay = self._replay or self._record()
            self._replay()
        return tuple(output.clone() for output in self._outputs)

    def _record(self) -> Callable[[], None]:
        try:
            return self._recorder.record(self._run)
        except RuntimeError as error:
            self.problem = one_line_error(error)
        self._recorder.synchronize()  # raises if the device is lost, which is no matter of recording
        return self._run

    def _run(self) -> None:
        assert self._input is not None
        self._outputs = self._function(self._input)
