"""Several training runs spread over a Ray cluster: each on a machine that has its cores and GPU free.

Each run is an actor (ray_node_run.py). Its folder is copied here while it grows, so that a run whose machine dies goes
on elsewhere from the last checkpoint, and this machine has everything in the end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mario_tui import __version__, paths
from mario_tui.config import TrainingConfig
from mario_tui.errors import CheckpointError, InputError
from mario_tui.store.lookup import step_folders
from mario_tui.store.run import find_resumable, locked, sweep_run
from mario_tui.store.untrusted import one_line_error
from mario_tui.training import ray_cluster
from mario_tui.training.control import TrainingControl
from mario_tui.training.ray_node_run import NodeRun, Place, Report
from mario_tui.training.run_mirror import CHUNK_BYTES, FileState, FolderMirror, list_files, read_part

COPY_SECONDS = 10.0
"""How often a run's metrics and log are copied; a checkpoint is at once."""
LOSSES = 3
"""How often in a row a run may be lost without a new checkpoint."""
_POLL_SECONDS = 1.0
_RECORDINGS = "recordings"


@dataclass(frozen=True, slots=True)
class Share:
    """What a run takes of a machine: cores, and GPUs, of which a part can be meant."""

    cores: int
    gpus: float = 0.0


def check_room(where: str, share: Share) -> None:
    """Raises InputError if no machine of the cluster has that much, busy or not; and as `ray_cluster.connect`."""
    ray = ray_cluster.connect(where)
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(one.get("CPU", 0) >= share.cores and one.get("GPU", 0) >= share.gpus for one in machines):
        gpus = f" and {share.gpus:g} GPUs" if share.gpus else ""
        raise InputError(
            f"no machine of the Ray cluster has {share.cores} cores{gpus}: ask for less with --run-cores or --run-gpus"
        )


class _NodeFolder:
    """A folder of a run's machine, as `Source`."""

    def __init__(self, ray: Any, actor: Any, folder: str) -> None:
        self._ray, self._actor, self._folder = ray, actor, folder

    def files(self) -> dict[str, FileState]:
        found: dict[str, FileState] = self._ray.get(self._actor.files.remote(self._folder))
        return found

    def read(self, name: str, offset: int, size_bytes: int) -> bytes:
        part: bytes = self._ray.get(self._actor.read.remote(f"{self._folder}/{name}", offset, size_bytes))
        return part


@dataclass
class _Run:
    """One of the runs, and the actor that it has now."""

    name: str
    config: TrainingConfig
    actor: Any = None
    reply: Any = None
    place: Place | None = None
    mirrors: list[tuple[FolderMirror, _NodeFolder]] = field(default_factory=list)
    copied_at: float = 0.0
    losses: int = 0
    newest: Path | None = None  # the newest checkpoint when it was placed
    told_to_stop: bool | None = None  # and whether in a hurry

    @property
    def folder(self) -> Path:
        return paths.run_dir(self.name)


class ClusterRuns:
    """Trains runs on the machines of a cluster.

    A run that has a folder already is resumed from its newest checkpoint, with the settings given here.

    Args:
        where: the cluster, as the setting `actors` names it.
        runs: their names and settings.
        share: what each takes of a machine.
        control: its `stop` saves and ends all runs, and in a hurry it waits for no recordings.
    """

    def __init__(
        self, where: str, runs: Sequence[tuple[str, TrainingConfig]], share: Share, control: TrainingControl
    ) -> None:
        self._ray = ray_cluster.connect(where)
        self._runs = [_Run(name, config) for name, config in runs]
        self._share, self._control = share, control

    def run(self) -> Generator[dict[str, Any], None, None]:
        """What happens, as `mario-tui train --json` prints it, each with its `run`; until all runs have ended.

        Besides a run's own events there are `placed`, with the `machine`, `lost`, where that died, and `failed`, both
        with the `problem`. Raises InputError if one of the runs is being trained already.
        """
        with contextlib.ExitStack() as stack:
            for run in self._runs:
                run.folder.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(run.folder))
                run.folder.mkdir(exist_ok=True)
                sweep_run(run.folder)
            stack.callback(self._end_all)
            for run in self._runs:
                self._place(run)
            while active := [run for run in self._runs if run.reply is not None]:
                if self._control.stopping:
                    self._stop(active)
                    active = [run for run in active if run.reply is not None]
                if not active:
                    break
                ready, _ = self._ray.wait([run.reply for run in active], timeout=_POLL_SECONDS)
                for run in active:
                    if run.reply in ready:
                        yield from ({**event, "run": run.name} for event in self._advance(run))

    def _place(self, run: _Run) -> None:
        """Asks for a place for a run; the reply comes when a machine has room for it."""
        actor = self._ray.remote(NodeRun).options(
            num_cpus=self._share.cores, num_gpus=self._share.gpus, scheduling_strategy="SPREAD"
        )
        run.actor, run.place = actor.remote(), None
        run.newest = next(reversed(step_folders(run.folder)), None)
        run.reply = run.actor.place.remote()

    def _stop(self, runs: Sequence[_Run]) -> None:
        for run in runs:
            if run.place is None:
                self._end(run)
            elif run.told_to_stop != self._control.in_a_hurry:
                run.told_to_stop = self._control.in_a_hurry
                run.actor.stop.remote(run.told_to_stop)

    def _advance(self, run: _Run) -> Iterator[dict[str, Any]]:
        """Takes the reply of a run's actor, and asks for the next."""
        errors = self._ray.exceptions
        try:
            reply = self._ray.get(run.reply)
            if isinstance(reply, Place):
                yield from self._begin(run, reply)
            else:
                yield from self._take(run, reply)
        except errors.RayTaskError as error:
            self._end(run)
            yield {"event": "failed", "problem": one_line_error(error.cause)}
        except errors.RayError:
            yield from self._replace(run)

    def _begin(self, run: _Run, place: Place) -> Iterator[dict[str, Any]]:
        """Copies the run to the machine that has room for it, as far as it is there, and begins to train it."""
        if place.version != __version__:
            self._end(run)
            why = f"{place.host} has mario-tui {place.version}, and this machine {__version__}: install the same on all"
            yield {"event": "failed", "problem": why}
            return
        run.place = place
        checkpoint = ""
        if step_folders(run.folder):
            try:
                checkpoint = find_resumable(run.folder)[0].name
            except CheckpointError as error:
                self._end(run)
                yield {"event": "failed", "problem": str(error)}
                return
            self._send(run)
        home = f"checkpoints/{run.name}"
        run.mirrors = [
            (FolderMirror(run.folder), _NodeFolder(self._ray, run.actor, home)),
            (FolderMirror(paths.recordings_dir(), replace=False), _NodeFolder(self._ray, run.actor, _RECORDINGS)),
        ]
        self._ray.get(run.actor.begin.remote(run.config.model_dump(), run.name, checkpoint))
        run.reply = run.actor.poll.remote(_POLL_SECONDS)
        yield {"event": "placed", "machine": place.host, "checkpoint": checkpoint}

    def _send(self, run: _Run) -> None:
        for name, state in list_files(run.folder).items():
            for offset in range(0, state.size_bytes, CHUNK_BYTES):
                data = read_part(run.folder / name, offset, CHUNK_BYTES)
                self._ray.get(run.actor.write.remote(f"checkpoints/{run.name}/{name}", offset, data))

    def _take(self, run: _Run, report: Report) -> Iterator[dict[str, Any]]:
        assert run.place is not None
        copy = report.ended or time.monotonic() - run.copied_at > COPY_SECONDS
        copy = copy or any(event["event"] in ("saved", "recorded") for event in report.events)
        problem = self._copy(run) if copy else ""
        here, there = str(paths.home()), run.place.home
        for event in report.events:
            yield {
                name: value.replace(there, here, 1) if isinstance(value, str) and value.startswith(there) else value
                for name, value in event.items()
            }
        if not report.ended:
            run.reply = run.actor.poll.remote(_POLL_SECONDS)
            if problem:
                yield {"event": "warning", "text": problem}
            return
        if problem:
            problem += f"; what it saved is on {run.place.host} in {there}"
        else:
            self._ray.get(run.actor.clean.remote())
        self._end(run)
        if report.problem or problem:
            yield {"event": "failed", "problem": report.problem or problem}

    def _copy(self, run: _Run) -> str:
        """Brings the run's folder here up to date; why that cannot be done, in one line, or ""."""
        run.copied_at = time.monotonic()
        try:
            for mirror, source in run.mirrors:
                mirror.update(source)
        except OSError as error:
            return f"{run.name} cannot be copied here: {error.strerror or error}"
        return ""

    def _replace(self, run: _Run) -> Iterator[dict[str, Any]]:
        """The run's machine died: it goes on elsewhere, unless that happens again and again."""
        host = run.place.host if run.place else ""
        self._end(run)
        newest = next(reversed(step_folders(run.folder)), None)
        run.losses = run.losses + 1 if newest == run.newest else 1
        problem = f"its process on {host}, or that machine, died" if host else "it did not start there"
        if self._control.stopping or run.losses > LOSSES:
            yield {"event": "failed", "problem": problem}
            return
        yield {"event": "lost", "problem": problem, "checkpoint": newest.name if newest else ""}
        self._place(run)

    def _end(self, run: _Run) -> None:
        run.reply = None
        with contextlib.suppress(Exception):  # e.g. as the cluster is gone
            self._ray.kill(run.actor)
        with contextlib.suppress(OSError):  # something is in it
            run.folder.rmdir()

    def _end_all(self) -> None:
        for run in self._runs:
            if run.reply is not None:
                self._end(run)
