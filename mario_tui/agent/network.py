"""MarioNet: the convolutional networks of Double DQN."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from mario_tui.agent.heads import Head, dueling, plain
from mario_tui.agent.spec import AgentSpec


@dataclass(frozen=True)
class Trunk:
    """The layers before the head.

    convolutions: (channels, kernel size, stride) of each, with a ReLU after it; features: what they make of 84x84
    pixels; hidden: units of the head's hidden layer.
    """

    convolutions: tuple[tuple[int, int, int], ...]
    features: int
    hidden: int


TRUNKS = {
    "nature": Trunk(((32, 8, 4), (64, 4, 2), (64, 3, 1)), features=64 * 7 * 7, hidden=512),
    "small": Trunk(((16, 8, 4), (32, 4, 2)), features=32 * 9 * 9, hidden=256),
}
"""nature: Mnih et al. 2015 (Human-level control through deep reinforcement learning), as the tutorial; small: Mnih et
al. 2013 (Playing Atari with Deep Reinforcement Learning), a third of the arithmetic."""

HEADS: dict[str, Callable[[int, int, AgentSpec], tuple[nn.Module, ...]]] = {"plain": plain, "dueling": dueling}
"""Name in AgentSpec.head -> function of (features, hidden units, spec) that makes the layers, a Head the last.

They stand here, not in heads.py, so that the file of another head can import from there.
"""


def layout_for(device: torch.device) -> torch.memory_format:
    """The layout of images on a device: channels last is what processors and tensor cores are fastest with.

    On Apple's GPUs it has given convolutions wrong gradients.
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


class MarioNet(nn.Module):
    """A small CNN, twice: convolutions with ReLUs -> flatten -> head (see TRUNKS and HEADS).

    `online` is trained; `target` is a frozen copy, updated by `Mario.sync_q_target`; with `spec.averaged` there is a
    third copy, `average`: an exponential moving average of the online network (see `Mario.average`), which then plays
    greedily in its place. The names in the state dict are the tutorial's, so that its checkpoints load.

    Raises ValueError for a spec whose head is not known.
    """

    def __init__(self, spec: AgentSpec) -> None:
        super().__init__()
        self.spec = spec
        self.dtype = torch.float32
        self.layout: torch.memory_format
        self.online = self._build_cnn()
        self.target = self._copy()
        self.average = self._copy() if spec.averaged else None
        self.set_layout(layout_for(torch.device("cpu")))

    def on(self, device: torch.device | str) -> MarioNet:
        """Moves it to a device, in the layout that is right there; returns itself."""
        self.to(device)
        self.set_layout(layout_for(torch.device(device)))
        return self

    def set_layout(self, layout: torch.memory_format) -> None:
        """Keeps the weights of convolutions, and what goes through them, in this layout."""
        self.layout = layout
        for parameter in self.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=layout)

    def scale(self, observations: Tensor) -> Tensor:
        """Observations (B, depth, 84, 84), uint8 in 0..255, as the networks take them: floats, in `layout`, 0 to 1.

        From -1 to 1 where the spec says `centered`: the networks then learn several times faster to tell apart
        observations that differ in a few pixels. What is floats already is returned as it is.
        """
        if observations.dtype != torch.uint8:
            return observations
        channels_last = self.layout == torch.channels_last
        levels = (_to_channels_last(observations) if channels_last else observations.contiguous()).to(self.dtype)
        return levels.sub_(127.5).div_(127.5) if self.spec.centered else levels.div_(255)

    def forward(self, observations: Tensor, model: Literal["online", "target", "average"]) -> Tensor:
        """The head's output, float32, for observations (B, depth, 84, 84): uint8, or as `scale` returns them.

        With the heads here that is Q, (B, actions), or with bins logits, (B, actions, bins); see `q_values` for what
        holds for every head.
        """
        output: Tensor = getattr(self, model)(self.scale(observations))
        return output

    def q_values(self, observations: Tensor, model: Literal["online", "target", "average"]) -> Tensor:
        """Q, (B, actions) float32, of observations as in `forward`."""
        return self.head.q_values(self(observations, model))

    @property
    def head(self) -> Head:
        """The online network's head, which reads the outputs of all networks alike."""
        head = self.online[-1]
        assert isinstance(head, Head)
        return head

    def q_of(self, network: nn.Sequential, observations: Tensor) -> Tensor:
        """Q, (B, actions) float32, by a copy of one of the networks here; observations as in `forward`."""
        return self.head.q_values(network(self.scale(observations)))

    @property
    def player(self) -> nn.Sequential:
        """The network that plays greedily: `average` if there is one, else `online`."""
        return self.online if self.average is None else self.average

    def greedy(self, observations: Tensor) -> Tensor:
        """Q of the network that plays."""
        return self.q_values(observations, "online" if self.average is None else "average")

    @torch.no_grad()
    def low_precision(self) -> MarioNet:
        """A copy, without the averaged network, that computes all but its heads in bfloat16."""
        low = copy.deepcopy(self)
        low.average = None
        low.dtype = torch.bfloat16
        for network in (low.online, low.target):
            network[:-1].to(torch.bfloat16)
        return low

    def _copy(self) -> nn.Sequential:
        copied = self._build_cnn()
        copied.load_state_dict(self.online.state_dict())
        return copied.requires_grad_(False)

    def _build_cnn(self) -> nn.Sequential:
        trunk, channels = TRUNKS[self.spec.network], self.spec.frame_stack
        layers: list[nn.Module] = []
        for width, kernel, stride in trunk.convolutions:
            layers += [nn.Conv2d(channels, width, kernel_size=kernel, stride=stride), nn.ReLU()]
            channels = width
        if self.spec.head not in HEADS:
            raise ValueError(f"no head {self.spec.head[:80]!r}: there are {', '.join(HEADS)}")
        head = HEADS[self.spec.head](trunk.features, trunk.hidden, self.spec)
        # Flatten before the last ReLU, which does without a change of layout in its gradient then
        layers.insert(-1, nn.Flatten())
        return nn.Sequential(*layers, *head)


def _to_channels_last(images: Tensor) -> Tensor:
    """Images (B, depth, H, W) uint8 in the layout channels last.

    Four channels make the four bytes of an int32 for each pixel: on a processor that is several times faster than to
    move single bytes.
    """
    batch, depth, height, width = images.shape
    if not images.is_cpu or depth != 4 or sys.byteorder != "little":
        return images.contiguous(memory_format=torch.channels_last)
    pixels = images[:, 3].to(torch.int32, memory_format=torch.contiguous_format)
    for channel in (2, 1, 0):
        pixels.bitwise_left_shift_(8).bitwise_or_(images[:, channel])
    return pixels.view(torch.uint8).view(batch, height, width, depth).permute(0, 3, 1, 2)


def load_weights(net: MarioNet, weights: Mapping[str, Tensor]) -> None:
    """Puts a state dict into a network; without its target network that becomes a copy of the online one.

    Raises ValueError as `check_weights`.
    """
    if not any(name.startswith("target.") for name in weights):  # exported to play only
        online = {name: tensor for name, tensor in weights.items() if name.startswith("online.")}
        weights = {**weights, **{name.replace("online.", "target.", 1): tensor for name, tensor in online.items()}}
    check_weights(net, weights)
    net.load_state_dict(weights)


def check_weights(net: MarioNet, weights: Mapping[str, Tensor]) -> None:
    """Raises ValueError for tensors that are not this network's weights: names, shapes, kinds and values."""
    expected = net.state_dict()
    if weights.keys() != expected.keys():
        raise ValueError(f"its layers are others: {', '.join(sorted(weights.keys() ^ expected.keys()))[:100]}")
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(f"{name} has the shape {tuple(tensor.shape)}, not {tuple(expected[name].shape)}")
        if not tensor.is_floating_point():
            raise ValueError(f"{name} holds {str(tensor.dtype).removeprefix('torch.')} numbers, not floats")
        if not torch.isfinite(tensor.to(expected[name].dtype)).all():
            raise ValueError("its weights are not all finite")
