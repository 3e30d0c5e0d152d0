"""Where a trainer comes from: a new run, another's weights, a run that is resumed, a tutorial checkpoint.

Each builds the parts and puts them together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from mario_tui.agent import self_test
from mario_tui.agent.devices import passed_over, resolve_device
from mario_tui.agent.mario import Mario
from mario_tui.agent.runtime import prepare_gpu, prepare_processor
from mario_tui.agent.tutorial_checkpoint import read_tutorial_checkpoint
from mario_tui.config import TrainingConfig, as_flag
from mario_tui.errors import CheckpointError, InputError, MarioTuiError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.stages import stage_warning
from mario_tui.game_roles import game_roles
from mario_tui.settings import MOST_ENVS
from mario_tui.store import checkpoint, lookup, named, rescue
from mario_tui.store.history import PRACTICE
from mario_tui.store.manifest import Manifest, check_made_for
from mario_tui.store.untrusted import one_line_error
from mario_tui.training import ray_cluster, state_files
from mario_tui.training.actor_groups import ActorGroups
from mario_tui.training.autotune import with_games
from mario_tui.training.checkpointing import Checkpointer
from mario_tui.training.collector import Collector
from mario_tui.training.control import TrainingControl
from mario_tui.training.corrector import Corrector, open_corrector
from mario_tui.training.demo_data import find_logs, play_again, ways_through
from mario_tui.training.device_watch import DeviceWatch
from mario_tui.training.evaluator import Evaluator, open_evaluator
from mario_tui.training.events import Observer
from mario_tui.training.forecaster import Forecaster, PaceWatch
from mario_tui.training.highlights import Highlights
from mario_tui.training.initial_weights import begin_with
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.phases import RunClock
from mario_tui.training.plots import CurvePlots
from mario_tui.training.resume import resume_notes
from mario_tui.training.run_folder import RunFolder
from mario_tui.training.tensorboard import TensorBoardLog
from mario_tui.training.trainer import Trainer


@dataclass(frozen=True)
class Factories:
    """What makes the parts that reach outside: emulators, evaluations, labels, videos. Others may take their places."""

    collector: Callable[[TrainingConfig, torch.device], Collector] = ActorGroups
    evaluator: Callable[..., Evaluator] = open_evaluator
    corrector: Callable[[TrainingConfig, Mario, MetricLogger, TrainingControl], Corrector | None] = open_corrector
    highlights: Callable[..., Observer] = Highlights


@dataclass
class _Shown:
    """The demonstrations of a run, and how many logs of other stages were passed over."""

    logs: tuple[ActionLog, ...] = ()
    others: int = field(default=0)


def open_trainer(
    config: TrainingConfig,
    *,
    run: str | None = None,
    resume: Path | None = None,
    control: TrainingControl | None = None,
    factories: Factories | None = None,
    processes: int = 0,
) -> Trainer:
    """A trainer for a new run, which may begin with the weights that `config.init_from` names; or with `resume` for the
    run of a checkpoint folder, or from a file that the tutorial saved.

    Args:
        processes: play the games where the settings leave their number open; 0 for the usual number.

    Raises:
        InputError: settings that cannot work here (replay too large, no GPU, no demonstrations at the place given, a
            run of that name exists or is in use).
        CheckpointError: the checkpoint to resume cannot be used.
        EmulatorError: there is no cluster where `config.actors` says, or it has too few cores.
    """
    control, factories = control or TrainingControl(), factories or Factories()
    if config.actors != "local":
        least = max(config.workers, min(config.actor_groups, config.envs or config.actor_groups))
        ray_cluster.check_cores(config.actors, least)  # before anything is made
    config = with_games(config)
    game_roles(config)  # raises InputError where there are too few games
    if processes and not config.workers:
        made = factories.collector
        factories = replace(factories, collector=lambda own, device: made(own.replace(workers=processes), device))
    if resume is None and config.init_from:
        return from_weights(config, name=run, control=control, factories=factories)
    if resume is None:
        return new_run(config, name=run, control=control, factories=factories)
    if resume.is_dir():
        return resumed(resume, config, control=control, factories=factories)
    return from_tutorial(resume, config, name=run, control=control, factories=factories)


def new_run(
    config: TrainingConfig,
    *,
    name: str | None,
    control: TrainingControl,
    factories: Factories,
    load: Callable[[Trainer], None] = lambda trainer: None,
) -> Trainer:
    """A trainer for a new run, whose name is made of stage and time if none is given; `load` changes it at last."""
    agent = _new_agent(config)
    shown = _Shown(*find_logs(config.demonstrations, config.stage)) if config.demonstrations else _Shown()
    run = RunFolder.create(config, name)
    try:
        trainer = _assemble(run, agent, shown, control, factories)
        if config.practice_from != "deaths":
            trainer.collector.practise(ways_through(shown.logs, config.frame_skip))
        load(trainer)
        _add_notes_and_observers(trainer, factories)
        run.write_config(run.config)  # last, so that a start that fails leaves no run behind
    except BaseException:
        run.abandon()
        raise
    return trainer


def from_weights(
    config: TrainingConfig, *, name: str | None, control: TrainingControl, factories: Factories
) -> Trainer:
    """A trainer for a new run whose networks begin as those of the checkpoint that `config.init_from` names.

    Raises InputError if the settings are of another network, see `initial_weights.initial_config`.
    """
    path = named.find_checkpoint(config.init_from)
    source = named.name_of(path)  # not a name such as my-run/best, which means something else later

    def load(trainer: Trainer) -> None:
        trainer.resume_notes += begin_with(trainer.agent, path)

    config = config.replace(init_from=source)
    trainer = new_run(config, name=name, control=control, factories=factories, load=load)
    trainer.note(f"begins with the weights of {source}")
    return trainer


def from_tutorial(
    path: Path, config: TrainingConfig, *, name: str | None, control: TrainingControl, factories: Factories
) -> Trainer:
    """A trainer for a new run that starts with the weights and epsilon of a tutorial checkpoint.

    Raises InputError if the settings are of another network than the tutorial's.
    """

    def load(trainer: Trainer) -> None:
        found = read_tutorial_checkpoint(path)
        spec = found.net.spec.model_copy(update={"frame_skip": config.frame_skip})  # which the file does not say
        for setting, value in spec.settings_to_change(config).items():
            raise InputError(f"{path} was trained with other inputs or layers: add {as_flag(setting, value)}")
        trainer.agent.load_net(found.net.state_dict())
        if found.epsilon is not None:
            trainer.agent.exploration.rate = found.epsilon
        else:
            trainer.resume_notes.append(
                f"{path.name}: {found.no_epsilon}, so epsilon starts at {trainer.epsilon:g}, as in a new run"
            )
        if found.ignored:
            trainer.resume_notes.append(f"{path.name}: weights and epsilon are taken over, not {found.ignored}")

    return new_run(config, name=name, control=control, factories=factories, load=load)


def resumed(path: Path, config: TrainingConfig, *, control: TrainingControl, factories: Factories) -> Trainer:
    """A trainer that continues the run of a checkpoint folder, from that checkpoint.

    Demonstrations that `config` names are shown besides those that the checkpoint holds.
    """
    run = RunFolder.of_checkpoint(path, config)
    try:
        others = _Shown(*find_logs(config.demonstrations, config.stage)) if config.demonstrations else _Shown()
        manifest, kept = read_checkpoint(path)
        if kept and not config.demonstrations:  # where they came from stays in the settings
            run.config = config.replace(demonstrations=manifest.config.get("demonstrations", ""))
        shown = replace(others, logs=tuple(dict.fromkeys((*kept, *others.logs))))
        trainer = _assemble(run, _new_agent(run.config), shown, control, factories)
        load_checkpoint(trainer, path, manifest)
        _add_resume_notes(trainer, path, manifest)
        _add_notes_and_observers(trainer, factories)
        run.write_config(run.config)
    except BaseException:
        run.abandon()
        raise
    return trainer


def read_checkpoint(path: Path) -> tuple[Manifest, tuple[ActionLog, ...]]:
    """The manifest of a checkpoint that can be resumed here, and the demonstrations in it; raises CheckpointError."""
    with rescue.advising(path):
        manifest = checkpoint.verify(path)
    check_made_for(path, manifest)
    return manifest, state_files.read_demonstrations(path, manifest)


def load_checkpoint(trainer: Trainer, path: Path, manifest: Manifest) -> None:
    """Brings a trainer to the state of a verified checkpoint; raises CheckpointError or InputError."""
    try:
        _load_state(trainer, path, manifest)
    except MarioTuiError:
        raise
    except Exception as error:  # the libraries raise errors of many kinds for a damaged file
        raise CheckpointError(f"{path} cannot be continued by this version: {one_line_error(error)}") from None


def _new_agent(config: TrainingConfig) -> Mario:
    device = resolve_device(config.device)
    prepare_processor(config.threads)
    prepare_gpu(config.precision)
    problem = self_test.at_first_start(str(device)).problem if device.type != "cpu" else ""
    if not problem:
        return Mario(config, device)
    agent = Mario(config.replace(graph=False), device)
    agent.notices.append(f"{problem}; updates are not recorded")
    return agent


def _assemble(run: RunFolder, agent: Mario, shown: _Shown, control: TrainingControl, factories: Factories) -> Trainer:
    config, count = run.config, None
    if shown.logs:
        agent.demonstrations, count = play_again(shown.logs, config, agent.device)
        count = replace(count, other_stages=shown.others)
    run.prepare()
    logger = MetricLogger(run.path, config.stage, config.envs, keep_episodes=config.keep_episodes)
    clock = RunClock()
    checkpointer = Checkpointer(run, agent, logger, demonstrations=shown.logs)
    trainer = Trainer(
        run=run,
        agent=agent,
        collector=factories.collector(config, agent.device),
        logger=logger,
        checkpointer=checkpointer,
        # a run on a GPU does not depend on its seed alone, so nothing is gained by waiting
        evaluator=factories.evaluator(run, checkpointer, logger, clock, control, awaited=agent.device.type == "cpu"),
        clock=clock,
        control=control,
        demonstrations=count,
        corrector=factories.corrector(config, agent, logger, control),
    )
    if config.device == "auto" and agent.device.type == "cpu":
        trainer.resume_notes += [f"it trains on the CPU: {why}" for why in passed_over()]
    return trainer


def _add_notes_and_observers(trainer: Trainer, factories: Factories) -> None:
    config = trainer.config
    if warning := stage_warning(config.stage):
        trainer.resume_notes.append(warning)
    trainer.observers.append(CurvePlots(trainer.run_dir, trainer.logger.curves, 10 * config.log_every))
    trainer.observers.append(DeviceWatch(trainer.agent, trainer.checkpointer, trainer.snapshot_without_replay))
    watch = PaceWatch(config, trainer.agent.burn_in_until)
    trainer.observers += [watch, Forecaster(trainer, watch)]
    if config.tensorboard:
        trainer.observers.append(TensorBoardLog(trainer.run_dir, trainer.logger.recent))
    if config.record:
        logger = trainer.logger
        earlier = [one for one in logger.episodes() if one.kind != PRACTICE]
        trainer.observers.append(
            factories.highlights(
                trainer.run_dir,
                frame_skip=config.frame_skip,
                seconds=lambda: trainer.seconds,
                earlier=earlier,
                cleared=any(one.cleared for one in earlier) or trainer.first_greedy_clear is not None,
                is_new=trainer.last_checkpoint is None and logger.episode == 0,
            )
        )


def _load_state(trainer: Trainer, path: Path, manifest: Manifest) -> None:
    now, before = trainer.config.envs, int(manifest.config["envs"])
    state, stacks = state_files.read(path, trainer.agent, manifest, envs=before)
    if trainer.step != manifest.step:
        raise ValueError(f"it is of step {trainer.step:,}, and its manifest says {manifest.step:,}")
    history = (path / "metrics.csv").read_text() if "metrics.csv" in manifest.parts else None
    metrics = state["metrics"] if now == before else MetricLogger.without_running(state["metrics"], now)
    trainer.logger.load_state_dict(metrics, history, trainer.step)
    trainer.ticks.learn_due = int(state["learn_due"])
    if now == before:
        trainer.collector.load_state_dict(state["games"], stacks)
    else:
        trainer.collector.begin_anew(state["games"])
        trainer.agent.begin_episodes(np.arange(now))
    # the games that took those steps may have been others than those it was saved with
    if not 0 <= trainer.ticks.learn_due <= MOST_ENVS or not 0 <= state["seconds"] < 1e12:
        raise ValueError("its counters are out of range")
    trainer.clock.before = float(state["seconds"])
    trainer.evaluator.load_state_dict(state)
    if trainer.corrector is not None and "corrections" in state:
        trainer.corrector.load_state_dict(state["corrections"])


def _add_resume_notes(trainer: Trainer, path: Path, manifest: Manifest) -> None:
    notes = trainer.resume_notes
    for text in resume_notes(manifest, trainer.config, str(trainer.agent.device)):
        notes.append(text)
        trainer.note(text)
    newest = lookup.step_folders(path.parent)[-1]
    if newest.name != path.name:
        notes.append(
            f"{newest.name} was saved later; from the next save on the run continues from here, with this replay"
        )
    trainer.checkpointer.set_newest(path, trainer.step)
    if "replay.frames" in manifest.parts:
        trainer.checkpointer.learn_size(path, trainer.agent.memory.transitions)
    else:
        notes.append("the replay was not kept with this checkpoint, and is filled anew")
