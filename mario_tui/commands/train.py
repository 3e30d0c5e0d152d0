"""`train`: training without the app."""

from __future__ import annotations

import argparse
import signal
import sys
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mario_tui import paths
from mario_tui.commands import train_on_cluster
from mario_tui.commands.reporters import JsonLines, Lines, ProgressBar, Reporter
from mario_tui.commands.stopping import stop_on_signals
from mario_tui.config import TrainingConfig, field_help, field_range, load_toml, make_config
from mario_tui.errors import CheckpointError, InputError, TrainingError
from mario_tui.presets import DEFAULT_PRESET, PRESETS, preset
from mario_tui.printable import as_argument, printable
from mario_tui.store import named
from mario_tui.store.run import find_resumable, locked
from mario_tui.system import crash, guard, on_event, output, signals
from mario_tui.training.events import Event, Paused
from mario_tui.training.initial_weights import initial_config
from mario_tui.training.preset_lines import preset_line
from mario_tui.training.resume import resume_config
from mario_tui.training.run_folder import RunExistsError, check_new

if TYPE_CHECKING:
    from mario_tui.training.watcher import Notice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One flag for every setting, under its group, with its range and default."""
    lines = ". ".join(f"{name}: {preset_line(name)}" for name in PRESETS).replace("%", "%%")
    parser.add_argument("--preset", metavar="P", help=f"settings to start from (default {DEFAULT_PRESET}). {lines}")
    parser.add_argument("--config", metavar="FILE", help="a TOML file of settings; flags go before it")
    parser.add_argument("--name", metavar="RUN", help="name of the new run (default: stage and time)")
    parser.add_argument(
        "--resume",
        metavar="PATH",
        help="resume a checkpoint, or a run's newest, with other settings where they can change; with a tutorial "
        ".chkpt a new run starts from its weights and epsilon, with preset tutorial if none is named",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per event")
    train_on_cluster.add_arguments(parser)
    groups: dict[str, Any] = {}
    start = preset(DEFAULT_PRESET)  # where no preset is named
    for name, field in TrainingConfig.model_fields.items():
        group, unit, description = field_help(name)
        if group not in groups:
            groups[group] = parser.add_argument_group(group.lower())
        flag = f"--{name.replace('_', '-')}"
        default = "none" if getattr(start, name) == "" else getattr(start, name)
        text = f"{description} ({field_range(name)}; default {default})".replace("%", "%%")
        if field.annotation is bool:
            groups[group].add_argument(
                flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=description, dest=name
            )
            continue
        kind = field.annotation if field.annotation in (int, float) else str
        groups[group].add_argument(
            flag,
            type=kind,
            default=argparse.SUPPRESS,
            help=text,
            dest=name,
            metavar=(unit or name).upper().split("_")[-1],
        )


def _check_name(name: str) -> None:
    """Raises InputError for a name that a new run cannot have: before PyTorch is loaded, which takes seconds."""
    run = paths.run_dir(name)
    try:
        check_new(run)
    except RunExistsError:
        try:
            with locked(run):
                pass
        except InputError:  # it is being trained, as will be said where its lock is taken
            return
        raise


def train(arguments: argparse.Namespace) -> int:
    given = {name: getattr(arguments, name) for name in TrainingConfig.model_fields if hasattr(arguments, name)}
    if "init_from" in given and arguments.resume is not None:
        raise InputError(
            "--init-from begins a new run with the weights of another, and --resume goes on with a run: "
            "leave one of them out"
        )
    if "init_from" in given:
        named.find_checkpoint(given["init_from"])  # also where it is empty
    if arguments.config is not None:
        given = {**load_toml(paths.expand(arguments.config)), **given}
    spread = train_on_cluster.is_meant(arguments)
    if spread and arguments.resume is not None:
        raise InputError("--on begins runs, and goes on with those of its own: with the same --name, without --resume")
    preset_name = ""
    resume = _checkpoint_to_resume(arguments.resume) if arguments.resume is not None else None
    if resume is not None and not resume.is_dir() and given.get("init_from"):
        raise InputError(
            f"{arguments.config} names weights as well, init_from, and --resume begins with those of the checkpoint: "
            "leave one of them out"
        )
    if resume is not None and resume.is_dir():
        if arguments.name is not None or arguments.preset is not None:
            source = as_argument(named.shortest_name(resume))
            raise InputError(
                "--name and --preset are for new runs: leave them out with --resume, "
                f"or begin a new run with its weights by '--init-from {source}' instead"
            )
        given.pop("init_from", None)  # of the file of settings that the run was begun with
        config = resume_config(resume, given)
    else:
        default = DEFAULT_PRESET if resume is None else "tutorial"  # whose network a tutorial checkpoint has
        preset_name = default if arguments.preset is None else arguments.preset
        config = make_config(**{**preset(preset_name).model_dump(), **given})
        if spread:
            return train_on_cluster.train(arguments, config, given)
        if config.init_from:
            config = initial_config(config, given.keys())
    if arguments.name is not None:
        _check_name(arguments.name)

    from mario_tui.training.autotune import for_device
    from mario_tui.training.control import TrainingControl
    from mario_tui.training.fit import fit
    from mario_tui.training.restore import open_trainer
    from mario_tui.training.shared_training import SharedTraining
    from mario_tui.tui import preferences

    goes_on = resume is not None and resume.is_dir()
    if "envs" not in given and not goes_on:
        config = for_device(config, preset_name)
    fitted = fit(config, resumes=goes_on, asked=given, say=_say)
    if config.demonstrations and not arguments.json and sys.stderr.isatty():
        print("Playing the demonstrations again ...", file=sys.stderr)
    control = TrainingControl()
    trainer = open_trainer(
        fitted.config, run=arguments.name, resume=resume, control=control, processes=fitted.processes
    )
    if fitted.measured:
        trainer.note(fitted.text)
    reporter: Reporter
    if arguments.json:
        reporter = JsonLines()
    elif output.is_live(sys.stdout):
        reporter = ProgressBar(trainer, fitted.text)
    else:
        reporter = Lines(trainer, fitted.text)
    command = preferences.load().on_event

    def announce(notice: Notice) -> None:
        if problem := on_event.run(command, notice.announces, notice.text, trainer.run_dir.name):
            _say(problem)

    events = trainer.run()
    trouble = ""
    with stop_on_signals(control) as received:
        try:
            with (
                guard.guarded(full_screen=False),
                SharedTraining(trainer, control, announce) as shared,
                reporter,
                closing(events),
            ):
                if shared.problem:
                    trainer.note(f"no other program can be attached to it: {shared.problem}")
                for event in events:
                    if not trouble and (trouble := _trouble(event)):
                        control.stop()  # no user is here who could resume it
                    try:
                        shared.watch(trainer, event)
                        reporter.report(event)
                    except Exception:  # e.g. the reader of our output has gone
                        control.stop(in_a_hurry=True)
                        deque(events, maxlen=0)  # it saves
                        raise
        except KeyboardInterrupt:
            signals.ignore([signal.SIGINT])  # so that it is said
            print(f"mario-tui: stopped at step {trainer.step:,}; {_what_is_saved(trainer.run_dir)}", file=sys.stderr)
            return 128 + signal.SIGINT
    if trouble and trainer.last_checkpoint is not None:
        raise TrainingError(f"{trouble}; {crash.go_on(trainer.last_checkpoint)}")
    return 128 + received[0] if received else 0


def _say(text: str) -> None:
    print(f"mario-tui: {text}", file=sys.stderr)


def _trouble(event: Event) -> str:
    """Why the training paused, if it does not resume by itself; otherwise ""."""
    return event.reason if isinstance(event, Paused) and not event.goes_on else ""


def _checkpoint_to_resume(text: str) -> Path:
    """The checkpoint meant; of a run the one to continue, and where that is not the newest, it is said."""
    found = named.find_checkpoint(text)
    if named.find_run(text) is None:
        return found
    taken, why = find_resumable(found.parent)
    if why:
        print(f"mario-tui: {printable(why)}", file=sys.stderr)
    return taken


def _what_is_saved(run: Path) -> str:
    try:
        return crash.go_on(find_resumable(run)[0])
    except CheckpointError:
        return "no checkpoint of it is saved"
