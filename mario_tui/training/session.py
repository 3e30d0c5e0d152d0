"""A training run in a thread of its own, as an app owns it: commands go in, frozen snapshots come out."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mario_tui.config import TrainingConfig
from mario_tui.errors import MarioTuiError
from mario_tui.play.clocked_player import Keys, when_pressed
from mario_tui.system import free_memory
from mario_tui.training import events
from mario_tui.training.control import TrainingControl
from mario_tui.training.events import Event, Finished
from mario_tui.training.health import warnings

if TYPE_CHECKING:  # PyTorch takes seconds to import: the thread does it, not whoever makes a session
    from mario_tui.agent.policy import Policy
    from mario_tui.store.history import EpisodeRecord
    from mario_tui.training.curves import Ends
    from mario_tui.training.trainer import Trainer

Status = Literal["starting", "running", "paused", "stopping", "finished", "failed"]
Points = tuple[tuple[float, float], ...]

_PUBLISH_SECONDS = 1 / 40
"""New snapshots come at most so often: more than the 30 times a second that a screen looks."""
_SPEED_WINDOW_SECONDS = 10.0
_MEMORY_SECONDS = 2.0
MOST_GAMES = 16
"""How many games `frames` shows at most."""


@dataclass(frozen=True, slots=True)
class TrainingSnapshot:
    """All that a screen shows of a training run; never changed after it was published.

    Attributes:
        episode: episodes that have ended.
        clears: of all episodes in training; `best_x`: the farthest any of them got; `clear_rate`: of the last 100.
        learning_rate, epsilon: as they are now.
        demonstrations: transitions of games that the agent is shown, besides those of its replay.
        floor_seconds: until epsilon is at its floor; None where it is there, or never will be.
        ends: where on the stage episodes ended.
        warnings: what should be seen to, one line each.
        pause_reason: why the training paused by itself, one line; "" where a person paused it.
        seconds: trained in this sitting, pauses left out.
        eta_seconds: until the limit of steps or episodes; None where there is no limit or no speed yet.
        mean_reward, mean_length, mean_loss, mean_q: over the last 100 episodes.
        frame: (240, 256, 3) uint8, the game of the first actor; `frames`: those of all, where they were asked for.
        curves: by episode: `reward`, `length`, `loss`, `q`, `epsilon`, and `reward_mean` etc., means over 100.
        phases: where the time of a step goes, as shares of it, see PhaseClock.
        problem: one line, where the status is `failed`.
    """

    status: Status
    run: str
    config: TrainingConfig
    device: str = ""
    step: int = 0
    episode: int = 0
    epsilon: float = 1.0
    updates: int = 0
    clears: int = 0
    best_x: int = 0
    steps_per_second: float = 0.0
    seconds: float = 0.0
    eta_seconds: float | None = None
    mean_reward: float = 0.0
    mean_length: float = 0.0
    mean_loss: float = 0.0
    mean_q: float = 0.0
    replay_transitions: int = 0
    replay_capacity: int = 0
    demonstrations: int = 0
    clear_rate: float = 0.0
    learning_rate: float = 0.0
    floor_seconds: float | None = None
    ends: Ends | None = None
    warnings: tuple[str, ...] = ()
    pause_reason: str = ""
    frame: np.ndarray | None = None
    frames: tuple[np.ndarray, ...] = ()
    curves: Mapping[str, Points] = field(default_factory=dict)
    last_episode: EpisodeRecord | None = None
    last_checkpoint: Path | None = None
    phases: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something rare that the user should hear of."""

    kind: Literal[
        "saved",
        "cleared",
        "evaluated",
        "paused",
        "resumed",
        "warning",
        "recorded",
        "not_recorded",
        "finished",
        "failed",
        "demonstrations",
    ]
    text: str


class TrainingSession:
    """Trains in a thread. All methods may be called from any thread; none but `join` waits.

    Args:
        config, run, resume: as for Trainer.
        warning: a line to show at once.
    """

    def __init__(
        self,
        config: TrainingConfig,
        *,
        run: str | None = None,
        resume: Path | None = None,
        warning: str = "",
    ) -> None:
        run_name = run or (resume.parent.name if resume is not None and resume.is_dir() else "")
        self.snapshot = TrainingSnapshot(status="starting", run=run_name, config=config)
        self.result: Finished | None = None
        self.error: BaseException | None = None
        self.recordings_left = 0
        """How many are waited for, after training has ended and is saved."""
        self._config, self._run_name, self._resume = config, run, resume
        self._control = TrainingControl(attended=True)
        self._notices: deque[Notice] = deque([Notice("warning", warning)] if warning else [], maxlen=1000)
        self._speed: deque[tuple[float, int]] = deque()
        self._published_at = 0.0
        self._curves: Mapping[str, Points] = {}
        self._last_episode: EpisodeRecord | None = None
        self._episode_count = -1
        self._ends: Ends | None = None
        self._warnings: tuple[str, ...] = ()
        self._warned_at = 0.0
        self.shows_all_games = False
        """Whether snapshots should have the frames of all games, and not of the first alone."""
        self._thread = threading.Thread(target=self._train, name="training", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        self._control.pause()

    def resume(self) -> None:
        self._control.resume()

    def save(self) -> None:
        self._control.save()

    def stop(self, *, in_a_hurry: bool = False) -> None:
        """Asks the trainer to save and end; in a hurry, without waiting for recordings."""
        self._control.stop(in_a_hurry=in_a_hurry)
        if self.snapshot.status == "running":  # the trainer says so, too, but an emulator may keep it waiting
            self.snapshot = replace(self.snapshot, status="stopping")

    @property
    def held(self) -> bool:
        """Whether it waits for a person, e.g. as it should end and cannot be saved; see `snapshot.pause_reason`."""
        return self._control.held

    @property
    def silent_seconds(self) -> float:
        """For how long a training that runs has taken no step."""
        return time.monotonic() - self._published_at if self.snapshot.status == "running" else 0.0

    def note(self, text: str) -> Future[None]:
        """Puts a line into the run's log."""
        return self._control.ask(lambda trainer: trainer.note(text))

    def turn(self, name: str, factor: float) -> Future[tuple[float, float]]:
        """Multiplies `learning_rate` or `exploration_rate`; the future has what it was and what it is."""

        def turn(trainer: Trainer) -> tuple[float, float]:
            was_and_is = trainer.turn(name, factor)
            self._publish(trainer, self.snapshot.status, self.snapshot.pause_reason)
            return was_and_is

        return self._control.ask(turn)

    def live_policy(self) -> Policy:
        """The weights of now, as a policy to watch, evaluate or record while training goes on; waits for a step's end.

        Raises MarioTuiError where the training ends before.
        """
        return self._control.ask(lambda trainer: trainer.live_policy()).result()

    def moved(self, run: Path, to: Path) -> None:
        """A run got another name; one that is being trained cannot."""
        shown = self.snapshot.last_checkpoint
        if not self.alive and shown is not None and shown.parent == run:
            self.snapshot = replace(self.snapshot, run=to.name, last_checkpoint=to / shown.name)

    # what a window that shows the training asks for, see `play.live.Source`

    def wait_for_frame(self, shown: np.ndarray | None, timeout_seconds: float) -> np.ndarray | None:
        """The frame of the first game to show now: waits for another one than `shown`, but no longer than that."""
        until = time.monotonic() + timeout_seconds
        while self.snapshot.frame is shown and time.monotonic() < until:
            time.sleep(1 / 60)
        return self.snapshot.frame

    def window_title(self) -> str:
        snapshot = self.snapshot
        paused = "  paused" if snapshot.status == "paused" else ""
        return f"step {snapshot.step:,}  epsilon {snapshot.epsilon:.3f}  clears {snapshot.clears:,}{paused}"

    def window_keys(self) -> Keys:
        """p or space pauses the training, or goes on."""

        def toggle_pause() -> None:
            if self.snapshot.status == "paused":
                self.resume()
            else:
                self.pause()

        return {"p": when_pressed(toggle_pause), "space": when_pressed(toggle_pause)}

    def join(self, timeout: float | None = None) -> bool:
        """Waits for the thread; True when it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def notices(self) -> list[Notice]:
        """What happened since the last call."""
        taken = []
        while self._notices:
            taken.append(self._notices.popleft())
        return taken

    def _train(self) -> None:
        saved: Path | None = None
        try:
            from mario_tui.training import highlights
            from mario_tui.training.trainer import Trainer

            trainer = Trainer(self._config, run=self._run_name, resume=self._resume, control=self._control)
            try:
                for event in highlights.train(trainer):
                    self._watch(trainer, event)
            finally:
                saved = trainer.last_checkpoint  # also what was saved because it failed
        except BaseException as error:
            self.error = error
            problem = str(error) if isinstance(error, MarioTuiError) else f"{type(error).__name__}: {error}"
            self.snapshot = replace(self.snapshot, status="failed", problem=problem, last_checkpoint=saved)
            self._notices.append(Notice("failed", problem))
        finally:
            self._control.close()

    def _watch(self, trainer: Trainer, event: Event) -> None:
        """Publishes what an event changed: at once where it is rare, otherwise 40 times a second."""
        match event:
            case events.Stepped():
                if time.monotonic() - self._published_at >= _PUBLISH_SECONDS:
                    self._publish(trainer, "stopping" if self._control.stopping else "running")
                return
            case events.EpisodeEnded(record):
                self._last_episode = record
                if record.end == "clear":
                    self._notices.append(Notice("cleared", f"episode {record.episode:,} cleared {record.stage}"))
                return
            case events.Saved(path):
                self._notices.append(Notice("saved", f"saved {path.parent.name}/{path.name}"))
                self._publish(trainer, self.snapshot.status, self.snapshot.pause_reason)
            case events.Warned(_, text):
                self._notices.append(Notice("warning", text))
                self._warned_at = -_MEMORY_SECONDS  # it is among the warnings at once
            case events.Evaluated():
                self._notices.append(Notice("evaluated", str(event)))
            case events.Paused(_, reason):
                self._notices.append(Notice("warning", f"paused: {reason}") if reason else Notice("paused", "paused"))
                self._warned_at = -_MEMORY_SECONDS  # what led to it is among the warnings at once
                self._publish(trainer, "paused", reason)
            case events.Restarted():
                self._notices.append(Notice("warning", str(event)))
                self._warned_at = -_MEMORY_SECONDS
            case events.Started() | events.Resumed():
                self._speed.clear()
                if isinstance(event, events.Resumed):
                    self._notices.append(Notice("resumed", "training goes on"))
                elif event.demonstrations:
                    self._notices.append(Notice("demonstrations", str(event.demonstrations)))
                self._publish(trainer, "running")
            case events.Recorded():
                self._notices.append(Notice("recorded", str(event)))
            case events.NotRecorded():
                self._notices.append(Notice("not_recorded", str(event)))
            case events.FinishingRecordings(count):
                self.recordings_left = count
                self._notices.append(Notice("saved", str(event)))
                self._publish(trainer, "stopping")
            case events.Finished():
                self.result = event
                self._notices.append(
                    Notice("finished", f"saved {event.checkpoint.parent.name}/{event.checkpoint.name}")
                )
                self._publish(trainer, "finished")

    def _publish(self, trainer: Trainer, status: Status, pause_reason: str = "") -> None:
        now = time.monotonic()
        self._published_at = now
        self._speed.append((now, trainer.step))
        while len(self._speed) > 2 and now - self._speed[0][0] > _SPEED_WINDOW_SECONDS:
            self._speed.popleft()
        (then, step_then), steps = self._speed[0], trainer.step
        speed = (steps - step_then) / (now - then) if now > then else 0.0
        logger = trainer.logger
        if logger.episode != self._episode_count:
            self._episode_count = logger.episode
            self._curves = {name: curve.points() for name, curve in logger.curves.items()}
            self._ends = logger.end_map.ends()
        if now - self._warned_at >= _MEMORY_SECONDS:
            self._warned_at = now
            self._warnings = _warnings(trainer)
        self.snapshot = TrainingSnapshot(
            status=status,
            run=trainer.run_dir.name,
            config=trainer.config,
            device=str(trainer.device),
            step=steps,
            episode=logger.episode,
            epsilon=trainer.mario.exploration_rate,
            updates=trainer.mario.updates,
            clears=logger.clears,
            best_x=logger.best_x,
            steps_per_second=speed,
            seconds=trainer.seconds,
            eta_seconds=_eta(trainer, speed),
            mean_reward=logger.mean("reward"),
            mean_length=logger.mean("length"),
            mean_loss=logger.mean("loss"),
            mean_q=logger.mean("q"),
            replay_transitions=trainer.mario.memory.transitions,
            replay_capacity=trainer.config.replay_size,
            demonstrations=trainer.demonstrations.transitions if trainer.demonstrations else 0,
            clear_rate=logger.clear_rate,
            learning_rate=trainer.config.learning_rate,
            floor_seconds=_floor(trainer, speed),
            ends=self._ends,
            warnings=self._warnings,
            pause_reason=pause_reason,
            frame=trainer.latest_frame,
            frames=trainer.copy_frames(MOST_GAMES) if self.shows_all_games else (),
            curves=self._curves,
            last_episode=self._last_episode,
            last_checkpoint=trainer.last_checkpoint,
            phases=trainer.clock.shares(),
        )


def _eta(trainer: Trainer, speed: float) -> float | None:
    """Seconds to the nearer of the limits, as far as they can be foreseen."""
    if speed <= 0:
        return None
    config, logger = trainer.config, trainer.logger
    steps_left: list[float] = []
    if config.steps:
        steps_left.append(config.steps - trainer.step)
    if config.episodes and logger.episode:
        steps_left.append((config.episodes - logger.episode) * logger.mean("length"))
    return max(0.0, min(steps_left)) / speed if steps_left else None


def _floor(trainer: Trainer, speed: float) -> float | None:
    """Seconds until epsilon is at its floor."""
    steps = trainer.mario.exploration.steps_to_minimum()
    return steps / speed if 0 < steps < math.inf and speed > 0 else None


def _warnings(trainer: Trainer) -> tuple[str, ...]:
    replay = trainer.mario.memory
    missing = replay.missing_bytes if replay.device.type == "cpu" else 0
    about_training = warnings(
        trainer.config,
        trainer.logger.recent,
        free_bytes=free_memory.free_bytes(),
        missing_bytes=missing,
        dropped_episodes=trainer.dropped_episodes,
        skipped_updates=trainer.skipped_updates,
    )
    return (*trainer.problems(), *about_training)
