"""The app's work in the background: recordings, evaluations and searches, each in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mario_tui.errors import MarioTuiError
from mario_tui.printable import printable
from mario_tui.tui import text
from mario_tui.tui.services import short_name

if TYPE_CHECKING:
    from mario_tui.game.kept_episodes import EpisodeName
    from mario_tui.play.ghost_trail import GhostTrail
    from mario_tui.play.searching import SearchProgress
    from mario_tui.store.catalog import RunSummary
    from mario_tui.tui.app import MarioTuiApp
    from mario_tui.tui.services import Agent
    from mario_tui.video.library import RecordingInfo
    from mario_tui.video.record import Progress, Recording


@dataclass(eq=False)
class Job:
    """One piece of work in a thread; the thread writes `progress`, screens show it, the app sets `cancelled`."""

    title: str
    target: str
    progress: str = ""
    cancelled: bool = False

    @property
    def line(self) -> str:
        return f"{self.title}: {'cancelled' if self.cancelled else self.progress or 'starting ...'}"

    def is_cancelled(self) -> bool:
        return self.cancelled


class Jobs:
    """Starts jobs, keeps those that run, and notifies the user of what came of each."""

    def __init__(self, app: MarioTuiApp) -> None:
        self._app = app
        self.running: list[Job] = []
        """The newest last."""

    @property
    def can_cancel(self) -> bool:
        return any(not job.cancelled for job in self.running)

    def cancel_newest(self) -> None:
        for job in reversed(self.running):
            if not job.cancelled:
                job.cancelled = True
                self._app.notify(f"{job.title} cancelled", markup=False)
                return

    def cancel_all(self) -> None:
        for job in self.running:
            job.cancelled = True

    def record(self, agent: Agent, suffix: str, stage: str | None = None, ghosts: Sequence[GhostTrail] = ()) -> None:
        """Records the greedy episode of an agent, as `.mp4` or `.gif`, with these ghosts in its pictures."""
        self._record(
            Job(f"recording {suffix[1:].upper()}", short_name(agent)),
            lambda progress, cancelled: self._app.services.record(agent, stage, suffix, ghosts, progress, cancelled),
        )

    def record_play(
        self,
        name: str,
        title: str,
        stage: str,
        frame_skip: int,
        held: Sequence[int],
        first_frame: int,
        ghosts: Sequence[GhostTrail],
    ) -> None:
        """Records what was played on the screen, from one of its frames on; `held`: the button byte of each frame."""
        self._record(
            Job("recording MP4", title),
            lambda progress, cancelled: self._app.services.record_play(
                name, stage, frame_skip, held, first_frame, ghosts, progress, cancelled
            ),
        )

    def record_episode(self, name: EpisodeName) -> None:
        """Records an episode of a training."""
        self._record(
            Job("recording MP4", str(name)),
            lambda progress, cancelled: self._app.services.record_episode(name, progress, cancelled),
        )

    def record_grid(self, run: RunSummary) -> None:
        """Records several checkpoints of a run side by side."""
        self._record_several(run, "grid", race=False)

    def record_race(self, run: RunSummary) -> None:
        """Records several checkpoints of a run in one picture, the best with the others as ghosts."""
        self._record_several(run, "race", race=True)

    def _record_several(self, run: RunSummary, kind: str, *, race: bool) -> None:
        self._record(
            Job(f"recording a {kind}", run.run),
            lambda progress, cancelled: self._app.services.record_several(run, race, progress, cancelled),
        )

    def convert(self, info: RecordingInfo, suffix: str, scale: int = 2) -> None:
        """Makes a recording's video again under a new name, in another format or size."""
        log = info.log
        if log is None:
            return
        self._record(
            Job(f"recording {suffix[1:].upper()}", info.path.name),
            lambda progress, cancelled: self._app.services.convert(
                log, info.path.stem, suffix, scale, progress, cancelled
            ),
        )

    def evaluate(self, agent: Agent) -> None:
        """Measures how good an agent is: one greedy episode, and several with sticky actions and no-op starts."""

        def work(job: Job) -> str:
            played: list[object] = []

            def on_episode(result: object) -> None:
                played.append(result)
                job.progress = f"{len(played)} of {1 + self._app.services.robust_episodes} episodes"

            verdict = self._app.services.evaluate(agent, on_episode, job.is_cancelled)
            greedy, robust = verdict.greedy, verdict.robust
            outcome = "clears the stage" if greedy.clears else f"gets through {text.percent(greedy.progress)} of it"
            problem = f"; not kept with the checkpoint: {verdict.problem}" if verdict.problem else ""
            return f"greedy play {outcome}; robust: {robust.clears} of {robust.episodes} cleared{problem}"

        self._start(Job("evaluating", short_name(agent)), work)

    def search(self, stage: str) -> None:
        """Looks for a way through a stage; one search of a stage at a time."""
        if any(job.title == "search" and job.target == stage and not job.cancelled for job in self.running):
            self._app.notify(f"{stage} is being searched; ctrl+x cancels", severity="warning")
            return

        def work(job: Job) -> str:
            def on_progress(now: SearchProgress) -> None:
                job.progress = f"{text.count(now.transitions)} transitions, area {now.areas}, x {text.count(now.x)}"

            found = self._app.services.search(stage, on_progress, job.is_cancelled)
            if found is None:
                return "stopped; the next search goes on"
            return f"a way through {stage} in {text.count(found.steps)} steps: {printable(f'plays/{found.path.name}')}"

        self._start(Job("search", stage), work)

    def campaign(self, stages: Sequence[str]) -> None:
        """Trains stages one after the other, in processes of their own; one campaign at a time."""
        if any(job.title == "campaign" and not job.cancelled for job in self.running):
            self._app.notify("a campaign runs already; ctrl+x cancels it, and saves", severity="warning")
            return

        def work(job: Job) -> str:
            plan = self._app.services.campaign(stages)
            cleared = 0
            for run in plan.run(job.is_cancelled):
                now = sum(one.state == "cleared" for one in plan.runs)
                if now != cleared:
                    cleared = now
                    self._app.files_version += 1
                speed = f", {run.steps_per_second:.0f}/s" if run.steps_per_second else ""
                job.target = f"{cleared} of {len(plan.runs)} cleared"
                job.progress = f"{run.stage} {run.state}, {text.count(run.step)} steps{speed}"
            return f"{cleared} of {len(plan.runs)} stages are cleared by greedy play; what is saved can go on"

        self._start(Job("campaign", f"{len(stages)} stages"), work)

    def _record(self, job: Job, record: Callable[[Progress, Callable[[], bool]], Recording]) -> None:
        def work(job: Job) -> str:
            def progress(frames: int, total: int | None) -> None:
                of = "" if total is None else f" of {text.count(total)}"
                job.progress = f"{text.count(frames)}{of} frames, {frames / 60:.0f} s of play"

            made = record(progress, job.is_cancelled)
            outcome = "cleared" if made.cleared else f"got to x {text.count(made.max_x)}"
            return f"{made.seconds:.0f} s, {outcome}: {printable(f'{made.path.parent.name}/{made.path.name}')}"

        self._start(job, work)

    def _start(self, job: Job, work: Callable[[Job], str]) -> None:
        self.running.append(job)
        self._app.run_worker(self._run(job, work), group="jobs")

    async def _run(self, job: Job, work: Callable[[Job], str]) -> None:
        notify = self._app.notify
        try:
            result = await asyncio.to_thread(work, job)
        except MarioTuiError as error:
            if not job.cancelled:
                notify(str(error), title=f"{job.title} failed", severity="error", timeout=15, markup=False)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            notify(problem, title=f"{job.title} failed", severity="error", timeout=15, markup=False)
        else:
            if not job.cancelled:
                notify(result, title=f"{job.title}: done", timeout=10, markup=False)
        finally:
            self.running.remove(job)
            self._app.files_version += 1
