"""MetricLogger: what became of every episode and the means over 100, as a text table and CSV."""

from __future__ import annotations

import io
import re
import time
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from mario_tui import paths
from mario_tui.errors import TrainingError
from mario_tui.game.kept_episodes import EpisodeFile, KeptEpisode
from mario_tui.printable import printable
from mario_tui.store.history import (
    LEARNED,
    PRACTICE,
    TRAINING,
    WINDOW,
    EpisodeRecord,
    EvaluationRecord,
    csv_heading,
    csv_line,
    parse_records,
    read_metrics,
)
from mario_tui.store.line_file import LineFile
from mario_tui.system.files import write_atomically
from mario_tui.training.curves import MEAN_WINDOWS, Curve, EndMap, MovingMean, mean_name
from mario_tui.training.measured import Measured

METRICS = ("reward", "length", "loss", "q")


class MetricLogger:
    """Statistics per episode, under the tutorial's names, for several games at once.

    Args:
        folder: the run's folder; `metrics.csv` gets a line for every episode, `log` one for every `log_means`.
        stage: the stage that is played.
        envs: games that run at the same time.
        keep_episodes: so many can be watched again; see kept_episodes.py.

    Attributes:
        episode: the number of the next episode, of whatever kind.
        clears, best_x, best_progress, curves, end_map: of training.
        measured: what the games that measure have shown.
    """

    def __init__(self, folder: Path, stage: str, envs: int, *, keep_episodes: int = 0) -> None:
        self.folder = folder
        self.stage = stage
        self.episode = 0
        self.clears = 0
        self.best_x = 0
        self.best_progress = 0.0
        self._means = {(name, window): MovingMean(window) for name in METRICS for window in MEAN_WINDOWS}
        self.curves = {name: Curve() for name in (*METRICS, "epsilon", *(mean_name(*of) for of in self._means))}
        self.end_map = EndMap()
        self.measured = Measured()
        self._recent: deque[EpisodeRecord] = deque(maxlen=WINDOW)
        self._reward = np.zeros(envs)
        self._length = np.zeros(envs, dtype=np.int64)
        self._updates = np.zeros((envs, 3))  # sum of losses, sum of Q values, number of updates
        self._recorded_at = time.monotonic()
        self._metrics = LineFile(folder / "metrics.csv", csv_heading(EpisodeRecord))
        self._evaluations = LineFile(folder / "evaluations.csv", csv_heading(EvaluationRecord))
        self._log = LineFile(folder / "log", _LOG_HEADING)
        self._kept = EpisodeFile(folder, keep_episodes)
        self._due: dict[Path, tuple[str, bool]] = {}  # what a file is to say, and whether it says more now
        self._resumed_at = 0

    @property
    def problem(self) -> str:
        """Why lines are not in their files yet, in one line; "" where they are."""
        return self._metrics.problem or self._evaluations.problem or self._log.problem or self._kept.problem

    def log_step(self, games: np.ndarray, rewards: np.ndarray, stepped: np.ndarray) -> None:
        """Adds a step to the running episodes of these games: (G,) float rewards, where (G,) bool `stepped`."""
        self._reward[games] += np.where(stepped, rewards, 0)
        self._length[games] += stepped

    def log_update(self, loss: float, q: float) -> None:
        """Adds an update of the network to the running episodes."""
        self._updates += (loss, q, 1)

    def log_episode(
        self,
        env: int,
        *,
        step: int,
        epsilon: float,
        max_x: int,
        progress: float,
        end: str,
        seconds: float,
        kind: str = TRAINING,
    ) -> EpisodeRecord:
        """Marks the end of an episode in game `env`; those of other kinds than training are in no mean."""
        losses, q_values, updates = self._updates[env]
        record = EpisodeRecord(
            episode=self.episode,
            step=step,
            epsilon=epsilon,
            stage=self.stage,
            reward=float(self._reward[env]),
            length=int(self._length[env]),
            loss=round(losses / updates, 5) if updates else 0.0,
            q=round(q_values / updates, 5) if updates else 0.0,
            max_x=max_x,
            end=end,
            seconds=round(seconds, 3),
            kind=kind,
            progress=progress,
        )
        self.forget_episode(env)
        self._metrics.add(csv_line(record))
        self._count(record)
        return record

    def keep(self, kept: KeptEpisode) -> None:
        """Keeps the episode that was logged last, to be watched again."""
        self._kept.add(kept)

    def forget_episode(self, env: int) -> None:
        """Marks the end of an episode that is not counted."""
        self._reward[env] = self._length[env] = 0
        self._updates[env] = 0

    def _count(self, record: EpisodeRecord) -> None:
        self.episode = record.episode + 1
        if record.kind == PRACTICE:
            return
        if record.kind != TRAINING:
            self.measured = self.measured.after(record)
            return
        self.clears += record.cleared
        self.best_x = max(self.best_x, record.max_x)
        self.best_progress = max(self.best_progress, record.progress)
        self.end_map.add(record.max_x, record.end)
        self._recent.append(record)
        self.curves["epsilon"].add(record.episode, record.epsilon)
        for name in METRICS:
            value = getattr(record, name) if record.learned or name not in LEARNED else None
            means = {window: self._means[name, window].add(value) for window in MEAN_WINDOWS}
            if value is not None:
                self.curves[name].add(record.episode, value)
                for window, mean in means.items():
                    if mean is not None:
                        self.curves[mean_name(name, window)].add(record.episode, mean)

    def mean(self, name: str) -> float:
        """Mean of `reward`, `length`, `loss` or `q` over the last 100 episodes; 0 before the first.

        As in the tutorial's log, an episode without updates counts with 0; see `learned_mean`.
        """
        if not self._recent:
            return 0.0
        return float(np.mean([getattr(record, name) for record in self._recent]))

    def learned_mean(self, name: str) -> float | None:
        """Mean of `loss` or `q` over those of the last 100 episodes that had updates; None without any."""
        values = [getattr(record, name) for record in self._recent if record.learned]
        return float(np.mean(values)) if values else None

    @property
    def recent(self) -> tuple[EpisodeRecord, ...]:
        """The last 100 episodes, the newest last."""
        return tuple(self._recent)

    @property
    def clear_rate(self) -> float:
        """Share of the last 100 episodes that cleared the stage; 0 before the first."""
        return sum(record.cleared for record in self._recent) / max(len(self._recent), 1)

    def note(self, step: int, text: str) -> None:
        """Appends a line to the log that begins with #: something that happened at this step, in words."""
        words = printable(" ".join(text.split()))
        self._log.add(f"# step {step}, {datetime.now().strftime('%Y-%m-%dT%H:%M:%S')}: {words}\n")

    def log_means(self, *, step: int, epsilon: float) -> None:
        """Appends a line to the log, with the tutorial's columns: the means at the newest episode's end."""
        now = time.monotonic()
        delta, self._recorded_at = now - self._recorded_at, now
        self._log.add(
            f"{self.episode - 1:8d}{step:8d}{epsilon:10.3f}"
            f"{self.mean('reward'):15.3f}{self.mean('length'):15.3f}{self.mean('loss'):15.3f}{self.mean('q'):15.3f}"
            f"{delta:15.3f}{datetime.now().strftime('%Y-%m-%dT%H:%M:%S'):>20}\n"
        )

    def begin(self) -> None:
        """Has the files say what was loaded, before the first line is added; does nothing the second time.

        What is no longer theirs, e.g. later episodes of a continuation that is now given up, is set aside in a file
        beside each. The log keeps its lines, and says so. Raises TrainingError where that cannot be written.
        """
        given_up = any(older for _, older in self._due.values())
        for path in list(self._due):
            content, older = self._due[path]
            try:
                if older:
                    aside = paths.unique_path(path.parent, f"{path.stem}.until-{paths.timestamp()}", ".csv", beside=())
                    write_atomically(aside, path.read_bytes())
                write_atomically(path, content)
            except OSError as error:
                raise TrainingError(f"{path} cannot be written: {error.strerror}; make room, and begin again") from None
            del self._due[path]
        if given_up:
            self.note(self._resumed_at, "goes on from here: what is above of later steps was given up")

    def log_evaluation(self, record: EvaluationRecord) -> None:
        """Appends a line to evaluations.csv."""
        self._evaluations.add(csv_line(record))

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs but the `history`."""
        return {
            "episode": self.episode,
            "reward": self._reward.tolist(),
            "length": self._length.tolist(),
            "updates": self._updates.tolist(),
        }

    @staticmethod
    def without_running(state: dict[str, Any], envs: int) -> dict[str, Any]:
        """A `state_dict` for so many games, all of which are at the beginning of an episode."""
        return {**state, "reward": [0.0] * envs, "length": [0] * envs, "updates": [[0.0] * 3] * envs}

    def history(self) -> str:
        """The finished episodes, as metrics.csv has them after `begin`."""
        due = self._due.get(self._metrics.path)
        return due[0] if due else self._metrics.content()

    def episodes(self) -> list[EpisodeRecord]:
        """The finished episodes."""
        return parse_records(io.StringIO(self.history(), newline=""))

    def load_state_dict(self, state: dict[str, Any], history: str | None = None, step: int | None = None) -> None:
        """Takes up where `state_dict` was called, with the episodes of `history`, by default those of metrics.csv.

        The files stay as they are until `begin`.

        Args:
            step: evaluations of later ones belong to a continuation that is now given up; None keeps all.
        """
        episode = int(state["episode"])
        path = self.folder / "metrics.csv"
        records = read_metrics(path)
        known = records if history is None else parse_records(io.StringIO(history, newline=""))
        kept = [record for record in known if record.episode < episode]
        heading = csv_heading(EpisodeRecord)
        if kept != records or (path.is_file() and not _is_whole(path.read_bytes(), heading.encode())):
            content = heading + "".join(map(csv_line, kept))
            self._due[path] = content, bool(set(records) - set(kept))
        self._forget_after(self._kept.path, episode - 1)
        self._resumed_at = step if step is not None else max((record.step for record in kept), default=0)
        if step is not None:
            self._forget_after(self.folder / "evaluations.csv", step)
        for record in kept:
            self._count(record)
        self.episode = episode
        for mine, name in ((self._reward, "reward"), (self._length, "length"), (self._updates, "updates")):
            theirs = np.array(state[name], dtype=mine.dtype)
            if theirs.shape != mine.shape or not np.isfinite(theirs).all():
                raise ValueError(f"{name} of the running episodes is not as it should be")
            mine[:] = theirs

    def _forget_after(self, path: Path, last: int) -> None:
        """Has a file keep the lines whose first number, a step or an episode, is at most this."""
        if not path.is_file():
            return
        header, *lines = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
        numbers = [line.partition(",")[0] for line in lines]
        kept = [
            line
            for line, number in zip(lines, numbers, strict=True)
            if re.fullmatch("[0-9]{1,18}", number) and int(number) <= last
        ]
        if len(kept) < len(lines):
            self._due[path] = "\r\n".join([header, *kept]) + "\r\n", True


def _is_whole(content: bytes, heading: bytes) -> bool:
    """Whether a file has the columns of now, and no line that was cut off."""
    return content.startswith(heading) and content.endswith(b"\n")


_LOG_HEADING = (
    f"{'Episode':>8}{'Step':>8}{'Epsilon':>10}{'MeanReward':>15}{'MeanLength':>15}"
    f"{'MeanLoss':>15}{'MeanQValue':>15}{'TimeDelta':>15}{'Time':>20}\n"
)
