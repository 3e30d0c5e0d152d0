"""A recorded update does what one that is called every time does; where it cannot be recorded, training goes on."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mario_tui.agent.cuda_graph import GraphedUpdate
from mario_tui.agent.mario import Mario
from mario_tui.config import TrainingConfig
from test_mario import fill_memory, weights_of


class NoGpu:
    """Counts what a recorder is asked for; its recordings are the work itself."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def warm_up(self, work: Callable[[], None]) -> None:
        self.asked.append("warm up")
        work()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self.asked.append("record")

        def replay() -> None:
            self.asked.append("replay")
            work()

        return replay

    def synchronize(self) -> None:
        self.asked.append("synchronize")


class CannotRecord(NoGpu):
    """Fails as CUDA does: amid the work, with what hides the cause."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self.asked.append("record")
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture\nSearch for it in ...")


class Strict(NoGpu):
    """Allows while recording what a CUDA graph can hold; whatever the recording uses must be there at each replay.

    A recording holds addresses: what moves meanwhile is still read from, and written to, where it was.
    """

    def __init__(self, used: Callable[[], list[torch.Tensor]]) -> None:
        super().__init__()
        self._used = used

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        recorded: list[int] = []

        class Capture(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                name = func.overloadpacket.__name__
                assert name not in ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero"), f"{name} waits"
                return func(*args, **(kwargs or {}))

        replay = super().record(work)

        def checked() -> None:
            addresses = [tensor.data_ptr() for tensor in self._used()]
            assert addresses == (recorded or addresses)
            recorded[:] = addresses
            with Capture():
                replay()

        return checked


def settings(**changes: Any) -> TrainingConfig:
    """Learning rates that float32 holds exactly, as a tensor on the device is one."""
    return TrainingConfig(
        **{"replay_size": 100, "network": "small", "batch_size": 4, "envs": 2, "learning_rate": 2.0**-12, **changes}
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_graphed_update_equals_the_plain_one(precision: str) -> None:
    config = settings(precision=precision, priority_exponent=0.5)
    recorder = NoGpu()
    plain, graphed = Mario(config), Mario(config, recorder=recorder)
    for mario in (plain, graphed):
        fill_memory(mario)
    for number in range(5):
        for ours, theirs in zip(graphed.update(2), plain.update(2), strict=True):
            assert (ours.loss, ours.q, ours.skipped) == (theirs.loss, theirs.q, theirs.skipped), f"update {number}"
        assert torch.equal(weights_of(graphed.net.online), weights_of(plain.net.online)), f"update {number}"
    assert np.array_equal(graphed.memory.state_dict()["priorities"], plain.memory.state_dict()["priorities"])
    assert recorder.asked == ["warm up"] * 3 + ["record"] + ["replay"] * 7


def test_another_batch_size_is_recorded_anew() -> None:
    config = settings(batch_size=4, precision="bfloat16")
    recorder = NoGpu()
    plain, graphed = Mario(config), Mario(config, recorder=recorder)
    for mario in (plain, graphed):
        fill_memory(mario)
        for _ in range(5):
            mario.update()
        mario.memory.batch_size = 6
        for _ in range(5):
            mario.update()
    assert torch.equal(weights_of(graphed.net.online), weights_of(plain.net.online))
    assert recorder.asked == [*["warm up"] * 3, "record", "replay", "replay"] * 2


def test_an_update_that_cannot_be_recorded_is_made_as_it_is_from_then_on() -> None:
    recorder = CannotRecord()
    plain, graphed = Mario(settings()), Mario(settings(), recorder=recorder)
    for mario in (plain, graphed):
        fill_memory(mario)
        for _ in range(4):
            mario.update(2)
    assert torch.equal(weights_of(graphed.net.online), weights_of(plain.net.online))
    assert recorder.asked == ["warm up"] * 3 + ["record", "synchronize"], "it is tried once"
    (notice,) = graphed.notices
    assert notice.startswith("an update could not be recorded as a CUDA graph, so each of its operations is started")
    assert "RuntimeError: CUDA error: operation failed due to a previous error during capture" in notice
    assert "\n" not in notice


def test_a_device_that_is_lost_while_recording_is_an_error() -> None:
    class Lost(CannotRecord):
        def synchronize(self) -> None:
            raise RuntimeError("CUDA error: unspecified launch failure")

    mario = Mario(settings(), recorder=Lost())
    fill_memory(mario)
    with pytest.raises(RuntimeError, match="unspecified launch failure"):
        mario.update(4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "bfloat16"},
        {"dueling": True},
        {"centered": True},
        {"frame_stack": 1},
        {"value_bins": 51, "layer_norm": True},
        {"shift": 4},
    ],
    ids=str,
)
def test_what_is_recorded_never_waits_and_stays_where_it_is(changes: dict[str, Any]) -> None:
    def used() -> list[torch.Tensor]:
        nets = [parameter for net in mario.optimizer.nets for parameter in net.parameters()]
        # without gradients between updates: they are in the memory of the recording
        static = [mario.memory.frames, *mario.optimizer.moments()]
        if mario.learning_net is not mario.net:
            static += [p.grad for p in mario.net.online.parameters() if p.grad is not None]
        rates = [group["lr"] for group in mario.optimizer.adam.param_groups]
        return [*nets, *static, *rates]

    recorder = Strict(used)
    config = settings(average_updates=20, priority_exponent=0.5, **changes)
    mario, plain = Mario(config, recorder=recorder), Mario(config)
    other = Mario(config.replace(seed=7))
    for one in (mario, plain):
        fill_memory(one)
        for number in range(4):
            one.update(3)
            one.sync_q_target()
            one.set_learning_rate(2.0 ** -(10 + number))
            if number == 2:
                one.load_net(other.net.state_dict())
                one.optimizer.load_state_dict(one.optimizer.state_dict())
                one.memory.load_state_dict(one.memory.state_dict())
            fill_memory(one, 100 * (number + 1), seed=number)
    assert recorder.asked.count("record") == 1, "another learning rate is not recorded anew"
    assert recorder.asked.count("replay") == 9
    assert torch.equal(weights_of(mario.net.online), weights_of(plain.net.online))


def test_a_recording_always_reads_the_same_tensor() -> None:
    read, given = set(), []

    def function(argument: torch.Tensor) -> tuple[torch.Tensor]:
        read.add(argument.data_ptr())
        return (argument * 2,)

    update = GraphedUpdate(function, NoGpu())
    for number in range(6):
        given.append(torch.full((2,), float(number)))
        assert update(given[-1])[0].tolist() == [2.0 * number] * 2
    assert len(read) == 1
    assert [tensor[0].item() for tensor in given] == [0, 1, 2, 3, 4, 5], "what the caller brought is not written to"
    assert read.isdisjoint(tensor.data_ptr() for tensor in given)


def test_earlier_results_stay_when_a_recording_writes_over_its_own() -> None:
    output = torch.zeros(1)
    update = GraphedUpdate(lambda argument: (output.copy_(argument),), NoGpu())
    results = [update(torch.tensor([float(number)]))[0] for number in range(6)]
    assert [result.item() for result in results] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"network": "nature", "precision": "bfloat16"},
        {"value_bins": 51, "layer_norm": True, "shift": 4, "show_buttons": True},
    ],
    ids=str,
)
def test_nothing_in_a_tick_but_acting_waits_for_the_device(
    recorded: bool, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On "meta" whatever waits for the device, or mixes two of them, raises."""
    monkeypatch.setattr(importlib.import_module("torch.optim.adam"), "_device_dtype_check_for_fused", lambda *_: None)
    config = settings(priority_exponent=0.5, average_updates=20, **changes)
    mario = Mario(config, "meta", recorder=NoGpu() if recorded else None)
    mario.optimizer._rate = 1e-3  # there is no Adam on "meta" that takes a tensor
    mario.set_learning_rate(1e-3)
    fill_memory(mario, 20)
    for number in range(3):
        mario.update(3)
        assert mario.updates == 3 * (number + 1)
        mario.memory._pending_priorities = None  # they are read when the next tick begins, which waits
        fill_memory(mario, 40)
    mario.sync_q_target()
    mario.memory.snapshot()


class Counts(TorchDispatchMode):
    """The operations that are started."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_frames_are_gathered_once_an_update_and_nothing_else_is() -> None:
    mario = Mario(settings(priority_exponent=0.5))
    fill_memory(mario)
    mario.update()
    with Counts() as counts:
        mario.update(3)
    assert counts.names.count("aten.index_select.default") == 3
    assert not [name for name in counts.names if name.startswith(("aten.index.", "aten._local_scalar", "aten.cat"))]
    with Counts() as counts:
        fill_memory(mario, 1)
    assert counts.names.count("aten.copy_.default") == 1, "the frames of the tick"
