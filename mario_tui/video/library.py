"""The recordings folder: what is in it, and what can be done with it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario_tui import paths
from mario_tui.errors import CheckpointError, InputError
from mario_tui.game.action_log import load_logs
from mario_tui.store.untrusted import read_json
from mario_tui.system import times
from mario_tui.system.files import Reservation
from mario_tui.video.log_beside import is_video, other_videos
from mario_tui.video.writer import EMULATOR_FPS, FPS_CHOICES


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """One row of the list of recordings.

    Attributes:
        path: the video.
        stage: or several of them, with commas between.
        log: its action log, which can be replayed; None if it is missing or no action log (`problem` says which).
        seconds: of play in the video; None if unknown.
        max_x, cleared: how far the play got; None if unknown.
        first_frame: the emulator frame of the log that the video begins with.
    """

    path: Path
    log: Path | None
    stage: str
    seconds: float | None
    max_x: int | None
    cleared: bool | None
    first_frame: int
    size_bytes: int
    created: str
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """What `mario-tui recordings --json` prints of it."""
        names = ("stage", "seconds", "max_x", "cleared", "size_bytes", "created", "problem")
        log = str(self.log) if self.log else None
        return {"path": str(self.path), "action_log": log, **{name: getattr(self, name) for name in names}}


def list_recordings() -> list[RecordingInfo]:
    """Every video in the recordings folder, the newest first; a hidden one only if there is an action log to it."""
    folder = paths.recordings_dir()
    if not folder.is_dir():
        return []
    infos = [describe(path) for path in folder.iterdir() if is_video(path)]
    # A hidden one without a log is none of ours, e.g. ._a.mp4, as macOS makes them.
    ours = [info for info in infos if info.log is not None or not info.path.name.startswith(".")]
    return sorted(ours, key=lambda info: (info.created, info.path.name), reverse=True)


def describe(path: Path) -> RecordingInfo:
    """What is known of a video that is there."""
    log_path = path.with_suffix(".json")
    stage, seconds, problem, video = "?", None, "", {}
    log: Path | None = None
    try:
        logs = load_logs(log_path)
    except InputError as error:
        problem = "its action log is missing" if not log_path.exists() else str(error)
    else:
        log, stage = log_path, ",".join(content.stage for content in logs)
        video = _video_of(log_path)
        frames = video.get("frames", sum(content.frames for content in logs))
        seconds = frames / EMULATOR_FPS
    status = path.stat()
    return RecordingInfo(
        path=path,
        log=log,
        stage=stage,
        seconds=seconds,
        max_x=video.get("max_x"),
        cleared=video.get("cleared"),
        first_frame=video.get("first_frame", 0),
        size_bytes=status.st_size,
        created=times.of_timestamp(status.st_mtime),
        problem=problem,
    )


def _video_of(log: Path) -> dict[str, Any]:
    """What the recorder wrote about the video beside an action log, as far as it can be believed."""
    try:
        video = read_json(log).get("video")
    except CheckpointError:
        return {}
    kinds = {"frames": int, "first_frame": int, "max_x": int, "cleared": bool}
    if not isinstance(video, dict):
        return {}
    return {
        name: video[name] for name, kind in kinds.items() if type(video.get(name)) is kind and abs(video[name]) < 1e12
    }


def best_path(run: Path) -> Path:
    """The video of a run's best episode, which a better one replaces."""
    return paths.recordings_dir() / f"{run.name}-best.mp4"


def set_aside(video: Path) -> None:
    """Gives a recording another name: its videos of every kind and its action log, as far as they exist."""
    kinds = (*FPS_CHOICES, ".json")
    if not any(os.path.lexists(video.with_suffix(kind)) for kind in kinds):
        return
    with Reservation(video.parent, video.stem, video.suffix, beside=kinds) as new:
        for kind in kinds:
            with contextlib.suppress(FileNotFoundError):
                os.rename(video.with_suffix(kind), new.with_suffix(kind))


def trash(path: Path) -> Path:
    """Moves a video and its action log into the trash folder beside the recordings; returns where the video is now."""
    folder = paths.recordings_dir() / ".trash"
    folder.mkdir(parents=True, exist_ok=True)
    log = path.with_suffix(".json")
    with Reservation(folder, f"{paths.timestamp()}_{path.stem}", path.suffix) as moved:
        if log.exists() and not other_videos(path):  # an MP4 and a GIF of one play share its log
            os.rename(log, moved.with_suffix(".json"))
        os.rename(path, moved)
    return moved


def take_back(trashed: Path, path: Path) -> None:
    """Moves a video that `trash` moved, and its action log, back to where they were.

    Raises InputError where there is a file of that name again.
    """
    log, log_before = trashed.with_suffix(".json"), path.with_suffix(".json")
    if path.exists() or (log.exists() and log_before.exists()):
        raise InputError(f"{path.name} cannot be taken back, as there is another one of that name: it is {trashed}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        os.rename(log, log_before)
    os.rename(trashed, path)
