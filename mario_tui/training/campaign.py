"""A campaign: trainings on several stages, one after the other or some at a time, each until its target or its budget.

Each training is a plain run in a process of its own, by `mario-tui train`, so that every list knows it and one that
fails takes no other with it. What a campaign knows is on the disk: it has no file of its own, and goes on by looking at
the runs of its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mario_tui import paths
from mario_tui.agent.spec import AgentSpec
from mario_tui.config import as_flag, make_config
from mario_tui.errors import InputError, MarioTuiError
from mario_tui.game.stages import STAGES, check_stage
from mario_tui.presets import preset
from mario_tui.stage_settings import KINDS, STEPS_OF_A_STAGE, kind_of, stage_settings
from mario_tui.store import catalog, named
from mario_tui.store.catalog import CheckpointInfo
from mario_tui.store.lookup import read_manifests
from mario_tui.store.manifest import Manifest, read_manifest
from mario_tui.store.run import locked, trash
from mario_tui.store.untrusted import finite_number, sanitize
from mario_tui.system.processes import start_module
from mario_tui.training.initial_weights import fits
from mario_tui.training.run_folder import BEING_TRAINED

State = Literal["waiting", "training", "cleared", "at its budget", "failed"]

_EACH = {"until_clear": True, "save_every": 20_000, "robust_episodes": 0, "record": False}
_HELD = "another process trains it: waits for that"
_POLL_SECONDS = 0.25
_STOP_SECONDS = 120.0


@dataclass
class StageRun:
    """The training of one stage.

    Attributes:
        run: its name.
        begins_with: the agent whose weights it began with, or "".
        step, steps_per_second, best_progress: as its training said last; best_progress is of greedy episodes, 0 to 1.
        seconds: trained so far, pauses left out.
        problem: why it failed.
    """

    stage: str
    run: str
    state: State = "waiting"
    begins_with: str = ""
    step: int = 0
    steps_per_second: float = 0.0
    seconds: float = 0.0
    best_progress: float = 0.0
    problem: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    since: tuple[int, float] | None = field(default=None, repr=False)
    """Step and seconds at the first episode that ended in this process: the speed is measured from there."""

    def as_json(self) -> dict[str, Any]:
        figures = ("step", "steps_per_second", "seconds", "best_progress")
        return {name: getattr(self, name) for name in ("stage", "run", "state", "begins_with", *figures, "problem")}


def in_order(stages: Sequence[str]) -> list[str]:
    """The stages as a campaign takes them: kind by kind, the easiest first, so that weights can be handed on."""
    order = {stage: number for number, stage in enumerate(stage for group in KINDS.values() for stage in group)}
    return sorted(dict.fromkeys(stages), key=order.__getitem__)


def parse_stages(text: str) -> list[str]:
    """`all`, or stages with commas between; raises InputError for others."""
    return list(STAGES) if text == "all" else [check_stage(one.strip()) for one in text.split(",")]


class Campaign:
    """Trains stages until each is cleared by greedy play, or has had its budget.

    Args:
        name: of the campaign; the run of a stage is called `name_stage`.
        stages: see `in_order`.
        budget: steps that each stage gets.
        preset_name, given: what all trainings have; each stage has its `stage_settings` besides, but for what is given.
        at_once: so many trainings at a time.
        warm: whether a training begins with the weights of an agent that clears an earlier stage of the same kind.
        demonstrations: learn from this log or folder of them as well, and begin along those that clear the stage.
        seed: of each training.
    """

    def __init__(
        self,
        name: str,
        stages: Sequence[str],
        *,
        budget: int = STEPS_OF_A_STAGE,
        preset_name: str = "fast",
        given: Mapping[str, Any] | None = None,
        at_once: int = 1,
        warm: bool = True,
        demonstrations: str = "",
        seed: int = 0,
    ) -> None:
        self.runs = [StageRun(stage, f"{name}_{stage}") for stage in in_order(stages)]
        self.budget, self._preset, self._given = budget, preset_name, dict(given or {})
        self._at_once, self._warm, self._demonstrations, self._seed = at_once, warm, demonstrations, seed
        self._lines: queue.SimpleQueue[tuple[StageRun, bytes]] = queue.SimpleQueue()
        for run in self.runs:
            paths.check_run_name(run.run)
            self._look(run)

    def _look(self, run: StageRun) -> None:
        """How far the run of a stage is, by its newest checkpoint."""
        found = [one for one in read_manifests(paths.run_dir(run.run)).values() if isinstance(one, Manifest)]
        if not found:
            return
        newest = max(found, key=lambda manifest: manifest.step)
        run.step = newest.step
        run.begins_with = sanitize(str(newest.config.get("init_from", "")))
        if newest.greedy_clear:
            run.state = "cleared"
        elif newest.step >= self.budget:
            run.state = "at its budget"

    @property
    def left(self) -> int:
        """How many steps are left to play if no other stage is cleared before its budget ends."""
        return sum(max(0, self.budget - run.step) for run in self.runs if run.state in ("waiting", "training"))

    @property
    def seconds_left(self) -> float | None:
        """An upper bound of the time left, by the speed of now; None as long as nothing is known."""
        speed = sum(run.steps_per_second for run in self.runs if run.state == "training")
        return self.left / speed if speed else None

    def run(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[StageRun]:
        """Trains; yields a run whenever something of it has changed. A stop saves all trainings and ends.

        Raises OSError where no process can be started.
        """
        try:
            while not stopped() and any(run.state in ("waiting", "training") for run in self.runs):
                yield from self._start_what_can()
                yield from self._events()
        finally:
            self._end_all()

    def _start_what_can(self) -> Iterator[StageRun]:
        """Starts trainings where there is room; one that another process holds is waited for."""
        for run in self.runs:
            room = sum(one.state == "training" for one in self.runs) < self._at_once
            if run.state != "waiting" or not room:
                continue
            if self._is_held(run):
                if run.problem != _HELD:
                    run.problem = _HELD
                    yield run
                continue
            run.problem = ""
            self._look(run)  # it may have gone on since
            if run.state == "waiting":
                self._start(run)
            yield run

    @staticmethod
    def _is_held(run: StageRun) -> bool:
        """Whether a process trains it, e.g. one that a killed campaign left behind."""
        try:
            with locked(paths.run_dir(run.run)):
                return False
        except InputError:
            return True

    def _start(self, run: StageRun) -> None:
        run.state, run.problem, run.since = "training", "", None
        if not run.step and (folder := paths.run_dir(run.run)).exists():  # killed before its first checkpoint
            trash(folder)
        process = start_module(
            "mario_tui.system.with_parent",
            str(os.getpid()),
            "mario_tui",
            *self._arguments(run),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            in_background=True,
        )
        run.process = process
        threading.Thread(target=self._read, args=(run, process), daemon=True).start()

    def _arguments(self, run: StageRun) -> list[str]:
        common = ["--steps", str(self.budget), "--json"]
        if run.step:
            return ["train", "--resume", run.run, *common]
        settings = {**stage_settings(run.stage), **_EACH, **self._given}
        settings |= {"stage": run.stage, "seed": self._seed}
        if self._demonstrations:
            settings |= {"demonstrations": self._demonstrations, "practice_from": "both"}
        if self._warm and (agent := self._source(run.stage, settings)):
            run.begins_with = settings["init_from"] = named.shortest_name(agent.path)
        flags = [flag for name, value in settings.items() for flag in shlex.split(as_flag(name, value))]
        return ["train", "--preset", self._preset, "--name", run.run, *flags, *common]

    def _source(self, stage: str, settings: Mapping[str, Any]) -> CheckpointInfo | None:
        """The agent of the nearest stage of the same kind that clears it, with a network and actions that fit."""
        config = make_config(**{**preset(self._preset).model_dump(), **settings})
        known = {info.stage: info for info in catalog.scan().best_of_stages}
        family = KINDS[kind_of(stage)]
        for other in reversed(family[: family.index(stage)]):
            info = known.get(other)
            if info is not None and (info.greedy_clear or info.robust_clear_rate):
                with contextlib.suppress(MarioTuiError, ValueError):
                    if fits(AgentSpec.parse(read_manifest(info.path).agent), config):
                        return info
        return None

    def _read(self, run: StageRun, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.put((run, line))
        process.wait()
        self._lines.put((run, b""))

    def _events(self) -> Iterator[StageRun]:
        """What the trainings said since the last call; waits a moment where that is nothing."""
        changed: list[StageRun] = []
        with contextlib.suppress(queue.Empty):
            run, line = self._lines.get(timeout=_POLL_SECONDS)
            while True:
                if self._take(run, line) and run not in changed:
                    changed.append(run)
                run, line = self._lines.get_nowait()
        yield from changed

    def _take(self, run: StageRun, line: bytes) -> bool:
        """Keeps what a line of a training says; whether that is of interest."""
        if not line:
            self._ended(run)
            return True
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, TypeError, KeyError, RecursionError):
            run.problem = sanitize(line.decode(errors="replace").strip(), 200)  # the one line of an error
            return False
        run.step = max(run.step, int(finite_number(event.get("step")) or 0))
        if kind == "episode" and (seconds := finite_number(event.get("seconds"))):
            run.seconds = seconds
            run.since = run.since or (run.step, seconds)
            if seconds > run.since[1]:
                run.steps_per_second = round((run.step - run.since[0]) / (seconds - run.since[1]), 1)
        elif kind == "measured" and isinstance(event.get("greedy"), dict):
            run.best_progress = finite_number(event["greedy"].get("best_progress")) or 0.0
        elif kind == "finished":
            run.step = int(finite_number(event.get("steps")) or run.step)
            if event.get("first_greedy_clear"):
                run.state = "cleared"
        return True

    def _ended(self, run: StageRun) -> None:
        process, run.process = run.process, None
        if run.state != "cleared":
            self._look(run)  # a line may be lost, and a process may fail on its way out: what is saved counts
        if run.state in ("cleared", "at its budget"):
            run.problem = ""
        elif process is not None and process.returncode and (BEING_TRAINED in run.problem or self._is_held(run)):
            run.state, run.problem = "waiting", _HELD
        elif process is not None and process.returncode:
            run.state = "failed"
            run.problem = run.problem or f"its training ended with code {process.returncode}"
        elif run.step >= self.budget:
            run.state = "at its budget"
        else:
            run.state, run.problem = "failed", "it was stopped, and is saved: the same campaign goes on with it"

    def _end_all(self) -> None:
        """Has all trainings save and end, and waits for them."""
        running = [run for run in self.runs if run.process is not None]
        for run in running:
            assert run.process is not None
            run.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + _STOP_SECONDS
        for run in running:
            assert run.process is not None
            try:
                run.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                run.process.kill()
            run.process = None
            if run.state == "training":
                run.state = "waiting"
