"""`mario-tui train`: training without the app, with a progress bar, plain lines, or JSON."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mario_tui import paths
from mario_tui.config import PRESETS, TrainingConfig, field_help, field_range, load_toml, make_config, preset
from mario_tui.errors import CheckpointError, InputError, TrainingError
from mario_tui.store import checkpoint
from mario_tui.system import crash, files, guard
from mario_tui.training.resume import resume_config
from mario_tui.training.sizes import disk_need

if TYPE_CHECKING:
    from mario_tui.training.control import TrainingControl
    from mario_tui.training.highlights import FinishingRecordings, NotRecorded, Recorded
    from mario_tui.training.trainer import Event, Trainer

    AnyEvent = Event | Recorded | NotRecorded | FinishingRecordings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One flag for every setting, under its group, with its range and default."""
    parser.add_argument("--preset", metavar="P", help=f"settings to start from: {' or '.join(PRESETS)}")
    parser.add_argument("--config", metavar="FILE", help="a TOML file of settings; flags go before it")
    parser.add_argument("--name", metavar="RUN", help="name of the new run (default: stage and time)")
    parser.add_argument(
        "--resume",
        metavar="PATH",
        help="go on from a checkpoint, or from a run's newest; a tutorial .chkpt starts anew",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per event")
    groups: dict[str, Any] = {}
    start = preset(PRESETS[0])  # where no preset is named
    for name, field in TrainingConfig.model_fields.items():
        group, unit, description = field_help(name)
        if group not in groups:
            groups[group] = parser.add_argument_group(f"{group.lower()} settings")
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


def train(arguments: argparse.Namespace) -> int:
    given = {name: getattr(arguments, name) for name in TrainingConfig.model_fields if hasattr(arguments, name)}
    if arguments.config is not None:
        given = {**load_toml(Path(arguments.config)), **given}
    resume = _checkpoint_to_resume(arguments.resume) if arguments.resume is not None else None
    if resume is not None and resume.is_dir():
        if arguments.name is not None or arguments.preset is not None:
            raise InputError("--name and --preset are for new runs: leave them out with --resume")
        config = resume_config(resume, given)
    else:
        base = preset("tutorial" if arguments.preset is None else arguments.preset)
        config = make_config(**{**base.model_dump(), **given})
    if arguments.name is not None:
        paths.check_run_name(arguments.name)

    from mario_tui.training import highlights
    from mario_tui.training.control import TrainingControl
    from mario_tui.training.trainer import Trainer

    if config.demonstrations and not arguments.json and sys.stderr.isatty():
        print("Playing the demonstrations again ...", file=sys.stderr)
    control = TrainingControl()
    trainer = Trainer(config, run=arguments.name, resume=resume, control=control)
    reporter: _Reporter
    if arguments.json:
        reporter = _JsonLines()
    elif sys.stdout.isatty():
        reporter = _ProgressBar(trainer)
    else:
        reporter = _Lines(trainer)
    events = highlights.train(trainer)
    trouble = ""
    with _stop_on_signals(control) as received:
        try:
            with guard.guarded(full_screen=False), reporter, closing(events):
                for event in events:
                    if not trouble and (trouble := _trouble(event)):
                        control.stop()  # nobody is here who could let it go on
                    try:
                        reporter.report(event)
                    except Exception:  # e.g. nobody reads any more
                        control.stop(in_a_hurry=True)
                        deque(events, maxlen=0)  # it saves
                        raise
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # so that it is said
            print(f"mario-tui: stopped at step {trainer.step:,}; {_what_is_saved(trainer.run_dir)}", file=sys.stderr)
            return 128 + signal.SIGINT
    if trouble and trainer.last_checkpoint is not None:
        raise TrainingError(f"{trouble}; {crash.go_on(trainer.last_checkpoint)}")
    return 128 + received[0] if received else 0


def _trouble(event: AnyEvent) -> str:
    """Why a training paused that does not go on by itself; "" where it did not."""
    from mario_tui.training.trainer import Paused

    return event.reason if isinstance(event, Paused) and not event.goes_on else ""


def _checkpoint_to_resume(text: str) -> Path:
    """The checkpoint meant; of a run the one to continue, and where that is not the newest, it is said."""
    found = paths.find_checkpoint(text)
    if paths.find_run(text) is None:
        return found
    taken, why = checkpoint.to_continue(found.parent)
    if why:
        print(f"mario-tui: {why}", file=sys.stderr)
    return taken


def _what_is_saved(run: Path) -> str:
    try:
        return crash.go_on(checkpoint.to_continue(run)[0])
    except CheckpointError:
        return "no checkpoint of it is saved"


_IMPATIENCE_SECONDS = 2.0


@contextmanager
def _stop_on_signals(control: TrainingControl) -> Iterator[list[int]]:
    """While it lasts, Ctrl+C, SIGTERM and SIGHUP ask the trainer to save and stop; gives the signals received.

    The second Ctrl+C, and the other signals at once, leave out what is still to be recorded. The third raises
    KeyboardInterrupt: no checkpoint is begun any more, and one that is being written is finished. Later ones do so as
    well, should that hang, but not those that come with the third.
    """
    received: list[int] = []
    raised = -_IMPATIENCE_SECONDS

    def stop(number: int, _: object) -> None:
        nonlocal raised
        received.append(number)
        control.stop(in_a_hurry=number != signal.SIGINT)
        if received.count(signal.SIGINT) > 2 and time.monotonic() > raised + _IMPATIENCE_SECONDS:
            raised = time.monotonic()
            raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in signals}
    try:
        yield received
    finally:
        for number, handler in before.items():  # who was told to stop, and has, need not be told again
            signal.signal(number, signal.SIG_IGN if number in received else handler)


class _Reporter(Protocol):
    def report(self, event: AnyEvent) -> None: ...

    def __enter__(self) -> _Reporter: ...

    def __exit__(self, *details: object) -> None: ...


class _JsonLines:
    """One JSON object a line.

    Events: started, episode, saved, evaluated, restarted, paused, resumed, recorded, not_recorded, finished.
    """

    def __enter__(self) -> _JsonLines:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def report(self, event: AnyEvent) -> None:
        from mario_tui.training import highlights
        from mario_tui.training import trainer as events

        match event:
            case events.Started(run, step):
                content = {"event": "started", "run": str(run), "step": step}
                if event.demonstrations:
                    content["demonstrations"] = event.demonstrations.as_json()
            case events.EpisodeEnded(record):
                content = {"event": "episode", **asdict(record)}
            case events.Saved(path, step):
                content = {"event": "saved", "path": str(path), "step": step}
            case events.Warned(step, text):
                content = {"event": "warning", "step": step, "text": text}
            case events.Evaluated(step, evaluation):
                content = {"event": "evaluated", "step": step, "robust": event.robust, **evaluation.as_json()}
            case events.Restarted():
                content = {"event": "restarted", **asdict(event)}
            case events.Paused():
                content = {"event": "paused", **asdict(event)}
            case events.Resumed(step):
                content = {"event": "resumed", "step": step}
            case events.Finished() | highlights.Recorded() | highlights.NotRecorded():
                content = event.as_json()
            case _:
                return
        print(json.dumps(content), flush=True)


class _Lines:
    """Plain lines for a log file: the tutorial's, every `log_every` episodes, and what was saved."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def report(self, event: AnyEvent) -> None:
        from mario_tui.training import trainer as events

        logger = self._trainer.logger
        match event:
            case events.Started(run, step):
                self._print(f"Training {run} from step {step:,}; {_checkpoints(self._trainer)}")
                if event.demonstrations:
                    self._print(_describe(event))
            case events.EpisodeEnded(record) if record.episode % self._trainer.config.log_every == 0:
                self._print(
                    f"Episode {record.episode} - Step {record.step} - Epsilon {record.epsilon:.4f} - "
                    f"Mean Reward {logger.mean('reward'):.3f} - Mean Length {logger.mean('length'):.3f} - "
                    f"Mean Loss {logger.mean('loss'):.3f} - Mean Q Value {logger.mean('q'):.3f}"
                )
            case _:
                if text := _describe(event):
                    self._print(text)

    def _print(self, text: str) -> None:
        print(text, flush=True)


_BAR_WIDTH = 15
_SHOW_SECONDS = 0.1
"""The bar is drawn as often; steps are taken more often than that."""


def _as_many_as_fit(texts: Sequence[str], width: int) -> str:
    """The first of these, with spaces between."""
    line = ""
    for text in texts:
        longer = f"{line} {text}".lstrip()
        if len(longer) > width:
            break
        line = longer
    return line


class _ProgressBar:
    """A bar with the figures that matter, for a terminal."""

    def __init__(self, trainer: Trainer) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._trainer = trainer
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=_BAR_WIDTH),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        config = trainer.config
        self._shown_at = -_SHOW_SECONDS
        self._first: int | None = None  # the step this sitting began with
        self._by_episode = bool(config.episodes and not config.steps)
        self._task = self._progress.add_task(
            f"{config.stage} {'episodes' if self._by_episode else 'steps'}",
            total=config.steps or config.episodes or None,
            figures="starting",
        )

    def __enter__(self) -> _ProgressBar:
        self._progress.start()
        # without markup, as a folder's name may look like it
        for line in (f"Training {self._trainer.run_dir}; Ctrl+C saves and stops.", _checkpoints(self._trainer)):
            self._progress.console.print(line, highlight=False, markup=False, soft_wrap=True)
        return self

    def __exit__(self, *details: object) -> None:
        self._progress.stop()

    def report(self, event: AnyEvent) -> None:
        from mario_tui.training import trainer as events

        if isinstance(event, events.Stepped) and time.monotonic() < self._shown_at + _SHOW_SECONDS:
            return
        if isinstance(event, events.Stepped | events.Finished):
            self._shown_at = time.monotonic()
            trainer, logger = self._trainer, self._trainer.logger
            step = trainer.step
            done = logger.episode if self._by_episode else step
            self._first = step if self._first is None else self._first
            speed = (step - self._first) / max(trainer.seconds, 1e-9)
            figures = (
                f"{speed:.0f} steps/s",
                f"reward {logger.mean('reward'):.0f}",
                f"eps {trainer.mario.exploration_rate:.3f}",
                f"best x {logger.best_x}",
                f"clears {logger.clears}",
                f"loss {logger.mean('loss'):.3f}",
                f"Q {logger.mean('q'):.2f}",
            )
            task = self._progress.tasks[0]
            others = len(f"{task.description} {done}/{task.total or '?'} 00:00:00 00:00:00  ") + _BAR_WIDTH
            self._progress.update(
                self._task, completed=done, figures=_as_many_as_fit(figures, self._progress.console.width - others)
            )
        if text := _describe(event):
            self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _checkpoints(trainer: Trainer) -> str:
    """What the checkpoints of a training will take on the disk."""
    config, free = trainer.config, files.free_bytes(trainer.run_dir)
    every = f" every {config.save_every:,} steps" if config.save_every else ""
    there = "" if free is None else f"; {free / 1e9:,.1f} GB are free"
    return f"checkpoints{every}: {disk_need(config)}{there}"


def _describe(event: AnyEvent) -> str:
    """A rare event in one line; "" for the others."""
    from mario_tui.training import highlights
    from mario_tui.training import trainer as events

    match event:
        case events.Started() if event.demonstrations:
            return str(event.demonstrations).capitalize()
        case events.Saved(path, _):
            return f"Saved {path}"
        case events.Warned(_, text):
            return f"Warning: {text}"
        case events.Evaluated():
            return f"{str(event).capitalize()}"
        case highlights.Recorded() | highlights.NotRecorded():
            return f"{str(event)[0].upper()}{str(event)[1:]}"
        case highlights.FinishingRecordings():
            return f"{str(event).capitalize()} (Ctrl+C leaves without)"
        case events.Restarted():
            return f"{str(event).capitalize()}"
        case events.Paused(step, reason):
            return f"Paused at step {step:,}: {reason}"
        case events.Resumed():
            return "Training goes on"
        case events.Finished():
            return (
                f"Done: {event.steps:,} steps, {event.episodes:,} episodes, {event.clears:,} clears; "
                f"{event.steps_per_second:.1f} steps/s; {crash.go_on(event.checkpoint)}"
            )
    return ""
