"""The younger selves of an agent in the picture of its game, as a key of a screen shows and hides them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual.content import Content

from mario_tui.errors import MarioTuiError
from mario_tui.play.ghost_picture import TINTS
from mario_tui.printable import printable

if TYPE_CHECKING:
    from mario_tui.play.clocked_player import ClockedPlayer
    from mario_tui.play.ghost import GhostThread
    from mario_tui.play.ghost_trail import GhostTrail
    from mario_tui.tui.app import MarioTuiApp
    from mario_tui.tui.services import Agent

_NONE = "no ghosts: its run has no other checkpoint"


class GhostSwitch:
    """Shown or not; the ghosts are made once for each stage, in a thread of their own, which never blocks the app."""

    def __init__(self, app: MarioTuiApp, agent: Agent) -> None:
        self._app, self._agent = app, agent
        self._threads: dict[str, GhostThread | None] = {}
        self._problem = ""
        self._shows = self._opens = self._closed = False
        self._shown: tuple[GhostTrail, ...] = ()

    def toggle(self) -> None:
        self._shows = not self._shows

    def update(self, player: ClockedPlayer, stage: str) -> None:
        """Gives the player the ghosts that there are; called again and again."""
        if self._shows and stage and stage not in self._threads and not self._opens and not self._problem:
            self._opens = True
            self._app.run_worker(self._open(stage), group="ghosts")
        thread = self._threads.get(stage) if self._shows else None
        trails = () if thread is None else thread.trails
        if trails != self._shown:
            self._shown = trails
            player.show_ghosts(
                trails, names=self._app.graphics is not None
            )  # letters need pixels of the terminal's own

    def line(self, stage: str) -> Content:
        """What is shown of them in words; empty while they are hidden."""
        if not self._shows:
            return Content("")
        if self._problem:
            return Content.styled(self._problem, "$warning")
        if stage not in self._threads:
            return Content.styled("making ghosts ...", "$secondary")
        thread = self._threads[stage]
        if thread is None:
            return Content.styled(_NONE, "$foreground 60%")
        named = [
            (f" {printable(trail.name)}", f"rgb({','.join(map(str, TINTS[number % len(TINTS)]))})")
            for number, trail in enumerate(thread.trails)
        ]
        more = "" if thread.done else f"\nmaking ghosts {len(thread.trails)} of {thread.count} ..."
        problem = f"\n{printable(thread.problem)}" if thread.problem else ""
        return Content.assemble("ghosts", *named, (more, "$secondary"), (problem, "$warning"))

    def close(self) -> None:
        """Ends the threads, without waiting for them."""
        self._closed = True
        for thread in self._threads.values():
            if thread is not None:
                asyncio.get_running_loop().run_in_executor(None, thread.close)

    async def _open(self, stage: str) -> None:
        try:
            thread = await asyncio.to_thread(self._app.services.open_younger, self._agent, stage)
        except (MarioTuiError, OSError) as error:
            self._problem = printable(f"no ghosts: {error}")
            return
        finally:
            self._opens = False
        if thread is not None and not self._closed:
            thread.start()
        self._threads[stage] = thread
