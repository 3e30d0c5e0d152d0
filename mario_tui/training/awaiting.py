"""Results of work beside a training: how they are waited for, and what is said where there are none."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, TypeVar

from mario_tui.errors import MarioTuiError
from mario_tui.training.control import TrainingControl
from mario_tui.training.events import Event, Waiting, Warned
from mario_tui.training.metrics import MetricLogger

_LOOK_SECONDS = 0.5
SAY_SECONDS = 5.0
"""A wait that takes longer is told."""

Result = TypeVar("Result")


def wait_for(result: Future[Any], control: TrainingControl, now: int, what: str) -> Generator[Event, None, bool]:
    """Waits at step `now` until a result is there, and says so once where it takes long; False if a stop ended it.

    What was waited for stays under way then: a run that goes on begins it anew, and waits for it at the same step.
    """
    began, said = time.monotonic(), False
    while not result.done():
        if control.stopping:
            return False
        concurrent.futures.wait([result], timeout=_LOOK_SECONDS)
        if not said and not result.done() and time.monotonic() - began >= SAY_SECONDS:
            said = True
            yield Waiting(now, what)
    return True


def outcome(
    result: Future[Result], logger: MetricLogger, now: int, failed: str
) -> Generator[Event, None, Result | None]:
    """A result that is there; where the work failed None, and a line that begins with `failed` and says why."""
    try:
        return result.result()
    except MarioTuiError as error:
        text = f"{failed}: {error}"
        logger.note(now, text)
        yield Warned(now, text)
        return None
