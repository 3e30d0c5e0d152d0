"""Running a trainer to its end, and what two runs are compared by."""

import concurrent.futures
from collections.abc import Callable
from typing import Any

import torch

from mario_tui.agent.replay import Replay
from mario_tui.training.actor_groups import ActorGroups
from mario_tui.training.control import TrainingControl
from mario_tui.training.events import Event, Stepped
from mario_tui.training.trainer import Trainer

SMALL: dict[str, Any] = {
    "network": "small",
    "burn_in": 20,
    "learn_every": 4,
    "batch_size": 8,
    "replay_size": 400,
    "sync_every": 50,
    "save_every": 0,
    "threads": 1,
    "record": False,
}


def run_to_end(trainer: Trainer, at: dict[int, Callable[[TrainingControl], object]] | None = None) -> list[Event]:
    """All events of a run; `at` says what to ask of its control once a step is reached."""
    waiting = sorted((at or {}).items())
    events: list[Any] = []
    for event in trainer.run():
        events.append(event)
        if isinstance(event, Stepped) and waiting and event.step >= waiting[0][0]:
            waiting.pop(0)[1](trainer.control)
    assert not waiting
    return events


def until_saved(trainer: Trainer) -> None:
    """Waits for a save under way, whose result the trainer takes at one of its next steps."""
    pending = trainer.checkpointer._pending
    if pending is not None:
        concurrent.futures.wait([pending[1]])


def emulator_pids(trainer: Trainer) -> tuple[int, ...]:
    """The processes that play its games."""
    assert isinstance(trainer.collector, ActorGroups)
    return trainer.collector.pids


def full_state(trainer: Trainer) -> dict[str, Any]:
    """Parameters, optimizer, replay, random states, counters, episodes: everything that a run is."""
    mario = trainer.agent
    trainer.ticks.flush()  # as a save does
    state: dict[str, Any] = {f"net.{name}": value.clone() for name, value in mario.net.state_dict().items()}
    for index, entry in mario.optimizer.state_dict()["state"].items():
        state.update({f"adam.{index}.{name}": value.clone() for name, value in entry.items()})
    state.update({f"replay.{name}": value.clone() for name, value in mario.memory.state_dict().items()})
    if mario.demonstrations is not None:
        shown = {**Replay.state_dict(mario.demonstrations), **mario.demonstrations.state_dict()}
        state.update({f"demonstrations.{name}": value.clone() for name, value in shown.items()})
    state.update({f"measuring.{name}": value.clone() for name, value in mario.measuring.state_dict().items()})
    if mario.labelled is not None and trainer.corrector is not None:
        labels, frames = mario.labelled.snapshot()
        state.update({f"labelled.{name}": value for name, value in labels.items()})
        state["labelled.frames"] = torch.cat([torch.empty(0, dtype=torch.uint8), *frames.read(1024)])
        state["corrections"] = trainer.corrector.state_dict()
    state["mario"] = mario.state_dict()
    state["metrics"] = trainer.logger.state_dict()
    state["stacks"] = trainer.collector.observations.clone()
    state["games"] = trainer.collector.state_dict()
    state["curves"] = {name: curve.points() for name, curve in trainer.logger.curves.items()}
    return state


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The names under which two states differ in any bit."""
    assert one.keys() == other.keys()
    return [
        name
        for name, value in one.items()
        if not (torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name])
    ]
