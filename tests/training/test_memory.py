"""A long training takes no more memory than its replay."""

import gc
import tracemalloc
from pathlib import Path

import psutil
import pytest
import torch

from fake_collector import FakeVectorEnv, fake_trainer
from mario_tui.agent.mario import Mario
from mario_tui.agent.network import MarioNet
from mario_tui.agent.replay import Replay
from mario_tui.errors import InputError
from mario_tui.presets import PRESETS, preset
from mario_tui.system import free_memory
from mario_tui.training.events import Stepped

ENVS = 128


def test_memory_does_not_grow_once_the_replay_is_full(small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeVectorEnv, "screen_shape", (1, 1, 3))
    config = small(
        steps=200_000, envs=ENVS, replay_size=2_000, learn_every=1_000, sync_every=10_000, log_every=10**6,
        network="small", n_steps=3, priority_exponent=0.5, average_updates=20, exploration_rate_min=1.0,
    )  # fmt: skip
    trainer = fake_trainer(config, run="long")
    measured: list[tuple[int, int]] = []
    for event in trainer.run():
        if isinstance(event, Stepped) and event.step >= (40_000, 50_000, 199_000, 10**9)[len(measured)]:
            if not measured:
                tracemalloc.start()  # counts what is made from here on and kept
            gc.collect()
            measured.append((tracemalloc.get_traced_memory()[0], psutil.Process().memory_info().rss))
    tracemalloc.stop()
    assert trainer.agent.updates > 150
    assert trainer.agent.memory.transitions < 3_000
    (_, _), (objects, resident), (objects_later, resident_later) = measured
    assert objects_later - objects < 1e6, "objects and arrays; the curves fill their 1,000 points each meanwhile"
    assert resident_later - resident < 30e6, "tensors too"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_agent_as_it_is_now_is_a_copy_of_weights_alone(small, precision: str) -> None:

    def replays() -> int:
        gc.collect()
        return sum(type(one) is Replay for one in gc.get_objects())

    trainer = fake_trainer(small(precision=precision, steps=20), run="short")
    for _ in trainer.run():
        pass
    before = replays()
    policies = trainer.live_policy(), trainer.live_policy()
    assert replays() == before
    assert policies[0].net is not policies[1].net


def test_no_thread_but_the_trainers_is_given_what_is_on_a_gpu(small, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = fake_trainer(small(steps=20), run="elsewhere")
    trainer.agent = Mario(trainer.config, torch.device("meta"))
    brought: list[tuple[str, str]] = []

    def on(net: MarioNet, device: torch.device | str) -> MarioNet:
        brought.append((next(net.parameters()).device.type, str(device)))
        return net.to_empty(device=device)

    monkeypatch.setattr(MarioNet, "on", on)
    policy = trainer.live_policy()
    trainer.close()
    assert brought == [("meta", "cpu")]
    assert {one.device.type for one in policy.net.state_dict().values()} == {"cpu"}
    assert next(trainer.agent.net.parameters()).device.type == "meta"


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_that_does_not_fit_is_refused_at_once(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay takes its memory while it fills: without the check a training would be ended hours later."""
    config = preset(name).replace(device="cpu")
    monkeypatch.setattr(free_memory, "free_bytes", lambda: 7_000 * config.replay_size)
    refused = rf"a replay of {config.replay_size:,} transitions needs .* GB .* choose a smaller replay_size$"
    with pytest.raises(InputError, match=refused):
        fake_trainer(config, run="big")
    assert not (home / "checkpoints/big").exists()
