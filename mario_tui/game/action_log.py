"""The buttons pressed in an episode: a small JSON file that replays it exactly, as the game is deterministic.

A file of format 1 holds one episode, and perhaps the checksums that its replay has to give; one of format 2 holds
several, each as format 1 has it, in a list called `logs`. One that has `goes_on` is not played from a reset: it goes on
from the clear that the one before it ended with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from mario_tui.errors import InputError, RecordingError
from mario_tui.game.stages import STAGES, next_stage
from mario_tui.system.files import write_atomically

FORMAT = 1
CHAIN_FORMAT = 2
MAX_FILE_BYTES = 8 << 20  # little enough to read at once
MAX_FRAME_SKIP = 60
MOST_WAIT = 60
"""Frames of no button at the beginning of a stage that a game went on with: a second."""
MAX_FRAMES = 4_000_000
"""Of all of a file's episodes: 18 hours of play, which may take an hour to play again."""
CHECKSUMS = ("ram_crc32", "screen_crc32")


@dataclass(frozen=True)
class ActionLog:
    """One NES button byte per step of `frame_skip` frames, from the first frame after a reset of `stage`.

    Attributes:
        ram_crc32, screen_crc32: of the episode when it was played, see ReplayResult; None where they are not known.
            Logs are equal where the same was pressed.
        goes_on: None if the episode begins with a reset. Otherwise it follows the clear of the previous stage without
            a reset, and this is how many frames no button is pressed first; see `Emulator.go_on`.
    """

    stage: str
    frame_skip: int
    buttons: tuple[int, ...]
    ram_crc32: int | None = field(default=None, compare=False)
    screen_crc32: int | None = field(default=None, compare=False)
    goes_on: int | None = None

    @classmethod
    def of_frames(
        cls,
        stage: str,
        frame_skip: int,
        buttons: Sequence[int],
        *,
        ram_crc32: int | None = None,
        screen_crc32: int | None = None,
        goes_on: int | None = None,
    ) -> ActionLog:
        """Of one button byte per frame, in whole steps: by step, if none changes its buttons, otherwise by frame."""
        steps = [buttons[frame : frame + frame_skip] for frame in range(0, len(buttons), frame_skip)]
        if all(len(set(step)) == 1 for step in steps):
            return cls(stage, frame_skip, tuple(step[0] for step in steps), ram_crc32, screen_crc32, goes_on)
        return cls(stage, 1, tuple(buttons), ram_crc32, screen_crc32, goes_on)

    @property
    def frames(self) -> int:
        """Emulator frames that it has buttons for; the episode may end some of them earlier."""
        return len(self.buttons) * self.frame_skip

    def begins_with(self, other: ActionLog) -> bool:
        """Whether this is the other's play, perhaps with more after it."""
        begins = [(log.stage, log.goes_on, log.frame_skip) for log in (self, other)]
        return begins[0] == begins[1] and self.buttons[: len(other.buttons)] == other.buttons

    def as_json(self, **more: Any) -> dict[str, Any]:
        """What the file says; `more` is put beside what replaying needs, and ignored by it."""
        first: dict[str, Any] = {"format": FORMAT, "stage": self.stage, "frame_skip": self.frame_skip}
        if self.goes_on is not None:
            first["goes_on"] = self.goes_on
        checksums = {name: getattr(self, name) for name in CHECKSUMS if getattr(self, name) is not None}
        return {**first, **checksums, **more, "buttons": self.buttons}

    def to_json(self, **more: Any) -> str:
        """The file's content."""
        return json.dumps(self.as_json(**more), separators=(",", ":"))

    def save(self, path: str | Path, **more: Any) -> None:
        """Writes the file whole or not at all, with `more` in it; raises RecordingError if that fails."""
        path = Path(path)
        try:
            path.parent.stat()  # a folder that is not there may be a slip
            write_atomically(path, self.to_json(**more))
        except OSError as error:
            raise RecordingError(f"the action log {path} cannot be written: {error.strerror}") from error

    @classmethod
    def load(cls, path: str | Path) -> ActionLog:
        """Reads a file that `save` wrote, or one made elsewhere; keys that are not ours are ignored.

        Raises InputError, with the reason in one line, for anything that is no action log of one episode.
        """
        logs = load_logs(path)
        if len(logs) != 1:
            raise InputError(f"{path} is no action log of one episode: it has {len(logs)}")
        return logs[0]

    @classmethod
    def from_json(cls, content: object) -> ActionLog:
        """Of what `as_json` gave, or of what stands in a file; raises ValueError where that is no action log."""
        if not isinstance(content, dict):
            raise _MalformedError("it is not a JSON object")
        if not _is_integer(content.get("format"), 1, FORMAT):
            raise _MalformedError(
                f'"format" is not {FORMAT}, or {CHAIN_FORMAT} for several, the only ones known to this version'
            )
        stage, frame_skip, buttons = (content.get(key) for key in ("stage", "frame_skip", "buttons"))
        if not isinstance(stage, str) or stage not in STAGES:
            raise _MalformedError('"stage" is not one from "1-1" to "8-4"')
        if not _is_integer(frame_skip, 1, MAX_FRAME_SKIP):
            raise _MalformedError(f'"frame_skip" is not a whole number from 1 to {MAX_FRAME_SKIP}')
        if not isinstance(buttons, list) or not all(_is_integer(byte, 0, 255) for byte in buttons):
            raise _MalformedError('"buttons" is not a list of whole numbers from 0 to 255')
        checksums = {name: content.get(name) for name in CHECKSUMS}
        for name, value in checksums.items():
            if value is not None and not _is_integer(value, 0, 2**32 - 1):
                raise _MalformedError(f'"{name}" is not a whole number of 32 bits')
        goes_on = content.get("goes_on")
        if goes_on is not None and not _is_integer(goes_on, 0, MOST_WAIT):
            raise _MalformedError(f'"goes_on" is not a whole number from 0 to {MOST_WAIT}')
        return cls(stage, frame_skip, tuple(buttons), **checksums, goes_on=goes_on)


def load_logs(path: str | Path) -> tuple[ActionLog, ...]:
    """The episodes in a file, one after the other; raises InputError for anything that is no action log."""
    try:
        text = _read_limited(Path(path))
        try:
            # A number with thousands of digits is a ValueError as well, and so is text that is not UTF-8.
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _MalformedError("it is not JSON") from error
        if not (isinstance(content, dict) and _is_integer(content.get("format"), CHAIN_FORMAT, CHAIN_FORMAT)):
            logs: tuple[ActionLog, ...] = (ActionLog.from_json(content),)
        elif isinstance(content.get("logs"), list) and content["logs"]:
            logs = tuple(map(ActionLog.from_json, content["logs"]))
        else:
            raise _MalformedError('"logs" is not a list of action logs')
        for before, log in zip((None, *logs), logs, strict=False):
            if log.goes_on is not None and (before is None or next_stage(before.stage) != log.stage):
                raise _MalformedError(
                    f"{log.stage} goes on without a reset, but the log before it is not of the previous stage"
                )
        if (frames := sum(log.frames for log in logs)) > MAX_FRAMES:
            raise _MalformedError(f"it has {frames:,} frames, and at most {MAX_FRAMES:,} are played again")
        return logs
    except _MalformedError as error:
        raise InputError(f"{path} is no action log that can be replayed: {error}") from error


def logs_to_json(logs: Sequence[ActionLog], **more: Any) -> str:
    """A file's content: of format 1 for one episode, of format 2 for several; `more` is ignored by replaying."""
    if len(logs) == 1:
        return logs[0].to_json(**more)
    content = {"format": CHAIN_FORMAT, **more, "logs": [log.as_json() for log in logs]}
    return json.dumps(content, separators=(",", ":"))


class _MalformedError(ValueError):
    """Why a file is no action log, as the end of a sentence."""


def _read_limited(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise _MalformedError("it is not a file")  # opening a named pipe would wait for a writer
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _MalformedError(error.strerror or "it cannot be read") from error
    except ValueError as error:
        raise _MalformedError("it has a name that no file can have") from error
    if len(text) > MAX_FILE_BYTES:
        raise _MalformedError(f"it is larger than {MAX_FILE_BYTES >> 20} MiB")
    return text


def _is_integer(value: Any, lowest: int, highest: int) -> TypeGuard[int]:
    return type(value) is int and lowest <= value <= highest  # True and 4.0 are none
