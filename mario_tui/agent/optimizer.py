"""One update of a network: gradient, check, step. The number format is this file's affair alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mario_tui.agent.loss import LossResult, Transitions
from mario_tui.agent.network import MarioNet


class NetworkOptimizer:
    """Adam on the online network of a MarioNet.

    An update whose loss or gradient is not finite changes nothing: a NaN in the weights would never leave them.

    Args:
        net: the network, on its device.
        loss: function of a network and a batch; it may not wait for the device.
        learning_rate, epsilon: of Adam.
        dtype: what updates are computed in. In bfloat16 they use a copy of the network, `learning_net`, while
            parameters and moments stay float32: small steps would be lost otherwise (Micikevicius et al. 2018, Mixed
            Precision Training, section 3.1).
        recorded: whether updates are recorded as a CUDA graph, to be done again and again: the learning rate and the
            step count are then tensors on the device, which a recording reads anew each time.
        fused: whether Adam is one kernel, which looks itself at what is finite; otherwise every update waits for that.
    """

    def __init__(
        self,
        net: MarioNet,
        loss: Callable[[MarioNet, Transitions], LossResult],
        *,
        learning_rate: float,
        epsilon: float = 1e-8,
        dtype: torch.dtype = torch.float32,
        recorded: bool = False,
        fused: bool = True,
    ) -> None:
        self.net = self.learning_net = net
        self._loss, self._fused = loss, fused
        device = next(net.parameters()).device
        self._rate: float | Tensor = torch.tensor(learning_rate, device=device) if recorded else learning_rate
        self.adam = torch.optim.Adam(
            net.online.parameters(), lr=learning_rate, eps=epsilon, fused=fused, capturable=recorded
        )
        self._use_rate()
        if dtype == torch.bfloat16:
            self.learning_net = net.low_precision()
            for parameter in net.online.parameters():
                parameter.grad = torch.zeros_like(parameter)
        # 1 if an update is to change nothing
        self._skip = torch.zeros((), device=device)
        if fused:  # Adam looks at it without waiting for the device
            self.adam.found_inf = self._skip  # type: ignore[attr-defined]

    @property
    def nets(self) -> tuple[MarioNet, ...]:
        """The network, and its copy in low precision if there is one."""
        return (self.net,) if self.learning_net is self.net else (self.net, self.learning_net)

    @property
    def skipped(self) -> Tensor:
        """0-d bool on the device: whether the last update was skipped."""
        return self._skip > 0

    def update(self, batch: Transitions, besides: Callable[[MarioNet], Tensor] | None = None) -> LossResult:
        """One step on a batch; returns the loss, estimates and errors from before it, without gradients.

        `besides` gives what else is part of the loss, 0-d float32.
        """
        loss, q, td_error = self._loss(self.learning_net, batch)
        if besides is not None:
            loss = loss + besides(self.learning_net)
        self.learning_net.online.zero_grad()
        loss.backward()
        self._check_finite(loss)
        if self.learning_net is self.net:
            self._step()
        else:
            self._step_in_float32()
        return LossResult(loss.detach(), q, td_error)

    def _step(self) -> None:
        if self._fused or not self._skip:
            self.adam.step()

    @torch.no_grad()
    def _check_finite(self, loss: Tensor) -> None:
        gradients = [p.grad for p in self.learning_net.online.parameters() if p.grad is not None]
        # a norm is not finite if an element is not; a sum of squares that overflows would spoil Adam's moments, too
        squares = torch.stack([loss, *torch._foreach_norm(gradients)]).square()
        self._skip.copy_(~torch.isfinite(squares.sum()))

    @torch.no_grad()
    def _step_in_float32(self) -> None:
        parameters: list[Tensor] = list(self.net.online.parameters())
        low: list[Tensor] = list(self.learning_net.online.parameters())
        gradients, low_gradients = ([p.grad for p in those if p.grad is not None] for those in (parameters, low))
        torch._foreach_copy_(gradients, low_gradients)
        self._step()
        torch._foreach_copy_(low, parameters)

    def set_learning_rate(self, rate: float) -> None:
        """From the next update on."""
        if isinstance(self._rate, Tensor):
            self._rate.fill_(rate)
        else:
            self._rate = rate
        self._use_rate()

    def _use_rate(self) -> None:
        for group in self.adam.param_groups:
            group["lr"] = self._rate

    def moments(self) -> list[Tensor]:
        """Adam's moments and step counts."""
        return [value for entry in self.adam.state.values() for value in entry.values()]

    def state_dict(self) -> dict[str, Any]:
        """Adam's."""
        return self.adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a state of `state_dict`."""
        self.adam.load_state_dict(state)
        self._use_rate()  # which was copied
