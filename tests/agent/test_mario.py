"""The learning rule is the tutorial's, and torchrl's."""

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from torch.utils._python_dispatch import TorchDispatchMode
from torchrl.modules import QValueActor
from torchrl.objectives import DQNLoss

from mario_tui.agent.loss import Transitions, double_dqn
from mario_tui.agent.mario import Mario
from mario_tui.agent.network import MarioNet
from mario_tui.agent.spec import TUTORIAL
from mario_tui.config import TrainingConfig


def make_mario(**settings) -> Mario:
    mario = Mario(TrainingConfig(replay_size=100, **settings))
    with torch.no_grad():  # an online network that differs from its target, as in training
        for parameter in mario.net.online.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return mario


def random_batch(seed: int, size: int = 32) -> Transitions:
    g = torch.Generator().manual_seed(seed)
    frames = lambda: torch.randint(0, 256, (size, 4, 84, 84), generator=g, dtype=torch.uint8)  # noqa: E731
    s_tm1, s_t = frames(), frames()
    return Transitions(
        s_tm1=s_tm1,
        a_tm1=torch.randint(0, 2, (size,), generator=g),
        r_t=torch.randint(-15, 61, (size,), generator=g).float(),
        discount_t=0.9 * (torch.rand(size, generator=g) >= 0.3),
        s_t=s_t,
        weight=torch.ones(size),
    )


def fill_memory(mario: Mario, ticks: int = 30, seed: int = 0) -> None:
    """Random steps of games of 10 steps each."""
    rng, envs = np.random.default_rng(seed), mario.config.envs
    for tick in range(ticks):
        frame = torch.from_numpy(rng.integers(0, 256, (envs, 84, 84), dtype=np.uint8)).to(mario.device)
        first, last = np.full(envs, tick % 10 == 0), np.full(envs, tick % 10 == 9)
        action, reward = rng.integers(0, mario.spec.actions, envs), rng.normal(scale=5, size=envs)
        mario.cache(frame, action, reward, np.full(envs, tick % 20 == 8), first, last)


def tutorial_loss(net: MarioNet, batch: Transitions, gamma: float = 0.9):
    """td_estimate, td_target and the loss as the tutorial writes them, on its float states."""
    state, next_state, done = batch.s_tm1.float() / 255, batch.s_t.float() / 255, batch.discount_t == 0
    estimate = net(state, model="online")[np.arange(0, 32), batch.a_tm1]
    with torch.no_grad():
        best_action = torch.argmax(net(next_state, model="online"), dim=1)
        next_q = net(next_state, model="target")[np.arange(0, 32), best_action]
        target = (batch.r_t + (1 - done.float()) * gamma * next_q).float()
    return estimate, target, torch.nn.SmoothL1Loss()(estimate, target)


@pytest.mark.parametrize("seed", range(3))
def test_estimate_target_and_loss_equal_the_tutorials(seed: int) -> None:
    mario, batch = make_mario(), random_batch(seed)
    assert 0 < (batch.discount_t == 0).sum() < 32
    estimate = mario.td_estimate(batch.s_tm1, batch.a_tm1)
    target = mario.td_target(batch.r_t, batch.s_t, batch.discount_t)
    expected_estimate, expected_target, expected_loss = tutorial_loss(mario.net, batch)
    torch.testing.assert_close(estimate, expected_estimate, atol=1e-5, rtol=0)
    torch.testing.assert_close(target, expected_target, atol=1e-5, rtol=0)
    loss, q, td_error = double_dqn(mario.net, batch, mario.config)
    assert loss.item() == pytest.approx(expected_loss.item(), abs=1e-5)
    assert torch.equal(q, estimate)
    assert torch.equal(td_error, target - estimate)
    assert not target.requires_grad


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_update_computes_no_more_than_it_needs(precision: str) -> None:
    """Three forward passes of three convolutions, one backward, and no gradient of the observations."""
    mario, batch = make_mario(precision=precision), random_batch(0)
    wanted: dict[str, list[list[bool]]] = {"convolution": [], "convolution_backward": []}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            name = func.__name__.partition(".")[0]
            if name in wanted:
                wanted[name].append(args[-1] if name == "convolution_backward" else [])
            return func(*args, **(kwargs or {}))

    with Watch():
        mario.optimizer.update(batch)
    assert len(wanted["convolution"]) == 9
    # of input, weight and bias; the last layer's comes first
    assert wanted["convolution_backward"] == [[True, True, True], [True, True, True], [False, True, True]]


@pytest.mark.parametrize("seed", range(3))
def test_loss_equals_torchrls(seed: int) -> None:
    mario, batch = make_mario(), random_batch(seed)
    actor = QValueActor(mario.net.online, in_keys=["pixels"], action_space="categorical")
    loss_module = DQNLoss(
        actor, action_space="categorical", loss_function="smooth_l1", double_dqn=True, delay_value=True
    )
    loss_module.make_value_estimator(gamma=mario.config.gamma)
    ours = dict(mario.net.target.named_parameters())
    copied = 0
    for name, value in loss_module.target_value_network_params.flatten_keys(".").items():
        layer = ".".join(name.split(".")[-2:])
        if layer in ours:
            value.data.copy_(ours[layer])
            copied += 1
    assert copied == len(ours)
    done = (batch.discount_t == 0).unsqueeze(1)
    data = TensorDict(
        {
            "pixels": batch.s_tm1.float() / 255,
            "action": batch.a_tm1,
            "next": {
                "pixels": batch.s_t.float() / 255,
                "reward": batch.r_t.unsqueeze(1),
                "done": done,
                "terminated": done,
            },
        },
        batch_size=[32],
    )
    expected = loss_module(data)["loss"].item()
    assert double_dqn(mario.net, batch, mario.config).loss.item() == pytest.approx(expected, abs=1e-5)


def test_an_update_moves_the_online_network_as_the_tutorials_does() -> None:
    mario, batch = make_mario(), random_batch(0)
    theirs = MarioNet(TUTORIAL)
    theirs.load_state_dict(mario.net.state_dict())
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.00025)
    frozen = {name: value.clone() for name, value in mario.net.target.state_dict().items()}
    for _ in range(3):
        loss = mario.optimizer.update(batch).loss
        _, _, expected = tutorial_loss(theirs, batch)
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
        assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    for name, value in mario.net.state_dict().items():
        # 1 % of what three updates change
        torch.testing.assert_close(value, theirs.state_dict()[name], atol=7.5e-6, rtol=0)
    assert all(torch.equal(value, frozen[name]) for name, value in mario.net.target.state_dict().items())
    mario.sync_q_target()
    for name, value in mario.net.target.state_dict().items():
        assert torch.equal(value, mario.net.online.state_dict()[name])


def test_the_networks_names_and_shapes_are_the_tutorials() -> None:
    shapes = {name: tuple(value.shape) for name, value in MarioNet(TUTORIAL).state_dict().items()}
    layers = {
        "0": (32, 4, 8, 8), "2": (64, 32, 4, 4), "4": (64, 64, 3, 3), "7": (512, 3136), "9": (2, 512),
    }  # fmt: skip
    assert shapes == {
        f"{net}.{layer}.{kind}": shape if kind == "weight" else shape[:1]
        for net in ("online", "target")
        for layer, shape in layers.items()
        for kind in ("weight", "bias")
    }


def test_the_defaults_are_the_tutorials_constants() -> None:
    config = TrainingConfig()
    assert (config.burn_in, config.learn_every, config.sync_every) == (1e4, 3, 1e4)
    assert (config.gamma, config.learning_rate, config.batch_size, config.replay_size) == (0.9, 0.00025, 32, 100_000)
    assert (config.exploration_rate, config.exploration_rate_decay, config.exploration_rate_min) == (1, 0.99999975, 0.1)
    assert (config.frame_skip, config.frame_stack, config.action_set, config.stage) == (4, 4, "tutorial", "1-1")
    assert config.save_every == 5e5


def test_greedy_when_epsilon_is_0_and_random_when_it_is_1() -> None:
    states = random_batch(4).s_tm1
    greedy = make_mario(exploration_rate=0, exploration_rate_min=0)
    expected = greedy.net(states, model="online").argmax(dim=1).numpy()
    assert (greedy.act(states)[0] == expected).all()
    explorer = make_mario(exploration_rate=1)
    actions = np.concatenate([explorer.act(states)[0] for _ in range(40)])
    assert 0.45 < actions.mean() < 0.55


def test_each_game_explores_with_an_epsilon_of_its_own(monkeypatch) -> None:
    mario = make_mario(envs=3, exploration_rate=0.6, exploration_ladder=2)
    prefers_0 = lambda states, model: torch.tensor([[1.0, 0.0]]).expand(len(states), 2)  # noqa: E731
    monkeypatch.setattr(mario.net, "q_values", prefers_0)
    states = torch.zeros((3, 4, 84, 84), dtype=torch.uint8)
    explored = 2 * np.mean([mario.act(states)[0] for _ in range(6000)], axis=0)
    assert explored == pytest.approx([0.6, 0.6**2, 0.6**3], abs=0.03)


@pytest.mark.parametrize(("envs", "burn_in", "learn_every"), [(1, 10, 3), (4, 10, 3), (3, 0, 1), (4, 7, 8)])
def test_updates_are_due_at_the_tutorials_steps(envs: int, burn_in: int, learn_every: int, monkeypatch) -> None:
    mario = make_mario(envs=envs, burn_in=burn_in, learn_every=learn_every, sync_every=10)
    updates, syncs = [], []
    monkeypatch.setattr(type(mario.memory), "ready", property(lambda _: True))
    monkeypatch.setattr(mario, "update", lambda due, _: updates.extend([mario.curr_step] * due))
    monkeypatch.setattr(mario, "sync_q_target", lambda: syncs.append(mario.curr_step))
    for _ in range(60 // envs):
        mario.count_steps(envs)
        mario.learn(envs)
    steps = range(1, 60 // envs * envs + 1)
    assert len(updates) == sum(step >= burn_in and step % learn_every == 0 for step in steps)
    assert len(syncs) == sum(step % 10 == 0 for step in steps)


def test_a_seed_fixes_the_first_weights_and_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, other, third = (Mario(TrainingConfig(replay_size=100, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    weights = [next(mario.net.online.parameters()) for mario in (one, other, third)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_update_takes_discount_weight_and_reward_scale_of_each_transition() -> None:
    mario, batch = make_mario(reward_scale=4.0), random_batch(3, size=8)
    discount, weight = torch.linspace(0.1, 0.9, 8), torch.linspace(1.0, 0.2, 8)
    batch = batch._replace(discount_t=discount * (batch.discount_t > 0), weight=weight)
    state, next_state = batch.s_tm1.float() / 255, batch.s_t.float() / 255
    with torch.no_grad():
        estimate = mario.net(state, model="online")[torch.arange(8), batch.a_tm1]
        best_action = mario.net(next_state, model="online").argmax(dim=1)
        next_q = mario.net(next_state, model="target")[torch.arange(8), best_action]
    target = batch.r_t / 4 + batch.discount_t * next_q
    expected = (torch.nn.functional.smooth_l1_loss(estimate, target, reduction="none") * weight).mean()
    loss, td_estimate, td_error = mario.optimizer.update(batch)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    torch.testing.assert_close(td_estimate, estimate, atol=1e-5, rtol=0)
    torch.testing.assert_close(td_error, target - estimate, atol=1e-5, rtol=0)


def test_the_fused_optimizer_equals_plain_adam() -> None:
    fused, plain = make_mario(), make_mario()
    plain.optimizer.adam = torch.optim.Adam(
        plain.net.online.parameters(), lr=plain.config.learning_rate, foreach=False, fused=False
    )
    before = fused.net.online[0].weight.detach().clone()
    for seed in range(6):
        for mario in (fused, plain):
            mario.optimizer.update(random_batch(seed, size=8))
    for name, value in fused.net.state_dict().items():
        # 1 % of what six updates of 0.00025 change: where a gradient is nearly 0, Adam makes much of its last bit
        torch.testing.assert_close(value, plain.net.state_dict()[name], atol=1.5e-5, rtol=0)
    assert (fused.net.online[0].weight - before).abs().max() > 1e-4


def weights_of(network: torch.nn.Module | None) -> torch.Tensor:
    assert network is not None
    return torch.cat([parameter.detach().reshape(-1) for parameter in network.parameters()])


def test_the_averaged_network_is_a_mean_over_the_last_updates() -> None:
    mario = make_mario(network="small", average_updates=40)
    mario.updates = 10
    mario.average()
    first = weights_of(mario.net.online)
    assert torch.equal(weights_of(mario.net.average), first), "no mean over updates from before the first"
    with torch.no_grad():
        for parameter in mario.net.online.parameters():
            parameter.add_(1)
    mario.updates = 1000
    mario.average()
    torch.testing.assert_close(weights_of(mario.net.average), first + 10 / 40)
    torch.testing.assert_close(weights_of(mario.net.online), first + 1, msg="the online network stays")


def test_the_averaged_network_moves_at_every_tenth_update() -> None:
    mario = make_mario(network="small", average_updates=10, learn_every=1, burn_in=0)
    fill_memory(mario)
    averages = [weights_of(mario.net.average)]
    for _ in range(20):
        mario.count_steps(1)
        mario.learn(1)
        averages.append(weights_of(mario.net.average))
        if mario.updates % 10 == 0:
            assert torch.equal(averages[-1], weights_of(mario.net.online))
    assert mario.updates == 20
    moved = [number for number in range(1, 21) if not torch.equal(averages[number], averages[number - 1])]
    assert moved == [10, 20]
