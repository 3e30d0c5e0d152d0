"""The action log beside a video: its place, and which older one it may replace."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mario_tui.errors import InputError, RecordingError
from mario_tui.game.action_log import ActionLog, load_logs, logs_to_json
from mario_tui.video.writer import FPS_CHOICES, VideoWriter

_OTHER_PLAY = "its action log would replace {}, which is of another play; choose another name"


def log_path_of(video: str | Path, logs: Sequence[ActionLog] = ()) -> Path:
    """Where a video's action log goes.

    Raises InputError if it would replace something else: the log of another play than `logs`, where those are known
    before, unless it belongs to an older video of this name.
    """
    path = Path(video).with_suffix(".json")
    if path.exists():
        try:
            found = load_logs(path)
        except InputError:
            raise InputError(
                f"{video} cannot be recorded to: its action log would replace {path}, which is something else"
            ) from None
        perhaps_same = _same_play(found, logs) or _same_play(logs, found)  # a game may end before its log does
        if logs and not perhaps_same and not _goes_with(path, Path(video)):
            raise InputError(f"{video} cannot be recorded to: {_OTHER_PLAY.format(path)}")
    return path


def other_videos(video: Path) -> list[Path]:
    """The videos that have the same action log, as a GIF has that was made of an MP4."""
    if not video.parent.is_dir():
        return []
    others = (path for path in video.parent.iterdir() if path.stem == video.stem and path.name != video.name)
    return list(filter(is_video, others))


def is_video(path: Path) -> bool:
    """Whether a file is one, by its ending."""
    return path.suffix.lower() in FPS_CHOICES and path.is_file()


def _same_play(found: Sequence[ActionLog], logs: Sequence[ActionLog]) -> bool:
    """Whether a log begins with a play, as one does of which a part is recorded."""
    return len(found) == len(logs) and all(map(ActionLog.begins_with, found, logs))


def _goes_with(log: Path, video: Path) -> bool:
    """Whether an action log is an older video's alone: not of one of another kind, nor of a game played by hand."""
    if not video.exists() or other_videos(video):
        return False
    content = json.loads(log.read_bytes())  # an action log has been read from it
    return not (isinstance(content, dict) and content.get("played_by"))


def put_log_beside(video: VideoWriter, path: Path, logs: Sequence[ActionLog], about: Mapping[str, Any]) -> None:
    """Makes the action log of a recording get its name with the video, with `about` the video in it.

    A log that begins with the same play is left alone: it is the one that was replayed to make the video. Raises
    RecordingError if it is of another play, and does not belong to the video that is replaced.
    """
    with contextlib.suppress(InputError):
        if _same_play(load_logs(path), logs):
            return
        if not _goes_with(path, video.path):
            raise RecordingError(f"{video.path} was not written: {_OTHER_PLAY.format(path)}")
    video.put_beside(path, logs_to_json(logs, video=about))
