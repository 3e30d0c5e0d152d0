"""The checkpoints of a training: what they hold, when they are written, and what stands in their way.

Full checkpoints are written in a thread of their own while training continues; older ones then lose their replay, and
nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mario_tui.agent.mario import Mario
from mario_tui.errors import CheckpointError, NotSavedError, TrainingError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import emulator_generation
from mario_tui.rewards import REWARD_VERSIONS
from mario_tui.store import checkpoint, lookup
from mario_tui.store.run import rotate
from mario_tui.system import files, guard, times
from mario_tui.training import state_files
from mario_tui.training.advice import file_warnings
from mario_tui.training.events import Event, RobustTrial, Saved, Warned
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.run_folder import RunFolder
from mario_tui.training.sizes import SAVED_REPLAY_BYTES, disk_need

Parts = Mapping[str, Callable[[Path], None]]


@dataclass(frozen=True)
class Snapshot:
    """A training at one step, ready to be written while it continues. `transitions`: of its replay, if it is full."""

    step: int
    parts: Parts
    header: Mapping[str, Any]
    transitions: int = 0


class Checkpointer:
    """Writes the checkpoints of a run.

    Args:
        run: the run's folder.
        agent, logger: what is saved.
        demonstrations: the action logs that the agent is shown, which are saved, too.

    Attributes:
        newest: the last checkpoint written, or the one that was resumed; None before the first.
        newest_step: the step it is of.
        in_reserve: a snapshot that is written if the training fails and cannot be saved as it is then.
    """

    def __init__(
        self, run: RunFolder, agent: Mario, logger: MetricLogger, *, demonstrations: Sequence[ActionLog] = ()
    ) -> None:
        self._run, self._agent, self._logger, self._demonstrations = run, agent, logger, demonstrations
        self.newest: Path | None = None
        self.newest_step = -1
        self.in_reserve: Snapshot | None = None
        self._sequence = lookup.next_sequence(run.path)  # of the next checkpoint
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="saving")
        self._pending: tuple[Snapshot, Future[Path]] | None = None
        self._evaluated: dict[int, Path] = {}  # evaluated agents, by sequence: two of one step may have other weights
        self._last_size: tuple[int, int, int] | None = None  # of a full one: bytes, of them the replay's, transitions
        self._save_problem = self._rotation_problem = ""
        self._reported: set[str] = set()

    def snapshot(
        self,
        state: Mapping[str, Any],
        stacks: torch.Tensor,
        *,
        full: bool,
        rotates: bool = False,
        evaluated: bool = False,
        weights: Mapping[str, torch.Tensor] | None = None,
    ) -> Snapshot:
        """The training as it is now, with the replay (which is not copied) or without.

        Args:
            state: the trainer's state, as JSON.
            stacks: the agent's observations.
            rotates: a later checkpoint will replace this one, see store.run.rotate.
            evaluated: it is taken for an evaluation, see store.run.find_resumable.
            weights: those of the agent that was evaluated, if they are not the agent's of now.

        Raises TrainingError if it holds numbers that are not finite: these are never saved.
        """
        agent, logger, config = self._agent, self._logger, self._run.config
        if not agent.is_finite():
            raise TrainingError(
                "the network holds numbers that are not finite, and was not saved: "
                "resume the run's last checkpoint, with a lower learning rate"
            )
        parts = state_files.writers(
            agent,
            state,
            stacks,
            logger.history(),
            demonstrations=self._demonstrations,
            replay=full,
            weights=weights,
        )
        header = {
            "created": times.now(),  # not when it is written, which for an evaluated agent is later
            "sequence": self._sequence,
            "stage": config.stage,
            "agent": agent.spec.model_dump(),
            "reward": REWARD_VERSIONS[config.reward],
            "episodes": logger.episode,
            "mean_reward": round(logger.mean("reward"), 3) if logger.episode else None,
            "greedy_clear": state["first_greedy_clear"] is not None,
            **({"robust_trial": best} if (best := _rate_of_best_trial(state)) is not None else {}),
            "full": full,
            **({"evaluated": True} if evaluated else {}),
            **({"rotates": True} if rotates else {}),
            "config": config.model_dump(),
            "versions": {
                "torch": torch.__version__,
                "precision": str(agent.learning_net.dtype).removeprefix("torch."),
                "numpy": np.__version__,
                "emulator": emulator_generation(),
            },
        }
        self._sequence += 1
        return Snapshot(agent.curr_step, parts, header, agent.memory.transitions if full else 0)

    # writing beside the training

    def begin(self, snapshot: Snapshot) -> None:
        """Begins to write a full checkpoint; none may be under way."""
        assert self._pending is None
        self._pending = snapshot, self._thread.submit(write_full, self._run.path, snapshot)

    @property
    def done(self) -> bool:
        """Whether a checkpoint was begun and `end` would return at once."""
        return self._pending is not None and self._pending[1].done()

    def end(self) -> Iterator[Event]:
        """Waits for the checkpoint under way, if there is one."""
        if self._pending is None:
            return
        step = self._pending[0].step
        try:
            path = self._take()
        except (OSError, CheckpointError) as error:
            yield self.failed(step, error)
        else:
            yield Saved(path, step)

    def _take(self) -> Path:
        assert self._pending is not None
        (snapshot, result), self._pending = self._pending, None
        try:
            path = result.result()
        except Exception:  # not KeyboardInterrupt: then it is still being written
            self._agent.memory.drop_snapshot()
            raise
        self._agent.memory.drop_snapshot()
        self.learn_size(path, snapshot.transitions)
        self._save_problem = ""
        self.set_newest(path, snapshot.step)
        self._rotate(path)
        return path

    def _rotate(self, newest: Path) -> None:
        """In the trainer's thread, which also decides which of the older checkpoints is the best."""
        self._rotation_problem = ""
        if self._run.config.keep_every > 1:
            try:
                rotate(self._run.path, newest)
            except OSError as error:
                self._rotation_problem = f"older checkpoints could not be deleted: {error.strerror}"

    # writing at once

    def save(self, take: Callable[[], Snapshot]) -> Path:
        """Writes a full checkpoint, which `take` gives when no other is under way, and waits until it is written.

        Raises OSError or CheckpointError if it cannot be written.
        """
        if self._pending is not None:
            with contextlib.suppress(OSError, CheckpointError):
                self._take()
        self.begin(take())
        return self._take()

    def rescue(self, save: Callable[[], object]) -> None:
        """Saves after a failure; if that fails too, writes what is in reserve. It raises nothing."""
        with contextlib.suppress(Exception):
            save()
            return
        if self.in_reserve is not None and self.in_reserve.step > self.newest_step:
            with contextlib.suppress(Exception):
                self.set_newest(self._write(self.in_reserve), self.in_reserve.step)

    def save_at_the_end(self, step: int, take: Callable[[bool], Snapshot]) -> Iterator[Event]:
        """Saves what is not saved yet: without the replay, if there is no room for it.

        Args:
            step: the last one.
            take: gives a snapshot, with the replay or without.

        Raises NotSavedError if it cannot be written without the replay either.
        """
        yield from self.end()
        if self.newest_step == step and self.newest and self.newest.is_dir():
            return
        try:
            self.save(lambda: take(True))
        except (OSError, CheckpointError) as error:
            yield self.failed(step, error)
            try:
                path = self._write(take(False))
            except (OSError, CheckpointError):
                before = f"{self.newest} is the last checkpoint" if self.newest else "none was before"
                raise NotSavedError(f"{self._save_problem}; {before}: make room on the disk") from None
            self.set_newest(path, step)
            yield Warned(step, "saved without its replay, which is filled anew when the run goes on")

    def save_evaluated(self, snapshot: Snapshot) -> Path:
        """Writes the agent that was evaluated, unless that was done before; raises OSError if it cannot be written."""
        sequence = snapshot.header["sequence"]
        folder = self._evaluated.get(sequence)
        if folder is None or not folder.is_dir():
            folder = self._evaluated[sequence] = self._write(snapshot)
        return folder

    def has_evaluated(self, snapshot: Snapshot) -> bool:
        """Whether this agent was written by `save_evaluated`."""
        return snapshot.header["sequence"] in self._evaluated

    def _write(self, snapshot: Snapshot) -> Path:
        return checkpoint.write(self._run.path, snapshot.step, snapshot.parts, snapshot.header)

    def set_newest(self, path: Path, step: int) -> None:
        """The run can be resumed from this checkpoint."""
        self.newest, self.newest_step = path, step
        guard.set_checkpoint(path)

    # what stands in the way

    def failed(self, step: int, error: Exception) -> Warned:
        """What to tell the user of a checkpoint that could not be written."""
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        self._save_problem = f"step {step:,} could not be saved: {reason}"
        self._reported.add(_kind_of(self._save_problem))
        return Warned(step, self._save_problem)

    def problems(self) -> tuple[str, ...]:
        """What is wrong with this run's files now, one line each."""
        return tuple(
            file_warnings(
                (self._save_problem, self._rotation_problem, self._logger.problem),
                free_bytes=files.free_bytes(self._run.path),
                needed_bytes=self.bytes_needed(self._agent.memory.transitions),
            )
        )

    def new_problems(self, step: int) -> Iterator[Event]:
        """Reports each problem once, until it is over."""
        problems = {_kind_of(text): text for text in self.problems()}
        for kind in problems.keys() - self._reported:
            yield Warned(step, problems[kind])
        self._reported = set(problems)

    def learn_size(self, path: Path, transitions: int) -> None:
        """Takes a full checkpoint as the measure of what the next one will take."""
        with contextlib.suppress(OSError):
            sizes = {part.name: part.stat().st_size for part in path.iterdir()}
            replay = sum(sizes.get(name, 0) for name in state_files.REPLAY_PARTS)
            self._last_size = sum(sizes.values()), replay, transitions

    def bytes_needed(self, transitions: int) -> int:
        """What the next full checkpoint will take, with so many transitions."""
        if self._last_size is None:
            return disk_need(self._run.config).each + transitions * SAVED_REPLAY_BYTES
        size, replay, then = self._last_size
        return size + round(replay * max(0.0, transitions / max(then, 1) - 1))

    def close(self) -> None:
        """Waits for what is under way."""
        self._thread.shutdown()


def _rate_of_best_trial(state: Mapping[str, Any]) -> float | None:
    best = state["robust_goal"]["best"]
    return RobustTrial.parse(best).low if best else None


def _kind_of(problem: str) -> str:
    """What two lines about the same problem, with other figures, have in common."""
    return problem.partition(":")[0]


def write_full(run: Path, snapshot: Snapshot) -> Path:
    """Writes a full checkpoint into a run's folder; older ones then lose their replay."""
    path = checkpoint.write(run, snapshot.step, snapshot.parts, snapshot.header)
    for older in lookup.step_folders(run):
        if older != path:
            with contextlib.suppress(OSError):  # the next save tries again
                checkpoint.drop_parts(older, state_files.REPLAY_PARTS)
    return path
