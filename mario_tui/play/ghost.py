"""How far an agent is at the same time on the same stage: what a human plays against."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from mario_tui.errors import MarioTuiError

if TYPE_CHECKING:
    from mario_tui.agent.policy import Policy
    from mario_tui.game.episode import EndReason


class Ghost:
    """An agent's greedy episode, played ahead by a thread, faster than the game's own speed.

    Args:
        name: whose episode it is.
        load: gives the policy; it runs in the thread, since PyTorch takes seconds to import.
        stage: where it plays.
    """

    def __init__(self, name: str, load: Callable[[], Policy], stage: str) -> None:
        self.name = name
        self.stage = stage
        self.problem = ""
        self._load = load
        self._xs: list[int] = []  # after each step
        self._frame_skip = 0
        self.end: EndReason | None = None
        """Why its episode is over; None until it was played to the end."""
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ghost", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def x_at(self, frame: int) -> int | None:
        """The ghost's x, pixels, so many frames into the stage, or where its episode ended; None while unknown."""
        if not self._frame_skip:
            return None
        steps = frame // self._frame_skip
        if steps < len(self._xs):
            return self._xs[steps]
        return self._xs[-1] if self.end is not None else None

    def end_at(self, frame: int) -> EndReason | None:
        """Why its episode is over by then; None if it is not."""
        return self.end if self._frame_skip and frame // self._frame_skip >= len(self._xs) - 1 else None

    def close(self) -> None:
        """Ends the thread and waits for it."""
        self._closed = True
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._play()
        except MarioTuiError as error:
            self.problem = str(error)
        except Exception as error:
            self.problem = f"the ghost failed: {type(error).__name__}: {error}"

    def _play(self) -> None:
        from mario_tui.play.rollout import rollout

        policy = self._load()
        for step in rollout(policy, stage=self.stage):
            self._xs.append(step.x)
            self._frame_skip = policy.spec.frame_skip
            if self._closed:
                return
        self.end = step.end
