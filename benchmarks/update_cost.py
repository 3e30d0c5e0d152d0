"""What an update costs on a processor, and what other ways of computing it would cost: all in turn, round by round.

    python benchmarks/update_cost.py [--presets fast tutorial] [--precision bfloat16 float32] [--threads 1]
                                     [--rounds 20] [--compile] [--games 0]

Prints a table: for each way the shortest time of an update, and the median over the rounds of its time divided by that
of the program's own way in the same round. With one thread times are the processor's, with more they are the clock's.
`--compile` adds torch.compile, which needs a C++ compiler. `--games N` lets N emulators play beside it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mario_tui.agent.loss import LossResult, Transitions, double_dqn, td_estimate
from mario_tui.agent.mario import Mario
from mario_tui.agent.network import MarioNet, _to_channels_last
from mario_tui.agent.runtime import prepare_processor
from mario_tui.game.emulator import open_emulator
from mario_tui.presets import preset

UPDATES_A_ROUND = 3

Way = Callable[[Mario], object]
"""Changes how an agent computes its updates."""


def transitions(size: int) -> Transitions:
    generator = torch.Generator().manual_seed(0)

    def images() -> Tensor:
        return torch.randint(0, 256, (size, 4, 84, 84), dtype=torch.uint8, generator=generator)

    actions = torch.randint(0, 2, (size,), generator=generator)
    rewards, discounts = torch.rand(size, generator=generator), torch.full((size,), 0.9)
    return Transitions(images(), actions, rewards, discounts, images(), torch.ones(size))


def as_it_is(mario: Mario) -> None:
    pass


def layout_by_copy(mario: Mario) -> None:
    """By PyTorch's copy, which moves single bytes."""
    net = mario.learning_net

    def scale(observations: Tensor) -> Tensor:
        if observations.dtype != torch.uint8:
            return observations
        levels = observations.contiguous(memory_format=torch.channels_last).to(net.dtype)
        return levels.sub_(127.5).div_(127.5) if net.spec.centered else levels.div_(255)

    net.scale = scale  # type: ignore[method-assign]


def relu_before_flatten(mario: Mario) -> None:
    for model in ("online", "target"):
        layers = list(getattr(mario.learning_net, model))
        flatten = next(number for number, layer in enumerate(layers) if isinstance(layer, nn.Flatten))
        layers[flatten], layers[flatten + 1] = layers[flatten + 1], layers[flatten]
        setattr(mario.learning_net, model, nn.Sequential(*layers))


def relu_in_place(mario: Mario) -> None:
    for layer in mario.learning_net.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = True


def contiguous(mario: Mario) -> None:
    for net in mario.optimizer.nets:
        net.set_layout(torch.contiguous_format)


def contiguous_copy(mario: Mario) -> None:
    """Of the weights in bfloat16 alone; those in float32 stay channels last."""
    mario.learning_net.set_layout(torch.contiguous_format)


def plain_adam(mario: Mario) -> None:
    _other_adam(mario, fused=False, foreach=False)


def foreach_adam(mario: Mario) -> None:
    _other_adam(mario, fused=False, foreach=True)


def _other_adam(mario: Mario, *, fused: bool, foreach: bool) -> None:
    optimizer = mario.optimizer
    optimizer._fused = fused
    optimizer.adam = torch.optim.Adam(
        mario.net.online.parameters(), lr=mario.config.learning_rate, fused=fused, foreach=foreach
    )


def gradients_set_to_zero(mario: Mario) -> None:
    online: Any = mario.learning_net.online
    online.zero_grad = partial(online.zero_grad, set_to_none=False)


def no_check(mario: Mario) -> None:
    mario.optimizer._check_finite = lambda loss: None  # type: ignore[method-assign]


def blocks_of_pixels(mario: Mario) -> None:
    """The first convolution, 8x8 with stride 4, as one of 2x2 with stride 1 over blocks of 4x4 pixels."""

    class Blocks(nn.Conv2d):
        def forward(self, blocks: Tensor) -> Tensor:
            outputs, channels = self.weight.shape[:2]
            weight = self.weight.view(outputs, channels, 2, 4, 2, 4).permute(0, 2, 4, 1, 3, 5)
            return functional.conv2d(blocks, weight.reshape(outputs, 2, 2, -1).permute(0, 3, 1, 2), self.bias)

    net = mario.learning_net

    def scale(observations: Tensor) -> Tensor:
        if observations.dtype != torch.uint8:
            return observations
        rows = observations.view(torch.int32).view(-1, 4, 21, 4, 21)  # four pixels at a time
        blocks = rows.permute(0, 2, 4, 1, 3).contiguous().view(torch.uint8).view(-1, 21, 21, 64).permute(0, 3, 1, 2)
        levels = blocks.to(net.dtype)
        return levels.sub_(127.5).div_(127.5) if net.spec.centered else levels.div_(255)

    for model in (net.online, net.target):
        model[0].__class__ = Blocks
    net.scale = scale  # type: ignore[method-assign]


def factor_in_the_weights(mario: Mario) -> None:
    """Pixels are only shifted, not divided, and the first convolution's weights are divided in their place."""

    class Divided(nn.Conv2d):
        def forward(self, levels: Tensor) -> Tensor:
            return functional.conv2d(levels, self.weight / divisor, self.bias, self.stride)

    net = mario.learning_net
    divisor = 127.5 if net.spec.centered else 255.0

    def scale(observations: Tensor) -> Tensor:
        if observations.dtype != torch.uint8:
            return observations
        levels = _to_channels_last(observations).to(net.dtype)
        return levels.sub_(127.5) if net.spec.centered else levels

    for model in (net.online, net.target):
        model[0].__class__ = Divided
    net.scale = scale  # type: ignore[method-assign]


def layers_of(net: MarioNet, kind: type[nn.Module]) -> list[int]:
    return [at for at, layer in enumerate(net.online) if isinstance(layer, kind)]


def layer_of(model: nn.Sequential, at: int) -> Any:
    return model[at]


def next_state_in_one_call(mario: Mario) -> None:
    """Online and target network of s' as groups of the same operations; their joined weights cost nothing here."""
    net, config = mario.learning_net, mario.config
    convolutions = [(layer_of(net.online, at), layer_of(net.target, at)) for at in layers_of(net, nn.Conv2d)]
    dense = [(layer_of(net.online, at), layer_of(net.target, at)) for at in layers_of(net, nn.Linear)]
    with torch.no_grad():
        weights = [torch.cat([a.weight, b.weight]).contiguous(memory_format=net.layout) for a, b in convolutions]
        biases = [torch.cat([a.bias, b.bias]) for a, b in convolutions]
        matrices = [torch.stack([a.weight.t(), b.weight.t()]) for a, b in dense]
        offsets = [torch.stack([a.bias, b.bias])[:, None] for a, b in dense]

    @torch.no_grad()
    def both(values: Tensor) -> Tensor:
        for number, (convolution, _) in enumerate(convolutions):
            groups = 1 if number == 0 else 2
            values = functional.conv2d(values, weights[number], biases[number], convolution.stride, groups=groups)
            values = values.relu()
        values = values.flatten(1).view(len(values), 2, -1).transpose(0, 1)
        for number in range(len(dense)):
            last = number == len(dense) - 1
            values = torch.baddbmm(offsets[number], values.float() if last else values, matrices[number])
            values = values if last else values.relu()
        return values

    def loss(net: MarioNet, batch: Transitions) -> LossResult:
        estimate = td_estimate(net, net.scale(batch.s_tm1), batch.a_tm1)
        online, target = both(net.scale(batch.s_t))
        best = online.argmax(dim=1, keepdim=True)
        goal = batch.r_t / config.reward_scale + batch.discount_t * target.gather(1, best).squeeze(1)
        value = (functional.smooth_l1_loss(estimate, goal, reduction="none") * batch.weight).mean()
        return LossResult(value, estimate.detach(), goal - estimate.detach())

    mario.optimizer._loss = loss


def compiled(mario: Mario) -> None:
    loss = torch.compile(double_dqn)
    mario.optimizer._loss = lambda net, batch: loss(net, batch, mario.config)


WAYS: dict[str, Way] = {
    "as it is": as_it_is,
    "channels last byte by byte": layout_by_copy,
    "the last ReLU before flattening": relu_before_flatten,
    "both of these": lambda mario: [layout_by_copy(mario), relu_before_flatten(mario)],
    "ReLUs in place": relu_in_place,
    "contiguous layout": contiguous,
    "contiguous layout of the learning network": contiguous_copy,
    "first convolution over blocks of 4x4 pixels": blocks_of_pixels,
    "1/255 in the first weights": factor_in_the_weights,
    "both networks of s' in one call": next_state_in_one_call,
    "Adam, foreach": foreach_adam,
    "Adam, a loop": plain_adam,
    "gradients set to zero, not None": gradients_set_to_zero,
    "no check of the gradients": no_check,
}


def make(name: str, precision: str, way: Way, size: int = 32) -> Callable[[], float]:
    """An update in that way, which returns its loss."""
    mario, batch = Mario(preset(name).replace(precision=precision, replay_size=200)), transitions(size)
    way(mario)
    return lambda: float(mario.optimizer.update(batch).loss)


def acting(name: str) -> dict[str, Callable[[], float]]:
    """The greedy actions of one tick, by the weights in float32 and by the copy in bfloat16."""
    config = preset(name).replace(precision="bfloat16", replay_size=200)
    mario, states = Mario(config), transitions(config.envs).s_t

    def run(net: MarioNet) -> Callable[[], float]:
        @torch.no_grad()
        def act() -> float:
            return float(net.q_values(states, "online").argmax(dim=1).sum())

        return act

    return {"acting in float32": run(mario.net), "acting in bfloat16": run(mario.learning_net)}


def measure(ways: dict[str, Callable[[], float]], rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Milliseconds of each way in each round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    losses = {name: update() for name, update in ways.items()}
    for name, loss in losses.items():
        expected = losses["as it is"] if "as it is" in losses and "64" not in name else loss
        assert abs(loss - expected) < 0.02 * abs(expected) + 1e-4, f"{name} computes something else: {losses}"
    for update in ways.values():
        update()
    order = random.Random(0)  # what ran just before has its say in what the caches hold
    for _ in range(rounds):
        for name in order.sample(list(ways), len(ways)):
            start = clock()
            for _ in range(UPDATES_A_ROUND):
                ways[name]()
            times[name].append((clock() - start) / UPDATES_A_ROUND * 1000)
    return times


def table(title: str, times: dict[str, list[float]]) -> None:
    first = next(iter(times.values()))
    print(f"\n| {title} | ms, shortest | ratio, median |\n| --- | --- | --- |")
    for name, values in times.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(values, first, strict=True))
        print(f"| {name} | {min(values):.2f} | {ratio:.2f} |", flush=True)


def play_for_ever() -> None:
    with open_emulator() as emulator:
        while True:
            emulator.frame(0x80)
            if emulator.done:
                emulator.reset()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["fast", "tutorial"])
    parser.add_argument("--precision", nargs="+", default=["bfloat16", "float32"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--games", type=int, default=0)
    arguments = parser.parse_args()
    prepare_processor(arguments.threads)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    players = [multiprocessing.Process(target=play_for_ever, daemon=True) for _ in range(arguments.games)]
    for player in players:
        player.start()
    for name in arguments.presets:
        for precision in arguments.precision:
            names = {**WAYS, "torch.compile": compiled} if arguments.compile else WAYS
            ways = {what: make(name, precision, way) for what, way in names.items()}
            ways["a batch of 64"] = make(name, precision, as_it_is, size=64)
            title = f"preset {name}, {precision}, threads: {arguments.threads}, games beside: {arguments.games}"
            table(title, measure(ways, arguments.rounds, clock))
        formats = {precision: make(name, precision, as_it_is) for precision in ("float32", "bfloat16")}
        table(f"preset {name}, threads: {arguments.threads}", measure(formats, arguments.rounds, clock))
        table(f"preset {name}, states of {preset(name).envs} games", measure(acting(name), arguments.rounds, clock))
        if arguments.threads > 1:
            by_threads = {f"threads: {count}": with_threads(count, name) for count in (1, arguments.threads)}
            title = f"preset {name}, precision auto, games beside: {arguments.games}"
            table(title, measure(by_threads, arguments.rounds, clock))
            torch.set_num_threads(arguments.threads)


def with_threads(count: int, name: str) -> Callable[[], float]:
    update = make(name, "auto", as_it_is)

    def run() -> float:
        torch.set_num_threads(count)
        return update()

    return run


if __name__ == "__main__":
    main()
