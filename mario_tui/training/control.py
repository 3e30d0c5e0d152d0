"""Pause, resume, save, stop: asked for by any thread, acted on by the trainer at a step boundary."""

import threading


class TrainingControl:
    """What other threads want of a trainer."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = False
        self._save = False
        self._stop = False

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def stopping(self) -> bool:
        return self._stop

    def pause(self) -> None:
        self._set(paused=True)

    def resume(self) -> None:
        self._set(paused=False)

    def save(self) -> None:
        """Asks for a checkpoint; while paused it is written at once."""
        self._set(save=True)

    def stop(self) -> None:
        self._set(stop=True)

    def take_save(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        with self._changed:
            asked, self._save = self._save, False
            return asked

    def wait_while_paused(self) -> None:
        """Returns as soon as there is something to do: go on, save or stop."""
        with self._changed:
            self._changed.wait_for(lambda: not self._paused or self._save or self._stop)

    def _set(self, *, paused: bool | None = None, save: bool = False, stop: bool = False) -> None:
        with self._changed:
            if paused is not None:
                self._paused = paused
            self._save = self._save or save
            self._stop = self._stop or stop
            self._changed.notify_all()
