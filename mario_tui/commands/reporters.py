"""What `train` prints of a training: a progress bar, plain lines, or JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mario_tui.printable import printable
from mario_tui.system import crash, files, signals
from mario_tui.training.events import EpisodeEnded, Event, Finished, FinishingRecordings, Started, Stepped
from mario_tui.training.sizes import disk_need

if TYPE_CHECKING:
    from mario_tui.training.trainer import Trainer


class Reporter(Protocol):
    def report(self, event: Event) -> None: ...

    def __enter__(self) -> Reporter: ...

    def __exit__(self, *details: object) -> None: ...


class JsonLines:
    """One JSON object a line.

    Events: started, episode, measured, forecast, saved, waiting, evaluated, corrected, restarted, paused, resumed,
    recorded, not_recorded, finished.
    """

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def report(self, event: Event) -> None:
        if (content := event.as_json()) is not None:
            print(json.dumps(content), flush=True)


class Lines:
    """Plain lines for a log file: the tutorial's, every `log_every` episodes, and what was saved.

    Args:
        setup: how the training uses the machine, in a line.
    """

    def __init__(self, trainer: Trainer, setup: str) -> None:
        self._trainer, self._setup = trainer, setup

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def report(self, event: Event) -> None:
        logger = self._trainer.logger
        match event:
            case Started(run, step):
                self._print(f"Training {run} from step {step:,} with {self._setup}; {_checkpoints(self._trainer)}")
                if event.demonstrations:
                    self._print(_describe(event))
            case EpisodeEnded(record) if record.episode % self._trainer.config.log_every == 0:
                self._print(
                    f"Episode {record.episode} - Step {record.step} - Epsilon {record.epsilon:.4f} - "
                    f"Mean Reward {logger.mean('reward'):.3f} - Mean Length {logger.mean('length'):.3f} - "
                    f"Mean Loss {logger.mean('loss'):.3f} - Mean Q Value {logger.mean('q'):.3f}"
                )
                if logger.measured:
                    self._print(f"Measured: {logger.measured}")
            case _:
                if text := _describe(event):
                    self._print(text)

    def _print(self, text: str) -> None:
        print(printable(text), flush=True)


_BAR_WIDTH = 15

_SHOW_SECONDS = 0.1
"""The bar is drawn as often; steps are taken more often than that."""


def as_many_as_fit(texts: Sequence[str], width: int) -> str:
    """The first of these, with spaces between."""
    line = ""
    for text in texts:
        longer = f"{line} {text}".lstrip()
        if len(longer) > width:
            break
        line = longer
    return line


class ProgressBar:
    """A bar with the figures that matter, for a terminal.

    Args:
        setup: how the training uses the machine, in a line.
    """

    def __init__(self, trainer: Trainer, setup: str) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._trainer, self._setup = trainer, setup
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=_BAR_WIDTH),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        config = trainer.config
        self._when_stopped = signals.cursor_shown_when_stopped(self._progress.console.file)
        self._shown_at = -_SHOW_SECONDS
        self._first: int | None = None  # the step that this process began with
        self._by_episode = bool(config.episodes and not config.steps)
        self._task = self._progress.add_task(
            f"{config.stage} {'episodes' if self._by_episode else 'steps'}",
            total=config.steps or config.episodes or None,
            figures="starting",
        )

    def __enter__(self) -> ProgressBar:
        self._when_stopped.__enter__()
        self._progress.start()
        # without markup, as a folder's name may look like it
        for line in (
            f"Training {self._trainer.run_dir} with {self._setup}; Ctrl+C saves and stops.",
            _checkpoints(self._trainer),
        ):
            self._progress.console.print(printable(line), highlight=False, markup=False, soft_wrap=True)
        return self

    def __exit__(self, *details: object) -> None:
        self._progress.stop()
        self._when_stopped.__exit__(None, None, None)

    def report(self, event: Event) -> None:
        if isinstance(event, Stepped) and time.monotonic() < self._shown_at + _SHOW_SECONDS:
            return
        if isinstance(event, Stepped | Finished):
            self._shown_at = time.monotonic()
            trainer, logger = self._trainer, self._trainer.logger
            step = trainer.step
            done = logger.episode if self._by_episode else step
            self._first = step if self._first is None else self._first
            speed = (step - self._first) / max(trainer.seconds, 1e-9)
            loss, q = logger.learned_mean("loss"), logger.learned_mean("q")  # None: nothing learned yet
            figures = (
                f"{speed:.0f} steps/s",
                f"reward {logger.mean('reward'):.0f}",
                f"eps {trainer.epsilon:.3f}",
                f"best x {logger.best_x}",
                f"clears {logger.clears}",
                *((logger.measured.short,) if logger.measured else ()),
                *(() if loss is None else (f"loss {loss:.3f}",)),
                *(() if q is None else (f"Q {q:.2f}",)),
            )
            task = self._progress.tasks[0]
            others = len(f"{task.description} {done}/{task.total or '?'} 00:00:00 00:00:00  ") + _BAR_WIDTH
            self._progress.update(
                self._task, completed=done, figures=as_many_as_fit(figures, self._progress.console.width - others)
            )
        if text := _describe(event):
            self._progress.console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def _checkpoints(trainer: Trainer) -> str:
    """What the checkpoints of a training will take on the disk."""
    config, free = trainer.config, files.free_bytes(trainer.run_dir)
    every = f" every {config.save_every:,} steps" if config.save_every else ""
    there = "" if free is None else f"; {free / 1e9:,.1f} GB are free"
    return f"checkpoints{every}: {disk_need(config)}{there}"


def _describe(event: Event) -> str:
    """A rare event in one line; "" for the others."""
    text = str(event)
    match event:
        case FinishingRecordings():
            text += " (Ctrl+C leaves without)"
        case Finished():
            text += f"; {crash.go_on(event.checkpoint)}"
    return f"{text[:1].upper()}{text[1:]}"
