"""Between two steps: the commands of other threads, and pauses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mario_tui.errors import InputError
from mario_tui.training.control import Adjust, Command, CopyPolicy, KeepAgent, Note, Rate, Save
from mario_tui.training.events import Adjusted, Event, Paused, Resumed

if TYPE_CHECKING:
    from mario_tui.training.trainer import Trainer


def process_commands(trainer: Trainer) -> Iterator[Event]:
    """Does what other threads ask for, and returns when the next step is due; during a pause it waits."""
    control, memory = trainer.control, trainer.health.memory
    if not control.paused and (reason := memory.shortage()):
        pause_with_save(trainer, reason)
    yield from _carry_out_all(trainer)
    if not control.paused or control.stopping:
        return
    trainer.clock.pause()
    for_memory = control.pause_reason == memory.reason != ""
    yield Paused(trainer.step, control.pause_reason, for_memory)
    yield from trainer.checkpointer.end()  # its result should not wait for the end of the pause
    yield from _carry_out_all(trainer)
    while control.paused and not control.stopping:
        control.wait(memory.check_seconds if for_memory else None)
        yield from _carry_out_all(trainer)
        if for_memory and control.pause_reason and memory.is_over():
            control.resume_now()
    memory.overrule()
    trainer.clock.start()
    if not control.stopping:
        yield Resumed(trainer.step)


def pause_with_save(trainer: Trainer, reason: str) -> None:
    """Pauses before the next step, having saved, for a reason of the trainer's own."""
    trainer.note(f"paused: {reason}")
    if trainer.checkpointer.newest_step != trainer.step:
        trainer.control.save()
    trainer.control.pause_now(reason)


def _carry_out_all(trainer: Trainer) -> Iterator[Event]:
    for command, answer in trainer.control.take():
        if isinstance(command, Save):
            yield from trainer.begin_save()
        elif answer is not None:
            try:
                result = _carry_out(trainer, command)
            except Exception as error:
                answer.set_exception(error)
                continue
            try:
                if isinstance(command, Adjust):
                    yield Adjusted(trainer.step)  # so that it is shown before it is answered
            finally:
                answer.set_result(result)


def _carry_out(trainer: Trainer, command: Command) -> Any:
    match command:
        case Note(text):
            trainer.note(text)
        case Adjust(name, rule):
            return adjust(trainer, name, rule)
        case CopyPolicy():
            return trainer.live_policy()
        case KeepAgent():
            return trainer.keep_agent()
    return None


def adjust(trainer: Trainer, name: Rate, rule: Callable[[float], float]) -> tuple[float, float]:
    """Continues with another learning rate or epsilon; returns it as it was and as it is.

    The change is kept in the log and in the run's settings. Raises InputError for a value that is not allowed, and
    where a schedule says the value.
    """
    agent, run = trainer.agent, trainer.run_folder
    if run.config.schedule(name):
        raise InputError(f"{name} follows a schedule in this run: resume it without that to set it by hand")
    if name == "learning_rate":
        before = run.config.learning_rate
        value = rule(before)
        run.write_config(run.config.replace(learning_rate=value))
        trainer.note(f"learning rate {before:g} -> {value:g}")
        agent.set_learning_rate(value)
    else:
        before = trainer.epsilon
        value = rule(before)
        run.write_config(run.config.replace(exploration_rate_min=min(run.config.exploration_rate_min, value)))
        trainer.note(f"epsilon {before:g} -> {value:g}")
        agent.set_exploration_rate(value)
    agent.config = run.config
    return before, value
