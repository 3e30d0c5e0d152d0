"""The shapes of the networks, and what a dueling head is."""

from typing import Any

import pytest
import torch

from mario_tui.agent.heads import DuelingHead
from mario_tui.agent.mario import Mario
from mario_tui.agent.network import MarioNet
from mario_tui.agent.policy import Policy
from mario_tui.agent.spec import TUTORIAL, AgentSpec
from mario_tui.config import TrainingConfig


def spec(**changes: Any) -> AgentSpec:
    return TUTORIAL.model_copy(update=changes)


def some_states(count: int, depth: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, depth, 84, 84), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("network", ["nature", "small"])
@pytest.mark.parametrize("head", ["plain", "dueling"])
@pytest.mark.parametrize("more", [{}, {"value_bins": 21}, {"layer_norm": True}], ids=str)
@pytest.mark.parametrize(("depth", "action_set", "actions"), [(4, "tutorial", 2), (1, "simple", 7)])
def test_a_q_value_for_each_action(
    network: str, head: str, more: dict[str, Any], depth: int, action_set: str, actions: int
) -> None:
    net = MarioNet(spec(network=network, head=head, frame_stack=depth, action_set=action_set, **more))
    states = some_states(3, depth)
    assert net(states, model="online").shape == (3, actions, 21)[: 3 if "value_bins" in more else 2]
    q_values = net.q_values(states, model="online")
    assert q_values.shape == (3, actions)
    assert q_values.dtype == torch.float32
    assert torch.equal(q_values, net.q_values(states, model="target")), "the target begins as a copy"
    torch.testing.assert_close(q_values, net.q_values(states.float() / 255, model="online"))


def test_centered_inputs_are_from_minus_1_to_1() -> None:
    net = MarioNet(spec(network="small", centered=True))
    states = some_states(2)
    scaled = net.scale(states)
    assert (scaled.min(), scaled.max()) == (-1, 1)
    torch.testing.assert_close(scaled, states.float() / 255 * 2 - 1)
    assert torch.equal(net.scale(scaled), scaled), "scaled once only"
    assert torch.equal(net(states, model="online"), net.online(scaled))


@pytest.mark.parametrize("depth", [1, 3, 4, 5])
@pytest.mark.parametrize("batch", [1, 3])
def test_observations_become_channels_last_and_stay_the_same(depth: int, batch: int) -> None:
    net = MarioNet(spec(frame_stack=depth))
    states = some_states(batch, depth)
    states[0, :, 0, 0] = torch.tensor([0, 127, 128, 255, 1])[:depth]
    before = states.clone()
    scaled = net.scale(states)
    assert scaled.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(scaled, states.float() / 255)
    for strided in (states.transpose(2, 3).contiguous().transpose(2, 3), states.repeat(2, 1, 1, 1)[::2][:batch]):
        assert torch.equal(net.scale(strided), strided.float() / 255)
    assert torch.equal(states, before), "what was given is not written to"


@pytest.mark.parametrize("centered", [False, True])
def test_scaling_for_bfloat16_rounds_once(centered: bool) -> None:
    net = MarioNet(spec(centered=centered))
    levels = torch.arange(256, dtype=torch.uint8).view(1, 4, 8, 8)
    assert torch.equal(net.low_precision().scale(levels), net.scale(levels).bfloat16())


def test_the_small_network_has_the_layers_of_2013() -> None:
    shapes = {name: tuple(value.shape) for name, value in MarioNet(spec(network="small")).online.state_dict().items()}
    layers = {"0": (16, 4, 8, 8), "2": (32, 16, 4, 4), "5": (256, 32 * 9 * 9), "7": (2, 256)}
    assert shapes == {
        f"{layer}.{kind}": shape if kind == "weight" else shape[:1]
        for layer, shape in layers.items()
        for kind in ("weight", "bias")
    }


def test_features_are_in_the_tutorials_order() -> None:
    """Channel by channel, whatever the layout in memory: its checkpoints would play at random otherwise."""
    net = MarioNet(TUTORIAL)
    scaled = net.scale(some_states(2))
    convolutions = [layer for layer in net.online if isinstance(layer, torch.nn.Conv2d)]
    maps = scaled
    for convolution in convolutions:
        maps = convolution(maps).relu()
    assert maps.shape == (2, 64, 7, 7)
    expected = torch.stack([torch.cat([plane.reshape(-1) for plane in image]) for image in maps])
    assert torch.equal(net.online[:7](scaled), expected)


@pytest.mark.parametrize("network", ["nature", "small"])
def test_the_advantages_of_a_dueling_head_have_the_mean_0(network: str) -> None:
    net = MarioNet(spec(network=network, head="dueling", action_set="right_only"))
    head = net.online[-1]
    assert isinstance(head, DuelingHead)
    states = some_states(6)
    value = head.value(net.online[:-1](states.float() / 255))
    advantage = net(states, model="online") - value
    assert advantage.abs().max() > 1e-3
    torch.testing.assert_close(advantage.mean(dim=1), torch.zeros(6), atol=1e-6, rtol=0)


@pytest.mark.parametrize("head", ["plain", "dueling"])
def test_layer_norm_stands_between_the_hidden_layer_and_its_relu(head: str) -> None:
    net = MarioNet(spec(network="small", head=head, layer_norm=True))
    streams = (
        ["online"] if head == "plain" else [f"online.{len(net.online) - 1}.{name}" for name in ("value", "advantage")]
    )
    hidden = [net.get_submodule(name) for name in streams]
    features = net.online[: -4 if head == "plain" else -1](net.scale(some_states(3)))
    for layers in hidden:
        dense, normed, relu, last = list(layers.children())[-4:]
        assert [type(layer).__name__ for layer in (dense, normed, relu)] == ["Linear", "LayerNorm", "ReLU"]
        units = dense(features)
        variance = units.var(dim=1, correction=0, keepdim=True)
        expected = (units - units.mean(dim=1, keepdim=True)) / (variance + 1e-5).sqrt()
        torch.testing.assert_close(normed(units), expected, atol=1e-4, rtol=1e-4)
        assert last.in_features == dense.out_features == 256 // len(hidden)


def test_an_averaged_network_has_the_online_ones_names_and_leaves_the_others_as_they_are() -> None:
    plain, averaged = MarioNet(TUTORIAL), MarioNet(spec(averaged=True))
    names = {name.partition(".")[2] for name in plain.state_dict()}
    assert set(averaged.state_dict()) == {f"{net}.{name}" for net in ("online", "target", "average") for name in names}
    assert [name for name, value in averaged.named_parameters() if value.requires_grad] == [
        name for name, _ in plain.named_parameters() if name.startswith("online.")
    ]


def test_greedy_play_asks_the_averaged_network_where_there_is_one() -> None:
    states = some_states(2)
    for averaged in (False, True):
        net = MarioNet(spec(network="small", averaged=averaged))
        with torch.no_grad():
            net.online[-1].bias.copy_(torch.tensor([7.0, -7.0]))
        assert torch.equal(net.greedy(states), net(states, model="average" if averaged else "online"))
        policy = Policy(net.eval(), "1-1", 0, "made for a test")
        assert (policy.q_values(states[0])[0] > 6) == (not averaged)


def test_the_settings_choose_the_network() -> None:
    mario = Mario(TrainingConfig(replay_size=100, network="small", dueling=True, centered=True, average_updates=5))
    assert mario.net.average is not None
    assert mario.net.online[0].out_channels == 16
    assert mario.net.spec.centered
    assert isinstance(mario.net.online[-1], DuelingHead)
    assert Mario(TrainingConfig(replay_size=100)).net.average is None
