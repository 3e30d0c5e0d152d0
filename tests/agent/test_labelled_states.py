"""Labelled states: the margin loss against plain NumPy, what is kept of them, and updates that learn from them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mario_tui.agent.labelled_states import MARGIN, LabelledStates, margin_loss
from mario_tui.agent.mario import Mario
from mario_tui.agent.network import MarioNet
from mario_tui.agent.spec import TUTORIAL
from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError
from mario_tui.grey_frames import FRAME_SHAPE
from mario_tui.system import free_memory


def some_states(count: int, actions: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise, and labels with a safe and an unsafe action each."""
    rng = np.random.default_rng(seed)
    safe = rng.random((count, actions)) < 0.5
    safe[:, 0], safe[:, 1] = rng.random(count) < 0.5, False
    safe[:, 1] = ~safe[:, 0]
    return rng.integers(0, 256, (count, 4, *FRAME_SHAPE), dtype=np.uint8), safe


def a_network(**spec: Any) -> MarioNet:
    torch.manual_seed(0)
    return MarioNet(TUTORIAL.model_copy(update={"network": "small", "action_set": "simple", **spec}))


@pytest.mark.parametrize("spec", [{}, {"head": "dueling"}, {"value_bins": 21, "value_min": -1.0, "value_max": 1.0}])
def test_the_margin_loss_is_that_of_plain_loops(spec: dict[str, Any]) -> None:
    net = a_network(**spec)
    states, safe = some_states(9, 7)
    net.online[-1].load_state_dict({name: 3 * value for name, value in net.online[-1].state_dict().items()})
    batch = torch.from_numpy(states), torch.from_numpy(safe)
    q = net.q_values(batch[0], "online").detach().numpy()
    expected = 0.0
    for values, is_safe in zip(q, safe, strict=True):
        best = max(value for value, good in zip(values, is_safe, strict=True) if good)
        short = [max(0.0, MARGIN + value - best) for value, good in zip(values, is_safe, strict=True) if not good]
        expected += sum(short) / len(short) / len(q)
    assert expected > 0.01
    assert float(margin_loss(net, torch.from_numpy(states), torch.from_numpy(safe))) == pytest.approx(
        expected, rel=1e-5
    )


def test_its_gradient_raises_the_best_safe_action_above_the_unsafe_ones_and_ends_at_the_margin() -> None:
    q = torch.tensor([[0.0, 0.2, 0.15], [1.0, 0.0, 0.5]], requires_grad=True)

    class Table(MarioNet):
        def q_values(self, observations: Tensor, model: Any) -> Tensor:
            return q

    net = Table(TUTORIAL)
    safe = torch.tensor([[True, False, False], [True, False, True]])
    loss = margin_loss(net, q, safe)
    assert float(loss) == pytest.approx((0.3 + 0.25) / 2 / 2)
    loss.backward()
    assert q.grad is not None
    assert q.grad.tolist() == [[-0.5, 0.25, 0.25], [0, 0, 0]], "none in the second state: the order is right there"


def test_the_newest_states_are_kept_and_drawn() -> None:
    labelled = LabelledStates(5, actions=7, depth=4, seed=3)
    assert labelled.draw(2, 8).shape == (2, 0), "nothing to draw yet"
    states, safe = some_states(8, 7)
    labelled.add(states[:3], safe[:3])
    assert set(labelled.draw(20, 8).flatten().tolist()) == {0, 1, 2}
    labelled.add(states[3:], safe[3:])
    assert len(labelled) == 5
    rows = labelled.draw(20, 8).flatten()
    drawn, labels = labelled.at(rows)
    of = [next(i for i, state in enumerate(states) if (state == one.numpy()).all()) for one in drawn]
    assert set(of) == {3, 4, 5, 6, 7}
    assert (labels.numpy() == safe[of]).all()


def frames_of(labelled: LabelledStates) -> tuple[dict[str, Tensor], Tensor]:
    state, frames = labelled.snapshot()
    return state, torch.cat(list(frames.read(3))).reshape(-1, *FRAME_SHAPE)


@pytest.mark.parametrize("capacity", [5, 3])
def test_a_snapshot_is_of_its_moment_and_brings_all_back(capacity: int) -> None:
    """Also into less room, where the oldest are left out."""
    labelled = LabelledStates(5, actions=7, depth=4, seed=3)
    states, safe = some_states(9, 7)
    labelled.add(states[:7], safe[:7])
    labelled.draw(1, 4)
    state, frames = labelled.snapshot()
    expected = labelled.draw(4, 8) if capacity == 5 else None
    labelled.add(states[7:], safe[7:])
    again = LabelledStates(capacity, actions=7, depth=4)
    again.load_state_dict(state, torch.cat(list(frames.read(3))).reshape(-1, *FRAME_SHAPE))
    assert again.added == 7
    held, labels = again.at(torch.arange(7 - capacity, 7) % capacity)
    assert (held.numpy() == states[7 - capacity : 7]).all()
    assert (labels.numpy() == safe[7 - capacity : 7]).all()
    if expected is not None:
        assert torch.equal(again.draw(4, 8), expected)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.update(safe=state["safe"][:, :3]),
        lambda state: state.update(safe=state["safe"].int()),
        lambda state: state.update(safe=torch.ones_like(state["safe"])),
        lambda state: state.update(safe=state["safe"][:2]),
        lambda state: state.update(added=torch.tensor(1)),
        lambda state: state.pop("generator"),
    ],
)
def test_what_is_no_snapshot_is_refused(spoil: Callable[[dict[str, Tensor]], object]) -> None:
    labelled = LabelledStates(5, actions=7, depth=4)
    labelled.add(*some_states(4, 7))
    state, frames = frames_of(labelled)
    spoil(state)
    with pytest.raises((KeyError, ValueError)):
        LabelledStates(5, actions=7, depth=4).load_state_dict(state, frames)


def test_a_state_without_a_choice_is_refused() -> None:
    states, safe = some_states(2, 7)
    for value in (True, False):
        safe[1] = value
        with pytest.raises(ValueError, match="no safe action, or no unsafe one"):
            LabelledStates(5, actions=7, depth=4).add(states, safe)


def an_agent(**settings: Any) -> Mario:
    config = TrainingConfig(
        network="small", replay_size=100, burn_in=0, batch_size=8, action_set="simple", learning_rate=1e-3,
        corrections=1.0, corrections_size=50, **settings,
    )  # fmt: skip
    mario = Mario(config)
    rng = np.random.default_rng(1)
    for tick in range(30):
        frame = torch.from_numpy(rng.integers(0, 256, (1, *FRAME_SHAPE), dtype=np.uint8))
        first = np.array([tick == 0])
        mario.cache(frame, rng.integers(7, size=1), rng.random(1), np.array([False]), first, np.array([False]))
    return mario


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"precision": "bfloat16"},
        {"dueling": True, "priority_exponent": 0.5},
        {"shift": 4, "show_buttons": True},
        {"value_bins": 21, "layer_norm": True},
    ],
)
def test_updates_put_the_safe_actions_above_the_others(settings: dict[str, Any]) -> None:
    mario = an_agent(corrections_weight=10.0, **settings)
    states, safe = some_states(12, 7)
    assert mario.labelled is not None
    mario.update(2)  # without any yet
    mario.labelled.add(states, safe)

    def right() -> int:
        greedy = mario.net.q_values(torch.from_numpy(states), "online").argmax(dim=1).numpy()
        return int(safe[np.arange(12), greedy].sum())

    before = right()
    for _ in range(20):
        mario.update(5)
    assert before < 12 == right()


def test_without_labels_an_update_is_the_same_as_without_the_setting() -> None:
    one, other = an_agent(), an_agent()
    other.labelled = None
    one.update(3)
    other.update(3)
    for name, value in one.net.state_dict().items():
        assert torch.equal(value, other.net.state_dict()[name])


def test_it_is_part_of_the_loss_that_is_recorded() -> None:
    """Whether an update is started as a recording or by itself: its result is the same."""

    class Recorder:
        def warm_up(self, work: Callable[[], None]) -> None:
            work()

        def record(self, work: Callable[[], None]) -> Callable[[], None]:
            return work

        def synchronize(self) -> None:
            pass

    config = an_agent().config
    results = []
    for recorder in (None, Recorder()):
        mario = Mario(config, recorder=recorder)
        mario.memory = an_agent().memory
        assert mario.labelled is not None
        mario.labelled.add(*some_states(12, 7))
        results.append([float(update.loss) for update in mario.update(8)])
    assert results[0] == pytest.approx(results[1], rel=1e-4)
    assert mario.labelled.added == 12


def test_what_has_no_room_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is given out before it is used: a program that uses more than there is gets killed."""
    config = TrainingConfig(network="small", replay_size=1_000, corrections=0.5, corrections_size=1_000)
    monkeypatch.setattr(free_memory, "free_bytes", lambda: 36_500_000)
    Mario(config, "cpu")
    monkeypatch.setattr(free_memory, "free_bytes", lambda: 35_000_000)  # 7 MB for the replay, and 28 MB
    with pytest.raises(InputError, match="choose a smaller corrections_size"):
        Mario(config, "cpu")
