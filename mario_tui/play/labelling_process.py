"""Deaths labelled by processes of their own, see safe_actions.py: a training in this one keeps its core and its GIL."""

from __future__ import annotations

from concurrent.futures import Future

from mario_tui.play.background_processes import BackgroundProcess, BackgroundProcesses, GoOn, run
from mario_tui.play.safe_actions import Death, DeathLabels, Eyes, label_death


class LabellingProcesses:
    """Labels so many deaths at once, each in a process of its own; the results are those of `label_death`."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._background = BackgroundProcesses(processes, lambda: BackgroundProcess(__name__))

    def submit(self, death: Death, eyes: Eyes) -> Future[DeathLabels | None]:
        """Begins to label a death; None after `close`. The future raises EvaluationError if it cannot be done."""
        return self._background.submit(lambda process: process.ask((death, eyes), lambda: True))

    def close(self) -> None:
        """Ends the processes; what they do is given up. Closing again does nothing."""
        self._background.close()


def _label(request: tuple[Death, Eyes], go_on: GoOn) -> DeathLabels:
    death, eyes = request
    return label_death(death, eyes, on_step=go_on)  # which nobody answers with no, but which says that it is alive


if __name__ == "__main__":
    run(_label)
