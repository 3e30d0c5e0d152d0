"""The signals by which a training without the app is stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mario_tui.system import signals

if TYPE_CHECKING:
    from mario_tui.training.control import TrainingControl

_IMPATIENCE_SECONDS = 2.0


@contextmanager
def stop_on_signals(control: TrainingControl) -> Iterator[list[int]]:
    """While it lasts, Ctrl+C, SIGTERM and SIGHUP ask the trainer to save and stop; gives those received.

    SIGUSR1 and SIGUSR2, by which a batch system tells that the end is near, ask it to save and go on.

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

    try:
        with signals.taken(signals.ENDINGS, stop), signals.taken(signals.WARNINGS, lambda *_: control.save()):
            yield received
    finally:
        signals.ignore(received)  # they were obeyed
